"""What both players are made of: norms that are told of a class, residual blocks, the head that projects."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets import Wrap


def leaky_relu() -> nn.Module:
    """Keeps more of a gradient than SiLU where every layer shrinks it."""
    return nn.LeakyReLU(0.2)


def shuffle(h: Tensor) -> Tensor:
    """[n, 4c, h, w] to [n, c, 2h, 2w]: the four quarters of a position's channels become 2x2 positions.

    It is ``F.pixel_shuffle`` with another order of the channels: where they come last in memory whole runs of c numbers
    are moved, which takes a third of the time.
    """
    n, c, height, width = h.shape
    blocks = h.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, c // 4)
    return blocks.transpose(2, 3).reshape(n, 2 * height, 2 * width, c // 4).permute(0, 3, 1, 2)


class Upsample(nn.Module):
    """Twice the height and the width, cut to ``size``: a 1x1 convolution, then each position becomes 2x2.

    It starts as a 1x1 convolution repeated over the 2x2, so that no checkerboard has to be unlearnt.

    References: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network (Shi et al., 2016); Checkerboard artifact free sub-pixel convolution (Aitken et al., 2017).
    """

    def __init__(self, fan_in: int, fan_out: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.conv = size, nn.Conv2d(fan_in, 4 * fan_out, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[:fan_out].repeat(4, 1, 1, 1))

    def forward(self, h: Tensor) -> Tensor:
        return shuffle(self.conv(h))[:, :, : self.size[0], : self.size[1]]


class ClassBatchNorm(nn.Module):
    """Batch normalisation with a gain and a bias for each class, or one for all where there are no classes.

    References: Batch Normalization (Ioffe and Szegedy, 2015); A Learned Representation for Artistic Style (Dumoulin et
    al., 2017), section 2.2.
    """

    def __init__(self, channels: int, num_classes: int | None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=num_classes is None)
        self.gains = self.biases = None
        if num_classes is not None:
            self.gains, self.biases = nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)
            nn.init.ones_(self.gains.weight)
            nn.init.zeros_(self.biases.weight)

    def forward(self, h: Tensor, labels: Tensor | None) -> Tensor:
        h = self.norm(h)
        if self.gains is None or self.biases is None:
            return h
        gain, bias = (table(labels).to(h.dtype)[:, :, None, None] for table in (self.gains, self.biases))
        return torch.addcmul(bias, h, gain)


class GeneratorBlock(nn.Module):
    """h + conv(relu(norm(conv(relu(norm(h)))))), told of the class by its norms."""

    def __init__(self, channels: int, num_classes: int | None) -> None:
        super().__init__()
        self.norm1, self.norm2 = ClassBatchNorm(channels, num_classes), ClassBatchNorm(channels, num_classes)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, h: Tensor, labels: Tensor | None) -> Tensor:
        inner = self.conv1(F.relu(self.norm1(h, labels)))
        return h + self.conv2(F.relu(self.norm2(inner, labels)))


class CriticBlock(nn.Module):
    """skip(h) + conv(relu(conv(relu(h)))); ``down`` halves height and width, rounded up."""

    def __init__(self, fan_in: int, fan_out: int, wrap: Wrap, *, down: bool) -> None:
        super().__init__()
        self.conv1 = wrap(nn.Conv2d(fan_in, fan_in, 3, padding=1))
        self.conv2 = wrap(nn.Conv2d(fan_in, fan_out, 3, padding=1, stride=2 if down else 1))
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if down else nn.Identity()
        self.skip = nn.Identity() if fan_in == fan_out else wrap(nn.Conv2d(fan_in, fan_out, 1))

    def forward(self, h: Tensor) -> Tensor:
        inner = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(h, 0.2)), 0.2))
        return self.skip(self.pool(h)) + inner


class Projection(nn.Module):
    """Features phi [n, width] to logits [n]: w . phi + b, and v_y . phi for the class y; no class adds nothing.

    In float32 also within autocast: what tells data from fakes may be less than the three digits of bfloat16.

    Reference: cGANs with Projection Discriminator (Miyato and Koyama, 2018), equation 3.
    """

    def __init__(self, width: int, num_classes: int | None, wrap: Wrap) -> None:
        super().__init__()
        self.linear = wrap(nn.Linear(width, 1))
        self.num_classes = num_classes
        self.classes = None if num_classes is None else wrap(nn.Embedding(num_classes, width))

    def forward(self, phi: Tensor, labels: Tensor | None) -> Tensor:
        with torch.autocast(phi.device.type, enabled=False):
            return self._logits(phi.float(), labels)

    def _logits(self, phi: Tensor, labels: Tensor | None) -> Tensor:
        logits = self.linear(phi).squeeze(1)
        if self.classes is None or self.num_classes is None or labels is None:
            return logits
        of_class = (self.classes(labels.clamp(max=self.num_classes - 1)) * phi).sum(1)
        return logits + torch.where(labels < self.num_classes, of_class, 0)
