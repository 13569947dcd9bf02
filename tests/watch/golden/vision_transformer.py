"""VisionTransformer, ported from Keras by torchport 0.1.0."""
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


class PatchEncoder(nn.Module):
    """images (n, 3, 32, 32) -> (n, 17, 24)."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, 24, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, 24))
        self.places = nn.Parameter(torch.zeros(1, 17, 24))

    def forward(self, images: Tensor) -> Tensor:
        x = torch.flatten(self.projection(images), 2).permute(0, 2, 1)
        x = torch.cat([self.token.repeat(images.size(0), 1, 1), x], dim=1)
        return x + self.places


class StochasticDepth2(nn.Module):
    """(n, 17, 24) -> (n, 17, 24)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            out = torch.floor(0.9 + x.new_empty((x.size(0), 1, 1)).uniform_())
            x = x / 0.9 * out
        return x


class TransformerBlock(nn.Module):
    """(n, 17, 24) -> (n, 17, 24)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(24, eps=1e-6)
        self.attention = MultiHeadAttention(24, 3, 8)
        self.drop = StochasticDepth2()
        self.norm2 = nn.LayerNorm(24, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm1(x)
        out = self.drop(self.attention(out, out))
        x_2 = x + out
        x = self.mlp(self.norm2(x_2))
        return x_2 + self.drop(x)


class VisionTransformer(nn.Module):
    """image (n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = PatchEncoder()
        self.block1 = TransformerBlock()
        self.block2 = TransformerBlock()
        self.norm = nn.LayerNorm(24, eps=1e-3)
        self.head = nn.Linear(24, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.block1(self.patches(image))
        x = self.norm(self.block2(x))[:, 0]
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> VisionTransformer:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
