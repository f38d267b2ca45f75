"""The references against closed forms, other packages and brute force; and that the copycat is found out."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize_scalar
from small import Rows, config
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genzoo.capabilities import labelled, offers
from genzoo.evaluation.copies import copy_metrics
from genzoo.images import quantise, to_unit
from genzoo.protocols import Batch, ImageSet
from genzoo.training import fit
from genzoo_reference.fitting import place
from genzoo_reference.gaussian import Gaussian
from genzoo_reference.memory import KDE, Copycat, leave_one_out
from genzoo_reference.mppca import MPPCA
from genzoo_reference.trainer import ClosedForm, gather


def ring(n: int, seed: int = 0) -> Tensor:
    """Points around a circle, [n, 2]: nothing that one Gaussian fits."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, generator=generator)


def pictures(n: int, seed: int = 0, levels: int = 17) -> tuple[Tensor, Tensor]:
    """Images [n, 1, 4, 4] in [-1, 1] on their levels, of two classes, each with a background of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.randint(levels // 2, (n, 4, 4, 1), generator=generator) + labels.view(-1, 1, 1, 1) * (levels // 2)
    return to_unit(x, levels), labels


def covariance(x: Tensor) -> Tensor:
    """Of the rows, divided by their number, float64."""
    return torch.from_numpy(np.atleast_2d(np.cov(x.flatten(1).double().numpy().T, bias=True)))


def normal(mean: Tensor, covariance: Tensor) -> MultivariateNormal:
    return MultivariateNormal(mean.double(), covariance_matrix=covariance.double())


# The Gaussian.


def test_a_gaussian_has_the_mean_and_covariance_of_its_data() -> None:
    x, model = ring(500), Gaussian((2,), jitter=1e-9)
    model.fit(x, None)
    wanted = normal(x.mean(0), covariance(x))
    assert torch.allclose(model.log_prob(x).double(), wanted.log_prob(x.double()), atol=1e-4)


def test_a_gaussian_of_images_is_that_of_dequantised_ones() -> None:
    (x, _), model = pictures(200), Gaussian((1, 4, 4), levels=17, jitter=1e-9)
    model.fit(x, None)
    dequantised = covariance(x) + (2 / 16) ** 2 / 12 * torch.eye(16)
    wanted = normal(x.flatten(1).mean(0), dequantised).log_prob(x.flatten(1).double())
    assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-3)


def test_dequantising_by_chance_gives_that_covariance_on_average() -> None:
    """The closed form and 400 draws of the noise agree on the variances, within 2 %."""
    (x, _), model = pictures(50), Gaussian((1, 4, 4), levels=17, jitter=1e-9)
    model.fit(x, None)
    noise = (torch.rand(400, *x.shape, generator=torch.Generator().manual_seed(1)) - 0.5) * (2 / 16)
    drawn = (x + noise).flatten(0, 1).flatten(1).var(0)
    root = model._root(0).detach()
    assert torch.allclose((root @ root.T).diagonal(), drawn, rtol=0.02)


def test_a_gaussian_s_draws_have_its_covariance() -> None:
    x, model = ring(500), Gaussian((2,))
    model.fit(x, None)
    drawn = model.decode(torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0))).detach()
    assert torch.allclose(covariance(drawn), covariance(x), atol=0.02)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_shrinkage_goes_from_the_covariance_to_a_round_one_of_the_same_trace(shrinkage: float) -> None:
    x = ring(300) * torch.tensor([2.0, 0.5])
    model = Gaussian((2,), shrinkage=shrinkage, jitter=1e-9)
    model.fit(x, None)
    root, s = model._root(0).detach().double(), covariance(x)
    assert torch.allclose(root @ root.T, (1 - shrinkage) * s + shrinkage * s.trace() / 2 * torch.eye(2), atol=1e-5)


def test_fewer_images_than_pixels_are_no_obstacle() -> None:
    x, _ = pictures(5)
    model = Gaussian((1, 4, 4))
    model.fit(x, None)
    assert model.log_prob(x).isfinite().all()


def test_a_conditional_gaussian_is_one_of_each_class_and_one_of_all() -> None:
    x, y = pictures(400)
    model = Gaussian((1, 4, 4), levels=17, num_classes=2, conditional=True)
    model.fit(x, y)
    alone = []
    for part in (x[y == 0], x[y == 1], x):
        alone.append(Gaussian((1, 4, 4), levels=17))
        alone[-1].fit(part, None)
    some, labels = x[:6], torch.tensor([0, 1, 2, 2, 1, 0])
    wanted = torch.stack([alone[k].log_prob(some[i : i + 1])[0] for i, k in enumerate(labels)])
    assert torch.allclose(model.given(labels).log_prob(some), wanted, atol=1e-3)
    assert torch.allclose(model.log_prob(some), alone[2].log_prob(some), atol=1e-3)
    view = model.given(labels)
    assert torch.allclose(view.decode(view.encode(some)), some, atol=1e-3)


def test_only_the_conditional_gaussian_is_conditional() -> None:
    assert "Conditional" not in offers(Gaussian((2,), num_classes=3))
    model = Gaussian((2,), num_classes=3, conditional=True)
    assert "Conditional" in offers(model)
    assert labelled(model, torch.tensor([0, 1])) is not model


def test_a_class_without_examples_is_taken_for_all_of_them() -> None:
    x, _ = pictures(100)
    model = Gaussian((1, 4, 4), num_classes=2, conditional=True)
    model.fit(x, torch.zeros(100, dtype=torch.long))
    assert torch.equal(model.given(torch.tensor([1])).log_prob(x[:1]), model.log_prob(x[:1]))


def test_a_conditional_gaussian_needs_classes() -> None:
    with pytest.raises(ValueError, match="conditional=True needs labels, the data has none"):
        Gaussian((2,), conditional=True)


# The kernel density.


def white(n: int) -> Tensor:
    """Points [n, 2] whose sample covariance is the identity, so that scipy's kernels are round."""
    x = ring(n).double()
    x = x - x.mean(0)
    root = torch.linalg.cholesky(x.T @ x / (n - 1))
    return torch.linalg.solve_triangular(root, x.T, upper=False).T.float()


