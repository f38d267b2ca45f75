"""What keeps a critic from being steep: penalties of its gradient with respect to what it sees.

Both run the critic in float32: a gradient's norm, differentiated again, does not stand bfloat16.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from genzoo.capabilities import expand

Judge = Callable[[Tensor], Tensor]
"""Examples [n, *shape] to logits [n]."""


def slopes(judge: Judge, x: Tensor) -> Tensor:
    """|grad_x sum_j c(x_j)|^2 of each row, [n], itself differentiable: |grad c|^2 where rows are judged one by one."""
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """E[(|grad c(u x + (1 - u) g(z))| - 1)^2], u uniform on [0, 1] for each pair.

    Reference: Improved Training of Wasserstein GANs (Gulrajani et al., 2017), equation 3.
    """
    between = torch.lerp(fake, real, expand(torch.rand(len(real), device=real.device), real))
    return ((slopes(judge, between) + 1e-12).sqrt() - 1).square().mean()


def zero_centred(judge: Judge, x: Tensor) -> Tensor:
    """E[|grad c(x)|^2] / 2: R1 on data, R2 on fakes.

    Reference: Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), equations 9 and 10.
    """
    return 0.5 * slopes(judge, x).mean()
