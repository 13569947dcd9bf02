from __future__ import annotations

import torch
from torch import Tensor


def one_hot_vectors(x: Tensor, depth: int) -> Tensor:
    """(...) -> (..., depth); a number that is no index has zeros."""
    return (x[..., None] == torch.arange(depth, device=x.device)).to(torch.get_default_dtype())


def lookup(x: Tensor, vocabulary: Tensor, start: int) -> Tensor:
    """The place of each number in a vocabulary; before it are `start` and one for the unknown."""
    same = x[..., None] == vocabulary
    return torch.where(same.any(-1), same.int().argmax(-1) + start + 1, start)
