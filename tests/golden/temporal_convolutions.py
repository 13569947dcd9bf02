"""TCN, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of a channels-first tensor (n, c, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        shape = (-1,) + (1,) * (x.dim() - 2)
        if self.elementwise_affine:
            x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)


class ResidualBlock(nn.Module):
    """(n, in_channels, t) -> (n, out_channels, t)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__()
        self.pad = (2 * dilation, 0)
        self.conv1 = nn.Conv1d(in_channels, out_channels, 3, dilation=dilation)
        self.norm1 = ChannelLayerNorm(out_channels, eps=1e-3)
        self.dropout1 = nn.Dropout1d(0.2)
        self.conv2 = nn.Conv1d(out_channels, out_channels, 3, dilation=dilation)
        self.norm2 = ChannelLayerNorm(out_channels, eps=1e-3)
        self.dropout2 = nn.Dropout1d(0.2)
        self.shortcut = (
            nn.Conv1d(in_channels, out_channels, 1)
            if in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(F.pad(x, self.pad))))
        out = self.dropout1(out)
        out = F.relu(self.norm2(self.conv2(F.pad(out, self.pad))))
        return F.relu(self.shortcut(x) + self.dropout2(out))


class TCN(nn.Module):
    """(n, 8, 100) -> (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            ResidualBlock(8, 32, dilation=1),
            ResidualBlock(32, 32, dilation=2),
            ResidualBlock(32, 64, dilation=4),
            ResidualBlock(64, 64, dilation=8),
        )
        self.fc = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)[:, :, -1]
        return self.fc(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> TCN:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
