"""Layers as matrices in closed form, channels last or first: what the measured ones are held against.

One Kronecker product for each tap: S says which step the tap reads along an axis of space, C is the kernel
there. Whether channels are last or first is on which side of the product they stand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from torchport.rules.window import Reading, Transposed, Window


def product(space: Sequence[Any], channels: Any, is_first: bool) -> Any:
    """S ⊗ S ⊗ C, or C ⊗ S ⊗ S."""
    made = sp.csr_array(np.ones((1, 1)))
    for it in [channels, *space] if is_first else [*space, channels]:
        made = sp.kron(made, it, format="csr")
    return made


def tap(over: Window, n: int, number: int) -> Any:
    """Which step a tap of a window reads at each step of the output; padding is read as nothing."""
    at = np.arange(over.length(n) or 0)
    read = at * over.s + number * over.d - (over.pads(n) or (0, 0))[0]
    inside = (read >= 0) & (read < n)
    return sp.csr_array((np.ones(inside.sum()), (at[inside], read[inside])), shape=(len(at), n))


def convolution(
    over: Sequence[Window], sizes: Sequence[int], kernel: Any, groups: int, is_first: bool
) -> Any:
    """The matrix of a convolution; kernel: (*taps, in / groups, out) as Keras has it."""
    total: Any = 0
    for at in itertools.product(*(range(it.k) for it in over)):
        space = [tap(it, n, number) for it, n, number in zip(over, sizes, at, strict=True)]
        pieces = np.split(kernel[at].T, groups, axis=0)
        total = total + product(space, sp.block_diag(pieces, format="csr"), is_first)
    return sp.csr_array(total)


def transposed(over: Sequence[Transposed], sizes: Sequence[int], kernel: Any, is_first: bool) -> Any:
    """The transpose of the convolution from the output's sizes to the input's, with the same kernel."""
    back = []
    for it, n in zip(over, sizes, strict=True):
        back.append(Window(it.k, it.s, it.d, it.ends(n)))
    lengths = [it.length(n) or 0 for it, n in zip(over, sizes, strict=True)]
    return sp.csr_array(convolution(back, lengths, kernel, 1, is_first).T)


def mean(over: Sequence[Window], sizes: Sequence[int], count: int, is_first: bool) -> Any:
    """Average pooling: each row is divided by how many steps it really reads."""
    kernel = np.broadcast_to(np.eye(count), (*(it.k for it in over), count, count))
    whole = convolution(over, sizes, kernel, 1, is_first)
    return sp.csr_array(sp.diags_array(1 / np.asarray(whole.sum(axis=1)).reshape(-1)) @ whole)


def repeated(over: Sequence[Reading], sizes: Sequence[int], count: int, is_first: bool) -> Any:
    """What reads one step each: nearest neighbours, padding with zeros, cropping."""
    space = []
    for it, n in zip(over, sizes, strict=True):
        pairs = [(at, place) for at in range(it.length(n) or 0) for place in it.reads(at, n)]
        at, place = zip(*pairs, strict=True)
        space.append(sp.csr_array((np.ones(len(at)), (at, place)), shape=(it.length(n) or 0, n)))
    return product(space, sp.eye_array(count, format="csr"), is_first)


def permutation(shape: Sequence[int], axes: Sequence[int]) -> Any:
    """P with P vec(x) = vec(x.transpose(axes)); of (h, w, c) to (c, h, w) the commutation matrix."""
    at = np.arange(math.prod(shape)).reshape(tuple(shape)).transpose(tuple(axes)).reshape(-1)
    return sp.csr_array((np.ones(at.size), (np.arange(at.size), at)), shape=(at.size, at.size))
