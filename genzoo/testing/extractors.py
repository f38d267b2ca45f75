"""What every feature extractor must satisfy, on images of every shape that it takes."""

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.testing.cases import Check, expect, expect_close, expect_same_state, host_state, label

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

Shape = tuple[int, int, int]
SHAPES: tuple[Shape, ...] = ((1, 8, 8), (1, 28, 28), (3, 16, 16), (3, 32, 32), (3, 64, 64))
ODD_SHAPES: tuple[Shape, ...] = ((1, 1, 1), (2, 8, 8), (4, 8, 8), (5, 8, 8), (3, 7, 13))
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ExtractorCase:
    """A registered extractor at one shape of images."""

    zoo: "Zoo"
    name: str
    shape: Shape

    def build(self) -> Any:
        """The extractor with its default options, as the host uses it: in eval mode."""
        return self.zoo.extractor(self.name).eval()

    def images(self, n: int) -> Tensor:
        """Noise, uint8 [n, c, h, w]; the first image is black, the second white."""
        images = torch.randint(256, (n, *self.shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        for level, image in zip((0, 255), images, strict=False):
            image.fill_(level)
        return images


def features(extractor: Any, images: Tensor) -> Tensor:
    """As the host asks for them: without gradients."""
    with torch.inference_mode():
        return extractor.features(images)


def takes(extractor: Any, shape: Shape) -> bool:
    """Whether its ``check_shape`` lets images of ``shape`` through."""
    try:
        extractor.check_shape(shape)
    except InvalidSamples:
        return False
    return True


def is_an_extractor(case: ExtractorCase) -> None:
    """An ``nn.Module`` with a batch size of at least 1 and a sha256 of 64 hexadecimal digits."""
    extractor = case.build()
    expect(isinstance(extractor, torch.nn.Module), f"{type(extractor).__name__} is no nn.Module")
    expect(isinstance(extractor.batch_size, int) and extractor.batch_size >= 1, f"batch_size={extractor.batch_size}")
    expect(
        isinstance(extractor.sha256, str) and _SHA256.fullmatch(extractor.sha256) is not None,
        f"sha256={extractor.sha256!r} is not 64 hexadecimal digits",
    )


def is_named_by_its_hash(case: ExtractorCase) -> None:
    """Built twice, under other global seeds: the same sha256 and, bit for bit, the same features."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        extractor = case.build()
        found.append((extractor.sha256, features(extractor, case.images(3))))
    expect(found[0][0] == found[1][0], "two builds have two hashes")
    expect(torch.equal(found[0][1], found[1][1]), "two builds of one hash give two features")


def gives_features(case: ExtractorCase) -> None:
    """[n, d] float32 of uint8, finite for black, white and noise, for n = 1 and 5; not the same for every image."""
    extractor = case.build()
    for n in (1, 5):
        found = features(extractor, case.images(n))
        expect(found.dim() == 2 and len(found) == n, f"{n} images give {tuple(found.shape)}, not ({n}, d)")
        expect(found.dtype == torch.float32, f"the features are {found.dtype}, not torch.float32")
        expect(found.isfinite().all(), "a feature is not finite")
    expect(found.std(0).max() > 0, "black, white and noise have the same features")


def repeats_itself(case: ExtractorCase) -> None:
    """The same images give the same features, bit for bit."""
    extractor, images = case.build(), case.images(3)
    expect(torch.equal(features(extractor, images), features(extractor, images)), "the same images give other features")


def rows_are_independent(case: ExtractorCase) -> None:
    """An image has the same features alone, among others and in another place: to 1e-4 of max(1, |feature|)."""
    extractor, images = case.build(), case.images(5)
    together = features(extractor, images)
    alone = torch.cat([features(extractor, image[None]) for image in images])
    expect_close(alone, together, 1e-4, "features alone against those in a batch")
    expect_close(features(extractor, images.flip(0)).flip(0), together, 1e-4, "features in another order")


def keeps_its_state(case: ExtractorCase) -> None:
    """Taking features changes neither the extractor's tensors, nor its mode, nor the images."""
    extractor, images = case.build(), case.images(3)
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    given = images.clone()
    features(extractor, images)
    after = extractor.state_dict()
    changed = [key for key, value in before.items() if not torch.equal(after[key], value)]
    expect(not changed, f"taking features changes {', '.join(changed)}")
    expect(not any(module.training for module in extractor.modules()), "taking features ends eval mode")
    expect(torch.equal(images, given), "it writes into the images")


def touches_no_global_state(case: ExtractorCase) -> None:
    """Random states, gradient mode and autocast are as before."""
    extractor = case.build()
    with torch.inference_mode():
        before = host_state()
        extractor.features(case.images(3))
        expect_same_state(before, host_state())


def refuses_what_it_does_not_take(case: ExtractorCase) -> None:
    """``check_shape`` raises InvalidSamples for images without channels; what it lets through gives features."""
    extractor = case.build()
    expect(not takes(extractor, (0, *case.shape[1:])), "check_shape lets images without channels through")
    for shape in filter(partial(takes, extractor), ODD_SHAPES):
        found = features(extractor, ExtractorCase(case.zoo, case.name, shape).images(2))
        expect(len(found) == 2 and found.isfinite().all(), f"it takes {label(shape)} images and gives no features")


def sees_classes(case: ExtractorCase) -> None:
    """``logits`` of features [n, d] is [n, num_classes], finite, at least two classes."""
    extractor = case.build()
    with torch.inference_mode():
        logits = extractor.logits(extractor.features(case.images(5)))
    expect(logits.dim() == 2 and len(logits) == 5 and logits.shape[1] >= 2, f"5 rows have logits {tuple(logits.shape)}")
    expect(logits.isfinite().all(), "a logit is not finite")


_TESTS = (
    is_an_extractor,
    is_named_by_its_hash,
    gives_features,
    repeats_itself,
    rows_are_independent,
    keeps_its_state,
    touches_no_global_state,
    refuses_what_it_does_not_take,
)


def extractor_checks(zoo: "Zoo", name: str) -> list[Check]:
    """All on the first shape that it takes, of those that every extractor is tried with; its features on the others."""
    extractor = zoo.extractor(name)
    shapes = [shape for shape in SHAPES if takes(extractor, shape)]
    expect(bool(shapes), f"extractor {name!r} takes images of none of {', '.join(map(label, SHAPES))}")
    tests = (*_TESTS, *([sees_classes] if hasattr(extractor, "logits") else []))
    plan = [(test, shapes[0]) for test in tests] + [(gives_features, shape) for shape in shapes[1:]]
    return [
        Check(f"{name}/extractor/{test.__name__}[{label(shape)}]", partial(test, ExtractorCase(zoo, name, shape)))
        for test, shape in plan
    ]
