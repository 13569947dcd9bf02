"""ResidualTower, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ResidualBlock(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.pad = stride != 1
        self.bn1 = nn.BatchNorm2d(in_channels, eps=1e-3, momentum=0.01)
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, 3, stride=stride, padding=1 if stride == 1 else 0
        )
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 1, stride=stride)
            if in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        out = F.pad(out, (0, 1, 0, 1)) if self.pad else out
        out = F.relu(self.bn2(self.conv1(out)))
        out = self.conv2(out)
        return self.shortcut(x) + out


class ResidualTower(nn.Module):
    """(n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(16, 16) for _ in range(3)),
            ResidualBlock(16, 32, stride=2),
            *(ResidualBlock(32, 32) for _ in range(2)),
            ResidualBlock(32, 64, stride=2),
            *(ResidualBlock(64, 64) for _ in range(2)),
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.blocks(x).mean(dim=(2, 3))
        return F.softmax(self.fc(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> ResidualTower:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
