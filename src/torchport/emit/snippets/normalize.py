from __future__ import annotations

import torch
from torch import Tensor


def normalize(x: Tensor, order: float, dim: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x over its norm along these axes, and that norm."""
    norm = torch.linalg.vector_norm(x, order, dim=dim, keepdim=True)
    return x / norm, norm
