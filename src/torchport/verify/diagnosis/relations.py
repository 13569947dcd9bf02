"""How one array came of another: what was done to the right values so that they are those of the port.

Each relation is worked out and held against the numbers; `axes` are the names of the array's axes as PyTorch
holds it, the batch first. `limit`: the relative error that a relation may have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from torchport.verify.compare import agrees

#: How near a relation has to come in float64.
EXACT = 1e-9

#: Modes of numpy.pad that are taken for one another, by what they are called.
PADDINGS = {
    "zeros": "constant",
    "its edge": "edge",
    "its reflection": "reflect",
    "its mirror image": "symmetric",
}
#: Of an axis at most this many steps are taken for padding or cropping.
REACH = 16


def relations(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float = EXACT) -> Iterator[str]:
    """What was done to `right`, in words that follow "it is": "reversed along t (time runs backwards)"."""
    for relation in RELATIONS:
        yield from relation(got, right, axes, limit)


def turned(array: np.ndarray, axes: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The array itself, and what it is in the other direction of one or all axes in space."""
    yield "", array
    for axis in range(1, array.ndim):
        if array.shape[axis] > 1:
            yield f"{direction(axes, axis)}, ", np.flip(array, axis)
    if array.ndim > 3:
        yield "mirrored in space, ", np.flip(array, tuple(range(2, array.ndim)))


def direction(axes: Sequence[str], axis: int) -> str:
    """What reversing an axis is called."""
    name = name_of(axes, axis)
    meaning = {"t": " (time runs backwards)", "c": " (the channels in reverse: BGR for RGB)"}
    return f"reversed along {name}{meaning.get(name, '')}"


