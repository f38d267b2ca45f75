"""The noise processes and the denoising loss by hand."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from genzoo.protocols import Batch
from genzoo_diffusion.ddpm import ddpm
from genzoo_diffusion.denoising import Denoising
from genzoo_diffusion.levels import karras_sigmas
from genzoo_diffusion.schedules import cosine_betas, linear_betas


def test_the_linear_schedule_is_ddpm_s() -> None:
    betas = linear_betas(1000)
    assert (betas[0].item(), betas[-1].item()) == (pytest.approx(1e-4), pytest.approx(0.02))
    assert torch.allclose(betas.diff(), betas.diff()[0].expand(999))
    assert torch.cumprod(1 - betas, 0)[-1].item() == pytest.approx(4e-5, rel=0.02)


def test_the_cosine_schedule_is_improved_ddpm_s() -> None:
    betas = cosine_betas(1000)
    t = torch.arange(1, 1000, dtype=torch.float64) / 1000
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert torch.allclose(torch.cumprod(1 - betas, 0)[:-1], f)
    assert betas[-1] == 0.999


@given(timesteps=st.integers(2, 300))
@settings(max_examples=30, deadline=None)
def test_any_number_of_timesteps_ends_in_noise(timesteps: int) -> None:
    for betas in (linear_betas(timesteps), cosine_betas(timesteps)):
        assert ((betas > 0) & (betas < 1)).all()
        assert torch.cumprod(1 - betas, 0)[-1] < 0.02


class Oracle(nn.Module):
    """Knows that all data are zero, where x_t = sqrt(1 - abar_t) eps, and tells the noise; or tells nothing."""

    shape = (2,)

    def __init__(self, wise: bool) -> None:
        super().__init__()
        self.wise, self.seen = wise, []
        self.register_buffer("betas", linear_betas(1000))

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        self.seen.append(timestep)
        spread = (1 - torch.cumprod(1 - self.betas, 0)[timestep]).sqrt().float()[:, None]
        return x_t / spread if self.wise else torch.zeros_like(x_t)


def zeros(n: int) -> Iterator[Batch]:
    while True:
        yield Batch(torch.zeros(n, 2))


def test_the_loss_is_zero_for_who_knows_the_noise_and_one_for_who_says_none() -> None:
    """The mean of the squares of 20,000 standard normal draws is 1 with standard error 0.01."""
    torch.manual_seed(0)
    (_, known), (_, silent) = (next(Denoising().losses(Oracle(wise), zeros(10_000))) for wise in (True, False))
    assert known.item() == pytest.approx(0.0, abs=1e-6)
    assert silent.item() == pytest.approx(1.0, abs=0.04)


def test_every_timestep_is_as_likely_as_another() -> None:
    torch.manual_seed(0)
    oracle = Oracle(True)
    next(Denoising().losses(oracle, zeros(100_000)))
    counts = torch.bincount(oracle.seen[0], minlength=1000)
    assert len(counts) == 1000 and counts.min() > 50 and counts.max() < 160


def test_noise_levels_fall_from_the_noisiest_to_the_cleanest_in_equal_steps_of_a_root() -> None:
    sigmas = karras_sigmas(0.01, 100.0, 20)
    assert (sigmas[0].item(), sigmas[-1].item()) == (pytest.approx(100.0), pytest.approx(0.01))
    steps = (sigmas ** (1 / 7)).diff()
    assert torch.allclose(steps, steps[0].expand(19)) and steps[0] < 0


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 7, 10), (1, 5, 3)])
@pytest.mark.parametrize("timestep", [torch.tensor(3), torch.tensor([3, 3, 3]), torch.tensor([3.0, 3.0, 3.0])])
def test_a_timestep_may_be_one_for_all_or_one_a_row(shape: tuple[int, ...], timestep: Tensor) -> None:
    torch.manual_seed(0)
    model = ddpm(shape, width=8).eval()
    x = torch.randn(3, *shape)
    assert torch.equal(model.predict(x, timestep), model.predict(x, torch.tensor([3, 3, 3])))
    assert model.predict(x, timestep).shape == x.shape and model.predict(x, timestep).dtype is torch.float32
