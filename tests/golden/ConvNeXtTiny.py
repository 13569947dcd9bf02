"""ConvNeXtTiny, ported from Keras by torchport 0.1.0."""
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


class ConvNeXtBlock(nn.Module):
    """(n, channels, h, w) -> (n, channels, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.layernorm = ChannelLayerNorm(channels, eps=1e-6)
        self.pointwise_conv_1 = nn.Conv2d(channels, 4 * channels, 1)
        self.pointwise_conv_2 = nn.Conv2d(4 * channels, channels, 1)
        self.layer_scale_gamma = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.layernorm(self.depthwise_conv(x))
        out = F.gelu(self.pointwise_conv_1(out))
        return x + self.pointwise_conv_2(out) * self.layer_scale_gamma


class ConvNeXtTiny(nn.Module):
    """(n, 3, 224, 224) -> (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.prestem_normalization_mean = nn.Buffer(torch.zeros(3, 1, 1))
        self.prestem_normalization_variance = nn.Buffer(torch.zeros(3, 1, 1))
        self.stem = nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), ChannelLayerNorm(96, eps=1e-6))
        self.stage_0 = nn.Sequential(*(ConvNeXtBlock(96) for _ in range(3)))
        self.downsampling_block_0 = nn.Sequential(
            ChannelLayerNorm(96, eps=1e-6), nn.Conv2d(96, 192, 2, stride=2)
        )
        self.stage_1 = nn.Sequential(*(ConvNeXtBlock(192) for _ in range(3)))
        self.downsampling_block_1 = nn.Sequential(
            ChannelLayerNorm(192, eps=1e-6), nn.Conv2d(192, 384, 2, stride=2)
        )
        self.stage_2 = nn.Sequential(*(ConvNeXtBlock(384) for _ in range(9)))
        self.downsampling_block_2 = nn.Sequential(
            ChannelLayerNorm(384, eps=1e-6), nn.Conv2d(384, 768, 2, stride=2)
        )
        self.stage_3 = nn.Sequential(*(ConvNeXtBlock(768) for _ in range(3)))
        self.head_layernorm = nn.LayerNorm(768, eps=1e-6)
        self.head_dense = nn.Linear(768, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = (
            x - self.prestem_normalization_mean
        ) / self.prestem_normalization_variance.sqrt().clamp(min=1e-7)
        x = self.stem(x)
        x = self.stage_0(x)
        x = self.downsampling_block_0(x)
        x = self.stage_1(x)
        x = self.downsampling_block_1(x)
        x = self.stage_2(x)
        x = self.downsampling_block_2(x)
        x = self.head_layernorm(self.stage_3(x).mean(dim=(2, 3)))
        return F.softmax(self.head_dense(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> ConvNeXtTiny:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
