from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of a channels-first tensor (n, c, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        shape = (-1,) + (1,) * (x.dim() - 2)
        if self.elementwise_affine:
            x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)