def permuted(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Axes in another order."""
    if got.ndim != right.ndim or right.ndim > 5:
        return
    for order in itertools.permutations(range(right.ndim)):
        if order != tuple(range(right.ndim)) and agrees(got, np.transpose(right, order), limit):
            names = " ".join(name_of(axes, at) for at in order)
            yield f"permuted: its axes are ({names}), not ({' '.join(axes)})"
            return


def flattened(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """The right values, read in another order of axes."""
    if got.shape != right.shape or not 2 < right.ndim < 6:
        return
    for order in itertools.permutations(range(right.ndim)):
        turned_array = np.transpose(right, order)
        if turned_array.shape != right.shape and agrees(got, turned_array.reshape(right.shape), limit):
            yield "reshaped where its axes should be permuted"
            return


def mirrored(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """The other way round along one axis, or along all in space."""
    if got.shape != right.shape:
        return
    for text, array in turned(right, axes):
        if text and agrees(got, array, limit):
            yield text.removesuffix(", ")
            return


def halved(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Halves of an axis in the other order, or one of them reversed: the directions of a recurrent layer."""
    if got.shape != right.shape:
        return
    for axis in range(1, right.ndim):
        if right.shape[axis] < 2 or right.shape[axis] % 2:
            continue
        name = name_of(axes, axis)
        first, second = np.split(right, 2, axis)
        if agrees(got, np.concatenate([second, first], axis), limit):
            yield f"joined in the other order: the halves of {name} are swapped"
            return
        if right.ndim == 3 and axis == 2:
            for which, pair in {
                "second": (first, second[:, ::-1]), "first": (first[:, ::-1], second),
            }.items():  # fmt: skip
                if agrees(got, np.concatenate(pair, axis), limit):
                    yield f"reversed in time in its {which} half: one direction is not turned back"
                    return


def shuffled(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Channels that were laid out as groups of another size: depth to space, heads, channel multipliers."""
    if got.shape != right.shape or right.ndim < 2:
        return
    for axis in {1, right.ndim - 1}:
        size = right.shape[axis]
        for groups in (it for it in range(2, min(size // 2, 64) + 1) if size % it == 0):
            split = right.reshape(*right.shape[:axis], groups, size // groups, *right.shape[axis + 1 :])
            if agrees(got, split.swapaxes(axis, axis + 1).reshape(right.shape), limit):
                counts = f"in groups of {groups} where the source has {size // groups}"
                yield f"shuffled along {name_of(axes, axis)}: {counts}"
                return


def padded(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Padded or cropped, perhaps reversed besides."""
    if found := padding(got, right, axes, limit):
        text, sides = found
        # What is reversed and padded is padded rightly: a wrong side would be enough to explain it.
        yield (
            text.removesuffix(", ")
            if text.startswith(("reversed", "mirrored"))
            else f"{text}{said(sides, axes)}"
        )


def padding(
    got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float = EXACT
) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """How many steps were put before and after each axis (negative: cut off), and what was done before."""
    if got.ndim != right.ndim or got.shape[0] != right.shape[0] or got.shape == right.shape:
        return None
    more = [a - b for a, b in zip(got.shape, right.shape, strict=True)]
    if any(abs(step) > REACH for step in more):
        return None
    sides = [[(before, step - before) for before in range(min(step, 0), max(step, 0) + 1)] for step in more]
    for text, array in turned(right, axes):
        for pairs in itertools.product(*sides):
            cut = tuple(slice(max(-a, 0), array.shape[at] - max(-b, 0)) for at, (a, b) in enumerate(pairs))
            for mode, kind in PADDINGS.items():
                try:
                    whole = np.pad(array[cut], [(max(a, 0), max(b, 0)) for a, b in pairs], kind)  # type: ignore[call-overload]
                except ValueError:
                    continue
                if agrees(got, whole, limit):
                    filled = f"{text}with {mode}, " if mode != "zeros" else text
                    return filled, pairs
                if not any(a > 0 or b > 0 for a, b in pairs):
                    break
    return None


def said(sides: Sequence[tuple[int, int]], axes: Sequence[str]) -> str:
    """`padded by 1 before h, 1 before w`; `cut by 1 after t`."""
    words: dict[str, list[str]] = {"padded by": [], "cut by": []}
    for at, pair in enumerate(sides):
        name = name_of(axes, at)
        for side, steps in zip(("before", "after"), pair, strict=True):
            if steps:
                words["padded by" if steps > 0 else "cut by"].append(f"{abs(steps)} {side} {name}")
    return (
        " and ".join(f"{verb} {', '.join(found)}" for verb, found in words.items() if found) or "not padded"
    )


def shifted(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Right but for a step to the side: a pad or a crop at the wrong end."""
    if got.ndim < 3 or got.ndim != right.ndim:
        return
    for steps in itertools.product((0, -1, 1), repeat=got.ndim - 1):
        if not any(steps):
            continue
        ours: list[slice] = [slice(None)]
        theirs: list[slice] = [slice(None)]
        for step in steps:
            ours.append(slice(max(step, 0) + 1, (min(step, 0) - 1)))
            theirs.append(slice(max(-step, 0) + 1, (min(-step, 0) - 1)))
        a, b = got[tuple(ours)], right[tuple(theirs)]
        if a.size and a.shape == b.shape and np.ptp(b) and agrees(a, b, limit):
            moved = [f"{step:+d} along {name_of(axes, at)}" for at, step in enumerate(steps, 1) if step]
            yield f"shifted by {', '.join(moved)}: padding or crop at the wrong side"
            return


def rolled(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Moved around in a circle, by any number of steps."""
    if got.shape != right.shape:
        return
    for axis in range(1, right.ndim):
        for step in range(1, min(right.shape[axis], 2 * REACH)):
            if agrees(got, np.roll(right, step, axis), limit):
                yield f"rolled by {step} along {name_of(axes, axis)}"
                return


def scaled(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Times a factor, plus a constant; or of the other sign."""
    if got.shape != right.shape or right.size < 4 or np.ptp(right) == 0:
        return
    columns = np.stack([right.ravel(), np.ones(right.size)], 1)
    (factor, constant), *_ = np.linalg.lstsq(columns, got.ravel(), rcond=None)
    if abs(factor) < 1e-12 or not agrees(got, factor * right + constant, limit):
        return
    is_scaled, is_moved = abs(factor - 1) > 1e-9, abs(constant) > 1e-9 * np.abs(got).max()
    if is_scaled and not is_moved:
        yield "of the other sign" if abs(factor + 1) < 1e-9 else f"{factor:.6g} times what it should be"
    elif is_moved:
        yield (
            f"{factor:.6g} times what it should be, plus {constant:.6g}"
            if is_scaled
            else (f"off by {constant:.6g} everywhere")
        )


def rounded(got: np.ndarray, right: np.ndarray, axes: Sequence[str], limit: float) -> Iterator[str]:
    """Of fewer digits."""
    if got.shape != right.shape or got.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        for name in ("float16", "float32"):
            if not agrees(got, right, 1e-12) and agrees(got, right.astype(name).astype(got.dtype), 1e-12):
                yield f"rounded to {name}"
                return


def name_of(axes: Sequence[str], axis: int) -> str:
    """An axis by its name, else by its number."""
    return axes[axis] if axis < len(axes) else f"axis {axis}"


Relation = Callable[[np.ndarray, np.ndarray, Sequence[str], float], Iterator[str]]
#: In the order in which they are asked: what moves values before what changes them.
RELATIONS: tuple[Relation, ...] = (
    permuted, flattened, mirrored, halved, shuffled, padded, shifted, rolled, scaled, rounded,
)  # fmt: skip
