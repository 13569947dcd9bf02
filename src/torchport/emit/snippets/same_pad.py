from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def same_pad(
    x: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pad `x` as padding="same" does for its size; the odd one goes to the end."""
    rank = x.dim() - 2
    each = [(v,) * rank if isinstance(v, int) else v for v in (kernel_size, stride, dilation)]
    amounts: list[int] = []
    for n, k, s, d in reversed(list(zip(x.shape[2:], *each, strict=True))):
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        amounts += [total // 2, total - total // 2]
    return F.pad(x, amounts, value=value)


def same_avg_pool(
    x: Tensor, kernel_size: int | tuple[int, ...], stride: int | tuple[int, ...]
) -> Tensor:
    """Average pooling with padding="same" for any size; what was padded does not count."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    total = pool(same_pad(x, kernel_size, stride), kernel_size, stride)
    share = pool(same_pad(torch.ones_like(x), kernel_size, stride), kernel_size, stride)
    return total / share
