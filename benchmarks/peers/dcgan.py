"""A deep convolutional GAN with the settings of PyTorch's tutorial, written anew.

100 latents, 64 channels a side, Adam 2e-4 with betas (0.5, 0.999), batches of 128, binary cross-entropy, weights from
N(0, 0.02^2). The tutorial's nets are for 64 x 64: these leave out its coarsest stages. ``--size 28`` has two stages,
7 x 7 to 28 x 28; ``--size 32`` has three, 4 x 4 to 32 x 32, and images get a black border of 2 pixels, which is cut off
again. Drawn in training mode, as there.

Reference: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford et
al., 2016).
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timed import SIDE, asked, count, draw, images, train, write
from torch import Tensor, nn
from torch.optim import Adam

LATENTS, CHANNELS, BATCH = 100, 64, 128
COARSEST = {"28": (7, 2), "32": (4, 3)}
"""The side of the coarsest stage, and the number of stages that double it."""


def widths(stages: int) -> list[int]:
    """Channels from the coarsest stage to the finest: 64 at half the resolution, twice as many a stage before."""
    return [CHANNELS << (stages - 1 - i) for i in range(stages)]


def generator(side: int, stages: int) -> nn.Sequential:
    """[n, 100, 1, 1] to images in [-1, 1]."""
    channels = widths(stages)
    layers: list[nn.Module] = [nn.ConvTranspose2d(LATENTS, channels[0], side, 1, 0, bias=False)]
    for before, after in zip(channels, [*channels[1:], 1], strict=True):
        layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(side: int, stages: int) -> nn.Sequential:
    """Images to logits, [n, 1, 1, 1]."""
    channels = widths(stages)[::-1]
    layers: list[nn.Module] = [nn.Conv2d(1, channels[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, side, 1, 0, bias=False))


def initialise(module: nn.Module) -> None:
    """Convolutions from N(0, 0.02^2), scales of batch normalisation from N(1, 0.02^2)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def main() -> None:
    """Train, draw, write."""
    known, chosen = asked(__doc__, size=("28", "32"))
    border = (int(chosen["size"]) - SIDE) // 2
    inside = slice(border, border + SIDE)
    g, d = (make(*COARSEST[chosen["size"]]).apply(initialise) for make in (generator, discriminator))
    optimizer_g, optimizer_d = (Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))

    def loss(logits: Tensor, label: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def step(batch: Tensor, fraction: float) -> None:
        real = F.pad(batch / 127.5 - 1, [border] * 4, value=-1.0)
        fake = g(torch.randn(len(real), LATENTS, 1, 1))
        optimizer_d.zero_grad()
        loss(d(real), 1.0).backward()
        loss(d(fake.detach()), 0.0).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        loss(d(fake), 1.0).backward()
        optimizer_g.step()

    def sample(n: int) -> Tensor:
        return (g(torch.randn(n, LATENTS, 1, 1))[..., inside, inside] + 1) / 2

    spent = train(step, images(), BATCH, known.seconds)
    samples, seconds = draw(sample, known.samples, BATCH)
    write(
        known,
        samples,
        spent,
        package="torch",
        peer=f"DCGAN at {chosen['size']}",
        recipe="PyTorch's DCGAN tutorial: 100 latents, 64 channels, Adam 2e-4 (0.5, 0.999), cross-entropy",
        batch_size=BATCH,
        precision="float32",
        parameters={"sampling": count(g), "training": count(g) + count(d)},
        sampler="one call, batch statistics",
        calls_per_sample=1,
        sampling_seconds=seconds,
    )


if __name__ == "__main__":
    main()
