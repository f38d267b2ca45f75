"""What every metric of images must satisfy: on the digits, or on colour pictures if it does not take those.

Real images are compared with real ones of the same distribution, with noise, with one image repeated and with copies of
the training images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo.errors import InvalidSamples
from genzoo.protocols import Comparison, ImageSet, Measurement
from genzoo.testing.cases import Check, expect, expect_same_state, host_state, seed_everything

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

NUM_IMAGES = 120
Pictures = Callable[[], tuple[Tensor, Tensor]]


def digits() -> tuple[Tensor, Tensor]:
    """Digits, uint8 [360, 8, 8, 1], and what they are."""
    from genzoo.data import load

    split, rows = load("digits").train, torch.arange(3 * NUM_IMAGES)
    labels = split.batch(rows).y
    return split.images(rows), in_turn(len(rows)) if labels is None else labels


def in_turn(n: int) -> Tensor:
    """Labels of ten classes, one after the other, [n]: what samples are asked for."""
    return torch.arange(n) % 10


def colours() -> tuple[Tensor, Tensor]:
    """Smooth patches of random colours, rather dark, uint8 [360, 32, 32, 3], in classes of nothing."""
    coarse = torch.rand(3 * NUM_IMAGES, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    images = (255 * F.interpolate(coarse, (32, 32), mode="bilinear") ** 2).to(torch.uint8).permute(0, 2, 3, 1)
    return images, in_turn(len(images))


def seen(images: Tensor, labels: Tensor) -> ImageSet:
    """Images as a metric is given them, with the features of the extractor that is taken by default."""
    from genzoo.evaluation import default_extractor, extract, load_extractor

    _, height, width, channels = images.shape
    extractor = load_extractor(default_extractor((channels, height, width)))
    features = extract(images, extractor)
    return ImageSet(images, features, extractor.logits(features), labels)


@lru_cache(maxsize=2)
def comparisons(pictures: Pictures) -> dict[str, Comparison]:
    """Real images, noise, one image repeated and copies of the training images, each against the same real images."""
    images, labels = (part.split(NUM_IMAGES) for part in pictures())
    fresh, real, train = map(seen, images, labels)
    noise = torch.randint(256, fresh.images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    generated = {
        "real images": fresh,
        "noise": seen(noise, in_turn(NUM_IMAGES)),
        "one image": seen(fresh.images[:1].repeat(NUM_IMAGES, 1, 1, 1), in_turn(NUM_IMAGES)),
        "copies": train,
    }
    return {name: Comparison(images, real, train) for name, images in generated.items()}


@dataclass(frozen=True)
class MetricCase:
    """A registered metric and the pictures that it is judged on."""

    zoo: "Zoo"
    name: str
    pictures: Pictures

    def measure(self, comparison: Comparison) -> Measurement:
        """With the metric's default options."""
        return self.zoo.metric(self.name)(comparison)

    def of(self, generated: str) -> Comparison:
        """The comparison with these, of :func:`comparisons`."""
        return comparisons(self.pictures)[generated]

    def accepts(self, comparison: Comparison) -> bool:
        """Whether it measures it; an InvalidSamples is a no."""
        try:
            self.measure(comparison)
        except InvalidSamples:
            return False
        return True


def gives_a_measurement(case: MetricCase) -> None:
    """A Measurement: a finite value, ``better`` at one end, ``how``, and finite what else it tells."""
    found = case.measure(case.of("real images"))
    expect(isinstance(found, Measurement), f"it gives {type(found).__name__}, not a Measurement")
    expect(math.isfinite(found.value), f"real images against real ones score {found.value}")
    expect(found.better in ("lower", "higher"), f"better is {found.better!r}, not 'lower' or 'higher'")
    expect(isinstance(found.how, str) and found.how.strip() != "", "how it was made is not said")
    expect(found.se is None or 0 <= found.se < math.inf, f"the standard error is {found.se}")
    expect(found.expected is None or math.isfinite(found.expected), f"a perfect model would score {found.expected}")


def follows_its_seed_alone(case: MetricCase) -> None:
    """The same comparison gives the same measurement, whatever the global seeds."""
    found = []
    for seed in (0, 1):
        seed_everything(seed)
        found.append(case.measure(case.of("real images")))
    expect(found[0] == found[1], f"the same images score {found[0].value} and then {found[1].value}")


