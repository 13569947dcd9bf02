"""RetinaNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class BoxesHead(nn.Module):
    """(n, 64, h, w) -> (n, 36, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 36, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        return self.conv4(x)


class ScoresHead(nn.Module):
    """(n, 64, h, w) -> (n, 180, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 180, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        return self.conv4(x)


class ResidualBlock(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 2) -> None:
        super().__init__()
        self.pad = stride != 1
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, 3, stride=stride, padding=1 if stride == 1 else 0, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
            )
            if in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.pad(x, (0, 1, 0, 1)) if self.pad else x
        out = F.relu(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        return F.relu(self.shortcut(x) + out)


class RetinaNet(nn.Module):
    """image (n, 3, 64, 64) -> boxes (n, 3024, 4), scores (n, 3024, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(16, eps=1e-3, momentum=0.01)
        self.blocks1 = nn.Sequential(ResidualBlock(16, 32), ResidualBlock(32, 32, stride=1))
        self.blocks2 = nn.Sequential(ResidualBlock(32, 64), ResidualBlock(64, 64, stride=1))
        self.blocks3 = nn.Sequential(ResidualBlock(64, 128), ResidualBlock(128, 128, stride=1))
        self.lateral5 = nn.Conv2d(128, 64, 1)
        self.lateral4 = nn.Conv2d(64, 64, 1)
        self.lateral3 = nn.Conv2d(32, 64, 1)
        self.p3 = nn.Conv2d(64, 64, 3, padding=1)
        self.boxes_head = BoxesHead()
        self.p4 = nn.Conv2d(64, 64, 3, padding=1)
        self.p5 = nn.Conv2d(64, 64, 3, padding=1)
        self.scores_head = ScoresHead()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image / 255
        x = F.relu(self.bn(self.conv(F.pad(x, (0, 1, 0, 1)))))
        blocks1 = self.blocks1(x)
        blocks2 = self.blocks2(blocks1)
        x = self.blocks3(blocks2)
        lateral5 = self.lateral5(x)
        lateral4 = self.lateral4(blocks2) + F.interpolate(lateral5, scale_factor=2.0)
        x = self.lateral3(blocks1) + F.interpolate(lateral4, scale_factor=2.0)
        p3 = self.p3(x)
        branch1 = self.boxes_head(p3).permute(0, 2, 3, 1).reshape(-1, 2304, 4)
        p4 = self.p4(lateral4)
        x = self.boxes_head(p4)
        branch2 = x.permute(0, 2, 3, 1).reshape(-1, 576, 4)
        p5 = self.p5(lateral5)
        branch3 = self.boxes_head(p5).permute(0, 2, 3, 1).reshape(-1, 144, 4)
        branch4 = self.scores_head(p3).permute(0, 2, 3, 1).reshape(-1, 2304, 20)
        x = self.scores_head(p4)
        branch5 = x.permute(0, 2, 3, 1).reshape(-1, 576, 20)
        branch6 = self.scores_head(p5).permute(0, 2, 3, 1).reshape(-1, 144, 20)
        return torch.cat([branch1, branch2, branch3], dim=1), torch.cat(
            [branch4, branch5, branch6], dim=1
        )

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> RetinaNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