@pytest.mark.parametrize("bandwidth", [0.05, 0.5])
def test_a_kernel_density_is_scipy_s(bandwidth: float) -> None:
    x, at = white(300), 2 * torch.randn(50, 2)
    model = KDE((2,), memory=300, bandwidth=bandwidth)
    model.fit(x, None)
    wanted = stats.gaussian_kde(x.numpy().T, bw_method=bandwidth).logpdf(at.numpy().T)
    assert np.allclose(model.log_prob(at).detach().numpy(), wanted, atol=2e-3, rtol=1e-4)


def left_out(x: Tensor, log_bandwidth: float, blur: float = 0.0) -> float:
    """The mean of log p_-i(x_i) up to a constant, ``blur`` added to every squared difference: in float64."""
    squares, h = torch.cdist(x, x).square() + 2 * blur, math.exp(log_bandwidth)
    logs = -0.5 * squares / h**2 - x.shape[1] * log_bandwidth
    logs.fill_diagonal_(-math.inf)
    return torch.logsumexp(logs, 1).mean().item()


def test_the_bandwidth_makes_the_leave_one_out_likelihood_largest() -> None:
    x = ring(300).double()
    best = minimize_scalar(lambda h: -left_out(x, h), bounds=(-5, 1), method="bounded").x
    assert math.log(leave_one_out(x)) == pytest.approx(best, abs=0.01)


