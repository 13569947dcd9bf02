"""What one output step reads along an axis: the size arithmetic of all that slides, stretches or cuts.

Each of these says of an axis of `n` input steps how long the output is (`length`), which input steps the
output step `at` reads (`reads`, in order; what padding added is not among them), how many steps there are
from the first to the last of them at most (`reach`), and how far they move on from one output step to the
next (`jump`); None where that depends on `n`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from torchport.errors import Unsupported
from torchport.named import is_named

#: How far a method of resizing looks on both sides, in input steps.
#: Source: tensorflow/core/kernels/image/sampling_kernels.h.
RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


class Reading(Protocol):
    """What is known of one axis."""

    @property
    def reach(self) -> int | None: ...
    @property
    def jump(self) -> Fraction | None: ...
    def length(self, n: int | None) -> int | None: ...
    def reads(self, at: int, n: int) -> Sequence[int]: ...


@dataclass(frozen=True)
class Window:
    """A window of `k` taps, `d` steps apart, that moves on by `s`: of convolutions, pooling, patches, frames.

    `padding` is "valid", "same", "causal", "end" (as "same", all of it behind: frames of tf.signal), or what
    is added before and after; less than zero is cut off.
    """

    k: int
    s: int = 1
    d: int = 1
    padding: str | tuple[int, int] = "valid"
    #: What is added: zeros, or the signal mirrored ("reflect").
    edge: str = "zeros"

    @property
    def reach(self) -> int:
        return (self.k - 1) * self.d + 1

    @property
    def jump(self) -> Fraction:
        return Fraction(self.s)

    def pads(self, n: int | None) -> tuple[int, int] | None:
        """What is added before and after; None if it depends on a size that is not known.

        The odd one of 'same' goes to the end. Source: tensorflow/core/framework/common_shape_fns.cc,
        GetWindowedOutputSizeVerbose.
        """
        if isinstance(self.padding, tuple):
            return self.padding
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self.reach - 1, 0
        if self.padding not in ("same", "end"):
            raise Unsupported(f"padding={self.padding!r} is not known")
        if self.s == 1 and not is_named(self.s) or self.k == 1 and not is_named(self.k):
            total = self.reach - 1
        elif n is None:
            return None
        else:
            step = int(self.s)  # what depends on sizes has no text
            total = max(0, (-(-n // step) - 1) * step + int(self.reach) - n)
        before = total // 2 if self.padding == "same" else 0
        return before, total - before

    def length(self, n: int | None) -> int | None:
        """Source: keras/src/ops/operation_utils.py, compute_conv_output_shape."""
        pads = self.pads(n)
        return None if n is None or pads is None else max((n + sum(pads) - self.reach) // self.s + 1, 0)

    def reads(self, at: int, n: int) -> Sequence[int]:
        before, _ = self.pads(n) or (0, 0)
        first = at * self.s - before
        taps = range(first, first + self.reach, self.d)
        if self.edge == "reflect":
            return sorted({min(abs(it), 2 * (n - 1) - it) for it in taps})
        return [it for it in taps if 0 <= it < n]

    def says(self, n: int) -> str:
        """The size in full: `(11 + 0 + 1 - 3) // 2 + 1 = 5`."""
        before, after = self.pads(n) or (0, 0)
        return f"({n} + {before} + {after} - {self.reach}) // {self.s} + 1 = {self.length(n)}"


def centred(length: int, step: int) -> Window:
    """Frames of a signal that is mirrored at both ends: the middle of the first is the first sample."""
    return Window(length, step, padding=(length // 2, length // 2), edge="reflect")


@dataclass(frozen=True)
class Transposed:
    """A window that is laid down: each input step adds to `k` output steps, `d` apart, `s` behind the last's.

    `extra` is Keras's output_padding; `size` the length of the output where that is told.
    TensorFlow runs it as the gradient of a convolution from the output's size: of what is laid down it cuts
    off what is too much, the odd one at the end.
    """

    k: int
    s: int = 1
    d: int = 1
    padding: str = "valid"
    extra: int | None = None
    size: int | None = None

    @property
    def full(self) -> int:
        """What one input step lays down."""
        return (self.k - 1) * self.d + 1

    @property
    def reach(self) -> int:
        return (self.full - 1) // self.s + 1

    @property
    def jump(self) -> Fraction:
        return Fraction(1, self.s)

    def length(self, n: int | None) -> int | None:
        """Source: keras/src/backend/common/backend_utils.py, _get_output_shape_given_tf_padding."""
        if self.size is not None or n is None:
            return self.size
        if self.padding == "valid":
            more = max(0, self.s - self.full) if self.extra is None else self.extra
            return (n - 1) * self.s + self.full + more
        if self.extra is None:
            return n * self.s
        return (n - 1) * self.s + self.full % 2 + self.extra

    def cuts(self, n: int = 1) -> tuple[int, int]:
        """What is cut off on both sides of all that is laid down, and what is then missing at the end.

        Less than zero is cut off there. Only where `size` is told does it depend on `n`.
        Source: tensorflow/core/kernels/conv_grad_shape_utils.cc, ConvBackpropComputeDimensionsV2.
        """
        laid, length = (n - 1) * self.s + self.full, self.length(n) or 0
        before = max(laid - length, 0) // 2
        return before, length - laid + 2 * before

    def ends(self, n: int) -> tuple[int, int]:
        """What is cut off at the start and at the end of all that is laid down; less than zero is added."""
        before, missing = self.cuts(n)
        return before, before - missing

    def reads(self, at: int, n: int) -> Sequence[int]:
        place = at + self.cuts(n)[0]
        taps = range(0, self.full, self.d)
        return [it for it in range(n) if place - it * self.s in taps]


@dataclass(frozen=True)
class Stretch:
    """An axis that is resized: `factor` times as long, or to `size`; steps are counted at their middles.

    `antialias` widens what is read where the axis becomes shorter.
    """

    factor: int = 1
    size: int | None = None
    method: str = "nearest"
    antialias: bool = False

    def scale(self, n: int) -> Fraction:
        """How many input steps an output step stands for."""
        return Fraction(n, self.length(n) or 1)

    @property
    def reach(self) -> int | None:
        return 2 * RADIUS.get(self.method, 0) or 1 if self.size is None else None

    @property
    def jump(self) -> Fraction | None:
        return Fraction(1, self.factor) if self.size is None else None

    def length(self, n: int | None) -> int | None:
        return self.size if self.size is not None or n is None else n * self.factor

    def reads(self, at: int, n: int) -> Sequence[int]:
        scale = self.scale(n)
        if self.method == "nearest":
            return [math.floor((at + Fraction(1, 2)) * scale)]
        if self.method == "area":
            return range(math.floor(at * scale), math.ceil((at + 1) * scale))
        if self.method not in RADIUS:
            raise Unsupported(f"what {self.method!r} reads is not known")
        wide = max(scale, Fraction(1)) if self.antialias else Fraction(1)
        middle = (at + Fraction(1, 2)) * scale - Fraction(1, 2)
        away = {it: abs(it - middle) / wide for it in range(n)}
        # a whole number of steps away from its middle a kernel is zero
        inside = {it for it, far in away.items() if far < RADIUS[self.method] and far.denominator > 1}
        return [it for it, far in away.items() if far == 0 or it in inside]


@dataclass(frozen=True)
class Adaptive:
    """An axis in `size` pieces that differ in length by one at most, and overlap where they do not fit."""

    size: int

    reach = None
    jump = None

    def length(self, n: int | None) -> int | None:
        return self.size

    def reads(self, at: int, n: int) -> Sequence[int]:
        return range(at * n // self.size, -(-(at + 1) * n // self.size))


@dataclass(frozen=True)
class Whole:
    """An axis of which every output step reads all; it stays as long as 1 step, where it stays at all.

    `keeps`: it stays as long as it was, as in a softmax.
    """

    keeps: bool = False

    reach = None
    jump = Fraction(0)

    def length(self, n: int | None) -> int | None:
        return n if self.keeps else 1

    def reads(self, at: int, n: int) -> Sequence[int]:
        return range(n)


@dataclass(frozen=True)
class Pick:
    """An axis of which one step is taken; it is gone then."""

    step: int

    reach = 1
    jump = Fraction(0)

    def length(self, n: int | None) -> int | None:
        return 1

    def reads(self, at: int, n: int) -> Sequence[int]:
        return [self.step]


@dataclass(frozen=True)
class Part:
    """An axis that is laid end to end with others: `before` of their steps are before it, `after` behind."""

    before: int
    after: int

    reach = 1
    jump = Fraction(1)

    def length(self, n: int | None) -> int | None:
        return None if n is None else self.before + n + self.after

    def reads(self, at: int, n: int) -> Sequence[int]:
        return [at - self.before] if 0 <= at - self.before < n else []


@dataclass(frozen=True)
class Groups:
    """Channels in `count` groups: each of `size` output channels reads those of its own group."""

    count: int
    size: int

    reach = None
    jump = None

    def length(self, n: int | None) -> int | None:
        return self.size

    def reads(self, at: int, n: int) -> Sequence[int]:
        group, many = at // (self.size // self.count), n // self.count
        return range(group * many, (group + 1) * many)


@dataclass(frozen=True)
class Past:
    """An axis that is gone through step by step: an output step reads all up to its own, or from the end."""

    backwards: bool = False

    reach = None
    jump = Fraction(0)

    def length(self, n: int | None) -> int | None:
        return n

    def reads(self, at: int, n: int) -> Sequence[int]:
        return range(n - 1 - at, n) if self.backwards else range(at + 1)


@dataclass(frozen=True)
class Rotation:
    """An axis whose steps stand elsewhere: `by` steps further on, and around; or from its end."""

    by: int = 0
    backwards: bool = False

    reach = 1
    jump = None

    def length(self, n: int | None) -> int | None:
        return n

    def reads(self, at: int, n: int) -> Sequence[int]:
        return [n - 1 - at if self.backwards else (at - self.by) % n]


@dataclass(frozen=True)
class Table:
    """An axis whose output steps read given input steps: of what is repeated, tiled, indexed, mirrored.

    `says`: which, in words, `{0}` for the axis.
    """

    steps: tuple[tuple[int, ...], ...]
    says: str

    reach = None
    jump = None

    def length(self, n: int | None) -> int | None:
        return len(self.steps)

    def reads(self, at: int, n: int) -> Sequence[int]:
        return self.steps[at]


def lookup(places: Iterable[int], says: str) -> Table:
    """The table of an axis whose output steps are input steps, one each."""
    return Table(tuple((int(it),) for it in places), says)


@dataclass(frozen=True)
class Among:
    """An axis of which an output step reads some steps of those of another reading.

    Which, the place along other axes says, or values do, or chance: `says`, in words, `{0}` for the axis.
    """

    says: str
    within: Reading = Whole(keeps=True)

    @property
    def reach(self) -> int | None:
        return self.within.reach

    @property
    def jump(self) -> Fraction | None:
        return self.within.jump

    def length(self, n: int | None) -> int | None:
        return self.within.length(n)

    def reads(self, at: int, n: int) -> Sequence[int]:
        return self.within.reads(at, n)


@dataclass(frozen=True)
class Onto:
    """A reading of an axis that is the output's axis number `axis`, where its place does not say so."""

    axis: int
    reading: Reading = Window(1)

    @property
    def reach(self) -> int | None:
        return self.reading.reach

    @property
    def jump(self) -> Fraction | None:
        return self.reading.jump

    def length(self, n: int | None) -> int | None:
        return self.reading.length(n)

    def reads(self, at: int, n: int) -> Sequence[int]:
        return self.reading.reads(at, n)
