"""One axis of a tensor as what it is: it keeps its name and its origin where ops move, merge or part it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Axis names by rank, for tensors of which nothing in the graph says better.
NAMES = {
    0: (),
    1: ("n",),
    2: ("n", "c"),
    3: ("n", "t", "c"),
    4: ("n", "h", "w", "c"),
    5: ("n", "d", "h", "w", "c"),
}
#: Names of axes that are none of these.
LETTERS = "abefgijklmopqrsuvxyz"

Sizes = Sequence[int | None]


@dataclass(frozen=True)
class Axis:
    """An axis: its name, and its origin, `tensor.position` of where it is new.

    One that was merged of several is made `of` them, each with its size, the last one running fastest: it has
    no name of its own, and is written `(h w c)`.
    """

    name: str = ""
    origin: str = ""
    of: tuple[tuple[Axis, int | None], ...] = ()

    def __str__(self) -> str:
        return f"({' '.join(str(axis) for axis, _ in self.of)})" if self.of else self.name

    @property
    def word(self) -> str:
        """The name as einops takes it for one axis: `hwc`."""
        return "".join(axis.word for axis, _ in self.of) or self.name

    @property
    def atoms(self) -> tuple[str, ...]:
        """The names in it."""
        return tuple(axis.name for axis, _ in self.of) or (self.name,)


def default_names(rank: int, is_channels_first: bool) -> tuple[str, ...]:
    """Names for the axes of a tensor of which nothing is known but its rank."""
    names = NAMES.get(rank, tuple(f"a{at}" for at in range(rank)))
    return names[:1] + names[1:][-1:] + names[1:-1] if is_channels_first else names


def new_axis(preferred: str, taken: Iterable[str], origin: str) -> Axis:
    """An axis of a name that no other has."""
    names = {*taken}
    letters = (preferred, *LETTERS, *(f"a{at}" for at in range(len(names) + 1)))
    return Axis(next(name for name in letters if name not in names), origin)


def merge(axes: Sequence[tuple[Axis, int | None]]) -> Axis:
    """One axis made of several, the last one running fastest."""
    return axes[0][0] if len(axes) == 1 else Axis(of=tuple(axes))


def regroup(axes: Sequence[Axis], before: Sizes, after: Sizes) -> list[Axis | None]:
    """The axes of a tensor that is read again in another shape; None where one is new.

    An axis of the result is one of the tensor's, or several of them merged, where it holds their values and
    no others: where it begins and ends at edges of them.
    """
    pairs = zip(axes, before, strict=True)
    atoms = [atom for pair in pairs for atom in (pair[0].of or (pair,)) if atom[1] != 1]
    edges, ends = _edges([size for _, size in atoms]), _edges(after)
    found = list[Axis | None]()
    for at, size in enumerate(after):
        start, end = (edges.index(edge) if edge in edges and edge else -1 for edge in ends[at : at + 2])
        found.append(None if size == 1 or -1 in (start, end) else merge(atoms[start:end]))
    return found


def _edges(sizes: Sizes) -> list[tuple[str, int] | None]:
    """The places between axes, before the first and behind the last: how many values lie before or behind.

    None where sizes on both sides are open.
    """
    found = list[tuple[str, int] | None]()
    for at in range(len(sizes) + 1):
        left, right = sizes[:at], sizes[at:]
        if None not in left:
            found.append(("before", math.prod(size or 0 for size in left)))
        else:
            found.append(None if None in right else ("behind", math.prod(size or 0 for size in right)))
    return found
