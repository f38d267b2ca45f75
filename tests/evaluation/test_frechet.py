"""The Fréchet distance: closed forms, the field's implementations, its bias, its error."""

import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from genzoo.errors import InvalidSamples
from genzoo.evaluation import frechet, moments
from genzoo.evaluation.frechet import (
    fd,
    fd_debiased,
    fd_debiased_jackknife,
    fd_jackknife,
    frechet_between,
    frechet_distance,
    frechet_from_moments,
)
from genzoo.evaluation.moments import Moments


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


def test_a_constant_column_is_no_obstacle() -> None:
    fake, real = normal(50, 4, 0), normal(60, 4, 1)
    fake[:, 2], real[:, 2] = 3, 1
    rest = frechet_distance(fake[:, [0, 1, 3]], real[:, [0, 1, 3]])
    assert frechet_distance(fake, real) == pytest.approx(rest + 4, rel=1e-7)


def test_panels_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = normal(90, 20, 0) @ normal(20, 20, 2), normal(80, 20, 1)
    whole = frechet_distance(fake, real)
    monkeypatch.setattr(frechet, "PANEL", 7)
    monkeypatch.setattr(moments, "SMALL", 3)
    monkeypatch.setattr(moments, "CHUNK_ROWS", 31)
    assert frechet_distance(fake, real) == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("n", [200, 8])
def test_moments_stand_for_the_features(n: int) -> None:
    fake, real = normal(n, 10, 0) + 0.2, normal(100, 10, 1) @ normal(10, 10, 2)
    mu, sigma = real.mean(0), torch.cov(real.T)
    truth = frechet_distance(fake, real)
    assert frechet_from_moments(fake, Moments.checked(mu, sigma)) == pytest.approx(truth, rel=1e-8)
    assert frechet_between(Moments.of(fake), Moments.checked(mu, sigma)) == pytest.approx(truth, rel=1e-6)


def test_moments_rounded_to_float32_may_have_an_eigenvalue_below_zero() -> None:
    real = normal(100, 3, 0) @ normal(3, 12, 1)
    sigma = torch.cov(real.T).float()
    assert torch.linalg.eigvalsh(sigma.double())[0] < 0
    assert frechet_from_moments(real, Moments.checked(real.mean(0).float(), sigma)) == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize(
    ("mu", "sigma", "message"),
    [
        (torch.zeros(3), torch.eye(4), r"mu is \[3\] and sigma \[4, 4\]; they must be \[d\] and \[d, d\]"),
        (torch.zeros(1, 3), torch.eye(3), r"mu is \[1, 3\]"),
        (torch.zeros(3), torch.eye(3) * torch.nan, "mu or sigma holds NaN or infinity"),
        (torch.zeros(3), torch.ones(3, 3).triu(), "sigma is not symmetric, so it is no covariance"),
        (torch.zeros(3), -torch.eye(3), r"has a negative eigenvalue \(-1\)"),
        (torch.zeros(2), torch.tensor([[1.0, 3.0], [3.0, 1.0]]), r"has a negative eigenvalue \(-2\)"),
        (torch.zeros(4), torch.eye(4), "generated rows have 3 columns, the statistics 4: use the extractor"),
    ],
)
def test_statistics_that_nothing_has_are_told_in_one_line(mu: Tensor, sigma: Tensor, message: str) -> None:
    with pytest.raises(InvalidSamples, match=message) as error:
        frechet_from_moments(normal(9, 3, 0), Moments.checked(mu, sigma))
    assert "\n" not in str(error.value)


def test_bias_law_and_its_removal() -> None:
    """E[N FD_N] = 2d + d(d + 1)/2 for equal unit covariances, to first order; the debiased estimate has mean 0."""
    n, d, repeats = 1000, 16, 12
    sets = [(normal(n, d, 2 * i), normal(n, d, 2 * i + 1)) for i in range(repeats)]
    biased = sum(frechet_distance(*pair) for pair in sets) / repeats
    assert n * biased == pytest.approx(2 * d + d * (d + 1) / 2, rel=0.08)
    debiased = torch.tensor([fd_debiased(*pair).value for pair in sets])
    assert abs(debiased.mean()) < 4 * debiased.std() / math.sqrt(repeats)
    assert abs(debiased.mean()) < biased / 5


