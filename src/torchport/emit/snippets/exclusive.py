from __future__ import annotations

import torch
from torch import Tensor


def exclusive(x: Tensor, dim: int, first: float = 0) -> Tensor:
    """What runs along an axis, moved on by one: each entry is that before it."""
    before = x.narrow(dim, 0, x.size(dim) - 1)
    return torch.cat([torch.full_like(x.narrow(dim, 0, 1), first), before], dim)
