"""Translator, ported from Keras by torchport 0.1.0."""
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


class FeedForward(nn.Module):
    """(n, t, 64) -> (n, t, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 256)
        self.fc2 = nn.Linear(256, 64)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.gelu(self.fc1(x))
        return x + self.dropout(self.fc2(out))


class TransformerBlock(nn.Module):
    """(n, t, 64) -> (n, t, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(64, 4, 16, 0.1)
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.ff = FeedForward()
        self.ff_out = nn.LayerNorm(64, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x + self.dropout(self.attention(x, x)))
        return self.ff_out(self.ff(x))


class DecoderBlock(nn.Module):
    """(n, t, 64), (n, t', 64) -> (n, t, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(64, 4, 16, 0.1)
        self.dropout1 = nn.Dropout(0.1)
        self.self_norm = nn.LayerNorm(64, eps=1e-6)
        self.cross_attention = MultiHeadAttention(64, 4, 16, 0.1)
        self.dropout2 = nn.Dropout(0.1)
        self.cross_norm = nn.LayerNorm(64, eps=1e-6)
        self.ff = FeedForward()
        self.ff_out = nn.LayerNorm(64, eps=1e-6)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        x = self.self_norm(x + self.dropout1(self.self_attention(x, x, is_causal=True)))
        x = self.cross_norm(x + self.dropout2(self.cross_attention(x, other)))
        return self.ff_out(self.ff(x))


class Translator(nn.Module):
    """source (n, 16) int, target (n, 12) int -> (n, 12, 101)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_positions = nn.Embedding(64, 64)
        self.encoder_tokens = nn.Embedding(101, 64)
        self.encoder = nn.Sequential(*(TransformerBlock() for _ in range(6)))
        self.decoder_positions = nn.Embedding(64, 64)
        self.decoder_tokens = nn.Embedding(101, 64)
        self.decoder = nn.ModuleList(DecoderBlock() for _ in range(6))
        self.head = nn.Linear(64, 101)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x = torch.arange(source.size(1), device=source.device).expand_as(source)
        x = self.encoder_positions(x)
        x = self.encoder_tokens(source) + x
        encoder = self.encoder(x)
        x = torch.arange(target.size(1), device=target.device).expand_as(target)
        x = self.decoder_positions(x)
        x = self.decoder_tokens(target) + x
        for block in self.decoder:
            x = block(x, encoder)
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Translator:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
