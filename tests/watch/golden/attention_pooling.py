"""AttentionPooling, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class AttentionPooling2(nn.Module):
    """(n, 20, 16), x_mask (n, 20) bool -> (n, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(16, 8)
        self.context = nn.Linear(8, 1, bias=False)

    def forward(self, x: Tensor, x_mask: Tensor) -> Tensor:
        out = torch.tanh(self.score(x))
        out = self.context(out).squeeze(2)
        out = out + (1 - x_mask.to(torch.get_default_dtype())) * -1e9
        return (x * F.softmax(out, dim=1)[:, :, None]).sum(dim=1)


class AttentionPooling(nn.Module):
    """words (n, 20) int -> (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.pooling = AttentionPooling2()
        self.head = nn.Linear(16, 2)

    def forward(self, words: Tensor) -> Tensor:
        x = self.pooling(self.embedding(words), words != 0)
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> AttentionPooling:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
