from __future__ import annotations

import torch
from torch import Tensor


def gather_rows(x: Tensor, *indices: Tensor) -> Tensor:
    """Of each row of x its own entries, by an index (n, ...) for each of the axes that follow."""
    rows = torch.arange(len(x), device=x.device).view(-1, *[1] * (indices[0].dim() - 1))
    return x[(rows, *indices)]


def reverse_sequence(x: Tensor, lengths: Tensor, dim: int) -> Tensor:
    """The first so many steps of each row backwards, the others as they are."""
    steps, ends = torch.arange(x.size(dim), device=x.device), lengths[:, None]
    places = torch.where(steps < ends, ends - 1 - steps, steps).long()
    shape = [1] * x.dim()
    shape[0], shape[dim] = places.shape
    return torch.take_along_dim(x, places.view(shape), dim)
