from __future__ import annotations

import torch
from torch import Tensor


def xdivy(x: Tensor, y: Tensor) -> Tensor:
    """x / y, and 0 where x is 0."""
    return torch.where(x == 0, 0.0, x / torch.where(x == 0, 1.0, y))


def multiply_no_nan(x: Tensor, y: Tensor) -> Tensor:
    """x * y, and 0 where y is 0, whatever x is."""
    return torch.where(y == 0, torch.where(x.isfinite(), x, 0.0), x) * y
