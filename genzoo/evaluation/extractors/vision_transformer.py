"""The vision transformer of DINOv2, with its published parameters' names."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_WIDTH = 64


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, -1, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width))


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Block(nn.Module):
    """x + g1 attention(norm(x)), then x + g2 perceptron(norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = _Attention(width), _Perceptron(width)
        self.ls1, self.ls2 = _Scale(width), _Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """Square images [n, 3, s, s], s a multiple of the patch, to the class token's features [n, width].

    Reference: DINOv2: Learning Robust Visual Features without Supervision (Oquab et al., 2023).
    """

    def __init__(self, width: int, depth: int, patch: int, grid: int) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.cls_token, self.mask_token = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, width))
        self.blocks = nn.ModuleList([_Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "VisionTransformer":
        """The network that these parameters are of, its sizes read off their shapes."""
        width, _, patch, _ = state["patch_embed.proj.weight"].shape
        depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
        grid = round((state["pos_embed"].shape[1] - 1) ** 0.5)
        network = cls(width, depth, patch, grid)
        network.load_state_dict(state)
        return network

    def forward(self, images: Tensor) -> Tensor:
        """[n, width]."""
        patches = self.patch_embed["proj"](images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        x = tokens + self._positions(patches.shape[-1])
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def _positions(self, side: int) -> Tensor:
        """The learned positions, resampled to side x side.

        The published evaluation adds 0.1 to the side in the scale of the resampling: so it is part of the features.
        """
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        grid = round(rest.shape[1] ** 0.5)
        if grid == side:
            return self.pos_embed
        square = rest.unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        scale = (side + 0.1) / grid
        resampled = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic", antialias=False)
        return torch.cat([first, resampled.flatten(2).transpose(1, 2)], 1)
