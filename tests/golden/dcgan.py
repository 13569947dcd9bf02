"""Generator, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class Generator(nn.Module):
    """(n, 100) -> (n, 1, 28, 28)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(100, 3136, bias=False)
        self.bn1 = nn.BatchNorm1d(3136, eps=1e-3, momentum=0.01)
        self.up1 = nn.ConvTranspose2d(64, 32, 5, padding=2, bias=False)
        self.bn2 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.up2 = nn.ConvTranspose2d(32, 16, 5, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(16, eps=1e-3, momentum=0.01)
        self.up3 = nn.ConvTranspose2d(16, 1, 5, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.bn1(self.fc(x)), 0.3)
        x = x.unflatten(1, (64, 7, 7))
        x = F.leaky_relu(self.bn2(self.up1(x)), 0.3)
        x = self.bn3(self.up2(x)[:, :, :-1, :-1])
        return torch.tanh(self.up3(F.leaky_relu(x, 0.3))[:, :, :-1, :-1])

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Generator:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
