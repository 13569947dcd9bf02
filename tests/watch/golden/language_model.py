"""LanguageModel, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class CausalBlock(nn.Module):
    """(n, t, 16) -> (n, t, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        q, q_1, q_2 = self.qkv(x).reshape(-1, 12, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        out = q @ q_1.transpose(2, 3) / 2.8284271247461903
        out = out - 1e9 * (1 - torch.tril(x.new_ones((12, 12))))
        out = (F.softmax(out, dim=3) @ q_2).transpose(1, 2).reshape(-1, 12, 16)
        return x + self.out(out)


class LanguageModel(nn.Module):
    """words (n, 12) int -> (n, 12, 50)."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Embedding(12, 16)
        self.tokens = nn.Embedding(50, 16)
        self.blocks = nn.Sequential(*(CausalBlock() for _ in range(2)))
        self.norm = nn.LayerNorm(16, eps=1e-3)

    def forward(self, words: Tensor) -> Tensor:
        x = torch.arange(12, dtype=torch.int32, device=words.device)
        x = self.places(x)
        x = self.tokens(words) + x
        return self.norm(self.blocks(x)) @ self.tokens.weight.T

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> LanguageModel:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
