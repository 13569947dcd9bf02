"""BERT, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class MultiHeadAttention(nn.Module):
    """Attention of several heads: query (n, t, c), value (n, s, c) -> (n, t, c)."""

    def __init__(self, features: int, num_heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.q, self.k, self.v = (nn.Linear(features, num_heads * head_dim) for _ in range(3))
        self.out = nn.Linear(num_heads * head_dim, features)

    def forward(self, query: Tensor, value: Tensor, is_causal: bool = False) -> Tensor:
        projected = (self.q(query), self.k(value), self.v(value))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        p = self.dropout.p if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=is_causal)
        return self.out(x.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """(n, t, 64) -> (n, t, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(64, 4, 16, 0.1)
        self.dropout1 = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.ff_fc1 = nn.Linear(64, 256)
        self.ff_fc2 = nn.Linear(256, 64)
        self.dropout2 = nn.Dropout(0.1)
        self.ff_out = nn.LayerNorm(64, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm(x + self.dropout1(self.attention(x, x)))
        x = F.gelu(self.ff_fc1(norm))
        return self.ff_out(norm + self.dropout2(self.ff_fc2(x)))


class BERT(nn.Module):
    """words (n, 16) int -> layer11_ff_out (n, 16, 64), pooler (n, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(64, 64)
        self.tokens = nn.Embedding(101, 64)
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.dropout = nn.Dropout(0.1)
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(12)))
        self.pooler = nn.Linear(64, 64)

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.arange(words.size(1), device=words.device).expand_as(words)
        x = self.positions(x)
        x = self.dropout(self.norm(self.tokens(words) + x))
        x = self.blocks(x)
        return x, torch.tanh(self.pooler(x[:, 0]))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> BERT:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