def test_dequantisation_widens_the_bandwidth_as_the_squared_distances_it_adds() -> None:
    x, blur = ring(300).double(), 0.003
    best = minimize_scalar(lambda h: -left_out(x, h, blur), bounds=(-5, 1), method="bounded").x
    assert math.log(leave_one_out(x, blur=blur)) == pytest.approx(best, abs=0.01)


def test_examples_seen_twice_do_not_narrow_the_bandwidth() -> None:
    x = ring(200)
    assert leave_one_out(x.repeat(3, 1)) == pytest.approx(leave_one_out(x), rel=1e-3)


def test_a_kernel_density_draws_its_examples_with_the_noise_of_its_bandwidth() -> None:
    x, model, generator = ring(50), KDE((2,), memory=50, bandwidth=0.03), torch.Generator().manual_seed(0)
    model.fit(x, None)
    z = torch.randn(20_000, 1, generator=generator)
    with torch.no_grad():
        centres, drawn = model.decode(z), model.observe(z, generator)
    assert (centres[:, None] == x).all(2).any(1).all()
    assert (drawn - centres).std().item() == pytest.approx(0.03, rel=0.02)


def test_a_memory_never_exceeds_the_data_set() -> None:
    assert len(KDE((2,), memory=100, num_examples=30).examples.rows) == 30
    assert len(Copycat((2,), memory=20, num_examples=30).examples.rows) == 20


# The mixture.


def dense(model: MPPCA) -> MixtureSameFamily:
    """The same density, each covariance written out, in float64."""
    w, d = model.factors.detach().double(), model.means.shape[1]
    noise = torch.exp(2 * model.log_stds.detach().double())[:, None, None] * torch.eye(d, dtype=torch.float64)
    parts = MultivariateNormal(model.means.detach().double(), covariance_matrix=w @ w.mT + noise)
    return MixtureSameFamily(Categorical(logits=model.logits.detach().double()), parts)


def random_mixture(shape: tuple[int, ...], components: int, factors: int) -> MPPCA:
    torch.manual_seed(0)
    model = MPPCA(shape, components=components, factors=factors)
    for parameter in model.parameters():
        parameter.data.copy_(0.5 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(("shape", "factors"), [((2,), 0), ((2,), 1), ((1, 4, 4), 3), ((3, 4, 4), 10)])
def test_the_density_of_a_mixture_is_that_of_dense_covariances(shape: tuple[int, ...], factors: int) -> None:
    model, x = random_mixture(shape, 5, factors), torch.randn(20, *shape)
    assert torch.allclose(
        model.log_prob(x).double(), dense(model).log_prob(x.flatten(1).double()), rtol=1e-4, atol=1e-3
    )


def test_one_iteration_is_em_by_brute_force() -> None:
    """Responsibilities, and each component's weighted mean and covariance S, one by one, in float64."""
    model, x = random_mixture((1, 2, 3), 3, 2), torch.randn(80, 1, 2, 3)
    model.started.fill_(True)
    flat, mixture = x.flatten(1).double(), dense(model)
    log_joint = mixture.component_distribution.log_prob(flat[:, None]) + mixture.mixture_distribution.logits
    shares = log_joint.softmax(1)
    w, variance = model.factors.detach().double(), torch.exp(2 * model.log_stds.detach().double())
    model.fit(x, None)
    assert torch.allclose(model.logits.softmax(0).double(), shares.mean(0), atol=1e-5)
    for k in range(3):
        mean = shares[:, k] @ flat / shares[:, k].sum()
        s = (shares[:, k, None] * (flat - mean)).T @ (flat - mean) / shares[:, k].sum()
        m = w[k].T @ w[k] + variance[k] * torch.eye(2)
        wanted = s @ w[k] @ torch.linalg.inv(variance[k] * torch.eye(2) + torch.linalg.inv(m) @ w[k].T @ s @ w[k])
        noise = torch.trace(s - s @ w[k] @ torch.linalg.inv(m) @ wanted.T) / 6
        assert torch.allclose(model.means[k].double(), mean, atol=1e-4)
        assert torch.allclose(model.factors[k].double(), wanted, atol=1e-4)
        assert torch.exp(2 * model.log_stds[k]).item() == pytest.approx(noise.item(), rel=1e-4)


@pytest.mark.parametrize(("shape", "components", "factors"), [((2,), 8, 1), ((2,), 8, 0), ((1, 4, 4), 3, 4)])
def test_the_likelihood_never_falls(shape: tuple[int, ...], components: int, factors: int) -> None:
    torch.manual_seed(1)
    x = ring(600) if shape == (2,) else pictures(600)[0] + 0.1 * torch.randn(600, 1, 4, 4)
    model = MPPCA(shape, components=components, factors=factors, min_std=1e-3)
    losses = []
    for _ in range(30):
        model.fit(x, None)
        losses.append(-dense(model).log_prob(x.flatten(1).double()).mean().item())
    assert all(after <= before + 1e-6 for before, after in pairwise(losses))
    assert losses[-1] < losses[0] - 0.01


def test_one_component_becomes_probabilistic_pca() -> None:
    """W W^T + s^2 I with the q largest eigenvalues of S and the mean of the others: the maximum likelihood."""
    torch.manual_seed(0)
    x = torch.randn(400, 6) @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.3, 0.2, 0.1])) @ torch.randn(6, 6)
    x = x.view(400, 1, 2, 3)
    model = MPPCA((1, 2, 3), components=1, factors=2, min_std=1e-3)
    for _ in range(200):
        model.fit(x, None)
    values, vectors = torch.linalg.eigh(covariance(x))
    rest = values[:4].mean()
    wanted = vectors[:, 4:] @ torch.diag(values[4:] - rest) @ vectors[:, 4:].T + rest * torch.eye(6)
    assert torch.allclose(dense(model).component_distribution.covariance_matrix[0], wanted, rtol=1e-3, atol=1e-3)


