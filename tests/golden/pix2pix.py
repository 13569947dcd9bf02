"""Generator, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ConvBNLeakyReLU(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h / 2, w / 2)."""

    def __init__(self, in_channels: int, out_channels: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.3)


class Generator(nn.Module):
    """(n, 3, 64, 64) -> (n, 3, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBNLeakyReLU(3, 16, norm=False)
        self.conv2 = ConvBNLeakyReLU(16, 32)
        self.conv3 = ConvBNLeakyReLU(32, 64)
        self.conv4 = ConvBNLeakyReLU(64, 64)
        self.decoder1 = nn.Sequential(
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64, eps=1e-3, momentum=0.01),
            nn.Dropout(0.5),
            nn.ReLU(),
        )
        self.decoder2 = nn.Sequential(
            nn.ConvTranspose2d(128, 32, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32, eps=1e-3, momentum=0.01),
            nn.ReLU(),
        )
        self.decoder3 = nn.Sequential(
            nn.ConvTranspose2d(64, 16, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16, eps=1e-3, momentum=0.01),
            nn.ReLU(),
        )
        self.up = nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.conv1(x)
        skip2 = self.conv2(skip1)
        skip3 = self.conv3(skip2)
        x = self.conv4(skip3)
        x = torch.cat([self.decoder1(x), skip3], dim=1)
        x = torch.cat([self.decoder2(x), skip2], dim=1)
        x = torch.cat([self.decoder3(x), skip1], dim=1)
        return torch.tanh(self.up(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Generator:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
