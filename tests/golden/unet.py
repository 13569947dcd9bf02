"""UNet, ported from Keras by torchport 0.1.0."""
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
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class UNet(nn.Module):
    """(n, 3, 256, 256) -> (n, 1, 256, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.double_conv1 = DoubleConv(3, 64)
        self.double_conv2 = DoubleConv(64, 128)
        self.double_conv3 = DoubleConv(128, 256)
        self.double_conv4 = DoubleConv(256, 512)
        self.double_conv5 = DoubleConv(512, 1024)
        self.up1 = nn.ConvTranspose2d(1024, 512, 2, stride=2)
        self.double_conv6 = DoubleConv(1024, 512)
        self.up2 = nn.ConvTranspose2d(512, 256, 2, stride=2)
        self.double_conv7 = DoubleConv(512, 256)
        self.up3 = nn.ConvTranspose2d(256, 128, 2, stride=2)
        self.double_conv8 = DoubleConv(256, 128)
        self.up4 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.double_conv9 = DoubleConv(128, 64)
        self.conv = nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.double_conv1(x)
        skip2 = self.double_conv2(F.max_pool2d(skip1, 2))
        skip3 = self.double_conv3(F.max_pool2d(skip2, 2))
        skip4 = self.double_conv4(F.max_pool2d(skip3, 2))
        x = self.double_conv5(F.max_pool2d(skip4, 2))
        x = self.double_conv6(torch.cat([skip4, self.up1(x)], dim=1))
        x = self.double_conv7(torch.cat([skip3, self.up2(x)], dim=1))
        x = self.double_conv8(torch.cat([skip2, self.up3(x)], dim=1))
        x = self.double_conv9(torch.cat([skip1, self.up4(x)], dim=1))
        return torch.sigmoid(self.conv(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> UNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
