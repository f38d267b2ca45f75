"""One uniform and one Gaussian model through every kind of likelihood, and what each kind is called."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import Critic, Decoder, Density, LowerBound
from genzoo.evaluation.likelihood import likelihoods, task
from genzoo.evaluation.parts import Likelihood
from genzoo.testing import GaussianReference
from genzoo.testing.closed_forms import LinearVAE, Only, Uniform

SHAPE, LEVELS = (1, 4, 4), 256
UNIFORM = Uniform(SHAPE, LEVELS)
VAE = LinearVAE(torch.full(SHAPE, 0.05), 0.15 * torch.randn(16, 3, generator=torch.Generator().manual_seed(0)), std=0.1)
GAUSSIAN = GaussianReference(VAE.mean, VAE.covariance)
PARTS = {
    "mass": ("log_mass",),
    "density": ("log_prob",),
    "energy": ("energy",),
    "bound": ("bounds", "log_bound"),
    "weights": ("bounds", "log_weights"),
    "denoiser": ("denoise", "sigma_min", "sigma_max"),
    "predictor": ("predict", "betas"),
}


class Gan(nn.Module, Decoder, Critic):
    shape, latent_shape = SHAPE, (2,)

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), *self.shape)

    def discriminate(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x))


def uniform_images(n: int = 64) -> Tensor:
    return torch.randint(0, LEVELS, (n, *SHAPE), generator=torch.Generator().manual_seed(0)) * 2 / (LEVELS - 1) - 1


def gaussian_images(n: int = 256) -> Tensor:
    """Draws of the model, rounded to their levels."""
    x = GAUSSIAN.sample(n, torch.Generator().manual_seed(1)).clamp(-1, 1)
    return ((x + 1) * (LEVELS - 1) / 2).round() * 2 / (LEVELS - 1) - 1


def points(n: int = 2000) -> tuple[GaussianReference, Tensor]:
    model = GaussianReference(torch.tensor([0.2, -0.1]), torch.tensor([[0.8, 0.4], [0.4, 0.5]]))
    return model, model.sample(n, torch.Generator().manual_seed(0))


def only(model: Any, part: str) -> Only:
    return Only(model, *PARTS[part])


def close(found: Likelihood, wanted: float, allowed: float) -> None:
    assert found.value == pytest.approx(wanted, abs=allowed), found


class TestUniform:
    """log2 256 = 8 bits, by whatever road."""

    @pytest.mark.parametrize(
        ("part", "kind", "allowed"),
        [
            ("mass", "exact", 1e-9),
            ("density", "lower bound (uniform dequantisation)", 1e-5),
            ("bound", "lower bound (variational)", 1e-9),
            ("weights", "lower bound (importance-weighted, k=64)", 1e-9),
            ("denoiser", "estimate (probability-flow ODE, uniform dequantisation)", 0.01),
        ],
    )
    def test_eight_bits(self, part: str, kind: str, allowed: float) -> None:
        """The noise is one level wide and centred: no image leaves the model's support."""
        (found,) = likelihoods(only(UNIFORM, part), uniform_images(), LEVELS)
        assert (found.kind, found.unit, found.n) == (kind, "bits/dim", 64)
        close(found, 8, allowed)

    def test_a_diffusion_of_levels_is_bounded_by_a_little_more(self) -> None:
        """1,000 Gaussian steps do not reach the bound's limit: at least 8 bits, at most 8.2."""
        found = likelihoods(only(UNIFORM, "predictor"), uniform_images(256), LEVELS)[0]
        assert found.kind == "lower bound (variational, 1000 steps, variance beta)"
        assert 8 - 3 * found.se < found.value < 8.2

    def test_a_box_of_constant_energy(self) -> None:
        """Walls of infinite energy, no slope between them: both ends within 4 standard errors, less than 0.1 bits."""
        for found in likelihoods(only(UNIFORM, "energy"), uniform_images(256), LEVELS):
            assert found.se < 0.1
            close(found, 8, 4 * found.se)


