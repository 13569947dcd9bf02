"""Named axes: the one place that knows how an order of axes becomes numbers.

A tensor's axes are names in the source's order, `n h w c`. PyTorch reads it in one of two orders: the
source's own, or channels first, where the last axis moves behind the batch: `n c h w`. Weights are turned
by einops patterns, `h w i o -> o i h w`. No other module writes a permutation as numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


class Order(Enum):
    """The order in which PyTorch holds a tensor's axes."""

    SOURCE = "source"
    CHANNELS_FIRST = "channels first"


def parse(text: str) -> tuple[str, ...]:
    """Axis names of `text`; a group such as `(h w c)` is one axis.

    >>> parse("n (h w c)")
    ('n', '(h w c)')
    """
    return tuple(re.findall(r"\([^)]*\)|\S+", text))


def permutation(source: Sequence[str], target: Sequence[str]) -> tuple[int, ...]:
    """For each axis of `target`, its position in `source`: what `permute` takes.

    >>> permutation(parse("n h w c"), parse("n c h w"))
    (0, 3, 1, 2)
    """
    if sorted(source) != sorted(target):
        raise ValueError(f"{' '.join(source)!r} and {' '.join(target)!r} do not name the same axes")
    return tuple(source.index(name) for name in target)


def invert(pattern: str) -> str:
    """The einops pattern that undoes `pattern`: its sides swapped.

    >>> invert("h w i o -> o i h w")
    'o i h w -> h w i o'
    """
    left, right = pattern.split("->")
    return f"{right.strip()} -> {left.strip()}"


def compose(first: str, second: str) -> str:
    """One pattern that does `first`, then `second`. `second` may name the axes in its own way.

    >>> compose("h w i o -> o i h w", "a b c d -> b a c d")
    'h w i o -> i o h w'
    """
    left, middle = (parse(side) for side in first.split("->"))
    seen, right = (parse(side) for side in second.split("->"))
    if len(middle) != len(seen):
        raise ValueError(f"{first!r} gives {len(middle)} axes, {second!r} takes {len(seen)}")
    renamed = dict(zip(seen, middle, strict=True))
    return f"{' '.join(left)} -> {' '.join(renamed[name] for name in right)}"


def to_order(items: Sequence[T], order: Order) -> tuple[T, ...]:
    """`items`, one for each axis in the source's order, as PyTorch holds them.

    >>> to_order(parse("n h w c"), Order.CHANNELS_FIRST)
    ('n', 'c', 'h', 'w')
    """
    if order is Order.SOURCE or len(items) < 3:
        return tuple(items)
    return (items[0], items[-1], *items[1:-1])


def from_order(items: Sequence[T], order: Order) -> tuple[T, ...]:
    """The inverse of `to_order`."""
    if order is Order.SOURCE or len(items) < 3:
        return tuple(items)
    return (items[0], *items[2:], items[1])


