from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def same_pad(
    x: Tensor,
    kernel_size: int | list[int],
    stride: int | list[int],
    dilation: int | list[int] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pad `x` as padding="same" does for its size; the odd one goes to the end."""
    amounts: list[int] = []
    for at in range(x.dim() - 3, -1, -1):
        n = x.size(at + 2)
        k = kernel_size if isinstance(kernel_size, int) else kernel_size[at]
        s = stride if isinstance(stride, int) else stride[at]
        d = dilation if isinstance(dilation, int) else dilation[at]
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        amounts += [total // 2, total - total // 2]
    return F.pad(x, amounts, value=value)


def same_avg_pool(x: Tensor, kernel_size: int | list[int], stride: int | list[int]) -> Tensor:
    """Average pooling with padding="same" for any size; what was padded does not count."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    total = pool(same_pad(x, kernel_size, stride), kernel_size, stride)
    share = pool(same_pad(torch.ones_like(x), kernel_size, stride), kernel_size, stride)
    return total / share
