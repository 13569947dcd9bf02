from __future__ import annotations

import torch
from torch import Tensor


def divide_no_nan(x: Tensor, y: Tensor) -> Tensor:
    """x / y, and 0 where y is 0, with gradients of 0 there."""
    return torch.where(y == 0, 0.0, x / torch.where(y == 0, 1.0, y))
