"""What a Flatten laid in a row: how both sides count it, and where the rows of the kernel behind it went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torchport.axes import Turn, ravel

if TYPE_CHECKING:
    from torchport.geometry.cards import Subject


def flat_parts(turn: Turn) -> tuple[int, ...]:
    """The sizes of the axes of which a kernel's rows are made, where these are turned; empty where not."""
    ((axis, parts), *more) = turn.regroup or ((-1, ()),)
    return parts[0] if axis == 0 and len(parts) == 1 and len(parts[0]) > 1 and not more else ()


def flattened(subject: Subject) -> Iterator[str]:
    """How both sides count what a Flatten laid in a row, and where the rows of the kernel behind it went."""
    axes = subject.reads[0][0].keras.axes[-1:] if subject.reads else ()
    letters = axes[0].strip("()").split() if axes else []
    for it in subject.layer.weights:
        load = subject.loads.get((it.keras or "").rpartition("/")[2])
        parts = flat_parts(load.turn) if load else ()
        if len(parts) != len(letters) or not it.keras_side or len(it.keras_side.sizes) != 2:
            continue
        whole, first = math.prod(parts), (letters[-1], *letters[:-1])
        held = (parts[-1], *parts[:-1])
        yield (
            f"Keras counts {whole:,} = {'·'.join(map(str, parts))} as ({' '.join(letters)}): row "
            f"{place_of(letters, parts)} of the kernel"
        )
        yield f"PyTorch counts them as ({' '.join(first)}): column {place_of(first, held)} of the weight"
        stay = math.gcd(whole // parts[-1] - 1, parts[-1] - 1) + 1  # the fixed points of a transposition
        yield (
            "no tensor is permuted: the rows of the kernel are, once, when it is saved; "
            f"{stay:,} of {whole:,} stay where they are"
        )
        at, unit = inside(parts), it.torch_side.sizes[0] * 2 // 7 if it.torch_side.sizes[0] else 0
        source = (ravel(at, parts), unit)
        target = load.turn.index((whole, it.torch_side.sizes[0] or 1), source) if load else None
        if target is not None:
            array = subject.values.get("kernel")
            value = "" if array is None else f" = {float(array[source]):+.6f}"
            yield (
                f"{' '.join(letters)} = {' '.join(map(str, at))}: "
                f"kernel[{source[0]}, {unit}] is weight[{target[0]}, {target[1]}]{value}"
            )


def inside(sizes: Sequence[int]) -> tuple[int, ...]:
    """The index of an element whose numbers are unequal where the sizes allow it."""
    return tuple((size * 2 // 7 + 3 * place + 1) % size for place, size in enumerate(sizes))


def place_of(letters: Sequence[str], sizes: Sequence[int]) -> str:
    """Where an element stands, as a sum.

    >>> place_of("hwc", (7, 7, 64))
    '(h·7 + w)·64 + c'
    """
    text = letters[0]
    for letter, count in zip(letters[1:], sizes[1:], strict=True):
        text = f"({text})·{count} + {letter}" if " " in text else f"{text}·{count} + {letter}"
    return text
