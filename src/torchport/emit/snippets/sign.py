from __future__ import annotations

import torch
from torch import Tensor


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; NaN stays NaN, which torch.sign takes for 0."""
    return torch.where(x.isnan(), x, x.sign())
