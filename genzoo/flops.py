"""Measured floating-point operations: products of matrices, convolutions, attention and LSTMs as they are executed.

A multiply-add is two operations; what is done number by number (activations, normalisation, optimizers) counts nothing,
as everywhere in the literature. The formulas are those of ``torch.utils.flop_counter``, and here those that it lacks:
the CPU's fused attention and LSTM, for which it counts nothing, and the gradient of a grouped convolution, for which it
counts too much. Attention counts the same whichever kernel computes it: that a fused one computes its scores anew for
the gradient is left out, and so are masks. LSTMs and GRUs by cuDNN are not seen.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

EVERY = 499
"""Steps from one count to the next; a prime, so that no rhythm of the steps is met always or never."""

aten = torch.ops.aten


def _attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> int:
    """q k^T and its product with v, of [batch, heads, positions, channels]."""
    return 2 * prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _attention_backward(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> int:
    """Two products for each of the two of the forward pass."""
    return 2 * _attention(query, key, value)


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, mask: Sequence[bool], **named: Any,
) -> int:  # fmt: skip
    """The gradients of x and of the weight: each costs what the forward pass does."""
    forward = conv_flop_count(list(x.shape), list(weight.shape), list(gradient.shape), transposed=transposed)
    return forward * sum(mask[:2])


def _lstm(x: Tensor, from_input: Tensor, from_hidden: Tensor, *rest: Any, **named: Any) -> int:
    """One layer in one direction, over [time, batch, channels]."""
    return 2 * prod(x.shape[:-1]) * (from_input.numel() + from_hidden.numel())


def _lstm_backward(*arguments: Any, **named: Any) -> int:
    return 2 * _lstm(*arguments)


FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten._scaled_dot_product_flash_attention_backward: _attention_backward,
    aten._scaled_dot_product_efficient_attention_backward: _attention_backward,
    aten._scaled_dot_product_cudnn_attention_backward: _attention_backward,
    aten.convolution_backward: _convolution_backward,
    aten.mkldnn_rnn_layer: _lstm,
    aten.mkldnn_rnn_layer_backward: _lstm_backward,
}
"""Operator to its operations, called with the operator's own arguments and, as ``out_val``, its result."""


@cache
def _is_composite(operator: Any) -> bool:
    """Whether it is only a name for other operators, without a kernel of its own, whose last bits would differ."""
    has = partial(torch._C._dispatch_has_kernel_for_dispatch_key, operator.name())
    return has("CompositeImplicitAutograd") and not has("CPU") and not has("CUDA")


class FlopCount(TorchDispatchMode):
    """Adds up what is executed inside it, forwards and backwards, into ``total``."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = FORMULAS.get(getattr(func, "_overloadpacket", func))
        if formula is None and isinstance(func, OpOverload) and _is_composite(func):
            with self:  # in inference mode such operators arrive whole
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=out)
        return out


@contextmanager
def count_flops() -> Iterator[FlopCount]:
    """Count what is executed inside.

    >>> with count_flops() as counted:
    ...     _ = torch.nn.Linear(4, 8)(torch.zeros(10, 4))
    >>> counted.total
    640
    """
    with operator_by_operator(), FlopCount() as counted:
        yield counted


@contextmanager
def operator_by_operator() -> Iterator[None]:
    """Without what hides operators: compiled functions, and whole transformer layers that are one operator."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class FlopMeter:
    """The operations of a long loop, counted in its first step, its second, and every 499th after that.

    The first may prepare what the others go on from, such as a buffer of walks, and stands for itself alone.

    A step that is not counted adds what the last counted one did. Counting takes as long as the step itself or twice
    as long where the network is small, and none of it changes what is computed.
    """

    def __init__(self) -> None:
        self.total = self.per_step = 0

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around step ``number`` (0, 1, ...)."""
        if number and (number - 1) % EVERY:
            yield
        else:
            with count_flops() as counted:
                yield
            self.per_step = counted.total
        self.total += self.per_step

    def state_dict(self) -> dict[str, int]:
        """What the next step adds to."""
        return {"total": self.total, "per_step": self.per_step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self.total, self.per_step = state["total"], state["per_step"]
