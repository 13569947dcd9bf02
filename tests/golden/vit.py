"""ViT, ported from Keras by torchport 0.1.0."""
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
    """(n, h * w, 64) -> (n, h * w, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(64, eps=1e-6)
        self.multi_head_attention = MultiHeadAttention(64, 4, 16, 0.1)
        self.norm2 = nn.LayerNorm(64, eps=1e-6)
        self.fc1 = nn.Linear(64, 128)
        self.dropout1 = nn.Dropout(0.1)
        self.fc2 = nn.Linear(128, 64)
        self.dropout2 = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm1(x)
        shortcut = self.multi_head_attention(out, out) + x
        x = self.norm2(shortcut)
        x = self.dropout1(F.gelu(self.fc1(x)))
        return self.dropout2(self.fc2(x)) + shortcut


class ViT(nn.Module):
    """(n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, stride=8)
        self.positions = nn.Buffer(torch.zeros(16, 64))
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(6)))
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(1024, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(self.patches(x), 2).permute(0, 2, 1) + self.positions
        x = self.dropout(torch.flatten(self.norm(self.blocks(x)), 1))
        return self.fc(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> ViT:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
