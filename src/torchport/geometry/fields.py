"""Receptive fields: which steps of the network's inputs each step of a tensor depends on, axis by axis.

One way through the network in the order of its calls. Kept are, for every axis of an input that a tensor
depends on, the first and the last step for each step of that tensor's axis: the exact extent, clipped to the
input, where no product of weights is zero by chance. A rule of jumps and sizes overstates it behind
transposed convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchport.geometry.links import Link

if TYPE_CHECKING:
    import numpy as np

#: An axis of an input of the network: the input's id, the number of the axis.
Source = tuple[str, int]


#: Where what sees nothing begins.
BEYOND = 1 << 40


@dataclass(frozen=True)
class Extent:
    """What the steps of a tensor's axis number `axis` see of an axis of an input: the first and last step.

    `axis` is None, and there is one entry, where all steps see the same.
    """

    axis: int | None
    first: np.ndarray
    last: np.ndarray

    @property
    def reach(self) -> tuple[int, int]:
        """How many steps one sees: the fewest, and the most."""
        wide = (self.last - self.first + 1).clip(0)
        return int(wide.min()), int(wide.max())

    @property
    def whole(self) -> Extent:
        """What all steps together see."""
        return Extent(None, self.first.min(keepdims=True), self.last.max(keepdims=True))

    def at(self, step: int) -> tuple[int, int]:
        """What one step sees, from the first to the last."""
        place = 0 if self.axis is None else step
        return int(self.first[place]), int(self.last[place])


Fields = Mapping[Source, Extent]


def of_input(name: str, shape: Sequence[int | None]) -> dict[Source, Extent]:
    """An input sees itself."""
    import numpy as np

    steps = [np.arange(size or 1) for size in shape]
    return {(name, at): Extent(at, it, it) for at, it in enumerate(steps) if at}


def through(reads: Sequence[tuple[str, Sequence[Link]]], known: Mapping[str, Fields]) -> dict[Source, Extent]:
    """What the output of an op sees, of what it reads."""
    found: dict[Source, Extent] = {}
    for name, links in reads:
        for source, extent in known[name].items():
            more = _behind(extent, links)
            found[source] = _union(found[source], more) if source in found else more
    return found


def _behind(extent: Extent, links: Sequence[Link]) -> Extent:
    """An extent behind one op."""
    import numpy as np

    if extent.axis is None:
        return extent
    link = links[extent.axis]
    first, last = link.spans
    n = len(extent.first)
    nothing = first > last
    a, b = np.clip(first, 0, n - 1), np.clip(last, 0, n - 1)
    low, high = _least(extent.first, a, b), -_least(-extent.last, a, b)
    # a step that reads nothing but padding sees nothing: it begins behind the end, and ends before the start
    low, high = np.where(nothing, BEYOND, low), np.where(nothing, -1, high)
    return Extent(link.axis, low, high) if link.axis is not None else Extent(None, low[:1], high[:1])


def _least(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The least value from `first` to `last`, for each pair."""
    import numpy as np

    if (np.diff(values) >= 0).all():
        return values[first]  # type: ignore[no-any-return]
    if (np.diff(values) <= 0).all():
        return values[last]  # type: ignore[no-any-return]
    return np.array([values[a : b + 1].min() for a, b in zip(first, np.maximum(first, last), strict=True)])


def _union(one: Extent, other: Extent) -> Extent:
    """What is seen on either way."""
    import numpy as np

    if one.axis == other.axis and len(one.first) == len(other.first):
        return Extent(one.axis, np.minimum(one.first, other.first), np.maximum(one.last, other.last))
    if other.axis is None or one.axis is None:
        varied, fixed = (one, other) if other.axis is None else (other, one)
        low, high = fixed.first[0], fixed.last[0]
        return Extent(varied.axis, np.minimum(varied.first, low), np.maximum(varied.last, high))
    low = min(one.first.min(), other.first.min())
    high = max(one.last.max(), other.last.max())
    return Extent(None, np.array([low]), np.array([high]))
