"""TextClassifier, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class TextClassifier(nn.Module):
    """words (n, 40) int -> (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 50)
        self.convs = nn.ModuleList(nn.Conv1d(50, 64, size) for size in (3, 4, 5))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(192, 2)

    def forward(self, words: Tensor) -> Tensor:
        x = self.embedding(words).permute(0, 2, 1)
        x = torch.cat([F.relu(branch(x)).amax(dim=2) for branch in self.convs], dim=1)
        return F.softmax(self.head(self.dropout(x)), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> TextClassifier:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
