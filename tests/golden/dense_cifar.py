"""DenseNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class DenseLayer(nn.Module):
    """(n, in_channels, h, w) -> (n, in_channels + 12, h, w)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels, eps=1e-3, momentum=0.01)
        self.conv = nn.Conv2d(in_channels, 12, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn(x))
        return torch.cat([x, self.dropout(self.conv(out))], dim=1)


class DenseNet(nn.Module):
    """(n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.blocks1 = nn.Sequential(*(DenseLayer(channels) for channels in range(16, 88, 12)))
        self.bn1 = nn.BatchNorm2d(88, eps=1e-3, momentum=0.01)
        self.conv1 = nn.Conv2d(88, 88, 1, bias=False)
        self.dropout1 = nn.Dropout(0.2)
        self.blocks2 = nn.Sequential(*(DenseLayer(channels) for channels in range(88, 160, 12)))
        self.bn2 = nn.BatchNorm2d(160, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(160, 160, 1, bias=False)
        self.dropout2 = nn.Dropout(0.2)
        self.blocks3 = nn.Sequential(*(DenseLayer(channels) for channels in range(160, 232, 12)))
        self.bn3 = nn.BatchNorm2d(232, eps=1e-3, momentum=0.01)
        self.fc = nn.Linear(232, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = F.relu(self.bn1(self.blocks1(x)))
        x = F.avg_pool2d(self.dropout1(self.conv1(x)), 2)
        x = F.relu(self.bn2(self.blocks2(x)))
        x = F.avg_pool2d(self.dropout2(self.conv2(x)), 2)
        x = F.relu(self.bn3(self.blocks3(x))).mean(dim=(2, 3))
        return F.softmax(self.fc(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> DenseNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