class TestGaussian:
    """-log p of the same 256 images in closed form, with every kind at its distance from it."""

    truth = -(VAE.log_prob(gaussian_images()).mean().item() / 16 / math.log(2)) - math.log2(2 / (LEVELS - 1))

    def test_density_and_importance_weighted_dequantisation(self) -> None:
        """The levels are much finer than the density: one draw of the noise costs less than 0.003 bits."""
        weighted, once = likelihoods(only(GAUSSIAN, "density"), gaussian_images(), LEVELS, full=True)
        assert weighted.kind == "lower bound (importance-weighted dequantisation, k=64)"
        assert (weighted.calls, once.calls) == (64, 1)
        close(once, self.truth, 0.003)
        close(weighted, self.truth, 0.0005)

    def test_linear_vae(self) -> None:
        """ELBO = log p - gap; the importance-weighted bounds lie between it and log p, the higher the more draws."""
        model, x = Only(VAE, "bounds", "log_bound", "log_weights"), gaussian_images(4000)
        truth, gap = (bits / 16 / math.log(2) for bits in (-VAE.log_prob(x).mean().item(), VAE.gap))
        truth -= math.log2(2 / (LEVELS - 1))
        some, one = likelihoods(model, x, LEVELS, num_images=None)
        many, _ = likelihoods(model, x, LEVELS, num_images=None, full=True)
        assert some.kind == "lower bound (importance-weighted, k=64, uniform dequantisation)"
        assert one.kind == "lower bound (variational, uniform dequantisation)"
        assert gap > 0.01
        close(one, truth + gap, 0.003)
        assert truth - 1e-4 < many.value < some.value < one.value
        close(many, truth, 0.001)

    def test_probability_flow(self) -> None:
        """In full: all images, the integral to 1e-5; what remains is the noise of Hutchinson's estimate; 4 s.e."""
        (found,) = likelihoods(only(GAUSSIAN, "denoiser"), gaussian_images(), LEVELS, full=True)
        assert found.kind == "estimate (probability-flow ODE, uniform dequantisation)"
        assert found.n == 256
        close(found, self.truth, 0.03)

    @pytest.mark.parametrize("full", [False, True])
    def test_variational_bound_of_the_process(self, full: bool) -> None:
        """Both estimate one number, 0.037 bits above the truth; the cheaper says so with a larger error."""
        found = likelihoods(only(GAUSSIAN, "predictor"), gaussian_images(), LEVELS, full=full)[0]
        assert found.kind == "lower bound (variational, 1000 steps, variance beta)"
        assert found.calls == (1000 if full else 17)
        close(found, self.truth + 0.037, 0.01 if full else 3 * found.se)

    def test_annealed_from_both_ends(self) -> None:
        forward, reverse = likelihoods(only(GAUSSIAN, "energy"), gaussian_images(), LEVELS)
        assert forward.kind == "estimate (AIS, forward, uniform dequantisation)"
        assert reverse.kind == "estimate (AIS, reverse, uniform dequantisation)"
        close(forward, self.truth, 0.06)
        close(reverse, self.truth, 0.06)


class TestPoints:
    def test_every_kind_in_nats(self) -> None:
        model, x = points()
        truth = -model.log_prob(x).mean().item()
        exact, bound, process, flow = likelihoods(model, x, None)
        assert [f.kind for f in (exact, bound, process, flow)] == [
            "exact",
            "lower bound (variational)",
            "lower bound (variational, 1000 steps, variance beta)",
            "estimate (probability-flow ODE)",
        ]
        assert {f.unit for f in (exact, bound, process, flow)} == {"nats"}
        close(exact, truth, 1e-5)
        close(bound, truth, 1e-5)
        assert exact.se == pytest.approx(1 / math.sqrt(2000), rel=0.1)  # -log p varies by d / 2 = 1
        assert truth - 4 * process.se < process.value < truth + 0.05 + 4 * process.se
        assert flow.n == 1000
        close(flow, truth, 4 * flow.se)

    def test_an_energy_in_the_plane(self) -> None:
        model, x = points()
        quadrature, forward, reverse = likelihoods(only(model, "energy"), x, None)
        assert (quadrature.kind, forward.kind, reverse.kind) == (
            "quadrature",
            "estimate (AIS, forward)",
            "estimate (AIS, reverse)",
        )
        truth = -model.log_prob(x).mean().item()
        close(quadrature, truth, 1e-4)
        close(forward, truth, 5 * forward.se)
        close(reverse, truth, 5 * reverse.se)

    def test_a_linear_vae_by_importance_samples(self) -> None:
        vae = LinearVAE(torch.zeros(2), torch.tensor([[0.8, 0.3], [-0.2, 0.5]]), std=0.3)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2000, 2, generator=generator) @ vae.weight.T + 0.3 * torch.randn(2000, 2, generator=generator)
        weighted, once = likelihoods(Only(vae, "bounds", "log_bound", "log_weights"), x, None)
        truth = -vae.log_prob(x).mean().item()
        close(weighted, truth, 0.01)
        close(once, truth + vae.gap, 0.05)


