"""ResNet50, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class Bottleneck(nn.Module):
    """(n, in_channels, h, w) -> (n, 4 * hidden_channels, h / stride, w / stride)."""

    def __init__(self, in_channels: int, hidden_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_channels, 1, stride=stride)
        self.bn1 = nn.BatchNorm2d(hidden_channels, eps=1.001e-5, momentum=0.01)
        self.conv2 = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(hidden_channels, eps=1.001e-5, momentum=0.01)
        self.conv3 = nn.Conv2d(hidden_channels, 4 * hidden_channels, 1)
        self.bn3 = nn.BatchNorm2d(4 * hidden_channels, eps=1.001e-5, momentum=0.01)
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(in_channels, 4 * hidden_channels, 1, stride=stride),
                nn.BatchNorm2d(4 * hidden_channels, eps=1.001e-5, momentum=0.01),
            )
            if in_channels != 4 * hidden_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(self.shortcut(x) + out)


class ResNet50(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv1_bn = nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)
        self.conv2 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(2)))
        self.conv3 = nn.Sequential(
            Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3))
        )
        self.conv4 = nn.Sequential(
            Bottleneck(512, 256, stride=2), *(Bottleneck(1024, 256) for _ in range(5))
        )
        self.conv5 = nn.Sequential(
            Bottleneck(1024, 512, stride=2), *(Bottleneck(2048, 512) for _ in range(2))
        )
        self.predictions = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1_bn(self.conv1_conv(x)))
        x = self.conv2(F.max_pool2d(x, 3, stride=2, padding=1))
        x = self.conv3(x)
        x = self.conv4(x)
        x = self.conv5(x).mean(dim=(2, 3))
        return F.softmax(self.predictions(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> ResNet50:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
