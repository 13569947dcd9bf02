"""Xception, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class DoubleSeparableConv(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h, w)."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.sepconv1_depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.sepconv1_pointwise = nn.Conv2d(in_channels, hidden_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden_channels, eps=1e-3, momentum=0.01)
        self.sepconv2_depthwise = nn.Conv2d(
            hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels, bias=False
        )
        self.sepconv2_pointwise = nn.Conv2d(hidden_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.sepconv1_pointwise(self.sepconv1_depthwise(x))))
        return self.bn2(self.sepconv2_pointwise(self.sepconv2_depthwise(x)))


class SeparableResidual(nn.Module):
    """(n, 728, h, w) -> (n, 728, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.sepconv1_depthwise = nn.Conv2d(728, 728, 3, padding=1, groups=728, bias=False)
        self.sepconv1_pointwise = nn.Conv2d(728, 728, 1, bias=False)
        self.sepconv1_bn = nn.BatchNorm2d(728, eps=1e-3, momentum=0.01)
        self.sepconv = DoubleSeparableConv(728, 728, 728)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(x)
        out = F.relu(self.sepconv1_bn(self.sepconv1_pointwise(self.sepconv1_depthwise(out))))
        return self.sepconv(out) + x


class Xception(nn.Module):
    """(n, 3, 299, 299) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.block1_conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.block1_conv1_bn = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.block1_conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.block1_conv2_bn = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
        self.block2 = DoubleSeparableConv(64, 128, 128)
        self.conv1 = nn.Conv2d(64, 128, 1, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(128, eps=1e-3, momentum=0.01)
        self.block3 = DoubleSeparableConv(128, 256, 256)
        self.conv2 = nn.Conv2d(128, 256, 1, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(256, eps=1e-3, momentum=0.01)
        self.block4 = DoubleSeparableConv(256, 728, 728)
        self.conv3 = nn.Conv2d(256, 728, 1, stride=2, bias=False)
        self.bn3 = nn.BatchNorm2d(728, eps=1e-3, momentum=0.01)
        self.blocks = nn.Sequential(*(SeparableResidual() for _ in range(8)))
        self.block13 = DoubleSeparableConv(728, 728, 1024)
        self.conv4 = nn.Conv2d(728, 1024, 1, stride=2, bias=False)
        self.bn4 = nn.BatchNorm2d(1024, eps=1e-3, momentum=0.01)
        self.block14 = DoubleSeparableConv(1024, 1536, 2048)
        self.predictions = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.block1_conv1_bn(self.block1_conv1(x)))
        block1_conv2 = F.relu(self.block1_conv2_bn(self.block1_conv2(x)))
        x = self.bn1(self.conv1(block1_conv2))
        block2 = F.max_pool2d(self.block2(block1_conv2), 3, stride=2, padding=1) + x
        x = F.relu(block2)
        x = F.max_pool2d(self.block3(x), 3, stride=2, ceil_mode=True)
        block3 = x + self.bn2(self.conv2(block2))
        x = F.relu(block3)
        x = F.max_pool2d(self.block4(x), 3, stride=2, padding=1)
        x = x + self.bn3(self.conv3(block3))
        blocks = self.blocks(x)
        x = F.relu(blocks)
        x = F.max_pool2d(self.block13(x), 3, stride=2, padding=1)
        x = x + self.bn4(self.conv4(blocks))
        x = F.relu(self.block14(x)).mean(dim=(2, 3))
        return F.softmax(self.predictions(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Xception:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
