"""The schedulers' steps on a closed-form Gaussian, for numbers of steps that do and do not divide the process."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from genzoo.capabilities import Velocity
from genzoo.sampling import draw
from genzoo.testing import GaussianReference
from genzoo.zoo import Zoo
from genzoo_diffusion.schedules import cosine_betas

ZOO = Zoo.load()
STD = 0.3
MODEL = GaussianReference(torch.tensor([0.2, -0.4]), STD**2)


@pytest.mark.parametrize("num_steps", [1, 7, 30, 300, 499, 750])
def test_ddim_makes_what_its_formula_says_for_any_number_of_steps(num_steps: int) -> None:
    sampler = ZOO.sampler("ddim", {"num_steps": num_steps})
    samples = draw(sampler, MODEL, 4000, seed=0)
    assert samples.calls_per_sample == num_steps
    assert samples.x.std(0).mean() == pytest.approx(sampler.expected_std(MODEL, STD), rel=0.03)


def test_ddim_comes_closer_to_the_truth_with_every_step() -> None:
    errors = [abs(ZOO.sampler("ddim", {"num_steps": n}).expected_std(MODEL, STD) - STD) for n in (10, 30, 70, 300, 750)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 * STD


@pytest.mark.parametrize("num_steps", [30, 300, 1000])
def test_ddpm_keeps_the_spread_and_starts_from_the_noisiest_level(num_steps: int) -> None:
    seen: list[int] = []
    model = GaussianReference(torch.tensor([0.2, -0.4]), STD**2)
    predict = model.predict
    model.predict = lambda x, t: seen.append(int(t)) or predict(x, t)
    samples = draw(ZOO.sampler("ddpm", {"num_steps": num_steps}), model, 4000, seed=0, batch_size=4000)
    assert (seen[0], samples.calls_per_sample) == (len(model.betas) - 1, num_steps)
    assert seen[:num_steps] == sorted(set(seen), reverse=True)  # and then a few again, to count operations
    assert samples.x.std(0).mean() == pytest.approx(STD, rel=0.2 if num_steps < 100 else 0.05)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_images_are_not_clipped_on_the_way(sampler: str) -> None:
    """Clipped at white, pixels of mean 1 would come out darker."""
    model = GaussianReference(torch.ones(1, 2, 2), STD**2)
    x = draw(ZOO.sampler(sampler, {"num_steps": 100}), model, 2000, seed=0).x
    assert x.mean() == pytest.approx(1.0, abs=0.02)
    assert x.std() == pytest.approx(STD, rel=0.1)


@pytest.mark.parametrize(("sampler", "option"), [("ddim", -3), ("ddpm", 0), ("reverse-sde", 1), ("langevin", 0)])
def test_impossible_numbers_of_steps_are_refused(sampler: str, option: int) -> None:
    with pytest.raises(Exception, match=f"{sampler!r}: num_steps={option} is not"):
        ZOO.sampler(sampler, {"num_steps": option})


class Cosine(GaussianReference):
    """A Gaussian by the cosine schedule, which ends at sigma = 20,000."""

    sigma_max = 20_000.0

    def __init__(self, mean: Tensor, covariance: float) -> None:
        super().__init__(mean, covariance)
        self.betas = cosine_betas(1000).float()


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_very_few_steps_of_the_cosine_schedule_leave_numbers(sampler: str, num_steps: int) -> None:
    """In float32 the whole of it is one step with beta = 1, which leaves no signal to divide by."""
    model = Cosine(torch.zeros(2), 1.0)
    assert draw(ZOO.sampler(sampler, {"num_steps": num_steps}), model, 9, seed=0).x.isfinite().all()


def limit(model: GaussianReference, std: float, sigma_max: float = 80.0) -> float:
    """What the exact solution of the probability flow makes of N(mean, std^2) from sigma_max to sigma_min, denoised.

    It starts with sigma_max z + D, of the size sigma_max (1 + k); x scales as sqrt(std^2 + sigma^2); the last step
    multiplies by std^2 / (std^2 + sigma_min^2).
    """
    most, last = std**2 + sigma_max**2, std**2 + model.sigma_min**2
    return sigma_max * (1 + std**2 / most) * math.sqrt(last / most) * std**2 / last


LEVELS = [("probability-flow", 18), ("dpm-solver", 25), ("reverse-sde", 100)]


@pytest.mark.parametrize(("sampler", "num_steps"), LEVELS)
@pytest.mark.parametrize("sigma_max", [5.0, 80.0])
def test_samples_have_the_mean_of_the_data_although_they_start_from_noise(
    sampler: str, num_steps: int, sigma_max: float
) -> None:
    """From noise about zero they would lack STD / sigma_max of it: 0.3 of 5, which is sixty standard errors."""
    model, n = GaussianReference(torch.tensor([5.0, -3.0]), STD**2), 4000
    model.sigma_max = sigma_max
    chosen = ZOO.sampler(sampler, {"num_steps": num_steps})
    off = draw(chosen, model, n, seed=0).x.mean(0) - model.centres[0]
    assert off.abs().max() < 4 * STD / math.sqrt(n)


@pytest.mark.parametrize(("sampler", "num_steps"), LEVELS)
def test_the_start_of_a_sampler_over_noise_levels_is_in_its_formula(sampler: str, num_steps: int) -> None:
    """Where the noisiest level is no wider than three times the data, its size is felt to the end."""
    model, n = GaussianReference(torch.tensor([0.2, -0.4]), STD**2), 20_000
    model.sigma_max = 3 * STD
    chosen = ZOO.sampler(sampler, {"num_steps": num_steps})
    found = draw(chosen, model, n, seed=0).x.std(0).square().mean().sqrt().item()
    assert found == pytest.approx(chosen.expected_std(model, STD), rel=4 / math.sqrt(4 * n))


@pytest.mark.parametrize(("sampler", "num_steps"), [("probability-flow", 40), ("dpm-solver", 80)])
def test_solvers_over_noise_levels_are_of_second_order(sampler: str, num_steps: int) -> None:
    """Twice the steps leave a quarter of the error against the exact solution."""
    few, many = (ZOO.sampler(sampler, {"num_steps": n}).expected_std(MODEL, STD) for n in (num_steps, 2 * num_steps))
    ratio = (few - limit(MODEL, STD)) / (many - limit(MODEL, STD))
    assert 3.3 < ratio < 4.8


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_the_flow_s_solvers_are_at_least_of_their_order(solver: str, order: int) -> None:
    few, many = (ZOO.sampler("flow", {"num_steps": n, "solver": solver}).expected_std(MODEL, STD) for n in (80, 160))
    assert (few - STD) / (many - STD) > 0.85 * 2**order  # of a Gaussian the midpoint is better still


CALLS = [
    ("probability-flow", {"num_steps": 18}, 35),
    ("probability-flow", {"num_steps": 1}, 1),
    ("dpm-solver", {"num_steps": 25}, 25),
    ("dpm-solver", {"num_steps": 1}, 1),
    ("reverse-sde", {"num_steps": 30}, 30),
    ("flow", {"num_steps": 25, "solver": "euler"}, 25),
    ("flow", {"num_steps": 12, "solver": "midpoint"}, 24),
    ("flow", {"num_steps": 13, "solver": "heun"}, 25),
]


@pytest.mark.parametrize(("sampler", "options", "calls"), CALLS)
def test_the_calls_are_as_many_as_the_docstring_says(sampler: str, options: dict[str, Any], calls: int) -> None:
    assert draw(ZOO.sampler(sampler, options), MODEL, 10, seed=0).calls_per_sample == calls


@pytest.mark.parametrize("options", [{"solver": "euler"}, {"solver": "midpoint", "num_steps": 10}, {"solver": "heun"}])
def test_a_velocity_flows_as_what_it_denoises(options: dict[str, Any]) -> None:
    """The same draw by the velocity of a Gaussian and by its denoised data, but for sigma outside 0.002 to 80."""

    class Flowing(GaussianReference, Velocity):
        def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
            mean, slope = self.centres[0], (t * STD**2 - (1 - t)) / (t**2 * STD**2 + (1 - t) ** 2)
            return mean + slope * (x_t - t * mean)

    sampler = ZOO.sampler("flow", options)
    by_velocity, by_denoising = (
        draw(sampler, model, 100, seed=0).x for model in (Flowing(torch.tensor([0.2, -0.4]), STD**2), MODEL)
    )
    assert torch.allclose(by_velocity, by_denoising, atol=5e-3)
    assert not torch.equal(by_velocity, by_denoising)


def test_euler_s_flow_is_ddim() -> None:
    """One step of it from t to t' is a step from sigma = (1 - t) / t to sigma' that keeps the denoised data."""
    states = list(ZOO.sampler("flow", {"solver": "euler", "num_steps": 4}).steps(MODEL, 5, generator()))
    x, t, later = states[1], 0.5, 0.75
    clean = MODEL.denoise(x / t, torch.tensor((1 - t) / t))
    ratio = ((1 - later) / later) / ((1 - t) / t)
    assert torch.allclose(states[2] / later, clean + ratio * (x / t - clean), atol=1e-5)


def test_sampling_starts_at_80_however_noisy_the_process_ends() -> None:
    seen: list[float] = []

    class Remembers(Cosine):
        def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
            seen.append(float(sigma))
            return super().denoise(x, sigma)

    draw(ZOO.sampler("probability-flow", {"num_steps": 5}), Remembers(torch.zeros(2), 1.0), 2, seed=0)
    assert max(seen) == 80


def test_guided_by_labels_a_learned_variance_follows_them() -> None:
    """``ddpm`` on a conditional model asks for noise and variance of the rows' own classes."""
    options = {"learned_variance": True, "conditional": True, "timesteps": 100}
    model = ZOO.model("ddpm", (2,), options, {"num_classes": 3})
    with torch.no_grad():
        model.net.embed_class.vectors.weight.copy_(torch.randn(4, model.net.width))
    one, other = (draw(ZOO.sampler("ddpm"), model, 3, seed=0, labels=torch.tensor(y)).x for y in ([0, 1, 2], [0, 2, 2]))
    assert one.isfinite().all() and (one == other).all(1).tolist() == [True, False, True]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
