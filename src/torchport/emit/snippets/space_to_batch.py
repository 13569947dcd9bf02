from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def space_to_batch(x: Tensor, blocks: tuple[int, ...], pads: tuple[tuple[int, int], ...]) -> Tensor:
    """(n, h, w, ...) -> (blocks * n, h / block, w / block, ...)."""
    amounts = [n for pair in reversed(pads) for n in pair]
    x = F.pad(x, [0, 0] * (x.dim() - 1 - len(blocks)) + amounts)
    for at, block in enumerate(blocks):
        x = x.unflatten(1 + 2 * at, (-1, block))
    count = len(blocks)
    places = [2 + 2 * at for at in range(count)]
    rest = [at for at in range(x.dim()) if at not in places]
    return x.permute(*places, *rest).flatten(0, count)


def batch_to_space(
    x: Tensor, blocks: tuple[int, ...], crops: tuple[tuple[int, int], ...]
) -> Tensor:
    """The inverse of space_to_batch, with so much cut off before and after each axis."""
    count = len(blocks)
    x = x.unflatten(0, (*blocks, -1))
    order = [count] + [at for axis in range(count) for at in (count + 1 + axis, axis)]
    x = x.permute(*order, *range(2 * count + 1, x.dim()))
    for axis, (before, after) in enumerate(crops):
        x = x.flatten(1 + axis, 2 + axis)
        x = x.narrow(1 + axis, before, x.size(1 + axis) - before - after)
    return x
