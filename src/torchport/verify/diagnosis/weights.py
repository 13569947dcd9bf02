"""How a tensor of the weights file came to differ: each guess is tried on the numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from torchport.axes import Turn
from torchport.record import Stored


def explain(got: np.ndarray, want: np.ndarray, entry: Stored, siblings: Mapping[str, np.ndarray]) -> str:
    """The likely cause, in words. `siblings`: what the layer's tensors should be, by name."""
    if got.dtype.kind == "f" and not np.isfinite(got).all():
        bad = int(got.size - np.isfinite(got).sum())
        return f"{bad} of {got.size} values are not finite"
    for text, array in guesses(want, entry, siblings):
        if array.shape == got.shape and np.array_equal(array, got):
            return text
    wrong = int(np.sum(got != want))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = got[want != 0] / want[want != 0] if got.dtype.kind == "f" else np.array([])
    if ratio.size > 1 and np.allclose(ratio, ratio[0], rtol=1e-5) and wrong == int(np.sum(want != 0)):
        return f"is {ratio.flat[0]:.6g} times the source's"
    largest = float(np.max(np.abs(got.astype(np.float64) - want.astype(np.float64))))
    return f"{wrong} of {got.size} values differ from the source's, by up to {largest:.2g}"


def guesses(
    want: np.ndarray, entry: Stored, siblings: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """What people and converters get wrong, and the tensor that each would give."""
    for name, array in siblings.items():
        if name != entry.name:
            yield f"holds what belongs into {name}", array
    if entry.turn and entry.turn.regroup:
        plain = Turn(entry.turn.pattern).apply(entry.turn.undo(want))
        yield "its rows were not turned for the order in which the port flattens an image", plain
    if want.ndim == 2:
        yield "is transposed", want.T
    if want.ndim > 3:
        yield from (
            (f"its spatial axes are swapped ({a} and {b})", np.swapaxes(want, a, b))
            for a, b in itertools.combinations(range(2, want.ndim), 2)
        )
    if want.ndim > 2:
        yield "its input and output channels are swapped", np.swapaxes(want, 0, 1)
        for axis in range(2, want.ndim):
            yield f"is mirrored along axis {axis}", np.flip(want, axis)
        yield "is mirrored in space", np.flip(want, tuple(range(2, want.ndim)))
    for gates in (3, 4):
        if want.ndim == 2 and want.shape[0] == gates * want.shape[1]:
            pieces = [piece.T for piece in np.split(want, gates, 0)]
            yield f"is not transposed: each of its {gates} gates is", np.concatenate(pieces)
        if want.size and want.shape and want.shape[0] % gates == 0 and want.shape[0] > gates:
            pieces = np.split(want, gates, 0)
            for order in itertools.permutations(range(gates)):
                if order != tuple(range(gates)):
                    yield (
                        f"its {gates} gates are in the order {order}",
                        np.concatenate([pieces[at] for at in order]),
                    )
    if entry.turn and want.ndim > 1:
        yield from permutations(want, entry.turn)
    yield from reordered(want)
    yield "its sign is reversed", -want if want.dtype.kind == "f" else want
    yield "is all zero", np.zeros_like(want)
    yield "is all one", np.ones_like(want)
    if want.dtype.kind == "f":
        with np.errstate(over="ignore"):
            yield "is rounded to float16", want.astype(np.float16).astype(want.dtype)
    yield "has no first row: it is all zero, as with padding_idx=0", np.concatenate([0 * want[:1], want[1:]])


def permutations(want: np.ndarray, turn: Turn) -> Iterator[tuple[str, np.ndarray]]:
    """The source's array, its axes in another order or not permuted at all."""
    original = turn.undo(want)
    if original.ndim > 5:
        return
    yield "is reshaped where its axes should be permuted", original.reshape(want.shape)
    for order in itertools.permutations(range(original.ndim)):
        turned = np.transpose(original, order).reshape(want.shape)
        yield f"has the source's axes in the order {order}, which is not {turn.pattern}", turned


def reordered(want: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """An axis in reverse, or laid out in groups of another size: heads, channel multipliers."""
    for axis, size in enumerate(want.shape):
        yield f"is in reverse along axis {axis}", np.flip(want, axis)
        for groups in (it for it in range(2, min(size // 2, 64) + 1) if size % it == 0):
            split = want.reshape(*want.shape[:axis], groups, size // groups, *want.shape[axis + 1 :])
            grouped = split.swapaxes(axis, axis + 1).reshape(want.shape)
            yield f"is shuffled along axis {axis}: in groups of {groups}, not of {size // groups}", grouped
