"""AttentionUNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class DoubleConv(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h, w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class Up(nn.Module):
    """(n, in_channels, h, w), (n, c, 2 * h, 2 * w) -> (n, c, 2 * h, 2 * w)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, 2, stride=2)
        self.conv1 = nn.Conv2d(in_channels, in_channels // 2, 1)
        self.conv2 = nn.Conv2d(in_channels // 2, in_channels // 2, 2, stride=2)
        self.conv3 = nn.Conv2d(in_channels // 2, 1, 1)
        self.double_conv = DoubleConv(in_channels, in_channels // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out = self.conv1(x)
        out = F.relu(self.conv2(skip) + out)
        out = skip * F.interpolate(torch.sigmoid(self.conv3(out)), scale_factor=2.0)
        return self.double_conv(torch.cat([self.up(x), out], dim=1))


class AttentionUNet(nn.Module):
    """(n, 3, 64, 64) -> (n, 1, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.double_conv1 = DoubleConv(3, 16)
        self.double_conv2 = DoubleConv(16, 32)
        self.double_conv3 = DoubleConv(32, 64)
        self.double_conv4 = DoubleConv(64, 128)
        self.up1 = Up(128)
        self.up2 = Up(64)
        self.up3 = Up(32)
        self.mask = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.double_conv1(x)
        skip2 = self.double_conv2(F.max_pool2d(skip1, 2))
        skip3 = self.double_conv3(F.max_pool2d(skip2, 2))
        x = self.up1(self.double_conv4(F.max_pool2d(skip3, 2)), skip3)
        x = self.up3(self.up2(x, skip2), skip1)
        return torch.sigmoid(self.mask(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> AttentionUNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
