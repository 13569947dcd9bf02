"""ShuffleNetG3, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ShuffleUnit(nn.Module):
    """(n, in_channels, h, w) -> (n, 4 * hidden_channels, h / 2, w / 2)."""

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, groups: int = 3
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_channels, 1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden_channels, eps=1e-3, momentum=0.01)
        self.depthwise = nn.Conv2d(
            hidden_channels, hidden_channels, 3, stride=2, groups=hidden_channels, bias=False
        )
        self.bn2 = nn.BatchNorm2d(hidden_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(hidden_channels, out_channels, 1, groups=3, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.depthwise(F.pad(F.channel_shuffle(out, 3), (0, 1, 0, 1)))
        out = self.bn2(out)
        out = self.bn3(self.conv2(out))
        x = torch.cat([out, F.avg_pool2d(x, 3, stride=2, ceil_mode=True)], dim=1)
        return F.relu(x)


class ShuffleUnit2(nn.Module):
    """(n, channels, h, w) -> (n, channels, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, groups=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels // 4, eps=1e-3, momentum=0.01)
        self.depthwise = nn.Conv2d(
            channels // 4, channels // 4, 3, padding=1, groups=channels // 4, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels // 4, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, groups=3, bias=False)
        self.bn3 = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.depthwise(F.channel_shuffle(out, 3)))
        return F.relu(self.bn3(self.conv2(out)) + x)


class ShuffleNetG3(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 3, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(24, eps=1e-3, momentum=0.01)
        self.shuffle_unit1 = ShuffleUnit(24, 60, 216, groups=1)
        self.blocks1 = nn.Sequential(*(ShuffleUnit2(240) for _ in range(3)))
        self.shuffle_unit2 = ShuffleUnit(240, 120, 240)
        self.blocks2 = nn.Sequential(*(ShuffleUnit2(480) for _ in range(7)))
        self.shuffle_unit3 = ShuffleUnit(480, 240, 480)
        self.blocks3 = nn.Sequential(*(ShuffleUnit2(960) for _ in range(3)))
        self.fc = nn.Linear(960, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(F.pad(x, (0, 1, 0, 1)))))
        x = self.shuffle_unit1(F.max_pool2d(x, 3, stride=2, ceil_mode=True))
        x = self.shuffle_unit2(self.blocks1(x))
        x = self.shuffle_unit3(self.blocks2(x))
        x = self.blocks3(x).mean(dim=(2, 3))
        return F.softmax(self.fc(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> ShuffleNetG3:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
