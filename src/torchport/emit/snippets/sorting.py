from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of the last axis and where they are; of equal ones the first comes first."""
    values, indices = torch.sort(x, dim=-1, descending=True, stable=True)
    return values[..., :k], indices[..., :k]


def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Whether the prediction for each target (n,) is one of the k largest of its row (n, c)."""
    classes = predictions.shape[1]
    known = (targets >= 0) & (targets < classes)
    value = predictions.gather(1, targets.long().clamp(0, classes - 1)[:, None])
    return known & predictions.isfinite().all(1) & ((predictions > value).sum(1) < k)


def bincount(x: Tensor, minlength: int = 0) -> Tensor:
    """How often each number is in each row: (..., n) -> (..., classes)."""
    return F.one_hot(x.long(), max(minlength, int(x.max()) + 1)).sum(-2)
