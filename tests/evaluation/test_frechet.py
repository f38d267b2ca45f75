"""The Fréchet distance: closed forms, the field's implementations, its bias, its error."""

import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from genzoo.errors import InvalidSamples
from genzoo.evaluation.frechet import fd, fd_debiased, frechet_distance


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(n: int, d: int, seed: int) -> Tensor:
    """Rows whose sample mean is 0 and whose sample covariance is the identity, to rounding."""
    x = normal(n, d, seed)
    x = x - x.mean(0)
    return torch.linalg.qr(x).Q * math.sqrt(n - 1)


def torch_fidelity_fid(fake: Tensor, real: Tensor) -> float:
    statistics = fid_features_to_statistics(fake), fid_features_to_statistics(real)
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]


def test_two_gaussians_in_closed_form() -> None:
    """|m1 - m2|^2 + sum_i (s1_i - s2_i)^2 where the covariances are diagonal."""
    fake_std, real_std = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([3.0, 2.0, 0.1]).double()
    fake, real = whitened(200, 3, 0) * fake_std + 0.7, whitened(300, 3, 1) * real_std
    truth = 3 * 0.49 + (fake_std - real_std).square().sum().item()
    assert frechet_distance(fake, real) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 300, 16), (100, 250, 40), (64, 65, 64)])
def test_equals_torch_fidelity(n: int, m: int, d: int) -> None:
    fake, real = normal(n, d, 0) @ normal(d, d, 1) + 0.3, normal(m, d, 2)
    assert frechet_distance(fake, real) == pytest.approx(torch_fidelity_fid(fake, real), rel=1e-7)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (30, 20), (20, 200), (200, 20)])
def test_fewer_rows_than_columns(n: int, m: int) -> None:
    """tr (S_f S_r)^(1/2) is the nuclear norm of X_f X_r^T, which needs no d x d matrix."""
    fake, real = 2 * normal(n, 100, 0), normal(m, 100, 1) + 0.2
    a, b = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (fake, real))
    nuclear = torch.linalg.matrix_norm(a @ b.T, "nuc")
    truth = (fake.mean(0) - real.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * nuclear
    assert frechet_distance(fake, real) == pytest.approx(truth.item(), rel=1e-7)


def test_far_from_the_origin() -> None:
    fake, real = normal(200, 8, 0), 1.5 * normal(200, 8, 1)
    assert frechet_distance(fake + 1e6, real + 1e6) == pytest.approx(frechet_distance(fake, real), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(100, 10), (10, 100)])
def test_a_copy_is_at_distance_zero_and_never_below(n: int, d: int) -> None:
    x = normal(n, d, 0)
    assert 0 <= frechet_distance(x, x.clone()) < 1e-5
    assert 0 <= frechet_distance(x.flip(0), x) < 1e-5


def test_constant_features_have_the_distance_of_their_means() -> None:
    assert frechet_distance(torch.zeros(9, 4), torch.ones(9, 4)) == pytest.approx(4, abs=1e-12)


def test_bias_law_and_its_removal() -> None:
    """E[N FD_N] = 2d + d(d + 1)/2 for equal unit covariances, to first order; the debiased estimate has mean 0."""
    n, d, repeats = 1000, 16, 12
    sets = [(normal(n, d, 2 * i), normal(n, d, 2 * i + 1)) for i in range(repeats)]
    biased = sum(frechet_distance(*pair) for pair in sets) / repeats
    assert n * biased == pytest.approx(2 * d + d * (d + 1) / 2, rel=0.08)
    debiased = torch.tensor([fd_debiased(*pair).value for pair in sets])
    assert abs(debiased.mean()) < 4 * debiased.std() / math.sqrt(repeats)
    assert abs(debiased.mean()) < biased / 5


def test_debiased_keeps_a_true_difference() -> None:
    fake, real = 2 * normal(2000, 8, 0), normal(2000, 8, 1)
    value, se = fd_debiased(fake, real)
    assert abs(value - 8) < 4 * se + 0.1
    assert se < 0.5


@pytest.mark.parametrize("statistic", [fd, fd_debiased])
def test_the_error_is_the_spread_over_repetitions(statistic) -> None:
    real = normal(300, 4, 999)
    estimates = torch.tensor([statistic(normal(300, 4, i) + 0.3, real) for i in range(60)])
    assert estimates[:, 1].mean() / estimates[:, 0].std() == pytest.approx(1, abs=0.35)


def test_a_stratified_real_set_is_halved_by_its_strata() -> None:
    """Ten classes, twenty of each exactly: halves that ignore the classes differ more than the whole set does."""
    centres, labels = 10 * normal(10, 6, 7), torch.arange(200) % 10
    real = centres[labels] + normal(200, 6, 8)
    plain, stratified = [], []
    for seed in range(30):
        drawn = torch.randint(10, (200,), generator=torch.Generator().manual_seed(seed))
        fake = centres[drawn] + normal(200, 6, 100 + seed)
        plain.append(fd_debiased(fake, real, seed=seed).value)
        stratified.append(fd_debiased(fake, real, seed=seed, strata=labels).value)
    plain_mean, stratified_mean = (torch.tensor(values).mean().abs() for values in (plain, stratified))
    assert stratified_mean < plain_mean / 3


def test_the_seed_decides() -> None:
    fake, real = normal(101, 5, 0), normal(101, 5, 1)
    assert fd_debiased(fake, real, seed=3) == fd_debiased(fake, real, seed=3)
    assert fd_debiased(fake, real, seed=3) != fd_debiased(fake, real, seed=4)


def test_one_row_is_too_few() -> None:
    with pytest.raises(InvalidSamples, match="generated set has 1 rows; it needs at least 2"):
        frechet_distance(normal(1, 3, 0), normal(9, 3, 1))
