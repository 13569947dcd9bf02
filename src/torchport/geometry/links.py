"""What each step of an op's output reads, axis by axis of each of its inputs.

The rules say what slides (`reads`). Along any other axis it is the same step, where the output has that axis,
and all of it where it has not: the function that gives a rule's shapes is asked whose sizes it hands on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torchport.axis import Axis
from torchport.errors import TorchportError, Unsupported
from torchport.graph import Op, Ref, Tensor, map_refs
from torchport.infer.axes import REGROUPING, Size
from torchport.infer.shapes import bind
from torchport.rules.table import find
from torchport.rules.window import Among, Onto, Part, Past, Pick, Reading, Transposed, Whole, Window

if TYPE_CHECKING:
    import numpy as np

#: The same step.
POINT = Window(1)
WHOLE = Whole()
#: Of values that are laid in a row and cut elsewhere.
ROW = Among("one {0}: all values are in one row")


@dataclass(frozen=True)
class Digit:
    """An axis that is flattened into another: its step is `at // stride % size`."""

    stride: int
    size: int

    reach = None
    jump = None

    def length(self, n: int | None) -> int | None:
        return None if n is None else n * self.stride

    def reads(self, at: int, n: int) -> Sequence[int]:
        return [at // self.stride % self.size]


@dataclass(frozen=True)
class Link:
    """Along one axis of `n` steps of an input: what the steps of the output axis number `axis` read of it.

    `axis` is None where it does not depend on the output's step. `length` is how many these are.
    """

    axis: int | None
    reading: Reading
    n: int | None
    length: int | None

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """For each output step the first and the last input step; none is read where the last is before it.

        One entry, where it does not depend on the step.
        """
        import numpy as np

        n, reading = self.n or 1, within(self.reading)
        if isinstance(reading, Pick):
            return np.array([reading.step]), np.array([reading.step])
        if isinstance(reading, Part):
            place = np.arange(self.length or 1) - reading.before
            is_own = (place >= 0) & (place < n)
            return np.where(is_own, place, 1), np.where(is_own, place, 0)
        if self.axis is None or isinstance(reading, Whole):
            return np.array([0]), np.array([n - 1])
        at = np.arange(self.length or 1)
        if isinstance(reading, Window) and reading.edge == "zeros":
            return _window(reading, at, n)
        if isinstance(reading, Transposed) and reading.d == 1:
            place = at + reading.cuts(n)[0]
            first, last = -((reading.k - 1 - place) // reading.s), place // reading.s
            return np.maximum(first, 0), np.minimum(last, n - 1)
        steps = [reading.reads(int(it), n) for it in at]
        return (
            np.array([min(it, default=n) for it in steps]), np.array([max(it, default=-1) for it in steps])
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """The same as data: `docs/explain-json.md`."""
        return {"axis": self.axis, **described(self.reading, self.n, self)}


def within(reading: Reading) -> Reading:
    """The steps that a reading takes some of; those that it reads itself."""
    return reading.within if isinstance(reading, Among) else reading


def _window(reading: Window, at: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    before, _ = reading.pads(n) or (0, 0)
    start = at * reading.s - before
    first = start + -(-np.maximum(-start, 0) // reading.d) * reading.d
    over = np.maximum(start + reading.reach - n, 0)
    last = start + reading.reach - 1 - -(-over // reading.d) * reading.d
    return first, last


def described(reading: Reading, n: int | None, link: Link) -> dict[str, Any]:
    """What a reading is, in words and numbers."""
    if isinstance(reading, Among):
        return {**described(reading.within, n, link), "among": reading.says}
    if isinstance(reading, Whole):
        return {"kind": "whole"}
    if isinstance(reading, Past):
        return {"kind": "past", "backwards": reading.backwards}
    if isinstance(reading, Digit):
        return {"kind": "digit", "stride": reading.stride, "size": reading.size}
    if reading == POINT:
        return {"kind": "point"}
    if isinstance(reading, Part):
        return {"kind": "part", "before": reading.before, "after": reading.after}
    if isinstance(reading, Window) and reading.edge == "zeros":
        before, after = reading.pads(n) or (0, 0)
        numbers = {"k": reading.k, "s": reading.s, "d": reading.d, "before": before, "after": after}
        return {"kind": "window", **numbers}
    if isinstance(reading, Transposed):
        before, after = reading.ends(n or 1)
        numbers = {"k": reading.k, "s": reading.s, "d": reading.d, "before": before, "after": after}
        return {"kind": "transposed", **numbers}
    first, last = link.spans
    spans = [[int(a), int(b)] for a, b in zip(first, last, strict=True)]
    return {"kind": "table", "of": type(reading).__name__.lower(), "spans": spans}


@dataclass(frozen=True)
class Question:
    """A call whose tensors have sizes that know their axis, so that its rule may be asked which it hands on.

    `tags`: the tensors by a name of their own for each time they are read; `origin`: what they are of.
    """

    op: Op
    tags: Mapping[str, Tensor]
    origin: Mapping[str, str]

    @classmethod
    def of(cls, op: Op, tensors: Mapping[str, Tensor]) -> Question:
        tags: dict[str, Tensor] = {}
        origin: dict[str, str] = {}

        def tag(name: str) -> Ref:
            own, tensor = f"{name}#{len(tags)}", tensors[name]
            axes = tuple(Axis(str(at), own) for at in range(len(tensor.shape)))
            shape = tuple(map(Size.of, tensor.shape, axes, range(len(axes))))
            tags[own], origin[own] = replace(tensor, name=own, shape=shape), name
            return Ref(own)

        known = replace(op, args=map_refs(op.args, tag), kwargs=map_refs(op.kwargs, tag), bound=None)
        return cls(known, tags, origin)

    def shape(self, tags: Mapping[str, Tensor]) -> Sequence[int | None]:
        """The sizes of the first output, those that are handed on with their axis; may raise as rules do."""
        found = bind(self.op, tags).shape(*map_refs(self.op.args, tags.__getitem__))
        if found is None:
            return next(iter(tags.values())).shape
        return found[0] if isinstance(found, list) else found  # type: ignore[no-any-return]

    def reads(self) -> Mapping[int, Reading] | Sequence[Mapping[int, Reading]]:
        """What slides along the axes of the first input, or of each."""
        return bind(self.op, self.tags).reads(*map_refs(self.op.args, self.tags.__getitem__))

    def is_same(self, own: str, at: int, axis: int, rank: int) -> bool:
        """Whether an axis of an input is an axis of the output although another's stands there.

        It is, where the output has its size as soon as all others are 1 there, as tensors that are broadcast
        do, and where they may not be: these have to be of one size.
        """
        tags = dict(self.tags)
        for name, it in self.tags.items():
            place = axis - rank + len(it.shape)
            if name != own and 0 <= place < len(it.shape):
                tags[name] = replace(it, shape=(*it.shape[:place], 1, *it.shape[place + 1 :]))
        try:
            size = self.shape(tags)[axis]
        except ERRORS:
            return True
        return isinstance(size, Size) and size.axis == Axis(str(at), own)


#: What a rule may raise that is asked about sizes that are none of its model's.
ERRORS = (TorchportError, Unsupported, TypeError, ValueError, KeyError, IndexError, AttributeError)


def links(op: Op, tensors: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> list[tuple[str, list[Link]]]:
    """For each tensor that an op reads, as often as it does, a link for each axis: to the first output."""
    asked, y = Question.of(op, tensors), outputs[0]
    rule = find(op.kind)
    shape: Sequence[int | None] = ()
    slides: Mapping[int, Reading] | Sequence[Mapping[int, Reading]] = {}
    if rule is not None and not rule.is_theirs:
        with suppress(*ERRORS):
            shape = asked.shape(asked.tags)
        with suppress(*ERRORS):
            slides = asked.reads()
    kept = {
        (size.axis.origin, int(size.axis.name)): at
        for at, size in enumerate(shape) if isinstance(size, Size) and len(shape) == len(y.shape)
    }  # fmt: skip
    each = [slides] if isinstance(slides, Mapping) else slides
    reads = each[0] if each else {}
    mixes = any(name.rpartition("/")[2].endswith("kernel") for name in op.weights) and not reads
    found = []
    for number, own in enumerate(asked.op.inputs):
        x = tensors[asked.origin[own]]
        if number == 0 and op.kind in REGROUPING:
            found.append((x.name, regrouped(op, x, y)))
            continue
        axes = []
        for at in range(len(x.shape)):
            there = at - len(x.shape) + len(y.shape)
            if kept and (own, at) not in kept and len(asked.tags) > 1 and there >= 0:
                fits = x.shape[at] is not None and x.shape[at] == y.shape[there] != 1
                if fits and asked.is_same(own, at, there, len(y.shape)):
                    kept[own, at] = there
            axes.append(_axis(at, x, y, kept.get((own, at)), mixes))
        first = tensors[asked.origin[asked.op.inputs[0]]]
        own_reads = each[number] if number < len(each) else _wholly(reads, len(first.shape), len(x.shape))
        for at, reading in own_reads.items():
            at %= len(x.shape)
            axes[at] = _slid(at, reading, x, y)
        found.append((x.name, axes))
    return found


def _wholly(reads: Mapping[int, Reading], rank: int, own: int) -> dict[int, Reading]:
    """What is looked at as a whole in the first input is in the others: right sides, imaginary parts."""
    places = {at % rank - rank + own: it for at, it in reads.items() if isinstance(it, Whole) and it.keeps}
    return {at: it for at, it in places.items() if at > 0}


def _slid(at: int, reading: Reading, x: Tensor, y: Tensor) -> Link:
    """The link of an axis that a rule says something of."""
    n = x.shape[at]
    if isinstance(reading, Onto):
        axis: int | None = reading.axis
        reading = reading.reading
    else:
        is_all = isinstance(within(reading), (Whole, Pick))
        axis = None if is_all else _place(at, reading.length(n), y)
    return Link(axis, reading, n, None if axis is None else y.shape[axis])


def _place(at: int, length: int | None, y: Tensor) -> int | None:
    """The axis of the output that one becomes over which something slides: in its place, where that fits."""
    places = [at, *range(1, len(y.shape))]
    return next((it for it in places if it < len(y.shape) and y.shape[it] == length), None)


def _axis(at: int, x: Tensor, y: Tensor, kept: int | None, mixes: bool) -> Link:
    """The link of an axis over which nothing slides."""
    n = x.shape[at]
    if mixes and at == len(x.shape) - 1:
        return Link(None, WHOLE, n, None)
    if kept is None and at == 0 and y.shape and n == y.shape[0]:
        kept = 0
    return Link(None, WHOLE, n, None) if kept is None else Link(kept, POINT, n, y.shape[kept])


def regrouped(op: Op, x: Tensor, y: Tensor) -> list[Link]:
    """Where values are read again in another shape: an axis is a digit of the one that it went into.

    An axis that spans the values from one edge to another, counted as products of sizes, is in an output axis
    whose edges divide those.
    """
    order = list(range(len(x.shape)))
    if op.config.get("data_format") == "channels_first" and len(order) > 2:  # Flatten
        order = [0, *order[2:], 1]
    first = 1 if x.shape and y.shape and x.shape[0] == y.shape[0] else 0
    found = {0: Link(0, POINT, x.shape[0], y.shape[0])} if first else {}
    edges = [math.prod(size or 1 for size in y.shape[first:at]) for at in range(first, len(y.shape) + 1)]
    is_known = None not in (*x.shape[first:], *y.shape[first:])
    passed = 1
    for at in order[first:]:
        size = x.shape[at] or 1
        start, passed = passed, passed * size
        found[at] = Link(None, WHOLE if size == 1 else ROW, x.shape[at], None)
        for axis, (before, behind) in enumerate(pairwise(edges), first):
            if is_known and start % before == 0 and behind % passed == 0 and behind > before:
                reading = POINT if size == y.shape[axis] else Digit(behind // passed, size)
                found[at] = Link(axis, reading, size, y.shape[axis])
    return [found[at] for at in range(len(x.shape))]
