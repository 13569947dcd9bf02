"""What random options are drawn with: families of layers, sizes, numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.layers.harness import Case

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: The strategies by family and kind.
FAMILIES: dict[tuple[str, str], st.SearchStrategy[Case]] = {}


def family(kinds: str) -> Callable[[Callable[[Draw, str], Case]], Callable[[Draw, str], Case]]:
    """Enter a function that draws a case of each of these kinds."""

    def enter(draws: Callable[[Draw, str], Case]) -> Callable[[Draw, str], Case]:
        for kind in kinds.split():
            FAMILIES[draws.__name__, kind] = st.composite(draws)(kind)
        return draws

    return enter


def rank_of(kind: str) -> int:
    """The axes of space of a layer: 2 for Conv2DTranspose."""
    return int(next(it for it in kind if it.isdigit()))


def one_of(draw: Draw, *values: Any) -> Any:
    return draw(st.sampled_from(values))


def sizes(draw: Draw, count: int, low: int = 1, high: int = 7) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))


def text(shape: Any) -> str:
    """A shape as cases have it: "2 5 7 3"."""
    return " ".join(map(str, shape))


def each(draw: Draw, rank: int, low: int, high: int) -> Any:
    """One number, or one for each axis."""
    if draw(st.booleans()):
        return draw(st.integers(low, high))
    return tuple(sizes(draw, rank, low, high))


def eighths(draw: Draw, low: float, high: float) -> float:
    """A number that is the same in float32 and float64."""
    return draw(st.integers(int(low * 8), int(high * 8))) / 8


def some(draw: Draw, options: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """A value for some of the options; the others keep their defaults."""
    return {name: draw(values) for name, values in options.items() if draw(st.booleans())}


def placed(draw: Draw, space: list[int], channels: int, first: bool) -> tuple[str, str]:
    """The shape of a batch, and what the model declares of it: perhaps no sizes of space."""
    shape = [2, channels, *space] if first else [2, *space, channels]
    if draw(st.integers(0, 2)):
        return text(shape), ""
    axes = range(2, len(shape)) if first else range(1, len(shape) - 1)
    declared = ["?", *(str(size) for size in shape[1:])]
    for axis in axes:
        declared[axis] = "?"
    return text(shape), " ".join(declared)


ACTIVATIONS = st.sampled_from([None, "relu", "softmax", "tanh", "hard_silu", "log_softmax"])