def touches_no_global_state(case: MetricCase) -> None:
    """Random states, gradient mode and autocast are as before."""
    comparison, before = case.of("real images"), host_state()
    case.measure(comparison)
    expect_same_state(before, host_state())


def leaves_what_it_is_given(case: MetricCase) -> None:
    """Images, features and logits are as before: the next metric reads them too."""
    comparison = case.of("real images")
    before = [tensor.clone() for tensor in _tensors(comparison)]
    case.measure(comparison)
    changed = any(not torch.equal(a, b) for a, b in zip(_tensors(comparison), before, strict=True))
    if changed:
        comparisons.cache_clear()
    expect(not changed, "it writes into what it is given")


def _tensors(comparison: Comparison) -> list[Tensor]:
    sets = [images for images in (comparison.generated, comparison.real, comparison.train) if images is not None]
    parts = (part for each in sets for part in (each.images, each.features, each.logits, each.labels))
    return [part for part in parts if part is not None]


def order_does_not_matter(case: MetricCase) -> None:
    """Rows in another order score the same to 1e-6 of max(1, |value|).

    A metric that draws, as its seed shows, has to state its standard error and is allowed four of them.
    """
    comparison = case.of("real images")
    first, other_seed = case.measure(comparison), case.measure(replace(comparison, seed=comparison.seed + 1))
    allowed = 1e-6 * max(1, abs(first.value))
    if first.value != other_seed.value:
        expect(first.se is not None, "it depends on the seed and states no standard error")
        allowed = max(allowed, 4 * (first.se or 0))
    off = abs(case.measure(_shuffled(comparison)).value - first.value)
    expect(off <= allowed, f"another order of the rows changes it by {off:.3g}, allowed is {allowed:.3g}")


def _shuffled(comparison: Comparison) -> Comparison:
    generator = torch.Generator().manual_seed(0)

    def shuffled(images: ImageSet) -> ImageSet:
        rows = torch.randperm(len(images), generator=generator)
        logits, labels = (None if part is None else part[rows] for part in (images.logits, images.labels))
        return ImageSet(images.images[rows], images.features[rows], logits, labels)

    train = None if comparison.train is None else shuffled(comparison.train)
    return Comparison(shuffled(comparison.generated), shuffled(comparison.real), train, comparison.seed)


def says_what_it_needs(case: MetricCase) -> None:
    """Without training images, without classes or labels, it measures or raises InvalidSamples: nothing else."""
    comparison = case.of("real images")
    case.accepts(replace(comparison, train=None))
    generated, real = comparison.generated, comparison.real
    blind = replace(comparison, generated=replace(generated, logits=None), real=replace(real, logits=None))
    unlabelled = replace(comparison, generated=replace(generated, labels=None), real=replace(real, labels=None))
    case.accepts(blind)
    case.accepts(unlabelled)


def moves_the_right_way(case: MetricCase) -> None:
    """Noise does not score better than real images, and noise or one image repeated scores worse.

    A metric that cannot do without training images is about copying: noise or copies of them score worse.
    """
    found = {name: case.measure(case.of(name)) for name in comparisons(case.pictures)}
    real = found.pop("real images")
    sign = 1 if real.better == "lower" else -1
    worse = {name: sign * (each.value - real.value) for name, each in found.items()}
    values = ", ".join(f"{name} {each.value:.4g}" for name, each in found.items())
    scores = f"{real.better} is better; real images score {real.value:.4g}, {values}"
    about_copying = not case.accepts(replace(case.of("real images"), train=None))
    expect(about_copying or worse["noise"] >= 0, f"noise is better than real images: {scores}")
    expect(max(worse["noise"], worse["copies" if about_copying else "one image"]) > 0, f"nothing is worse: {scores}")


_TESTS = (
    gives_a_measurement,
    follows_its_seed_alone,
    touches_no_global_state,
    leaves_what_it_is_given,
    order_does_not_matter,
    says_what_it_needs,
    moves_the_right_way,
)


def metric_checks(zoo: "Zoo", name: str) -> list[Check]:
    """On the digits; on colour pictures if it refuses those with InvalidSamples."""
    on_digits = MetricCase(zoo, name, digits)
    case = on_digits if on_digits.accepts(on_digits.of("real images")) else MetricCase(zoo, name, colours)
    label = f"{name}/metric/{{}}[{case.pictures.__name__}]"
    return [Check(label.format(test.__name__), partial(test, case)) for test in _TESTS]