class TestNoNumber:
    def test_a_gan_has_none_and_says_why(self) -> None:
        (found,) = likelihoods(Gan(), uniform_images(), LEVELS)
        assert (found.value, found.kind, found.unit) == (None, "none", "bits/dim")
        assert found.reason == (
            "no likelihood: the model offers Decoder, Critic, of which none says how likely an example is"
        )

    def test_a_bound_of_a_mass_says_nothing_of_points(self) -> None:
        (found,) = likelihoods(only(Uniform((2,), 17), "bound"), points(20)[1], None)
        assert found.kind == "none"

    def test_an_infinite_likelihood_is_a_reason_and_not_a_number(self) -> None:
        """Half of the images are brighter than the model thinks possible."""

        class Dark(nn.Module, Density):
            shape = SHAPE

            def log_prob(self, x: Tensor) -> Tensor:
                return torch.where(x.flatten(1)[:, 0] < 0, 0.0, -torch.inf)

        (found,) = likelihoods(Dark(), uniform_images(), LEVELS)
        assert found.value is None
        assert "not finite for" in found.reason and "of 64 test examples" in found.reason

    def test_what_fails_comes_after_what_does_not(self) -> None:
        model = GaussianReference(torch.zeros(2), 50.0**2)
        x = model.sample(200, torch.Generator().manual_seed(0))
        forward, reverse, quadrature = likelihoods(only(model, "energy"), x, None)
        assert (forward.kind, reverse.kind, quadrature.kind) == (
            "estimate (AIS, forward)",
            "estimate (AIS, reverse)",
            "none",
        )
        assert "outside" in quadrature.reason
        close(forward, -model.log_prob(x).mean().item(), 5 * forward.se)


class TestProtocol:
    def test_a_fixed_subset_of_the_images_is_used(self) -> None:
        model, x = only(GAUSSIAN, "density"), gaussian_images(100)
        (found,) = likelihoods(model, x, LEVELS, num_images=30)
        assert found.n == 30
        assert (found,) == likelihoods(model, x, LEVELS, num_images=30)
        assert found.value != likelihoods(model, x, LEVELS, num_images=30, seed=1)[0].value
        assert likelihoods(model, x, LEVELS, num_images=None)[0].n == 100

    @pytest.mark.parametrize("part", ["density", "predictor", "denoiser", "energy"])
    def test_batches_change_nothing(self, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of the solver, whose steps are those of the hardest row of a batch, within its tolerance."""
        whole = likelihoods(only(GAUSSIAN, part), gaussian_images(32), LEVELS)
        monkeypatch.setattr(task, "ROWS_AT_ONCE", 7)
        for one, other in zip(likelihoods(only(GAUSSIAN, part), gaussian_images(32), LEVELS), whole, strict=True):
            close(one, other.value, 1e-2 if "ODE" in one.kind else 1e-5)

    def test_the_global_random_state_is_left_alone_and_not_used(self) -> None:
        model, x = Only(VAE, "bounds", "log_bound"), gaussian_images(50)
        torch.manual_seed(5)
        state = torch.get_rng_state()
        first = likelihoods(model, x, LEVELS)
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(6)
        assert likelihoods(model, x, LEVELS) == first

    def test_no_kind_depends_on_what_else_the_model_offers(self) -> None:
        every = likelihoods(GAUSSIAN, gaussian_images(64), LEVELS)
        for part in ("density", "predictor"):
            assert likelihoods(only(GAUSSIAN, part), gaussian_images(64), LEVELS)[0] in every

    def test_calls_are_counted(self) -> None:
        """64 importance weights go through the decoder 64 times, 17 predictions through the network 17 times."""
        x = gaussian_images(32)
        found = [
            likelihoods(only(VAE, "weights"), x, LEVELS)[0],
            likelihoods(only(GAUSSIAN, "predictor"), x, LEVELS)[0],
        ]
        assert [one.calls for one in found] == [64, 17]

    def test_a_bound_of_the_density_takes_noise_within_a_level(self) -> None:
        """What the model is given: no image twice the same, none more than half a level off."""

        class Watching(nn.Module, LowerBound):
            shape, bounds = SHAPE, "density"

            def log_bound(self, x: Tensor) -> Tensor:
                self.seen = x
                return torch.zeros(len(x))

        model, x = Watching(), uniform_images(32)
        likelihoods(model, x, LEVELS)
        noise = (model.seen - x) * (LEVELS - 1) / 2
        assert noise.abs().max() <= 0.5 + 1e-4
        assert noise.std().item() == pytest.approx(1 / math.sqrt(12), rel=0.1)
