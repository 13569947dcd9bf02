"""EDSR, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ResidualBlock(nn.Module):
    """(n, 32, h, w) -> (n, 32, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv1(x))
        return x + self.conv2(out) * 0.1


class EDSR(nn.Module):
    """(n, 3, 24, 24) -> (n, 3, 48, 48)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock() for _ in range(4)))
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 128, 3, padding=1)
        self.conv4 = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.conv1(x / 255)
        x = self.blocks(shortcut)
        x = shortcut + self.conv2(x)
        x = F.pixel_shuffle(self.conv3(x), 2)
        return (self.conv4(x) * 255).clamp(0, 255)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> EDSR:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
