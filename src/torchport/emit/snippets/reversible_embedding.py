from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReversibleEmbedding(nn.Embedding):
    """An embedding that can also score each of its entries for given features.

    Untied, the way back has weights of its own; `soft_cap` bounds the scores.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        tied: bool = True,
        soft_cap: float | None = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim)
        zeros = torch.zeros(num_embeddings, embedding_dim)
        self.reverse_weight = None if tied else nn.Parameter(zeros)
        self.soft_cap = soft_cap

    def reverse(self, x: Tensor) -> Tensor:
        """(..., embedding_dim) -> (..., num_embeddings)."""
        x = F.linear(x, self.weight if self.reverse_weight is None else self.reverse_weight)
        return x if self.soft_cap is None else self.soft_cap * torch.tanh(x / self.soft_cap)
