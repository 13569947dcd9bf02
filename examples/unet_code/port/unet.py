"""A U-Net for semantic segmentation, with attention gates on its skip connections if they are asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weighs the channels of an image by what is in all of it."""

    def __init__(self, in_channels: int, channels: int, ratio: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, channels // ratio, 1)
        self.excite = nn.Conv2d(channels // ratio, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # one number for each channel
        weights = x.mean(dim=(2, 3), keepdim=True)
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(weights))))
        return x * weights


class ConvBlock(nn.Module):
    """Two convolutions, each with batch normalization."""

    def __init__(self, in_channels: int, filters: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, filters, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.bn1(x)
        x = F.relu(x)

        x = self.conv2(x)
        x = self.bn2(x)
        x = F.relu(x)
        return self.dropout(x)


class EncoderBlock(nn.Module):
    """A block, and the image at half its size."""

    def __init__(self, in_channels: int, filters: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv_block = ConvBlock(in_channels, filters, dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.conv_block(x)
        return skip, F.max_pool2d(skip, 2)


class AttentionGate(nn.Module):
    """Lets through of the skip connection what the coarser image asks for."""

    def __init__(self, skip_channels: int, gate_channels: int, filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(gate_channels, filters, 1)
        self.conv2 = nn.Conv2d(skip_channels, filters, 1)
        self.conv3 = nn.Conv2d(filters, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        query = self.conv1(gate)
        key = self.conv2(skip)
        scores = F.relu(query + key)
        scores = torch.sigmoid(self.conv3(scores))  # one map for all channels
        return skip * scores


class DecoderBlock(nn.Module):
    """Doubles the image and joins it with that of the encoder."""

    def __init__(
        self, x_channels: int, skip_channels: int, filters: int, attention: bool = False
    ) -> None:
        super().__init__()
        self.attention = attention
        self.up = nn.ConvTranspose2d(x_channels, filters, 2, stride=2)
        if attention:
            self.attention_gate = AttentionGate(skip_channels, filters, filters // 2)
        self.conv_block = ConvBlock(filters + skip_channels, filters)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        if self.attention:
            skip = self.attention_gate(skip, x)
        x = torch.cat([x, skip], dim=1)
        return self.conv_block(x)


class Unet(nn.Module):
    """The whole network: an encoder, a bridge and a decoder."""

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 2,
        widths: tuple[int, ...] = (8, 16, 32),
        dropout: float = 0.1,
        attention: bool = True,
    ) -> None:
        super().__init__()
        skips_channels = []
        x_channels = in_channels
        self.encoder_blocks = nn.ModuleList()
        for width in widths:
            self.encoder_blocks.append(EncoderBlock(x_channels, width, dropout))
            skips_channels.append(width)
            x_channels = width
        self.conv_block = ConvBlock(x_channels, widths[-1] * 2, dropout)
        self.squeeze_excite = SqueezeExcite(widths[-1] * 2, widths[-1] * 2)
        x_channels = widths[-1] * 2
        self.decoder_blocks = nn.ModuleList()
        for width in reversed(widths):
            skip_channels = skips_channels.pop()
            self.decoder_blocks.append(DecoderBlock(x_channels, skip_channels, width, attention))
            x_channels = width
        self.conv = nn.Conv2d(x_channels, classes, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs

        # The encoder: keep what was there before each halving.
        skips = []
        for encoder_block in self.encoder_blocks:
            skip, x = encoder_block(x)
            skips.append(skip)

        # The bridge is twice as wide as the last level.
        x = self.conv_block(x)
        x = self.squeeze_excite(x)

        # The decoder goes the same way back.
        for decoder_block in self.decoder_blocks:
            x = decoder_block(x, skips.pop())

        outputs = F.softmax(self.conv(x), dim=1)
        return outputs


def dice_loss(y_true: Tensor, y_pred: Tensor, smooth: float = 1.0) -> Tensor:
    """One less the Dice coefficient of the whole batch."""
    intersection = (y_true * y_pred).sum()
    total = y_true.sum() + y_pred.sum()
    return 1.0 - (2.0 * intersection + smooth) / (total + smooth)
