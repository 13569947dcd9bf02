"""InceptionV3, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class ConvBNReLU(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h', w')."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.bn.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class InceptionBlock(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels + 224, h, w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNReLU(in_channels, 64, 1)
        self.branch = nn.Sequential(
            ConvBNReLU(in_channels, 48, 1), ConvBNReLU(48, 64, 5, padding=2)
        )
        self.branch2 = nn.Sequential(
            ConvBNReLU(in_channels, 64, 1),
            ConvBNReLU(64, 96, 3, padding=1),
            ConvBNReLU(96, 96, 3, padding=1),
        )
        self.conv2 = ConvBNReLU(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x)
        branch2 = self.branch2(x)
        out = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        branch3 = self.conv2(out)
        return torch.cat([self.conv1(x), branch, branch2, branch3], dim=1)


class InceptionBlock2(nn.Module):
    """(n, 768, h, w) -> (n, 768, h, w)."""

    def __init__(self, hidden_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNReLU(768, 192, 1)
        self.branch = nn.Sequential(
            ConvBNReLU(768, hidden_channels, 1),
            ConvBNReLU(hidden_channels, hidden_channels, (1, 7), padding=(0, 3)),
            ConvBNReLU(hidden_channels, 192, (7, 1), padding=(3, 0)),
        )
        self.branch2 = nn.Sequential(
            ConvBNReLU(768, hidden_channels, 1),
            ConvBNReLU(hidden_channels, hidden_channels, (7, 1), padding=(3, 0)),
            ConvBNReLU(hidden_channels, hidden_channels, (1, 7), padding=(0, 3)),
            ConvBNReLU(hidden_channels, hidden_channels, (7, 1), padding=(3, 0)),
            ConvBNReLU(hidden_channels, 192, (1, 7), padding=(0, 3)),
        )
        self.conv2 = ConvBNReLU(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x)
        branch2 = self.branch2(x)
        out = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        branch3 = self.conv2(out)
        return torch.cat([self.conv1(x), branch, branch2, branch3], dim=1)


class InceptionBlock3(nn.Module):
    """(n, in_channels, h, w) -> (n, 2048, h, w)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNReLU(in_channels, 320, 1)
        self.conv2 = ConvBNReLU(in_channels, 384, 1)
        self.conv3 = ConvBNReLU(384, 384, (1, 3), padding=(0, 1))
        self.conv4 = ConvBNReLU(384, 384, (3, 1), padding=(1, 0))
        self.blocks = nn.Sequential(
            ConvBNReLU(in_channels, 448, 1), ConvBNReLU(448, 384, 3, padding=1)
        )
        self.conv5 = ConvBNReLU(384, 384, (1, 3), padding=(0, 1))
        self.conv6 = ConvBNReLU(384, 384, (3, 1), padding=(1, 0))
        self.conv7 = ConvBNReLU(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        conv2 = self.conv2(x)
        out = self.conv4(conv2)
        mixed9 = torch.cat([self.conv3(conv2), out], dim=1)
        blocks = self.blocks(x)
        out = self.conv6(blocks)
        branch1 = torch.cat([self.conv5(blocks), out], dim=1)
        out = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        branch2 = self.conv7(out)
        return torch.cat([self.conv1(x), mixed9, branch1, branch2], dim=1)


class InceptionV3(nn.Module):
    """(n, 3, 299, 299) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks1 = nn.Sequential(
            ConvBNReLU(3, 32, 3, stride=2), ConvBNReLU(32, 32, 3), ConvBNReLU(32, 64, 3, padding=1)
        )
        self.blocks2 = nn.Sequential(ConvBNReLU(64, 80, 1), ConvBNReLU(80, 192, 3))
        self.blocks3 = nn.Sequential(
            InceptionBlock(192, 32), InceptionBlock(256, 64), InceptionBlock(288, 64)
        )
        self.conv = ConvBNReLU(288, 384, 3, stride=2)
        self.blocks4 = nn.Sequential(
            ConvBNReLU(288, 64, 1),
            ConvBNReLU(64, 96, 3, padding=1),
            ConvBNReLU(96, 96, 3, stride=2),
        )
        self.blocks5 = nn.Sequential(
            InceptionBlock2(128), *(InceptionBlock2(160) for _ in range(2)), InceptionBlock2(192)
        )
        self.blocks6 = nn.Sequential(ConvBNReLU(768, 192, 1), ConvBNReLU(192, 320, 3, stride=2))
        self.blocks7 = nn.Sequential(
            ConvBNReLU(768, 192, 1),
            ConvBNReLU(192, 192, (1, 7), padding=(0, 3)),
            ConvBNReLU(192, 192, (7, 1), padding=(3, 0)),
            ConvBNReLU(192, 192, 3, stride=2),
        )
        self.blocks8 = nn.Sequential(InceptionBlock3(1280), InceptionBlock3(2048))
        self.predictions = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.blocks1(x), 3, stride=2)
        x = F.max_pool2d(self.blocks2(x), 3, stride=2)
        blocks3 = self.blocks3(x)
        blocks4 = self.blocks4(blocks3)
        branch = F.max_pool2d(blocks3, 3, stride=2)
        x = torch.cat([self.conv(blocks3), blocks4, branch], dim=1)
        blocks5 = self.blocks5(x)
        blocks7 = self.blocks7(blocks5)
        branch = F.max_pool2d(blocks5, 3, stride=2)
        x = torch.cat([self.blocks6(blocks5), blocks7, branch], dim=1)
        x = self.blocks8(x).mean(dim=(2, 3))
        return F.softmax(self.predictions(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> InceptionV3:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
