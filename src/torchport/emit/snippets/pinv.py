from __future__ import annotations

import torch
from torch import Tensor


def pinv(x: Tensor) -> Tensor:
    """The pseudo-inverse, with the cut at which TensorFlow takes a singular value for zero."""
    return torch.linalg.pinv(x, rtol=10 * max(x.shape[-2:]) * torch.finfo(x.dtype).eps)