def position(axis: int, rank: int, order: Order) -> int:
    """Where PyTorch holds the source's axis number `axis` (negative counts from the end).

    >>> position(-1, 4, Order.CHANNELS_FIRST)
    1
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return to_order(range(rank), order).index(axis % rank)


def dims(source: Order, target: Order, rank: int) -> tuple[int, ...]:
    """What `permute` takes to bring a tensor of `rank` axes from one order into the other."""
    return tuple(to_order(range(rank), source).index(axis) for axis in to_order(range(rank), target))


def channels_first(rank: int, letters: str = "abdefghjklmnpqrstuvwxyz") -> tuple[str, str]:
    """The two einops groups of a flattened axis, in its source order and channels first.

    >>> channels_first(3, "hwc")
    ('(h w c)', '(c h w)')
    """
    *others, last = list(letters[:rank])
    return f"({' '.join((*others, last))})", f"({' '.join((last, *others))})"


def turn(array: np.ndarray, pattern: str, **sizes: int) -> np.ndarray:
    """`array` rearranged by an einops pattern; sizes of grouped axes by name."""
    from einops import rearrange

    return rearrange(array, pattern, **sizes)


@dataclass(frozen=True)
class Turn:
    """How a source weight becomes a PyTorch tensor: an einops pattern, and its inverse.

    `regroup` lists source axes that are flattened images: (axis, the shapes of the pieces laid end to end
    along it). Each piece is turned channels first before the pattern applies: what a person does to the
    rows of a Dense kernel that follows Flatten. `sizes` are those of axes that the pattern merges: without
    them there is no way back.

    `blocks` lists source axes that are equal blocks laid end to end, such as the gates of a recurrent layer:
    (axis, how many there are, those that are taken, in PyTorch's order). It comes first. Where not all are
    taken, the tensor holds a part of the weight.

    `view` is the shape in which the values that the pattern lays in a row are read again, where the source
    keeps them in another library's order of memory. It comes last.
    """

    pattern: str
    regroup: tuple[tuple[int, tuple[tuple[int, ...], ...]], ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    blocks: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    view: tuple[int, ...] = ()

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The array as PyTorch holds it."""
        for axis, count, order in self.blocks:
            array = _blocks(array, axis, count, order)
        for axis, parts in self.regroup:
            array = _regroup(array, axis, parts, back=False)
        array = turn(array, self.pattern, **dict(self.sizes))
        return array.reshape(self.view) if self.view else array

    def undo(self, array: np.ndarray) -> np.ndarray:
        """The array as the source held it, or its part: the inverse of `apply`."""
        array = array.reshape(-1) if self.view else array
        array = turn(array, invert(self.pattern), **dict(self.sizes))
        for axis, parts in self.regroup:
            array = _regroup(array, axis, parts, back=True)
        for axis, _, order in reversed(self.blocks):
            array = _blocks(array, axis, len(order), sorted(range(len(order)), key=order.__getitem__))
        return array

    def part(self, array: np.ndarray) -> np.ndarray:
        """What the tensor holds of the source's array, as the source has it: `undo(apply(array))`."""
        for axis, count, order in self.blocks:
            array = _blocks(array, axis, count, sorted(order))
        return array

    def pieces(self, array: np.ndarray, size: int = 1 << 19) -> Iterator[np.ndarray]:
        """What `apply` gives, in contiguous pieces of its first axis, one after the other.

        Each piece of about `size` bytes is gathered before it is turned: both then stay in the processor's
        cache, which is several times faster than turning a large array at once.
        """
        import numpy as np

        left, right = (parse(side) for side in self.pattern.split("->"))
        special = self.regroup or self.blocks or self.view
        if special or len(left) < 2 or left == right or sorted(left) != sorted(right):
            yield np.ascontiguousarray(self.apply(array))
            return
        axis = left.index(right[0])
        step = max(1, size * array.shape[axis] // max(1, array.nbytes))
        for start in range(0, array.shape[axis], step):
            piece = array[(slice(None),) * axis + (slice(start, start + step),)]
            yield np.ascontiguousarray(turn(np.ascontiguousarray(piece), self.pattern))

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape after `apply`, without touching data.

        >>> Turn("h w i o -> o i h w").shape((3, 5, 7, 11))
        (11, 7, 3, 5)
        """
        if self.view:
            return self.view
        left, right = (parse(side) for side in self.pattern.split("->"))
        found = list(shape)
        for axis, count, order in self.blocks:
            found[axis] = found[axis] // count * len(order)
        sizes = {"1": 1, **dict(self.sizes)}
        for group, size in zip(left, found, strict=True):
            names = group.strip("()").split()
            for name in names:
                others = math.prod(sizes[it] for it in names if it != name and it in sizes)
                if name not in sizes:
                    sizes[name] = size // others
        return tuple(math.prod(sizes[name] for name in group.strip("()").split()) for group in right)

    def index(self, shape: Sequence[int], at: Sequence[int]) -> tuple[int, ...] | None:
        """Where an element of an array of that shape is after `apply`; None where it is left out.

        >>> Turn("h w i o -> o i h w").index((3, 5, 7, 11), (0, 1, 2, 3))
        (3, 2, 0, 1)
        """
        found, sizes = list(at), list(shape)
        for axis, count, order in self.blocks:
            length = sizes[axis] // count
            block, inner = divmod(found[axis], length)
            if block not in order:
                return None
            found[axis], sizes[axis] = order.index(block) * length + inner, length * len(order)
        for axis, parts in self.regroup:
            found[axis] = _regrouped(found[axis], parts)
        left, right = (parse(side) for side in self.pattern.split("->"))
        known = {"1": 1, **dict(self.sizes)}
        places = {"1": 0}
        for group, place, size in zip(left, found, sizes, strict=True):
            names = group.strip("()").split()
            for name in names:
                others = math.prod(known[it] for it in names if it != name and it in known)
                known.setdefault(name, size // others)
            places.update(zip(names, unravel(place, [known[it] for it in names]), strict=True))
        groups = [group.strip("()").split() for group in right]
        after = [ravel([places[it] for it in names], [known[it] for it in names]) for names in groups]
        if not self.view:
            return tuple(after)
        whole = [math.prod(known[it] for it in names) for names in groups]
        return unravel(ravel(after, whole), self.view)

    @property
    def text(self) -> str:
        """The whole turn as one einops pattern where one can say it, for people."""
        left, right = (list(parse(side)) for side in self.pattern.split("->"))
        if self.view:
            values = "gate by gate, read again as " + " x ".join(map(str, self.view))
            return f"{self.pattern} ({values})"
        if self.blocks:
            taken = "; ".join(
                f"blocks {', '.join(map(str, order))} of {count} along axis {axis}"
                for axis, count, order in self.blocks
            )
            return f"{self.pattern} (after taking {taken})"
        for axis, parts in self.regroup:
            if len(parts) > 1:
                return f"{self.pattern} (after turning axis {axis} in pieces {list(parts)})"
            used = set("".join(left))
            *letters, last = (it for it in "hwdabefgjklmnpqrstuvxyzc" if it not in used)
            groups = channels_first(len(parts[0]), "".join(letters[: len(parts[0]) - 1]) + last)
            right[right.index(left[axis])] = groups[1]
            left[axis] = groups[0]
        return f"{' '.join(left)} -> {' '.join(right)}"


def ravel(at: Sequence[int], sizes: Sequence[int]) -> int:
    """The place of an element in memory, the last axis running fastest.

    >>> ravel((1, 2), (3, 5))
    7
    """
    found = 0
    for place, size in zip(at, sizes, strict=True):
        found = found * size + place
    return found


def unravel(place: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """The inverse of `ravel`."""
    found = []
    for size in reversed(sizes):
        place, inner = divmod(place, size)
        found.append(inner)
    return tuple(reversed(found))


def _regrouped(place: int, parts: Sequence[Sequence[int]]) -> int:
    """Where a value of a flat axis is, once each piece is turned channels first."""
    start = 0
    for part in parts:
        size = math.prod(part)
        if place < start + size:
            *others, last = unravel(place - start, part)
            return start + ravel((last, *others), (part[-1], *part[:-1]))
        start += size
    raise IndexError(f"{place} is behind the end of pieces {[*parts]}")


def _blocks(array: np.ndarray, axis: int, count: int, order: Sequence[int]) -> np.ndarray:
    """Those of `count` equal blocks of an axis that `order` names, in that order."""
    import numpy as np

    pieces = np.split(array, count, axis)
    return np.concatenate([pieces[at] for at in order], axis)


def _regroup(array: np.ndarray, axis: int, parts: Sequence[Sequence[int]], back: bool) -> np.ndarray:
    """Each piece of `axis` turned channels first (or back): `x0 (a b d) x2 -> x0 (d a b) x2`."""
    import numpy as np

    names = [f"x{at}" for at in range(array.ndim)]
    cuts = np.cumsum([math.prod(part) for part in parts])[:-1]
    pieces = []
    for part, piece in zip(parts, np.split(array, cuts, axis), strict=True):
        letters = "abdefghjklmnpqrstuvwyz"[: len(part)]
        before, after = channels_first(len(part), letters)
        left, right = (" ".join([*names[:axis], it, *names[axis + 1 :]]) for it in (before, after))
        pattern = f"{right} -> {left}" if back else f"{left} -> {right}"
        pieces.append(turn(piece, pattern, **dict(zip(letters, part, strict=True))))
    return np.concatenate(pieces, axis)
