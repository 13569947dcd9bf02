"""How far two tensors are apart, and what that says: float64 by a limit, float32 by TensorFlow's own error.

A limit may grow with how far the source is from itself, never so far that another function passes: what
rounding does in float64 is 2^-29 of what it does in float32, and a share of what a layer reads in either.
A source that moves further than that, because it draws random numbers or because a last bit decides between
two of its branches, decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

#: What a right port reaches in float64 with room to spare, and a wrong one does not.
LIMIT = 1e-10
#: Where TensorFlow has no float64 kernel, and nothing better than its float32 is there to compare
#: with.
LIMIT32 = 1e-4
LIMITS = {"float64": LIMIT, "float32": LIMIT32}
EPS32 = 2.0**-23
EPS = {"float64": 2.0**-52, "float32": EPS32}
#: The port's float32 error may be this multiple of TensorFlow's own, and this much more.
MULTIPLE, FLOOR = 10.0, 64 * EPS32
#: A float32 error above this share of the value: the value is what rounding left of a sum that
#: cancels.
CANCELLED = 0.1
#: How many last bits of the largest that it is made of rounding leaves of a sum that cancels.
CANCELS = 64
#: The share of TensorFlow's float32 error that a float64 error may have: 500 times what rounding leaves of
#: it. Two draws of a random number differ by as much in either.
CARRIED = 1e-6
#: What a last bit does to a source is rounding up to this share of what is read, and no more.
ROUNDING = {"float64": 1e-11, "float32": 1e-4}
#: How often a float32 run decides otherwise, by rounding, where whole numbers are made of fractions.
TIES = 1e-3
#: So many values are compared at a time: what is computed of them takes no room beside a large tensor.
BLOCK = 1 << 18


@dataclass(frozen=True)
class Compared:
    """One comparison: the largest difference, the largest value it is measured by, or the problem.

    Of whole numbers and truth values the difference is the share that is not the same. `is_open`: the
    problem is the source's, and decides nothing.
    """

    distance: float | None = None
    size: float = 1.0
    problem: str = ""
    is_open: bool = False
    is_whole: bool = False

    @property
    def error(self) -> float | None:
        return None if self.distance is None else self.distance / self.size


def blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Arrays of one shape, in parts of at most BLOCK values, in the order in which the last of them lies."""
    last = arrays[-1]
    if last.size <= BLOCK:
        yield arrays
        return
    axis = max((at for at in range(last.ndim) if last.shape[at] > 1), key=lambda at: abs(last.strides[at]))
    rows = max(BLOCK * last.shape[axis] // last.size, 1)
    for start in range(0, last.shape[axis], rows):
        part = (slice(None),) * axis + (slice(start, start + rows),)
        yield from blocks(*(it[part] for it in arrays))


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have one dtype, one shape and the same bits."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return all(a.tobytes() == b.tobytes() for a, b in blocks(one, other))


def largest(array: np.ndarray) -> float:
    """The largest absolute value; 0 where there is none."""
    return float(np.max([np.max(np.abs(it), initial=0.0) for (it,) in blocks(array)]))


def size_of(want: np.ndarray) -> float:
    """The largest finite value; 1 where all is zero."""
    found = (np.max(np.abs(it), initial=0.0, where=np.isfinite(it)) for (it,) in blocks(want))
    return float(max(found)) or 1.0


def compare(got: np.ndarray, want: np.ndarray, size: float | None = None) -> Compared:
    """Shape and kind first, then values. An infinity is equal to itself, a NaN to nothing."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return Compared(problem=f"has the shape {got.shape}, the source {want.shape}")
    if is_fraction(got) != is_fraction(want):
        return Compared(problem=f"is {got.dtype}, the source {want.dtype}")
    if not is_fraction(want):
        return Compared(distance_of(got, want), is_whole=True)
    if any(np.isnan(it).any() for (it,) in blocks(want)):
        return Compared(
            problem="the source's own value is not a number: nothing to compare with", is_open=True
        )
    if bad := sum(count_bad(one, other) for one, other in blocks(got, want)):
        return Compared(problem=f"{bad} of {got.size} values are not finite as the source's are")
    return Compared(distance_of(got, want), size or size_of(want))


def count_bad(got: np.ndarray, want: np.ndarray) -> int:
    """How many values are not finite, or not the infinity that the source's is."""
    return int(np.count_nonzero(np.where(np.isinf(want), got != want, ~np.isfinite(got))))


def is_fraction(array: np.ndarray) -> bool:
    return array.dtype.kind in "fc"


def distance_of(got: np.ndarray, want: np.ndarray) -> float:
    """The largest absolute difference; of whole numbers the share that is not the same."""
    if not got.size:
        return 0.0
    if not is_fraction(want):
        return sum(int(np.count_nonzero(one != other)) for one, other in blocks(got, want)) / got.size
    return float(np.max([furthest(one, other) for one, other in blocks(got, want)]))


def furthest(got: np.ndarray, want: np.ndarray) -> float:
    """The largest absolute difference of fractions."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(got, want, dtype=np.result_type(got, want, np.float64)))
    return float(np.max(np.where(got == want, 0.0, apart)))


@dataclass(frozen=True)
class Noise:
    """How far the source is from itself in one tensor, absolute.

    `low`: its float32 run from its float64 run. `nudged`: runs with a last bit of weights and inputs moved.
    None: not measured. `reads`: the largest value of what the tensor is made of. `rounding`: up to which
    share of that it is rounding, if another than `ROUNDING`.
    """

    low: float | None = None
    nudged: float | None = None
    reads: float = 0.0
    rounding: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What a comparison comes to. Errors and limits are relative to `scale`; `passed` None: not decided."""

    passed: bool | None
    scale: float = 1.0
    limit: float | None = None
    limit32: float | None = None
    note: str = ""


def judge(
    found: Compared, low: Compared | None, noise: Noise, dtype: str = "float64", exact: bool = True,
    limit: float | None = None,
) -> Judgement:  # fmt: skip
    """What a comparison in `dtype`, and one in float32, come to.

    Where TensorFlow's own float32 is not finite, as of an exponential beyond it, float32 tells nothing.
    `exact`: the source has the digits of `dtype`. `limit`: another than that of `dtype`.
    """
    if found.problem or found.distance is None:
        return Judgement(None if found.is_open else False, note=found.problem)
    if noise.low is not None and not math.isfinite(noise.low):
        noise, low = replace(noise, low=None), None
    unsure = not exact and noise.low is None
    scale, base = found.size, limit if limit is not None else LIMITS["float32" if unsure else dtype]
    allowed = base * scale
    reads = max(noise.reads, 0.0 if noise.low and noise.low > CANCELLED * scale else scale)
    if unsure and not found.is_whole:  # a sum that cancels is what rounding left of what it reads
        scale = max(scale, FLOOR * reads / base)
        allowed = base * scale
    elif dtype == "float64" and noise.low is None and not found.is_whole:
        scale = max(scale, CANCELS * EPS[dtype] * noise.reads / base)
        allowed = base * scale
    elif dtype == "float64" and exact and noise.low and not found.is_whole:
        if noise.low > CANCELLED * scale:
            scale = noise.low / EPS32
        allowed = max(base * scale, CARRIED * noise.low)
    elif not exact and noise.low is not None:
        rounding = min(noise.low, ROUNDING["float32"] * reads)
        allowed = max(allowed, MULTIPLE * rounding + FLOOR * scale)
        if noise.low > CANCELLED * scale:
            scale = noise.low / EPS32
    relative = base if allowed == base * scale else allowed / scale
    if found.distance <= allowed:
        return low_judgement(found, low, noise, scale, relative)
    if noise.nudged:
        digits = dtype if exact else "float32"
        most = max(noise.rounding or 0.0, ROUNDING[digits]) * reads
        if (
            noise.nudged <= most
            and not found.is_whole
            and found.distance <= allowed + 2 * MULTIPLE * noise.nudged
        ):
            scale = max(scale, noise.nudged / EPS[digits])
            limit = (allowed + 2 * MULTIPLE * noise.nudged) / scale
            return low_judgement(found, low, noise, scale, limit)
        if found.distance <= MULTIPLE * noise.nudged:
            return Judgement(
                None, scale, relative,
                note="TensorFlow's own value moves as far when a last bit of weights and inputs is moved: it "
                "draws random numbers, or rounding decides here",
            )  # fmt: skip
    return Judgement(False, scale, relative, limit32(noise, scale))


def low_judgement(
    found: Compared, low: Compared | None, noise: Noise, scale: float, limit: float
) -> Judgement:
    """Of a comparison that agrees in float64: the one in float32."""
    if low is None:
        return Judgement(True, scale, limit)
    allowed = limit32(noise, scale)
    if low.problem or low.distance is None:
        return Judgement(None if low.is_open else False, scale, limit, allowed, low.problem)
    if found.is_whole:
        allowed = max(allowed or 0.0, TIES)
    if allowed is None or low.distance <= allowed * scale:
        return Judgement(True, scale, limit, allowed)
    own = (noise.low or 0.0) / scale
    text = f"agrees in float64, but is off by {low.distance / scale:.1e} in float32, TensorFlow by {own:.1e}"
    return Judgement(False, scale, limit, allowed, text)


def limit32(noise: Noise, scale: float) -> float | None:
    """What the port's float32 error may be, given TensorFlow's own."""
    return None if noise.low is None else MULTIPLE * noise.low / scale + FLOOR


def agrees(got: np.ndarray, want: np.ndarray, limit: float = 1e-9) -> bool:
    """Whether a hypothesis explains a tensor."""
    found = compare(got, want)
    return found.error is not None and math.isfinite(found.error) and found.error <= limit
