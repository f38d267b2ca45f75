"""One training in progress: a step is one run of the trainer's losses, and a state is all that the next one needs.

For every ``(name, loss)`` that ``trainer.losses`` yields, the host back-propagates, averages the gradients over the
processes, clips them and steps that optimizer. Learning rates warm up linearly and decay as a cosine of the spent
fraction of the budget.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from genzoo.batches import Batches, Examples
from genzoo.config import TrainConfig
from genzoo.ema import Ema
from genzoo.errors import InvalidConfig
from genzoo.flops import FlopMeter
from genzoo.images import laid_out
from genzoo.memory import PeakMemory
from genzoo.precision import allows_bf16, autocast, choose_precision
from genzoo.protocols import Trainer


class Loop:
    """One training in progress; :meth:`state` is everything that a checkpoint must hold."""

    def __init__(
        self, model: nn.Module, trainer: Trainer, examples: Examples, config: TrainConfig, accelerator: Accelerator
    ) -> None:
        self.accelerator, self.config, self.trainer = accelerator, config, trainer
        self.model = laid_out(model).to(accelerator.device).train()
        self.precision = choose_precision(config.precision, allows_bf16(trainer, model), accelerator.device)
        self.batches = Batches(examples, config, accelerator)
        self.networks: nn.Module | None = getattr(trainer, "networks", lambda: None)()
        if self.networks is not None:
            laid_out(self.networks).to(accelerator.device)
        self._initialize()
        self.ema = Ema(self.model, config.ema)
        self.optimizers = dict(trainer.optimizers(self.model))
        self.base_rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.optimizers.items()}
        self.step, self.seconds = 0, 0.0
        self.meter, self.memory = FlopMeter(), PeakMemory(accelerator.device)

    def _initialize(self) -> None:
        torch.manual_seed(self.config.seed)
        if hasattr(self.trainer, "initialize"):
            # Not batch 0: at the batch that set the activations a gradient is zero up to rounding, which Adam blows up.
            self.trainer.initialize(self.model, self.batches.whole(-1))
        torch.manual_seed(self.config.seed * 1_000_003 + self.accelerator.process_index)

    @property
    def images_seen(self) -> int:
        return self.batches.drawn * self.config.batch_size

    def take_step(self, fraction: float) -> dict[str, float]:
        """One run of the trainer's losses at this fraction of the budget; returns the losses by name.

        Raises :class:`FloatingPointError` when a loss or its gradient is not finite, before that touches a weight.
        """
        self._set_rates(fraction)
        losses: dict[str, float] = {}
        steps = self.trainer.losses(self.model, self.batches)
        with self.meter.step(self.step):
            for name, loss in iter(lambda: self._next_loss(steps), None):
                losses[name], norm = self._gradient(self.optimizers[name], loss)
                if not math.isfinite(losses[name] + norm):
                    raise FloatingPointError(f"loss {name!r} is {losses[name]}, the norm of its gradient {norm}")
                self.optimizers[name].step()
        self.step += 1
        return losses

    def _next_loss(self, steps: Iterator[tuple[str, Tensor]]) -> tuple[str, Tensor] | None:
        with autocast(self.precision, self.accelerator.device):
            return next(steps, None)

    def _gradient(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> tuple[float, float]:
        """Back-propagate, average over the processes and clip; returns the loss and the norm of its gradient."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self.accelerator.num_processes > 1:
            loss = self._average(loss, parameters)
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip or math.inf)
        return loss.item(), norm.item()

    def _average(self, loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
        """The mean loss; every gradient becomes its mean. One loss that is not finite is so for every process.

        A parameter that this process's loss did not touch counts as zero: every process must send the same numbers.
        """
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([loss.detach().float().reshape(1), *(g.flatten().float() for g in gradients)])
        flat = self.accelerator.reduce(flat, reduction="mean")
        mean, *parts = flat.split([1, *(p.numel() for p in parameters)])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(part.view_as(parameter))
        return mean

    def _set_rates(self, fraction: float) -> None:
        warm = min(1.0, (fraction + 1e-3) / self.config.warmup) if self.config.warmup else 1.0
        factor = warm * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.base_rates[name], strict=True):
                group["lr"] = rate * factor

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        state = {
            "step": self.step,
            "drawn": self.batches.drawn,
            "seconds": self.seconds,
            "flops": self.meter.state_dict(),
            "processes": self.accelerator.num_processes,
            "random": torch.get_rng_state(),
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
        }
        if self.accelerator.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.accelerator.device)
        if hasattr(self.trainer, "state_dict"):
            state["trainer"] = self.trainer.state_dict()
        if self.networks is not None:
            state["networks"] = self.networks.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        if state["processes"] != self.accelerator.num_processes:
            raise InvalidConfig(f"the checkpoint was written by {state['processes']} processes: resume with as many")
        self.step, self.batches.drawn, self.seconds = state["step"], state["drawn"], state["seconds"]
        self.meter.load_state_dict(state["flops"])
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            _lay_out_state(optimizer)
        if "trainer" in state:
            on_device = {name: t.to(self.accelerator.device) for name, t in state["trainer"].items()}
            self.trainer.load_state_dict(on_device)  # type: ignore[attr-defined]
        if self.networks is not None:
            self.networks.load_state_dict(state["networks"])
        torch.set_rng_state(state["random"])
        if "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.accelerator.device)


def _lay_out_state(optimizer: torch.optim.Optimizer) -> None:
    """Every moment laid out in memory as its parameter is: fused optimizers walk through both in one order."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=moment.dtype, device=moment.device).copy_(moment)