def test_a_component_of_points_has_a_full_covariance() -> None:
    x = ring(500) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]])
    model = MPPCA((2,), components=1)
    for _ in range(200):
        model.fit(x, None)
    assert torch.allclose(dense(model).component_distribution.covariance_matrix[0], covariance(x), atol=1e-3)


def test_dequantisation_is_added_to_every_covariance() -> None:
    (x, _), blur = pictures(300), (2 / 16) ** 2 / 12
    model = MPPCA((1, 4, 4), components=1, factors=0, levels=17)
    model.fit(x, None)
    assert torch.exp(2 * model.log_stds[0]).item() == pytest.approx(covariance(x).trace().item() / 16 + blur, rel=1e-4)


def test_a_mixture_s_draws_have_its_mean_and_covariance() -> None:
    model, generator = random_mixture((2,), 3, 1), torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = model.observe(torch.randn(100_000, 2, generator=generator), generator)
    mixture = dense(model)
    assert torch.allclose(x.mean(0).double(), mixture.mean, atol=4 * x.std(0).max().item() / 300)
    centred = mixture.component_distribution.mean - mixture.mean
    shares = mixture.mixture_distribution.probs
    between = (shares[:, None] * centred).T @ centred
    wanted = (shares[:, None, None] * mixture.component_distribution.covariance_matrix).sum(0) + between
    assert torch.allclose(covariance(x), wanted, atol=0.05)


def test_a_normal_latent_falls_on_a_component_as_often_as_its_weight_says() -> None:
    weights = torch.tensor([0.5, 0.0, 0.2, 0.3])
    chosen = place(torch.randn(100_000, generator=torch.Generator().manual_seed(0)), weights)
    assert torch.allclose(torch.bincount(chosen, minlength=4) / 100_000, weights, atol=0.01)
    assert place(torch.tensor([-40.0, 40.0]), weights).tolist() == [0, 3]


