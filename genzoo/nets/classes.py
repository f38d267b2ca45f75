"""What a net is told of a class."""

import torch
from torch import Tensor, nn


class ClassEmbedding(nn.Module):
    """A vector for each class, and one more, of index ``num_classes``, for no class at all.

    They start as draws of N(0, I): vectors that start at zero are learned so slowly that few samples follow them.
    Without ``num_classes`` the net is unconditional, and what is embedded is zero.
    """

    def __init__(self, num_classes: int | None, width: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.vectors = None if num_classes is None else nn.Embedding(num_classes + 1, width)

    def forward(self, labels: Tensor | None, like: Tensor) -> Tensor:
        """[n, width], or zero; ``labels`` [n] or None, which is no class for every row of ``like`` [n, ...]."""
        if self.vectors is None:
            return like.new_zeros(())
        if labels is None:
            labels = torch.full((len(like),), self.vectors.num_embeddings - 1, device=like.device)
        return self.vectors(labels)
