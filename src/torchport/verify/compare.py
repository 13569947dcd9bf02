"""The error of a tensor, and what it may be: float64 by a fixed limit, float32 by TensorFlow's own error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: What a right port reaches in float64 with room to spare, and a wrong one does not.
LIMIT = 1e-10
#: Where TensorFlow has no float64 kernel, and nothing better than its float32 is there to compare
#: with.
LIMIT32 = 1e-4
EPS32 = 2.0**-23
#: The port's float32 error may be this multiple of TensorFlow's own, and this much more.
MULTIPLE, FLOOR = 10.0, 64 * EPS32
#: A float32 error above this share of the value: the value is what rounding left of a sum that
#: cancels.
CANCELLED = 0.1


@dataclass(frozen=True)
class Compared:
    """The outcome of one comparison: an error where it could be measured, else the problem."""

    error: float | None = None
    problem: str = ""


def scale_of(want: np.ndarray, noise: float = 0.0) -> float:
    """What the error of a tensor is relative to. `noise` is TensorFlow's float32 error in it, absolute."""
    size = float(np.max(np.abs(want), initial=0.0))
    if noise > CANCELLED * size:
        size = noise / EPS32
    return size or 1.0


def compare(got: np.ndarray, want: np.ndarray, noise: float = 0.0, scale: float | None = None) -> Compared:
    """Shape and kind first, then values; a NaN is never equal to anything."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return Compared(problem=f"has the shape {got.shape}, the source {want.shape}")
    if (got.dtype.kind == "f") != (want.dtype.kind == "f"):
        return Compared(problem=f"is {got.dtype}, the source {want.dtype}")
    if want.dtype.kind != "f":
        return Compared(float(np.mean(got != want)) if got.size else 0.0)
    if not np.isfinite(want).all():
        return Compared(problem="the source's own value is not finite: nothing to compare with")
    if not np.isfinite(got).all():
        bad = int(got.size - np.isfinite(got).sum())
        return Compared(problem=f"{bad} of {got.size} values are not finite, the source's are")
    return Compared(difference(got, want) / (scale or scale_of(want, noise)))


def difference(got: np.ndarray, want: np.ndarray) -> float:
    """The largest absolute difference."""
    if not got.size:
        return 0.0
    return float(np.max(np.abs(got.astype(np.float64) - want.astype(np.float64))))


def limit32(reference32: float | None) -> float | None:
    """What the port's float32 error may be, given TensorFlow's own."""
    return None if reference32 is None else MULTIPLE * reference32 + FLOOR


def agrees(got: np.ndarray, want: np.ndarray, limit: float = 1e-9) -> bool:
    """Whether a hypothesis explains a tensor."""
    found = compare(got, want)
    return found.error is not None and math.isfinite(found.error) and found.error <= limit
