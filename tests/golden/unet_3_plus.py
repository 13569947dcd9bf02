"""UNet3Plus, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ConvBNReLU(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h, w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class UNet3Plus(nn.Module):
    """(n, 1, 96, 96) -> (n, 1, 96, 96)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks1 = nn.Sequential(ConvBNReLU(1, 16), ConvBNReLU(16, 16))
        self.blocks2 = nn.Sequential(ConvBNReLU(16, 32), ConvBNReLU(32, 32))
        self.blocks3 = nn.Sequential(ConvBNReLU(32, 64), ConvBNReLU(64, 64))
        self.blocks4 = nn.Sequential(ConvBNReLU(64, 128), ConvBNReLU(128, 128))
        self.conv1 = ConvBNReLU(16, 16)
        self.conv2 = ConvBNReLU(32, 16)
        self.conv3 = ConvBNReLU(64, 16)
        self.conv4 = ConvBNReLU(128, 16)
        self.conv5 = ConvBNReLU(64, 64)
        self.conv6 = ConvBNReLU(16, 16)
        self.conv7 = ConvBNReLU(32, 16)
        self.conv8 = ConvBNReLU(64, 16)
        self.conv9 = ConvBNReLU(128, 16)
        self.conv10 = ConvBNReLU(64, 64)
        self.conv11 = ConvBNReLU(16, 16)
        self.conv12 = ConvBNReLU(64, 16)
        self.conv13 = ConvBNReLU(64, 16)
        self.conv14 = ConvBNReLU(128, 16)
        self.conv15 = ConvBNReLU(64, 64)
        self.mask = nn.Conv2d(64, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        blocks1 = self.blocks1(x)
        blocks2 = self.blocks2(F.max_pool2d(blocks1, 2))
        blocks3 = self.blocks3(F.max_pool2d(blocks2, 2))
        blocks4 = self.blocks4(F.max_pool2d(blocks3, 2))
        branch1 = self.conv1(F.max_pool2d(blocks1, 4))
        branch2 = self.conv2(F.max_pool2d(blocks2, 2))
        branch3 = self.conv3(blocks3)
        branch4 = self.conv4(F.interpolate(blocks4, scale_factor=2.0, mode="bilinear"))
        conv5 = self.conv5(torch.cat([branch1, branch2, branch3, branch4], dim=1))
        branch1 = self.conv6(F.max_pool2d(blocks1, 2))
        branch2 = self.conv7(blocks2)
        branch3 = self.conv8(F.interpolate(conv5, scale_factor=2.0, mode="bilinear"))
        branch4 = self.conv9(F.interpolate(blocks4, scale_factor=4.0, mode="bilinear"))
        x = self.conv10(torch.cat([branch1, branch2, branch3, branch4], dim=1))
        branch1 = self.conv12(F.interpolate(x, scale_factor=2.0, mode="bilinear"))
        branch2 = self.conv13(F.interpolate(conv5, scale_factor=4.0, mode="bilinear"))
        branch3 = self.conv14(F.interpolate(blocks4, scale_factor=8.0, mode="bilinear"))
        x = torch.cat([self.conv11(blocks1), branch1, branch2, branch3], dim=1)
        x = self.conv15(x)
        return torch.sigmoid(self.mask(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> UNet3Plus:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
