"""What the extractor and the metric compute, on pictures whose answer is known by hand."""

import pytest
import torch
from genzoo_template.metric import SharpnessGap

from genzoo.errors import InvalidSamples
from genzoo.evaluation import extract, load_extractor
from genzoo.protocols import Comparison, ImageSet


def test_a_wave_has_power_at_its_own_frequency():
    """A cosine of half a cycle a pixel, on a ground: rings 0 and 5 of 8, as 0.5 / sqrt(0.5) of the way is 5.7 rings."""
    wave = 128 + 100 * torch.cos(torch.arange(16) * torch.pi).expand(1, 16, 16)[..., None]
    extractor = load_extractor("radial-spectrum")
    assert extractor.label.startswith("FD[radial-spectrum@")
    assert (extract(wave.to(torch.uint8), extractor)[0] > 1).nonzero().flatten().tolist() == [0, 5]


def stripes(step: int, size: int = 6) -> ImageSet:
    """Four pictures of vertical stripes, a pixel wide."""
    images = (torch.arange(size) % 2 * step).to(torch.uint8).expand(4, size, size)[..., None]
    return ImageSet(images, torch.zeros(4, 1))


@pytest.mark.parametrize(("axes", "gap"), [(1, 20), (2, 10)])
def test_the_gap_is_the_difference_of_the_steps(axes, gap):
    """Steps of 30 and of 50 levels to the right, and none down."""
    found = SharpnessGap(axes=axes)(Comparison(stripes(30), stripes(50)))
    assert (found.value, found.better, found.se) == (gap, "lower", 0)


def test_a_pixel_has_no_neighbours():
    with pytest.raises(InvalidSamples, match="needs two images of 2x2 pixels or more"):
        SharpnessGap()(Comparison(stripes(30, size=1), stripes(50, size=1)))
