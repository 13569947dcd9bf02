"""GatedResidual, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class GatedLinearUnit(nn.Module):
    """(n, 16) -> (n, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.sigmoid = nn.Linear(16, 16)
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.sigmoid(self.sigmoid(x))
        return self.linear(x) * out


class GatedResidual2(nn.Module):
    """inputs (n, 13) -> (n, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.elu = nn.Linear(13, 16)
        self.linear = nn.Linear(16, 16)
        self.dropout = nn.Dropout(0.1)
        self.gate = GatedLinearUnit()
        self.project = nn.Linear(13, 16)
        self.norm = nn.LayerNorm(16, eps=1e-3)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.elu(self.elu(inputs))
        x = self.dropout(self.linear(x))
        x = self.gate(x)
        return self.norm(self.project(inputs) + x)


class GatedResidual3(nn.Module):
    """inputs (n, 16) -> (n, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.elu = nn.Linear(16, 16)
        self.linear = nn.Linear(16, 16)
        self.dropout = nn.Dropout(0.1)
        self.gate = GatedLinearUnit()
        self.norm = nn.LayerNorm(16, eps=1e-3)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.elu(self.elu(inputs))
        x = self.dropout(self.linear(x))
        return self.norm(inputs + self.gate(x))


class GatedResidual(nn.Module):
    """features (n, 13) -> (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = GatedResidual2()
        self.mixer = GatedResidual3()
        self.head = nn.Linear(16, 3)

    def forward(self, features: Tensor) -> Tensor:
        x = self.mixer(self.encoder(features))
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> GatedResidual:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
