from __future__ import annotations

import torch
from torch import Tensor


def nan_amax(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """The largest of what is a number; NaN where nothing is."""
    found = torch.where(x.isnan(), float("-inf"), x).amax(dim, keepdim)
    return torch.where(x.isnan().all(dim, keepdim), float("nan"), found)


def nan_amin(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """The smallest of what is a number; NaN where nothing is."""
    return -nan_amax(-x, dim, keepdim)


def nan_var(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """The variance of what is a number."""
    known = ~x.isnan()
    apart = torch.where(known, x - x.nanmean(dim, keepdim=True), 0.0)
    return apart.square().sum(dim, keepdim) / known.sum(dim, keepdim)


def nan_std(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """The standard deviation of what is a number."""
    return nan_var(x, dim, keepdim).sqrt()
