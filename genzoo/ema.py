"""The exponential moving average of the weights, buffers included."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A power-function average: after step t the weights of step s count in proportion to s^(1/width - 1).

    Update: theta_ema <- theta_ema + (1 - (1 - 1/t)^(1/width)) (theta - theta_ema). The averaging window is thus a
    fraction ``width`` of the steps taken so far, whatever the budget, and the initial weights are forgotten at once (a
    fixed decay of .9999 after 1,500 steps is still 86 % initial weights). ``width = 0`` keeps the last weights. Buffers
    are averaged too; the model must update them in place.

    Reference: Analyzing and Improving the Training Dynamics of Diffusion Models (Karras et al., 2024), section 3.1.
    """

    def __init__(self, model: nn.Module, width: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._width = width
        self._pairs = self._match(model)

    def _match(self, model: nn.Module) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Averages and their sources (floating point), and pairs that are copied (counters, flags)."""
        own, live = self.model.state_dict(keep_vars=True), model.state_dict(keep_vars=True)
        pairs = {id(average): (average, live[name]) for name, average in own.items()}.values()  # tied weights once
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not pair[0].is_floating_point()]
        return [average for average, _ in averaged], [source for _, source in averaged], copied

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Fold in the live model's weights after ``step`` (1, 2, ...)."""
        weight = 1 - (1 - 1 / step) ** (1 / self._width) if self._width else 1.0
        averages, sources, copied = self._pairs
        torch._foreach_lerp_(averages, sources, weight)
        for average, source in copied:
            average.copy_(source)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from averaged weights."""
        self.model.load_state_dict(state)
