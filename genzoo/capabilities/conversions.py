"""Who has a capability, itself or through conversions, and a model seen through another one."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, cast

import torch
from torch import Tensor
from typing_extensions import get_protocol_members, is_protocol

from genzoo.capabilities.kinds import CAPABILITIES, Denoiser, Density, Energy, NoisePredictor, NoisyScore, Score
from genzoo.capabilities.noise import log_sigmas
from genzoo.errors import MissingCapability


class _View:
    """A model seen through another capability; it keeps the model's shape."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.shape: tuple[int, ...] = model.shape


class _DensityAsEnergy(_View, Energy):
    def energy(self, x: Tensor) -> Tensor:
        return -self.model.log_prob(x)


class _EnergyAsScore(_View, Score):
    def score(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.model.energy(x).sum(), x)
        return -gradient


class _NoiseLevels(_View):
    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.sigma_min, self.sigma_max = float(model.sigma_min), float(model.sigma_max)


class _DenoiserAsNoisyScore(_NoiseLevels, NoisyScore):
    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        return (self.model.denoise(x, sigma) - x) / expand(sigma, x) ** 2


class _NoisyScoreAsDenoiser(_NoiseLevels, Denoiser):
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x + expand(sigma, x) ** 2 * self.model.noisy_score(x, sigma)


class _NoisePredictorAsNoisyScore(_View, NoisyScore):
    """-eps / sigma, without the cancellation of (D - x) / sigma^2, which a bfloat16 network does not survive."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._log_sigmas = log_sigmas(model.betas).float()
        self.sigma_min, self.sigma_max = self._log_sigmas[[0, -1]].exp().tolist()

    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        scale = expand(sigma, x)
        x_t = x / torch.sqrt(1 + scale**2)
        return -self.model.predict(x_t, self._timestep(sigma)) / scale

    def _timestep(self, sigma: Tensor) -> Tensor:
        """t with sigma_t = sigma, linear in log sigma between the steps of the process."""
        table = self._log_sigmas.to(sigma.device)
        log_sigma = sigma.float().log().clamp(table[0], table[-1])
        low = (torch.searchsorted(table, log_sigma.contiguous(), right=True) - 1).clamp(0, len(table) - 2)
        return low + (log_sigma - table[low]) / (table[low + 1] - table[low])


class _Blurred(_View, Score):
    def __init__(self, model: Any, sigma: float) -> None:
        super().__init__(model)
        self._sigma = sigma

    def score(self, x: Tensor) -> Tensor:
        return self.model.noisy_score(x, torch.full((len(x),), self._sigma, device=x.device, dtype=x.dtype))


_Conversion = Callable[[Any], Any]

_CONVERSIONS: tuple[tuple[type, type, _Conversion], ...] = (
    (Energy, Score, _EnergyAsScore),
    (Density, Energy, _DensityAsEnergy),
    (NoisePredictor, NoisyScore, _NoisePredictorAsNoisyScore),
    (Denoiser, NoisyScore, _DenoiserAsNoisyScore),
    (NoisyScore, Denoiser, _NoisyScoreAsDenoiser),
)


def expand(sigma: Tensor, x: Tensor) -> Tensor:
    """``sigma``, [] or [n], shaped to broadcast over ``x`` [n, *shape]."""
    return sigma.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1)) if sigma.dim() else sigma.to(x.dtype)


def offers(model: Any) -> list[str]:
    """The names of the capabilities that the model itself has, without conversions."""
    return [c.__name__ for c in CAPABILITIES if _has(model, c)]


def _has(model: Any, capability: type) -> bool:
    """Whether the model has every member of the capability, also those that only ``__getattr__`` finds.

    A module's buffers and what a proxy passes on are such members: isinstance sees them in Python 3.11 and looks past
    them since 3.12.
    """
    if not is_protocol(capability):
        return isinstance(model, capability)
    return all(hasattr(model, member) for member in get_protocol_members(capability))


def _routes(need: type) -> list[tuple[type, tuple[_Conversion, ...]]]:
    """(source, the conversions that lead from it to ``need``, in order), fewest first; ``need`` itself leads."""
    routes: list[tuple[type, tuple[_Conversion, ...]]] = [(need, ())]
    for target, path in routes:  # grows while it is walked: breadth first
        known = [source for source, _ in routes]
        routes += [(s, (convert, *path)) for s, t, convert in _CONVERSIONS if t is target and s not in known]
    return routes


def _path(model: Any, need: type) -> tuple[_Conversion, ...] | None:
    return next((path for source, path in _routes(need) if _has(model, source)), None)


def supports(model: Any, needs: Sequence[type]) -> bool:
    """Whether the model offers every capability in ``needs``, directly or through conversions."""
    return all(_path(model, need) is not None for need in needs)


def require(model: Any, needs: Sequence[type], *, model_name: str = "the model", by: str = "this") -> None:
    """Raise :class:`MissingCapability` unless ``supports(model, needs)``; the message names both sides."""
    for need in needs:
        if _path(model, need) is None:
            have = ", ".join(offers(model)) or "nothing"
            wanted, *others = [source.__name__ for source, _ in _routes(need)]
            alternatives = f" (or {', '.join(others)})" if others else ""
            raise MissingCapability(
                f"{model_name} offers {have}; {by} needs {wanted}{alternatives}: "
                "'genzoo list --compatible' shows what goes together"
            )


def _convert(model: Any, need: type) -> Any:
    require(model, (need,), model_name=type(model).__name__, by=f"the conversion to {need.__name__}")
    return reduce(lambda view, convert: convert(view), _path(model, need) or (), model)


def as_energy(model: Any) -> Energy:
    """The model as an :class:`Energy` (a Density's is -log p)."""
    return cast(Energy, _convert(model, Energy))


def as_score(model: Any) -> Score:
    """The model as a :class:`Score` (an Energy's is -grad E, by automatic differentiation)."""
    return cast(Score, _convert(model, Score))


def as_denoiser(model: Any) -> Denoiser:
    """The model as a :class:`Denoiser` (D = x + sigma^2 * score: Tweedie's formula)."""
    return cast(Denoiser, _convert(model, Denoiser))


def as_noisy_score(model: Any) -> NoisyScore:
    """The model as a :class:`NoisyScore`."""
    return cast(NoisyScore, _convert(model, NoisyScore))


def blurred(model: Any, sigma: float) -> Score:
    """The score of the data blurred by ``sigma``, as a :class:`Score`: Langevin sampling of a diffusion model."""
    return _Blurred(as_noisy_score(model), sigma)
