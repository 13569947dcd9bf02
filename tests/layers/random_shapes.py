"""Random options of what turns and merges tensors."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.layers.draws import Draw, family, one_of, sizes, text
from tests.layers.harness import Case


@family("Reshape Permute Flatten RepeatVector")
def reshaping(draw: Draw, kind: str) -> Case:
    rank = draw(st.integers(1, 4))
    shape = [2, *sizes(draw, rank, 1, 5)]
    x = text(shape)
    if kind == "Permute":
        return Case(kind, {"dims": tuple(draw(st.permutations(range(1, rank + 1))))}, x)
    if kind == "RepeatVector":
        return Case(kind, {"n": draw(st.integers(1, 4))}, f"2 {draw(st.integers(1, 5))}")
    if kind == "Flatten":
        return Case(kind, {"data_format": one_of(draw, "channels_first", "channels_last")}, x)
    target = list(draw(st.permutations(shape[1:])))
    while len(target) > 1 and draw(st.booleans()):
        at = draw(st.integers(0, len(target) - 2))
        target = [*target[:at], target[at] * target[at + 1], *target[at + 2 :]]
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return Case(kind, {"target_shape": tuple(target)}, x)


@family("BatchNormalization LayerNormalization PReLU Softmax Normalization Dropout Rescaling Reshape Flatten")
def flat_chains(draw: Draw, kind: str) -> Case:
    """What stands between Flatten and Dense, whose rows turn."""
    shape = [2, *sizes(draw, draw(st.integers(2, 3)), 2, 4)]
    count = 1
    for size in shape[1:]:
        count *= size
    steps = [
        ("BatchNormalization", {}),
        ("LayerNormalization", {}),
        ("PReLU", {}),
        ("Softmax", {}),
        ("Normalization", {}),
        ("Dropout", {"rate": 0.25}),
        ("Rescaling", {"scale": 0.5, "offset": [0.25] * (count - 1) + [0.75]}),
        ("Reshape", {"target_shape": tuple(shape[1:])}),
        ("Reshape", {"target_shape": tuple(reversed(shape[1:]))}),
        ("Reshape", {"target_shape": (count,)}),
        ("Flatten", {}),
    ]
    one = one_of(draw, *(it for it in steps if it[0] == kind))
    before, after = (draw(st.lists(st.sampled_from(steps), max_size=1)) for _ in range(2))
    first = draw(st.booleans())
    last = (("Flatten", {}), ("Dense", {"units": 3})) if draw(st.booleans()) else ()
    options = {"data_format": "channels_first" if first else "channels_last"}
    return Case("Flatten", options, text(shape), then=(*before, one, *after, *last))


@family("Add Subtract Multiply Average Maximum Minimum Concatenate Dot")
def merging(draw: Draw, kind: str) -> Case:
    rank = draw(st.integers(2, 4))
    shape = [2, *sizes(draw, rank - 1, 1, 4)]
    options: dict[str, Any] = {}
    if kind == "Dot":
        other = [2, *sizes(draw, draw(st.integers(1, 3)), 1, 4)]
        axes = draw(st.integers(1, rank - 1)), draw(st.integers(1, len(other) - 1))
        other[axes[1]] = shape[axes[0]]
        options = {"axes": axes, "normalize": draw(st.booleans())}
        return Case(kind, options, (text(shape), text(other)))
    # A batch of another size than all axes: Keras takes (n, 1) for a bias where n is the last size.
    # Source: keras/src/backend/tensorflow/numpy.py, add.
    batch = 7
    count = 2 if kind == "Subtract" else draw(st.integers(2, 3))
    shapes = []
    axis = draw(st.integers(1, rank - 1))
    if kind == "Concatenate":
        options["axis"] = one_of(draw, axis, axis - rank)
    for _ in range(count):
        one = [batch, *shape[1:]]
        if kind == "Concatenate":
            one[axis] = draw(st.integers(1, 4))
        else:
            one = [batch, *(one_of(draw, size, size, 1) for size in shape[1:])]
            one = [batch, *one[1 + draw(st.integers(0, rank - 2)) :]]
        shapes.append(text(one))
    return Case(kind, options, tuple(shapes))
