"""DenseNet121, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class DenseLayer(nn.Module):
    """(n, in_channels, h, w) -> (n, in_channels + 32, h, w)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(in_channels, eps=1.001e-5, momentum=0.01)
        self.conv1 = nn.Conv2d(in_channels, 128, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(128, eps=1.001e-5, momentum=0.01)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn0(x))
        out = F.relu(self.bn1(self.conv1(out)))
        return torch.cat([x, self.conv2(out)], dim=1)


class DenseNet121(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.conv1_bn = nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)
        self.conv2 = nn.Sequential(*(DenseLayer(channels) for channels in range(64, 256, 32)))
        self.pool2_bn = nn.BatchNorm2d(256, eps=1.001e-5, momentum=0.01)
        self.pool2_conv = nn.Conv2d(256, 128, 1, bias=False)
        self.conv3 = nn.Sequential(*(DenseLayer(channels) for channels in range(128, 512, 32)))
        self.pool3_bn = nn.BatchNorm2d(512, eps=1.001e-5, momentum=0.01)
        self.pool3_conv = nn.Conv2d(512, 256, 1, bias=False)
        self.conv4 = nn.Sequential(*(DenseLayer(channels) for channels in range(256, 1024, 32)))
        self.pool4_bn = nn.BatchNorm2d(1024, eps=1.001e-5, momentum=0.01)
        self.pool4_conv = nn.Conv2d(1024, 512, 1, bias=False)
        self.conv5 = nn.Sequential(*(DenseLayer(channels) for channels in range(512, 1024, 32)))
        self.bn = nn.BatchNorm2d(1024, eps=1.001e-5, momentum=0.01)
        self.predictions = nn.Linear(1024, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1_bn(self.conv1_conv(x)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = F.relu(self.pool2_bn(self.conv2(x)))
        x = F.avg_pool2d(self.pool2_conv(x), 2)
        x = F.relu(self.pool3_bn(self.conv3(x)))
        x = F.avg_pool2d(self.pool3_conv(x), 2)
        x = F.relu(self.pool4_bn(self.conv4(x)))
        x = F.avg_pool2d(self.pool4_conv(x), 2)
        x = F.relu(self.bn(self.conv5(x))).mean(dim=(2, 3))
        return F.softmax(self.predictions(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> DenseNet121:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
