"""The nets that every model of this plugin may have: one signature, x [n, *shape], t [n] in [0, 1], labels [n] or None.

For images ``unet`` and ``transformer`` are this zoo's own; ``ddpm`` and ``ddpm++`` are the nets of the papers, made by
diffusers, slow on a processor. Points have a residual MLP.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets import Transformer, vector_field

Backbone = Literal["unet", "transformer", "ddpm", "ddpm++"]

ATTENDED = 16
"""The papers' nets attend to one another's positions where the picture is 16 positions wide."""


class PaperUNet(nn.Module):
    """diffusers' UNet2DModel, of images padded to what it can halve.

    Args:
        shape: Of one image.
        channels: Of each stage.
        outputs: Pictures of that shape that it makes.
        num_classes: If it is told of classes; one more stands for none.
        config: Further options of UNet2DModel.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        channels: tuple[int, ...],
        *,
        outputs: int,
        num_classes: int | None,
        config: dict[str, Any],
    ) -> None:
        from diffusers import UNet2DModel

        super().__init__()
        self.unit, self.no_class = 2 ** (len(channels) - 1), num_classes
        side = -(-max(shape[1:]) // self.unit) * self.unit
        attends = [side // 2**i == ATTENDED for i in range(len(channels))]
        self.net: Any = UNet2DModel(
            in_channels=shape[0],
            out_channels=outputs * shape[0],
            block_out_channels=channels,
            down_block_types=tuple("AttnDownBlock2D" if here else "DownBlock2D" for here in attends),
            up_block_types=tuple("AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attends)),
            num_class_embeds=None if num_classes is None else num_classes + 1,
            flip_sin_to_cos=False,
            freq_shift=1,
            norm_eps=1e-6,
            attention_head_dim=None,  # one head, as wide as the net
            **config,
        )

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        if self.no_class is not None and labels is None:
            labels = torch.full((len(x),), self.no_class, device=x.device)
        padded = F.pad(x, (0, -width % self.unit, 0, -height % self.unit))
        return self.net(padded, 1000 * t, labels).sample[:, :, :height, :width]


Net = Callable[..., nn.Module]


def _ddpm(
    shape: tuple[int, ...], *, width: int | None, patch: None, outputs: int, num_classes: int | None
) -> nn.Module:
    """Denoising Diffusion Probabilistic Models (Ho et al., 2020), appendix B: 35.7M parameters for 32x32 colours."""
    width = width or 128
    config = {"layers_per_block": 2, "dropout": 0.1, "downsample_padding": 0}
    channels = (width, 2 * width, 2 * width, 2 * width)
    return PaperUNet(shape, channels, outputs=outputs, num_classes=num_classes, config=config)


def _ddpm_plus(
    shape: tuple[int, ...], *, width: int | None, patch: None, outputs: int, num_classes: int | None
) -> nn.Module:
    """Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), table 7: DDPM++, 56M."""
    width = width or 128
    config = {"layers_per_block": 4, "dropout": 0.13}
    return PaperUNet(shape, (2 * width,) * 3, outputs=outputs, num_classes=num_classes, config=config)


IMAGE_NETS: dict[str, Net] = {"unet": vector_field, "transformer": Transformer, "ddpm": _ddpm, "ddpm++": _ddpm_plus}


def build(
    name: Backbone,
    shape: tuple[int, ...],
    *,
    width: int | None = None,
    patch: int | None = None,
    outputs: int = 1,
    num_classes: int | None = None,
) -> nn.Module:
    """``net(x, t, labels)`` -> [n, outputs * channels, ...].

    Raises:
        ValueError: a net of images or patches for points, or patches for a net that has none.
    """
    if not is_image(shape) and name != "unet":
        raise ValueError(f"backbone={name!r} is a net of images; points have a residual MLP: leave backbone as it is")
    if not is_image(shape) and patch is not None:
        raise ValueError(f"patch={patch}: points have no pixels to see as one; leave patch out")
    if patch is not None and name.startswith("ddpm"):
        raise ValueError(f"patch={patch}: backbone {name!r} sees single pixels; leave patch out or use 'unet'")
    return IMAGE_NETS[name](shape, width=width, patch=patch, outputs=outputs, num_classes=num_classes)
