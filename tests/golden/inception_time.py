"""InceptionTime, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class InceptionBlock(nn.Module):
    """(n, in_channels, t) -> (n, 128, t)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, 32, 1, bias=False)
        self.conv2 = nn.Conv1d(in_channels, 32, 1, bias=False)
        self.convs = nn.ModuleList(
            nn.Conv1d(32, 32, size, padding="same", bias=False) for size in (39, 19, 9)
        )
        self.bn = nn.BatchNorm1d(128, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        conv1 = self.conv1(x)
        branch = self.conv2(F.max_pool1d(x, 3, stride=1, padding=1))
        x = torch.cat([conv(conv1) for conv in self.convs] + [branch], dim=1)
        return F.relu(self.bn(x))


class InceptionTime(nn.Module):
    """(n, 3, 128) -> (n, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(3, 128, 1, bias=False)
        self.bn1 = nn.BatchNorm1d(128, eps=1e-3, momentum=0.01)
        self.blocks1 = nn.Sequential(InceptionBlock(3), *(InceptionBlock(128) for _ in range(2)))
        self.conv2 = nn.Conv1d(128, 128, 1, bias=False)
        self.bn2 = nn.BatchNorm1d(128, eps=1e-3, momentum=0.01)
        self.blocks2 = nn.Sequential(*(InceptionBlock(128) for _ in range(3)))
        self.fc = nn.Linear(128, 5)

    def forward(self, x: Tensor) -> Tensor:
        out = self.blocks1(x)
        conv1 = F.relu(self.bn1(self.conv1(x)) + out)
        x = self.blocks2(conv1)
        x = F.relu(self.bn2(self.conv2(conv1)) + x).mean(dim=2)
        return F.softmax(self.fc(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> InceptionTime:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
