"""The schedulers' steps on a closed-form Gaussian, for numbers of steps that do and do not divide the process."""

import pytest
import torch

from genzoo.sampling import draw
from genzoo.testing import GaussianReference
from genzoo.zoo import Zoo

ZOO = Zoo.load()
STD = 0.3
MODEL = GaussianReference(torch.tensor([0.2, -0.4]), STD**2)


@pytest.mark.parametrize("num_steps", [7, 30, 300, 499, 750])
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


@pytest.mark.parametrize(("sampler", "option"), [("ddim", -3), ("ddpm", 0), ("reverse-sde", 1), ("langevin", 0)])
def test_impossible_numbers_of_steps_are_refused(sampler: str, option: int) -> None:
    with pytest.raises(Exception, match=f"{sampler!r}: num_steps={option} is not"):
        ZOO.sampler(sampler, {"num_steps": option})
