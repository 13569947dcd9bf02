"""AttentionUNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class AttentionGate(nn.Module):
    """skip (n, out_channels, h, w), gate (n, in_channels, h / 2, w / 2)
    -> (n, out_channels, h, w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(in_channels, out_channels, 1)
        self.key = nn.Conv2d(out_channels, out_channels, 1, stride=2)
        self.psi = nn.Conv2d(out_channels, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        x = self.key(skip)
        x = F.relu(self.query(gate) + x)
        return skip * F.interpolate(torch.sigmoid(self.psi(x)), scale_factor=2.0)


class ConvBlock(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h, w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class AttentionUNet(nn.Module):
    """image (n, 1, 16, 16) -> (n, 1, 16, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = ConvBlock(1, 4)
        self.down2 = ConvBlock(4, 8)
        self.bottleneck = ConvBlock(8, 16)
        self.upsample1 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.gate1 = AttentionGate(16, 8)
        self.up1 = ConvBlock(16, 8)
        self.upsample2 = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.gate2 = AttentionGate(8, 4)
        self.up2 = ConvBlock(8, 4)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        down1 = self.down1(image)
        down2 = self.down2(F.max_pool2d(down1, 2))
        bottleneck = self.bottleneck(F.max_pool2d(down2, 2))
        x = self.gate1(down2, bottleneck)
        up1 = self.up1(torch.cat([self.upsample1(bottleneck), x], dim=1))
        x = self.gate2(down1, up1)
        x = self.up2(torch.cat([self.upsample2(up1), x], dim=1))
        return torch.sigmoid(self.head(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> AttentionUNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