def test_bias_law_at_64_features() -> None:
    """N FD_N is 2208 to first order, which 2167 to 2237 were measured to be."""
    n, d = 10_000, 64
    assert n * frechet_distance(normal(n, d, 0), normal(n, d, 1)) == pytest.approx(2 * d + d * (d + 1) / 2, rel=0.04)


def brute_force_jackknife(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt((len(values) - 1) / len(values) * sum((value - mean) ** 2 for value in values))


@pytest.mark.parametrize(("n", "m", "d"), [(203, 150, 6), (45, 60, 30), (30, 40, 50), (9, 40, 3)])
def test_deleting_blocks_is_computing_again_without_them(n: int, m: int, d: int) -> None:
    fake, real = 1.3 * normal(n, d, 0) + 1e3, normal(m, d, 1) + 1e3
    shuffled = fake[torch.randperm(n, generator=torch.Generator().manual_seed(7))]
    block = torch.arange(n) % 20
    truth = [frechet_distance(shuffled[block != b], real) for b in range(min(20, n))]
    found = fd_jackknife(fake, real, seed=7)
    assert found.deleted.tolist() == pytest.approx(truth, rel=1e-7)
    assert found.value == pytest.approx(frechet_distance(fake, real), rel=1e-7)
    assert fd(fake, real, seed=7).se == pytest.approx(brute_force_jackknife(truth), rel=1e-5)


def test_debiasing_without_a_block_takes_it_from_a_half_too() -> None:
    fake, real, seed = 1.3 * normal(101, 4, 0), normal(90, 4, 1), 3
    shuffled = fake[torch.randperm(101, generator=torch.Generator().manual_seed(seed))]
    order = torch.randperm(90, generator=torch.Generator().manual_seed(seed + 1))
    block, place = torch.arange(101) % 20, torch.arange(101)

    def debiased(kept: Tensor) -> float:
        halves = (kept & (place < 51), order[::2]), (kept & (place >= 51), order[1::2])
        of_halves = [frechet_distance(shuffled[mask], real[rows]) for mask, rows in halves]
        return 2 * frechet_distance(shuffled[kept], real) - sum(of_halves) / 2

    found = fd_debiased_jackknife(fake, real, seed=seed)
    assert found.value == pytest.approx(debiased(place >= 0), rel=1e-8)
    assert found.deleted.tolist() == pytest.approx([debiased(block != b) for b in range(20)], rel=1e-7)


@pytest.mark.parametrize(("n", "tolerance"), [(300, 0.1), (1000, 0.08), (20_000, 0.05)])
@pytest.mark.parametrize("statistic", [fd_jackknife, fd_debiased_jackknife])
def test_the_first_order_error_is_near_the_true_one(
    monkeypatch: pytest.MonkeyPatch, statistic, n: int, tolerance: float
) -> None:
    """What features of more than 1024 columns get, for columns that are few enough to have both."""
    d = 40
    mixing = normal(d, d, 5) / math.sqrt(d)
    fake, real = normal(n, d, 0) @ mixing + 0.1, normal(n, d, 1) @ mixing
    true = statistic(fake, real)
    monkeypatch.setattr(frechet, "LARGE", d - 1)
    first_order = statistic(fake, real)
    assert (true.how, first_order.how) == (
        "jackknife over 20 blocks of fakes",
        "first-order jackknife over 20 blocks of fakes",
    )
    assert first_order.value == pytest.approx(true.value, rel=1e-7)
    assert first_order.estimate.se == pytest.approx(true.estimate.se, rel=tolerance)


def test_two_distances_of_one_seed_lose_the_same_blocks() -> None:
    """So their difference is known better than either."""
    fake, near = normal(500, 4, 0), normal(500, 4, 1)
    of_near, of_far = fd_jackknife(fake, near), fd_jackknife(fake, near + 0.01)
    difference = frechet.Jackknife(of_far.value - of_near.value, of_far.deleted - of_near.deleted, of_far.how)
    assert difference.estimate.se < of_near.estimate.se / 3


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
