from __future__ import annotations

import math

from torch import Tensor


def segments(x: Tensor, ids: Tensor, count: int, how: str = "sum") -> Tensor:
    """One row for each of so many segments, (n, ...) -> (count, ...); `ids` (n,) are theirs.

    An empty segment has 0 of a sum, 1 of a product, else the number furthest away.
    """
    shape = (count, *x.shape[1:])
    if how == "sum":
        return x.new_zeros(shape).index_add(0, ids, x)
    start = {"prod": 1.0, "amax": -math.inf, "amin": math.inf}[how]
    return x.new_full(shape, start).nan_to_num().index_reduce(0, ids, x, how)
