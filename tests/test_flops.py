"""Counted operations against hand counts, whichever kernel computes them; counting changes nothing."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small import FAMILIES, family, job
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import flop_registry

from genzoo import flops
from genzoo.flops import FlopMeter, count_flops
from genzoo.training import fit

N = 5


def counted(work: Callable[[], Any]) -> int:
    with count_flops() as count:
        work()
    return count.total


def batch(*shape: int) -> Tensor:
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(0))


# Against hand counts: a multiply-add is two


def test_a_linear_layer_and_its_gradients() -> None:
    layer, forward = nn.Linear(4, 8), 2 * N * 4 * 8
    assert counted(lambda: layer(batch(4))) == forward
    assert counted(lambda: layer(batch(4)).sum().backward()) == 2 * forward
    assert counted(lambda: layer(batch(4).requires_grad_()).sum().backward()) == 3 * forward


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_convolution_and_its_gradients(kind: type[nn.Conv2d], groups: int) -> None:
    layer, forward = kind(6, 12, 3, padding=1, groups=groups), 2 * N * 8 * 8 * 12 * (6 // groups) * 9
    assert counted(lambda: layer(batch(6, 8, 8))) == forward
    assert counted(lambda: layer(batch(6, 8, 8)).sum().backward()) == 2 * forward
    assert counted(lambda: layer(batch(6, 8, 8).requires_grad_()).sum().backward()) == 3 * forward


def test_strides_count_where_the_kernel_lands() -> None:
    assert counted(lambda: nn.Conv2d(6, 12, 3, stride=2, padding=1)(batch(6, 8, 8))) == 2 * N * 4 * 4 * 12 * 6 * 9
    assert counted(lambda: nn.ConvTranspose2d(6, 12, 2, stride=2)(batch(6, 8, 8))) == 2 * N * 8 * 8 * 12 * 6 * 4


HEADS, QUERIES, KEYS, CHANNELS, VALUES = 3, 16, 12, 8, 8
ATTENTION = 2 * N * HEADS * QUERIES * KEYS * (CHANNELS + VALUES)


def attend(*, gradient: bool) -> None:
    q, k, v = batch(HEADS, QUERIES, CHANNELS), batch(HEADS, KEYS, CHANNELS), batch(HEADS, KEYS, VALUES)
    out = F.scaled_dot_product_attention(*(x.requires_grad_(gradient) for x in (q, k, v)))
    if gradient:
        out.sum().backward()


@pytest.mark.parametrize("kernel", [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH])
@pytest.mark.parametrize("bf16", [False, True])
def test_attention_counts_the_same_fused_or_not(kernel: SDPBackend, bf16: bool) -> None:
    with sdpa_kernel(kernel), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert counted(lambda: attend(gradient=False)) == ATTENTION
        assert counted(lambda: attend(gradient=True)) == 3 * ATTENTION


def test_the_counter_of_torch_sees_nothing_of_fused_attention_so_ours_is_needed() -> None:
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    assert fused in flops.FORMULAS and fused not in flop_registry


def test_an_lstm_over_both_directions() -> None:
    net = nn.LSTM(4, 6, num_layers=2, bidirectional=True)
    one, two = 4 * 6 * (4 + 6), 4 * 6 * (2 * 6 + 6)
    forward = 2 * 7 * N * 2 * (one + two)
    x = torch.randn(7, N, 4)
    assert counted(lambda: net(x)) == forward
    assert counted(lambda: net(x)[0].sum().backward()) == 3 * forward


def test_what_is_done_number_by_number_counts_nothing() -> None:
    assert counted(lambda: nn.GroupNorm(1, 4)(F.silu(batch(4)) * 2).sum().exp()) == 0


def test_a_whole_attention_block_of_diffusers() -> None:
    from diffusers.models.attention_processor import Attention

    c, positions = 16, 36
    block = Attention(c, heads=2, dim_head=8, norm_num_groups=4, residual_connection=True, bias=True)
    projections, attention = 4 * 2 * N * positions * c * c, 2 * 2 * N * positions * positions * c
    forward = projections + attention
    assert counted(lambda: block(batch(c, 6, 6))) == forward
    assert counted(lambda: block(batch(c, 6, 6).requires_grad_()).sum().backward()) == 3 * forward


def test_a_whole_unet_counts_the_same_with_the_arithmetic_written_out() -> None:
    from diffusers import UNet2DModel

    net = UNet2DModel(
        in_channels=1, out_channels=1, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
    )  # fmt: skip

    def step() -> None:
        net(batch(1, 8, 8), 3).sample.square().mean().backward()

    with sdpa_kernel(SDPBackend.MATH):
        written_out = counted(step)
    assert counted(step) == written_out > counted(lambda: net.requires_grad_(False)(batch(1, 8, 8), 3)) * 2.5


# Wherever it is executed


def layer() -> nn.Linear:
    return nn.Linear(4, 4, bias=False)


ONE = 2 * N * 4 * 4


@pytest.mark.parametrize("context", [nullcontext, torch.no_grad, torch.inference_mode])
def test_gradients_need_not_be_on(context: Callable[[], Any]) -> None:
    with context():
        assert counted(lambda: layer()(batch(4))) == ONE
        assert counted(lambda: torch.einsum("ni,ij->nj", batch(4), torch.zeros(4, 4))) == ONE


def test_a_gradient_with_respect_to_the_input_and_the_gradient_of_that() -> None:
    net, x = layer(), batch(4).requires_grad_()

    def penalty() -> None:
        (slope,) = torch.autograd.grad(net(x).tanh().sum(), x, create_graph=True)
        slope.square().sum().backward()

    assert counted(lambda: torch.autograd.grad(net(x).sum(), x)) == 2 * ONE
    assert counted(penalty) == 6 * ONE


def test_functional_transforms() -> None:
    w, x = torch.randn(4, 4), batch(4)
    slope = torch.func.grad(lambda w, x: torch.tanh(x @ w).sum())
    assert counted(lambda: slope(w, x)) == 2 * ONE  # x needs none
    assert counted(lambda: torch.func.vmap(slope, (None, 0))(w, x)) == 2 * ONE


def test_functions_with_a_gradient_of_their_own() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
            x, w = ctx.saved_tensors
            return gradient @ w.T, x.T @ gradient

    w = torch.randn(4, 4, requires_grad=True)
    assert counted(lambda: Product.apply(batch(4).requires_grad_(), w).sum().backward()) == 3 * ONE


def test_what_is_computed_again_to_save_memory_counts_again() -> None:
    net, x = layer(), batch(4).requires_grad_()
    assert counted(lambda: checkpoint(lambda x: net(x).tanh(), x, use_reentrant=False).sum().backward()) == 4 * ONE


def test_a_transformer_layer_counts_in_eval_mode_what_it_does_in_training() -> None:
    net = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    positions = 7
    expected = 2 * N * positions * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 2 * N * positions * positions * 8
    fast = torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad():
        assert counted(lambda: net.eval()(batch(positions, 8))) == expected
        assert counted(lambda: net.train()(batch(positions, 8))) == expected
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_a_compiled_function_is_counted_and_stays_compiled() -> None:
    net, graphs = layer(), []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(net, backend=backend, fullgraph=True)
    assert counted(lambda: compiled(batch(4))) == ONE and not graphs
    compiled(batch(4))
    assert counted(lambda: compiled(batch(4))) == ONE and len(graphs) == 1


def test_counts_may_be_nested() -> None:
    with count_flops() as outer:
        assert counted(lambda: layer()(batch(4))) == ONE
        layer()(batch(4))
    assert outer.total == 2 * ONE


def test_an_error_inside_is_passed_on_and_counting_ends() -> None:
    with pytest.raises(ZeroDivisionError), count_flops() as count:
        1 / 0  # noqa: B018
    layer()(batch(4))
    assert count.total == 0


# Long loops


def walk(meter: FlopMeter, numbers: range, width: Callable[[int], int]) -> None:
    for number in numbers:
        with meter.step(number):
            torch.zeros(1, width(number)) @ torch.zeros(width(number), 1)


def test_steps_that_are_alike_are_counted_once_and_add_up_exactly() -> None:
    meter = FlopMeter()
    walk(meter, range(100), lambda number: 3)
    assert meter.total == 100 * 2 * 3


def test_a_change_is_noticed_within_499_steps() -> None:
    meter = FlopMeter()
    walk(meter, range(1200), lambda number: 1 if number < 300 else 10)
    assert meter.total == 2 * (500 * 1 + 700 * 10)


def test_a_rhythm_of_the_steps_comes_out_in_the_mean() -> None:
    meter, steps = FlopMeter(), 1 + 499 * 16
    walk(meter, range(steps), lambda number: 17 if number % 16 == 0 else 1)
    assert meter.total == 2 * (17 + 2 * (steps - 1))


def test_a_meter_goes_on_where_it_was() -> None:
    straight, first, second = FlopMeter(), FlopMeter(), FlopMeter()
    walk(straight, range(20), lambda number: 4)
    walk(first, range(7), lambda number: 4)
    second.load_state_dict(first.state_dict())
    walk(second, range(7, 20), lambda number: 4)
    assert second.total == straight.total


def test_a_step_that_fails_adds_nothing() -> None:
    meter = FlopMeter()
    with pytest.raises(ZeroDivisionError), meter.step(0):
        1 / 0  # noqa: B018
    assert meter.total == 0


@pytest.mark.parametrize("data", ["8gaussians", "digits"])
@pytest.mark.parametrize("model", FAMILIES)
def test_no_training_is_changed_by_counting_any_or_every_step(
    model: str, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train() -> tuple[dict[str, Tensor], float]:
        started = job(family(model, data=data, budget="4steps"))
        done = fit(started.model, started.trainer, started.data.train, started.config)
        return done.model.state_dict(), done.flops

    weights, total = train()
    monkeypatch.setattr(flops, "EVERY", 1)
    every, counted_in_each = train()
    monkeypatch.setattr(FlopMeter, "step", lambda self, number: nullcontext())
    none, _ = train()
    assert total == counted_in_each > 0
    assert all(torch.equal(weights[name], every[name]) and torch.equal(weights[name], none[name]) for name in weights)
