"""UNetPlusPlus, ported from Keras by torchport 0.1.0."""
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
        self.dropout = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.conv1(x)))
        return F.relu(self.conv2(x))


class UNetPlusPlus(nn.Module):
    """(n, 3, 64, 64) -> (n, 1, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.double_conv1 = DoubleConv(3, 16)
        self.double_conv2 = DoubleConv(16, 32)
        self.double_conv3 = DoubleConv(32, 64)
        self.double_conv4 = DoubleConv(64, 128)
        self.up1 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.double_conv5 = DoubleConv(128, 64)
        self.up2 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.up3 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.double_conv6 = DoubleConv(64, 32)
        self.double_conv7 = DoubleConv(96, 32)
        self.up4 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.up5 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.double_conv8 = DoubleConv(32, 16)
        self.up6 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.double_conv9 = DoubleConv(48, 16)
        self.double_conv10 = DoubleConv(64, 16)
        self.conv = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.double_conv1(x)
        skip2 = self.double_conv2(F.max_pool2d(skip1, 2))
        skip3 = self.double_conv3(F.max_pool2d(skip2, 2))
        x = self.double_conv4(F.max_pool2d(skip3, 2))
        double_conv5 = self.double_conv5(torch.cat([self.up1(x), skip3], dim=1))
        branch1 = self.double_conv6(torch.cat([self.up3(skip3), skip2], dim=1))
        x = torch.cat([self.up2(double_conv5), skip2, branch1], dim=1)
        x = self.double_conv7(x)
        branch2 = self.up4(x)
        branch3 = self.double_conv8(torch.cat([self.up5(skip2), skip1], dim=1))
        x = torch.cat([self.up6(branch1), skip1, branch3], dim=1)
        x = torch.cat([branch2, skip1, branch3, self.double_conv9(x)], dim=1)
        x = self.double_conv10(x)
        return torch.sigmoid(self.conv(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> UNetPlusPlus:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
