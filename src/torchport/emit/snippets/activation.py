from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, x from 1 on, (x + 1)² / 4 between."""
    return torch.where(x < 1, (x.clamp(min=-1) + 1).square() / 4, x)


def sparsemax(x: Tensor, dim: int = -1) -> Tensor:
    """Sparsemax as Keras has it: its threshold adds up all cumulative sums, not the last alone."""
    x = x.movedim(dim, -1)
    ordered = x.sort(dim=-1, descending=True).values
    sums = ordered.cumsum(dim=-1)
    count = torch.arange(1, x.size(-1) + 1, device=x.device, dtype=x.dtype)
    support = ordered - (sums - 1) / count > 0
    threshold = ((sums * support).sum(dim=-1, keepdim=True) - 1) / support.sum(dim=-1, keepdim=True)
    return F.relu(x - threshold).movedim(-1, dim)
