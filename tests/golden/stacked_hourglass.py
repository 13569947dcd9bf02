"""StackedHourglass, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class Bottleneck(nn.Module):
    """(n, in_channels, h, w) -> (n, 64, h, w)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 1)
        self.bn1 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.conv3 = nn.Conv2d(32, 64, 1)
        self.bn3 = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
        self.shortcut = nn.Conv2d(in_channels, 64, 1) if in_channels != 64 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(F.relu(self.conv1(x)))
        out = self.bn2(F.relu(self.conv2(out)))
        out = self.bn3(F.relu(self.conv3(out)))
        return self.shortcut(x) + out


class Hourglass(nn.Module):
    """(n, 64, h, w) -> (n, 64, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.bottleneck1 = Bottleneck(64)
        self.bottleneck2 = Bottleneck(64)
        self.blocks = nn.Sequential(*(Bottleneck(64) for _ in range(3)))
        self.bottleneck3 = Bottleneck(64)
        self.bottleneck4 = Bottleneck(64)
        self.bottleneck5 = Bottleneck(64)
        self.bottleneck6 = Bottleneck(64)
        self.bottleneck7 = Bottleneck(64)
        self.conv = nn.Conv2d(64, 64, 1)
        self.bn = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        bottleneck1 = self.bottleneck1(F.max_pool2d(x, 2))
        bottleneck2 = self.bottleneck2(F.max_pool2d(bottleneck1, 2))
        out = F.max_pool2d(bottleneck2, 2)
        out = F.interpolate(self.blocks(out), scale_factor=2.0)
        out = self.bottleneck3(bottleneck2) + out
        out = F.interpolate(self.bottleneck4(out), scale_factor=2.0)
        out = self.bottleneck5(bottleneck1) + out
        out = F.interpolate(self.bottleneck6(out), scale_factor=2.0)
        x = self.bottleneck7(x) + out
        return self.bn(F.relu(self.conv(x)))


class StackedHourglass(nn.Module):
    """(n, 3, 64, 64) -> heatmaps1 (n, 16, 32, 32), heatmaps2 (n, 16, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2)
        self.bn = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.bottleneck = Bottleneck(32)
        self.hourglass1 = Hourglass()
        self.heatmaps1 = nn.Conv2d(64, 16, 1)
        self.conv2 = nn.Conv2d(16, 64, 1)
        self.conv3 = nn.Conv2d(64, 64, 1)
        self.hourglass2 = Hourglass()
        self.heatmaps2 = nn.Conv2d(64, 16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.bn(F.relu(self.conv1(F.pad(x, (2, 3, 2, 3)))))
        shortcut = self.bottleneck(x)
        hourglass1 = self.hourglass1(shortcut)
        heatmaps1 = self.heatmaps1(hourglass1)
        x = self.conv2(heatmaps1)
        x = self.hourglass2(shortcut + self.conv3(hourglass1) + x)
        return heatmaps1, self.heatmaps2(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> StackedHourglass:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
