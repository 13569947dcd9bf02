"""MobileNetV2_1_00_224, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class InvertedResidual(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)."""

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.pad = stride != 1
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = (
            nn.Sequential(
                nn.Conv2d(in_channels, 6 * in_channels, 1, bias=False),
                nn.BatchNorm2d(6 * in_channels, eps=1e-3, momentum=1e-3),
                nn.ReLU6(),
            )
            if in_channels != hidden_channels
            else nn.Identity()
        )
        self.depthwise = nn.Conv2d(
            hidden_channels,
            hidden_channels,
            3,
            stride=stride,
            padding=1 if stride == 1 else 0,
            groups=hidden_channels,
            bias=False,
        )
        self.depthwise_bn = nn.BatchNorm2d(hidden_channels, eps=1e-3, momentum=1e-3)
        self.project = nn.Conv2d(hidden_channels, out_channels, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(x)
        out = F.pad(out, (0, 1, 0, 1)) if self.pad else out
        out = F.relu6(self.depthwise_bn(self.depthwise(out)))
        out = self.project_bn(self.project(out))
        return x + out if self.residual else out


class MobileNetV2_1_00_224(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn_conv1 = nn.BatchNorm2d(32, eps=1e-3, momentum=1e-3)
        self.expanded_conv = InvertedResidual(32, 32, 16)
        self.block = nn.Sequential(
            InvertedResidual(16, 96, 24, stride=2),
            InvertedResidual(24, 144, 24),
            InvertedResidual(24, 144, 32, stride=2),
            *(InvertedResidual(32, 192, 32) for _ in range(2)),
            InvertedResidual(32, 192, 64, stride=2),
            *(InvertedResidual(64, 384, 64) for _ in range(3)),
            InvertedResidual(64, 384, 96),
            *(InvertedResidual(96, 576, 96) for _ in range(2)),
            InvertedResidual(96, 576, 160, stride=2),
            *(InvertedResidual(160, 960, 160) for _ in range(2)),
            InvertedResidual(160, 960, 320),
        )
        self.conv_1 = nn.Conv2d(320, 1280, 1, bias=False)
        self.conv_1_bn = nn.BatchNorm2d(1280, eps=1e-3, momentum=1e-3)
        self.predictions = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.bn_conv1(self.conv1(F.pad(x, (0, 1, 0, 1)))))
        x = self.expanded_conv(x)
        x = self.block(x)
        x = F.relu6(self.conv_1_bn(self.conv_1(x))).mean(dim=(2, 3))
        return F.softmax(self.predictions(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> MobileNetV2_1_00_224:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
