from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """Batch norm that always uses its running statistics."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that always uses its running statistics."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """Batch norm that always uses its running statistics."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class BiasedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm that keeps the biased variance of each batch, as Keras 3 does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return biased_batch_norm(self, x)
        return super().forward(x)


class BiasedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that keeps the biased variance of each batch, as Keras 3 does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return biased_batch_norm(self, x)
        return super().forward(x)


class BiasedBatchNorm3d(nn.BatchNorm3d):
    """Batch norm that keeps the biased variance of each batch, as Keras 3 does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return biased_batch_norm(self, x)
        return super().forward(x)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm whose statistics are of the steps that a mask (n, t) keeps.

    `spare` is added to their number, as Keras 3 does.
    """

    def __init__(self, size: int, *, spare: float = 1e-7, **options: float | bool) -> None:
        super().__init__(size, **options)
        self.spare = spare

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        kept = mask.unsqueeze(1)
        count = kept.sum(dtype=x.dtype) + self.spare
        mean = torch.where(kept, x, 0).sum((0, 2), keepdim=True) / count
        variance = torch.where(kept, x - mean, 0).square().sum((0, 2), keepdim=True) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(variance.flatten(), self.momentum)
            self.num_batches_tracked += 1
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        return x * self.weight[:, None] + self.bias[:, None] if self.affine else x


def biased_batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, x: Tensor) -> Tensor:
    """Normalise `x` by its batch's statistics and keep them, the variance over n, not n - 1."""
    dims = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, dims, correction=0)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance, norm.momentum)
        norm.num_batches_tracked += 1
    return nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