def test_more_components_than_examples_are_no_obstacle() -> None:
    x, model = ring(10), MPPCA((2,), components=16)
    for _ in range(5):
        model.fit(x, None)
    assert model.log_prob(x).isfinite().all()


def test_as_many_factors_as_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="factors=2 of data of 2 dimensions: allowed are 0 to 1"):
        MPPCA((2,), factors=2)


# The copycat.


def as_set(x: Tensor) -> ImageSet:
    return ImageSet(quantise(x, 17), x.flatten(1))


def found_out(model: Copycat, train: Tensor) -> dict[str, float | None]:
    """What the metrics of memorisation say of 100 draws, against other images than those of training."""
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(100, 1, generator=generator)
    with torch.no_grad():
        x = model.observe(z, generator) if model.jitter else model.decode(z)
    test, _ = pictures(100, seed=9)
    return {name: one.value for name, one in copy_metrics(as_set(x), as_set(test), as_set(train)).items()}


def test_copies_are_exact_and_found_out() -> None:
    (train, _), model = pictures(300), Copycat((1, 4, 4), num_examples=300)
    model.fit(train, None)
    found = found_out(model, train)
    assert found["exact_duplicates"] == 100
    assert (found["copy_rate"], found["auth_pct"]) == (1.0, 0.0)


def test_copies_with_noise_are_found_out_too() -> None:
    (train, _), model = pictures(300), Copycat((1, 4, 4), num_examples=300, jitter=0.1)
    model.fit(train, None)
    found = found_out(model, train)
    assert found["exact_duplicates"] == 0
    assert (found["copy_rate"], found["auth_pct"]) == (1.0, 0.0)
    assert model.sampler == "ancestral"


def test_every_example_is_given_back() -> None:
    x, model = ring(20), Copycat((2,), num_examples=20)
    model.fit(x, None)
    drawn = model.decode(torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)))
    assert len(drawn.unique(dim=0)) == 20


# The trainer.


def batches(x: Tensor, size: int) -> list[Batch]:
    return [Batch(part, torch.arange(len(part))) for part in x.split(size)]


def test_a_look_takes_as_many_examples_as_asked_and_their_labels() -> None:
    x = ring(100)
    seen, labels = gather(iter(batches(x, 16)), 40)
    assert torch.equal(seen, x[:40])
    assert labels is not None
    assert labels.tolist() == [*range(16), *range(16), *range(8)]


def test_examples_without_labels_have_none() -> None:
    assert gather(iter([Batch(ring(8))]), 8)[1] is None


@pytest.mark.parametrize("budget", ["1steps", "7steps", "500img"])
def test_averaging_and_the_budget_leave_a_closed_form_as_it_is(budget: str) -> None:
    """The host's loop, one look of 200 examples: their covariance whatever the moving average does after it."""
    x = ring(200)
    done = fit(
        Gaussian((2,), jitter=1e-9),
        ClosedForm(num_examples=200),
        Rows(x),
        config(budget=budget, batch_size=16, ema=0.1, clip=1.0, warmup=0.02),
    )
    root = done.model._root(0).double()
    assert torch.allclose(root @ root.T, covariance(x), atol=1e-5)
    assert torch.allclose(done.model.means[0], x.mean(0), atol=1e-6)


def test_a_mixture_goes_on_with_every_step() -> None:
    x = ring(512)
    likelihoods = []
    for budget in ("1steps", "20steps"):
        torch.manual_seed(0)
        done = fit(
            MPPCA((2,), components=8), ClosedForm(num_examples=512), Rows(x), config(budget=budget, batch_size=64)
        )
        likelihoods.append(done.model.log_prob(x).mean().item())
    assert likelihoods[1] > likelihoods[0] + 0.01


def test_the_memory_s_rows_are_parameters() -> None:
    done = fit(Copycat((2,), num_examples=64), ClosedForm(num_examples=64), Rows(ring(64)), config(budget="1steps"))
    assert done.parameters["total"] == 64 * 2
