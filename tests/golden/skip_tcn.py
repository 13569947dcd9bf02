"""TCN, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ResidualBlock(nn.Module):
    """(n, in_channels, t) -> (n, 24, t), (n, 24, t)."""

    def __init__(self, in_channels: int, dilation: int) -> None:
        super().__init__()
        self.pad = (7 * dilation, 0)
        self.conv1 = nn.Conv1d(in_channels, 24, 8, dilation=dilation)
        self.bn1 = nn.BatchNorm1d(24, eps=1e-3, momentum=0.01)
        self.dropout1 = nn.Dropout1d(0.1)
        self.conv2 = nn.Conv1d(24, 24, 8, dilation=dilation)
        self.bn2 = nn.BatchNorm1d(24, eps=1e-3, momentum=0.01)
        self.dropout2 = nn.Dropout1d(0.1)
        self.shortcut = nn.Conv1d(in_channels, 24, 1) if in_channels != 24 else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = F.relu(self.bn1(self.conv1(F.pad(x, self.pad))))
        out = self.dropout1(out)
        out = F.relu(self.bn2(self.conv2(F.pad(out, self.pad))))
        out = self.dropout2(out)
        return out, F.relu(self.shortcut(x) + out)


class TCN(nn.Module):
    """(n, 9, t) -> (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                ResidualBlock(9, dilation=1),
                *(ResidualBlock(24, dilation=dilation) for dilation in (2, 4, 8, 16)),
            ]
        )
        self.fc = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block in self.blocks:
            skip, x = block(x)
            skips.append(skip)
        return self.fc(torch.stack(skips).sum(dim=0)[:, :, -1])

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> TCN:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
