"""EfficientNetB0, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class MBConv(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h', w')."""

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 if stride == 1 else 0,
            groups=in_channels,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(in_channels, eps=1e-3, momentum=0.01)
        self.se_reduce = nn.Conv2d(in_channels, hidden_channels, 1)
        self.se_expand = nn.Conv2d(hidden_channels, in_channels, 1)
        self.project_conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        dwconv = F.silu(self.bn(self.dwconv(x)))
        x = F.silu(self.se_reduce(dwconv.mean(dim=(2, 3), keepdim=True)))
        x = dwconv * torch.sigmoid(self.se_expand(x))
        return self.project_bn(self.project_conv(x))


class MBConv2(nn.Module):
    """(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        stride: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pad = stride != 1
        self.residual = stride == 1 and in_channels == out_channels
        self.expand_conv = nn.Conv2d(in_channels, 6 * in_channels, 1, bias=False)
        self.expand_bn = nn.BatchNorm2d(6 * in_channels, eps=1e-3, momentum=0.01)
        self.mb_conv = MBConv(
            6 * in_channels, in_channels // 4, out_channels, kernel_size, stride=stride
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out = F.silu(self.expand_bn(self.expand_conv(x)))
        out = self.mb_conv(F.pad(out, (1, 2, 1, 2)) if self.pad else out)
        return out * self.drop(out.new_ones(out.size(0), 1, 1, 1)) + x if self.residual else out


class EfficientNetB0(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize_mean = nn.Buffer(torch.zeros(3, 1, 1))
        self.normalize_variance = nn.Buffer(torch.zeros(3, 1, 1))
        self.stem_conv = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.block1a = MBConv(32, 8, 16, 3)
        self.block2a_expand_conv = nn.Conv2d(16, 96, 1, bias=False)
        self.block2a_expand_bn = nn.BatchNorm2d(96, eps=1e-3, momentum=0.01)
        self.block2a = MBConv(96, 4, 24, 3, stride=2)
        self.block2b = MBConv2(24, 24, 3, dropout=0.025)
        self.block3 = nn.Sequential(MBConv2(24, 40, stride=2), MBConv2(40, 40, dropout=0.05))
        self.block4a_expand_conv = nn.Conv2d(40, 240, 1, bias=False)
        self.block4a_expand_bn = nn.BatchNorm2d(240, eps=1e-3, momentum=0.01)
        self.block4a = MBConv(240, 10, 80, 3, stride=2)
        self.block4 = nn.Sequential(
            MBConv2(80, 80, 3, dropout=0.075), MBConv2(80, 80, 3, dropout=0.0875)
        )
        self.block5 = nn.Sequential(
            MBConv2(80, 112), MBConv2(112, 112, dropout=0.1125), MBConv2(112, 112, dropout=0.125)
        )
        self.block6 = nn.Sequential(
            MBConv2(112, 192, stride=2),
            MBConv2(192, 192, dropout=0.15),
            MBConv2(192, 192, dropout=0.1625),
            MBConv2(192, 192, dropout=0.175),
        )
        self.block7a = MBConv2(192, 320, 3)
        self.top_conv = nn.Conv2d(320, 1280, 1, bias=False)
        self.top_bn = nn.BatchNorm2d(1280, eps=1e-3, momentum=0.01)
        self.top_dropout = nn.Dropout(0.2)
        self.predictions = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = (x / 255 - self.normalize_mean) / self.normalize_variance.sqrt().clamp(min=1e-7)
        x = F.pad(x, (0, 1, 0, 1))
        x = F.silu(self.stem_bn(self.stem_conv(x)))
        x = self.block1a(x)
        x = F.pad(F.silu(self.block2a_expand_bn(self.block2a_expand_conv(x))), (0, 1, 0, 1))
        x = self.block2b(self.block2a(x))
        x = self.block3(x)
        x = F.pad(F.silu(self.block4a_expand_bn(self.block4a_expand_conv(x))), (0, 1, 0, 1))
        x = self.block4a(x)
        x = self.block4(x)
        x = self.block5(x)
        x = self.block7a(self.block6(x))
        x = F.silu(self.top_bn(self.top_conv(x))).mean(dim=(2, 3))
        return F.softmax(self.predictions(self.top_dropout(x)), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> EfficientNetB0:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
