"""BERT, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ZeroMaskedMultiHeadAttention(nn.Module):
    """Attention of several heads where a mask (n, t, s) is True: (n, t, c), (n, s, c) -> (n, t, c).

    A query that may attend to nothing gets nothing.
    """

    def __init__(self, features: int, num_heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.q, self.k, self.v = (nn.Linear(features, num_heads * head_dim) for _ in range(3))
        self.out = nn.Linear(num_heads * head_dim, features)

    def forward(self, query: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        projected = (self.q(query), self.k(value), self.v(value))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        mask = mask[:, None] if mask.dim() == 3 else mask
        scores = q @ k.transpose(2, 3) / math.sqrt(q.size(3))
        scores = scores.masked_fill(~mask, -math.inf).nan_to_num(nan=math.nan)  # the least number
        weights = F.softmax(scores, dim=-1) * mask
        x = self.dropout(weights) @ v
        return self.out(x.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """(n, t, 64), (n, 1, 24) bool -> (n, t, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = ZeroMaskedMultiHeadAttention(64, 4, 16, 0.1)
        self.dropout1 = nn.Dropout(0.1)
        self.attention_norm = nn.LayerNorm(64, eps=1e-12)
        self.intermediate = nn.Linear(64, 128)
        self.output = nn.Linear(128, 64)
        self.dropout2 = nn.Dropout(0.1)
        self.output_norm = nn.LayerNorm(64, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        attention = self.attention_norm(x + self.dropout1(self.attention(x, x, mask)))
        x = F.gelu(self.intermediate(attention))
        return self.output_norm(attention + self.dropout2(self.output(x)))


class BERT(nn.Module):
    """input_ids (n, 24) int, attention_mask (n, 24) int
    -> layer2_output_norm (n, 24, 64), pooler (n, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(24, 64)
        self.word_embeddings = nn.Embedding(1000, 64)
        self.embeddings_norm = nn.LayerNorm(64, eps=1e-12)
        self.dropout = nn.Dropout(0.1)
        self.blocks = nn.ModuleList(TransformerBlock() for _ in range(3))
        self.pooler = nn.Linear(64, 64)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.arange(input_ids.size(1), device=input_ids.device).expand_as(input_ids)
        x = self.position_embeddings(x)
        word_embeddings = self.dropout(self.embeddings_norm(self.word_embeddings(input_ids) + x))
        mask = attention_mask.unsqueeze(1).bool()
        x = word_embeddings
        for block in self.blocks:
            x = block(x, mask)
        return x, torch.tanh(self.pooler(x[:, 0]))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> BERT:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
