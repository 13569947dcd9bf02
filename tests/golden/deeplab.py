"""DeepLabV3Plus, ported from Keras by torchport 0.1.0."""
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

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding="same", dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class DeepLabV3Plus(nn.Module):
    """(n, 3, 64, 64) -> (n, 20, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBNReLU(3, 16)
        self.conv2 = ConvBNReLU(16, 32)
        self.conv3 = ConvBNReLU(32, 64)
        self.conv4 = ConvBNReLU(64, 128)
        self.conv5 = ConvBNReLU(128, 64, 1)
        self.conv6 = ConvBNReLU(128, 64, 1)
        self.conv7 = ConvBNReLU(128, 64, dilation=2)
        self.conv8 = ConvBNReLU(128, 64, dilation=4)
        self.conv9 = ConvBNReLU(128, 64, dilation=6)
        self.conv10 = ConvBNReLU(320, 64, 1)
        self.conv11 = ConvBNReLU(32, 48, 1)
        self.blocks = nn.Sequential(ConvBNReLU(112, 64), ConvBNReLU(64, 64))
        self.conv12 = nn.Conv2d(64, 20, 1)

    def forward(self, x: Tensor) -> Tensor:
        conv2 = self.conv2(F.max_pool2d(self.conv1(x / 255), 2))
        x = F.max_pool2d(self.conv3(F.max_pool2d(conv2, 2)), 2)
        conv4 = self.conv4(x)
        x = F.avg_pool2d(conv4, 8)
        branch1 = F.interpolate(self.conv5(x), scale_factor=8.0, mode="bilinear")
        branch2 = self.conv6(conv4)
        branch3 = self.conv7(conv4)
        branch4 = self.conv8(conv4)
        x = torch.cat([branch1, branch2, branch3, branch4, self.conv9(conv4)], dim=1)
        x = F.interpolate(self.conv10(x), scale_factor=4.0, mode="bilinear")
        x = torch.cat([x, self.conv11(conv2)], dim=1)
        x = F.interpolate(self.blocks(x), scale_factor=2.0, mode="bilinear")
        return self.conv12(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> DeepLabV3Plus:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
