from __future__ import annotations

import torch
from torch import Tensor


def clip_by_norm(x: Tensor, largest: float, dim: int | tuple[int, ...]) -> Tensor:
    """x, scaled down to a norm over these axes."""
    squares = x.square().sum(dim, keepdim=True)
    norm = torch.where(squares > 0, torch.where(squares > 0, squares, 1.0).sqrt(), squares)
    return x * largest / norm.clamp(min=largest)
