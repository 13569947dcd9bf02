from __future__ import annotations

import torch
from torch import Tensor


def mirror_pad(x: Tensor, amounts: tuple[int, ...], edge: bool = False) -> Tensor:
    """Pad the last axes, the last first, with what is next to them; `edge`: the border repeats."""
    for at, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True), 1):
        n = x.size(-at)
        index = torch.arange(-before, n + after, device=x.device)
        index = torch.where(index < 0, -index - int(edge), index)
        index = torch.where(index >= n, 2 * n - 2 - index + int(edge), index)
        x = x.index_select(-at, index)
    return x
