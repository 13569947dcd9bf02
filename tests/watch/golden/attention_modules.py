"""AttentionModules, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ChannelAttention(nn.Module):
    """(n, in_features, h, w) -> (n, in_features, h, w)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(in_features, out_features)
        self.excite = nn.Linear(out_features, in_features)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.squeeze(x.mean(dim=(2, 3))))
        excite = self.excite(out)
        out = F.relu(self.squeeze(x.amax(dim=(2, 3))))
        return x * torch.sigmoid(excite + self.excite(out))[:, :, None, None]


class SpatialAttention(nn.Module):
    """(n, c, h, w) -> (n, c, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = x.amax(dim=1, keepdim=True)
        out = torch.cat([x.mean(dim=1, keepdim=True), out], dim=1)
        return x * torch.sigmoid(self.conv(out))


class CBAM(nn.Module):
    """(n, in_features, h, w) -> (n, in_features, h, w)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(in_features, out_features)
        self.spatial = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))


class AttentionModules(nn.Module):
    """image (n, 3, 16, 16) -> (n, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.cbam1 = CBAM(8, 2)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.cbam2 = CBAM(16, 4)
        self.head = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.conv1(image))
        x = F.max_pool2d(self.cbam1(x), 2)
        x = F.relu(self.conv2(x))
        x = self.cbam2(x).mean(dim=(2, 3))
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> AttentionModules:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
