"""WaveNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class GatedResidual(nn.Module):
    """(n, 16, t) -> (n, 16, t), (n, 16, t)."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.pad = (dilation, 0)
        self.conv1 = nn.Conv1d(16, 16, 2, dilation=dilation)
        self.conv2 = nn.Conv1d(16, 16, 2, dilation=dilation)
        self.conv3 = nn.Conv1d(16, 16, 1)
        self.conv4 = nn.Conv1d(16, 16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = torch.sigmoid(self.conv2(F.pad(x, self.pad)))
        out = torch.tanh(self.conv1(F.pad(x, self.pad))) * out
        return self.conv3(out), x + self.conv4(out)


class WaveNet(nn.Module):
    """series (n, 1, 64) -> (n, 8, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 2)
        self.blocks = nn.ModuleList(
            GatedResidual(dilation=dilation) for dilation in (1, 2, 4, 8, 1, 2, 4)
        )
        self.conv2 = nn.Conv1d(16, 16, 2, dilation=8)
        self.conv3 = nn.Conv1d(16, 16, 2, dilation=8)
        self.conv4 = nn.Conv1d(16, 16, 1)
        self.conv5 = nn.Conv1d(16, 16, 1)
        self.conv6 = nn.Conv1d(16, 8, 1)

    def forward(self, series: Tensor) -> Tensor:
        x = self.conv1(F.pad(series, (1, 0)))
        skips: list[Tensor] = []
        for block in self.blocks:
            skip, x = block(x)
            skips.append(skip)
        out = torch.sigmoid(self.conv3(F.pad(x, (8, 0))))
        x = torch.tanh(self.conv2(F.pad(x, (8, 0)))) * out
        x = F.relu(torch.stack(skips + [self.conv4(x)]).sum(dim=0))
        x = F.relu(self.conv5(x))
        return F.softmax(self.conv6(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> WaveNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
