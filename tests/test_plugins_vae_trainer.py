"""The objectives by hand, and what they do to a model."""

import math
from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import ImportanceWeighted, LowerBound, require
from genzoo.compatibility import needs
from genzoo.errors import MissingCapability
from genzoo.protocols import Batch
from genzoo.zoo import Zoo
from genzoo_vae.hierarchy import VDVAE
from genzoo_vae.model import VAE
from genzoo_vae.protocols import Evidence
from genzoo_vae.samplers import Ancestral, Decode
from genzoo_vae.trainer import ELBO, IWAE

LOG_LIKELIHOOD = torch.tensor([-10.0, -14.0])
KLS = torch.tensor([[0.5, 2.0, 0.0], [1.5, 4.0, 0.2]])
LOG_WEIGHTS = torch.tensor([[-12.0, -15.0], [-14.0, -18.0], [-13.0, -15.0]])


class Told(nn.Module):
    """Two rows of two dimensions whose terms are known: mean divergences 1, 3 and 0.1 nats."""

    shape: ClassVar[tuple[int, ...]] = (2,)
    bounds = "density"

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return LOG_LIKELIHOOD, KLS

    def log_bound(self, x: Tensor) -> Tensor:
        return LOG_LIKELIHOOD - KLS.sum(1)

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return LOG_WEIGHTS[:k]


def loss_of(trainer: ELBO | IWAE) -> float:
    ((name, loss),) = trainer.losses(Told(), iter([Batch(torch.zeros(2, 2))]))
    assert name == "model"
    return loss.item()


@pytest.mark.parametrize(
    ("options", "nats"),
    [
        ({}, 12 + 4.1),
        ({"beta": 0.5}, 12 + 0.5 * 4.1),
        ({"beta": 0}, 12),
        ({"free_bits": 0.5}, 12 + 1 + 3 + 0.5),
        ({"free_bits": 2}, 12 + 2 + 3 + 2),
        ({"free_bits": 2, "beta": 3}, 12 + 3 * (2 + 3 + 2)),
    ],
)
def test_the_loss_is_the_weighed_bound_in_nats_per_dimension(options: dict[str, float], nats: float) -> None:
    """Of a group it counts the mean over the batch, at least the free bits."""
    assert loss_of(ELBO(**options)) == pytest.approx(nats / 2)


def test_free_bits_leave_a_cheap_group_alone() -> None:
    """No gradient reaches a divergence below them."""
    kls = KLS.clone().requires_grad_()
    model = Told()
    model.terms = lambda x: (LOG_LIKELIHOOD, kls)  # type: ignore[method-assign]
    ((_, loss),) = ELBO(free_bits=0.5).losses(model, iter([Batch(torch.zeros(2, 2))]))
    loss.backward()
    assert kls.grad.tolist() == [[0.25, 0.25, 0.0], [0.25, 0.25, 0.0]]  # 1 / (2 rows * 2 dimensions)


def test_the_loss_of_many_draws_is_the_log_of_the_mean_weight() -> None:
    means = [math.log(sum(math.exp(w) for w in column) / 3) for column in LOG_WEIGHTS.T.tolist()]
    assert loss_of(IWAE(k=3)) == pytest.approx(-sum(means) / 2 / 2)
    assert loss_of(IWAE(k=1)) == pytest.approx((12 + 15) / 2 / 2)


def test_terms_are_asked_for_only_where_they_are_weighed() -> None:
    class Bounded(nn.Module, LowerBound):
        bounds = "density"

        def log_bound(self, x: Tensor) -> Tensor:
            return -x.sum(1)

    require(Bounded(), ELBO().needs, model_name="bounded", by="elbo")
    with pytest.raises(MissingCapability, match="elbo needs Evidence"):
        require(Bounded(), ELBO(beta=0.5).needs, model_name="bounded", by="elbo")


def test_the_matrix_of_what_goes_together_shows_the_plain_bound() -> None:
    assert needs(Zoo.load(), "trainer", "elbo") == (LowerBound,)
    assert needs(Zoo.load(), "trainer", "iwae") == (ImportanceWeighted,)


@pytest.mark.parametrize("model", [VAE((2,), width=8), VDVAE((2,), width=8), VDVAE((1, 8, 8), width=8, levels=17)])
def test_the_terms_make_the_bound(model: Evidence) -> None:
    x = torch.linspace(-1, 1, 17)[torch.randint(17, (3, *model.shape))]
    torch.manual_seed(1)
    log_likelihood, kls = model.terms(x)
    torch.manual_seed(1)
    assert torch.equal(model.log_bound(x), log_likelihood - kls.sum(1))


def two_classes() -> Iterator[Batch]:
    """Class 0 about (-1, -1), class 1 about (1, 1); standard deviation 0.2."""
    generator = torch.Generator().manual_seed(0)
    while True:
        y = torch.randint(2, (64,), generator=generator)
        yield Batch((2 * y[:, None] - 1) + 0.2 * torch.randn(64, 2, generator=generator), y)


@pytest.mark.parametrize(
    ("family", "trainer"),
    [(VAE, ELBO(lr=1e-2, beta=0.5)), (VDVAE, ELBO(lr=1e-2, free_bits=0.1)), (VDVAE, IWAE(lr=1e-2, k=3))],
)
def test_a_conditional_model_learns_its_classes(family: type, trainer: ELBO | IWAE) -> None:
    """Nearly every draw lies on its class's side."""
    torch.manual_seed(0)
    model, batches = family((2,), width=16, num_classes=2, conditional=True), two_classes()
    (optimizer,) = trainer.optimizers(model).values()
    for _ in range(80):
        for _, loss in trainer.losses(model, batches):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    labels = torch.arange(2).repeat(200)
    (x,) = Ancestral().steps(model.eval().given(labels), 400, torch.Generator().manual_seed(0))
    assert ((x.mean(1) > 0) == labels.bool()).float().mean() > 0.95


@pytest.mark.parametrize("sampler", [Decode(temperature=0.5), Ancestral(temperature=0.5)])
def test_the_temperature_is_the_standard_deviation_of_the_latent(sampler: Decode | Ancestral) -> None:
    class Identity:
        latent_shape = (2,)

        def decode(self, z: Tensor) -> Tensor:
            return z

        def observe(self, z: Tensor, generator: torch.Generator) -> Tensor:
            return z

    (x,) = sampler.steps(Identity(), 40_000, torch.Generator().manual_seed(0))
    assert x.std().item() == pytest.approx(0.5, rel=0.02)
