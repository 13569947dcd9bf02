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


class RenormBatchNorm1d(nn.BatchNorm1d):
    """Batch renormalisation: in training a batch is scaled back to statistics of its own."""

    def __init__(
        self,
        size: int,
        *,
        renorm_momentum: float,
        frozen: bool = False,
        rmin: float | None = None,
        rmax: float | None = None,
        dmax: float | None = None,
        **options: float | bool,
    ) -> None:
        super().__init__(size, **options)
        self.renorm_momentum, self.frozen = renorm_momentum, frozen
        self.rmin, self.rmax, self.dmax = rmin, rmax, dmax
        self.register_buffer("running_std", torch.ones(size))
        self.register_buffer("renorm_mean", torch.zeros(size))
        self.register_buffer("renorm_std", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return batch_renorm(self, x)


class RenormBatchNorm2d(nn.BatchNorm2d):
    """Batch renormalisation: in training a batch is scaled back to statistics of its own."""

    def __init__(
        self,
        size: int,
        *,
        renorm_momentum: float,
        frozen: bool = False,
        rmin: float | None = None,
        rmax: float | None = None,
        dmax: float | None = None,
        **options: float | bool,
    ) -> None:
        super().__init__(size, **options)
        self.renorm_momentum, self.frozen = renorm_momentum, frozen
        self.rmin, self.rmax, self.dmax = rmin, rmax, dmax
        self.register_buffer("running_std", torch.ones(size))
        self.register_buffer("renorm_mean", torch.zeros(size))
        self.register_buffer("renorm_std", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return batch_renorm(self, x)


class RenormBatchNorm3d(nn.BatchNorm3d):
    """Batch renormalisation: in training a batch is scaled back to statistics of its own."""

    def __init__(
        self,
        size: int,
        *,
        renorm_momentum: float,
        frozen: bool = False,
        rmin: float | None = None,
        rmax: float | None = None,
        dmax: float | None = None,
        **options: float | bool,
    ) -> None:
        super().__init__(size, **options)
        self.renorm_momentum, self.frozen = renorm_momentum, frozen
        self.rmin, self.rmax, self.dmax = rmin, rmax, dmax
        self.register_buffer("running_std", torch.ones(size))
        self.register_buffer("renorm_mean", torch.zeros(size))
        self.register_buffer("renorm_std", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return batch_renorm(self, x)


def batch_renorm(
    norm: RenormBatchNorm1d | RenormBatchNorm2d | RenormBatchNorm3d, x: Tensor
) -> Tensor:
    """Normalise `x` by its batch's statistics, corrected to the running ones, and keep them.

    What is kept for evaluation is the deviation, of which the variance follows.
    """
    if norm.frozen or not norm.training:
        running = norm.running_mean, norm.running_var
        return nn.functional.batch_norm(x, *running, norm.weight, norm.bias, False, 0.0, norm.eps)
    dims = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, dims, correction=0)
    with torch.no_grad():
        std = torch.sqrt(variance + norm.eps)
        kept = norm.renorm_std.clamp(min=norm.eps**0.5)
        r, d = std / kept, (mean - norm.renorm_mean) / kept
        if norm.rmin is not None or norm.rmax is not None:
            r = r.clamp(norm.rmin, norm.rmax)
        if norm.dmax is not None:
            d = d.clamp(-norm.dmax, norm.dmax)
        norm.renorm_mean.lerp_(mean, norm.renorm_momentum)
        norm.renorm_std.lerp_(std, norm.renorm_momentum)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_std.lerp_(std, norm.momentum)
        norm.running_var.copy_((norm.running_std.square() - norm.eps).relu())
        norm.num_batches_tracked += 1
    weight = r if norm.weight is None else r * norm.weight
    bias = d if norm.weight is None else d * norm.weight + norm.bias
    return nn.functional.batch_norm(x, None, None, weight, bias, True, 0.0, norm.eps)


class StepBatchNorm1d(nn.BatchNorm1d):
    """Batch norm of a batch (n * steps, ...) with statistics of each step, one after the other."""

    def __init__(self, size: int, *, steps: int, **options: float | bool) -> None:
        super().__init__(size, **options)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return step_batch_norm(self, x) if self.training else super().forward(x)


class StepBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of a batch (n * steps, ...) with statistics of each step, one after the other."""

    def __init__(self, size: int, *, steps: int, **options: float | bool) -> None:
        super().__init__(size, **options)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return step_batch_norm(self, x) if self.training else super().forward(x)


class StepBatchNorm3d(nn.BatchNorm3d):
    """Batch norm of a batch (n * steps, ...) with statistics of each step, one after the other."""

    def __init__(self, size: int, *, steps: int, **options: float | bool) -> None:
        super().__init__(size, **options)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return step_batch_norm(self, x) if self.training else super().forward(x)


def step_batch_norm(norm: StepBatchNorm1d | StepBatchNorm2d | StepBatchNorm3d, x: Tensor) -> Tensor:
    """Normalise each step by its own statistics, and keep them in turn, the variance over n."""
    x = x.unflatten(0, (-1, norm.steps))
    dims = [0, *range(3, x.dim())]
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    with torch.no_grad():
        for step in range(norm.steps):
            norm.running_mean.lerp_(mean[0, step].flatten(), norm.momentum)
            norm.running_var.lerp_(variance[0, step].flatten(), norm.momentum)
            norm.num_batches_tracked += 1
    x = ((x - mean) * torch.rsqrt(variance + norm.eps)).flatten(0, 1)
    if norm.weight is None:
        return x
    shape = (-1,) + (1,) * (x.dim() - 2)
    return x * norm.weight.view(shape) + norm.bias.view(shape)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm whose statistics are of the steps that a mask (n, t) keeps.

    `spare` is added to their number, as Keras 3 does.
    """

    def __init__(self, size: int, *, spare: float = 1e-7, **options: float | bool) -> None:
        super().__init__(size, **options)
        self.spare = spare

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if not self.training:
            running = self.running_mean, self.running_var
            return nn.functional.batch_norm(
                x, *running, self.weight, self.bias, False, 0.0, self.eps
            )
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
