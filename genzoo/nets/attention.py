"""Attention of tokens to each other."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 32
"""The width of a head."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(d)) value, of [..., tokens, d] each.

    torch's fused kernel, but for gradients on a processor: there its backward pass in bfloat16 takes four times as long
    as the products and the softmax that it fuses.
    """
    if query.requires_grad and query.device.type == "cpu":
        return (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


class SelfAttention(nn.Module):
    """Every token to every token, [n, tokens, width] to the same, with heads of 32 numbers where the width allows it.

    Reference: Attention Is All You Need (Vaswani et al., 2017), section 3.2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = math.gcd(width, max(1, width // HEAD))
        self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        query, key, value = self.attend(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.project(attend(query, key, value).transpose(1, 2).flatten(2))
