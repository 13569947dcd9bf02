"""Random options of every layer: the port agrees with TensorFlow or refuses, and never differs.

Hypothesis draws the same examples in every run (`derandomize`): few here, more with
TORCHPORT_EXAMPLES=200 and, for others each time, TORCHPORT_SEED=random.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.layers.harness import Case, Reference, pins, ports, problems

from torchport.errors import Refused

EXAMPLES = int(os.environ.get("TORCHPORT_EXAMPLES", "12"))
RANDOM = os.environ.get("TORCHPORT_SEED") == "random"

Draw = Callable[[st.SearchStrategy[Any]], Any]


@pytest.fixture(autouse=True, scope="module")
def _pins() -> Iterator[None]:
    with pins():
        yield


def sizes(draw: Draw, count: int, low: int = 1, high: int = 7) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))


def each(draw: Draw, rank: int, low: int, high: int) -> Any:
    """One number, or one for each axis."""
    if draw(st.booleans()):
        return draw(st.integers(low, high))
    return tuple(sizes(draw, rank, low, high))


def eighths(draw: Draw, low: float, high: float) -> float:
    """A number that is the same in float32 and float64."""
    return draw(st.integers(int(low * 8), int(high * 8))) / 8


def shifted(options: dict[str, Any], window: str) -> bool:
    """Whether TensorFlow's 3D kernels on the CPU move the window: a stride beyond it, with 'same'.

    Eigen then pads by a negative amount. The same kernels on a GPU or compiled by XLA do not, nor
    do the CPU's own gradients.
    """
    window_, stride = (options.get(key, 1) for key in (window, "strides"))
    windows = window_ if isinstance(window_, tuple) else (window_,) * 3
    strides = stride if isinstance(stride, tuple) else (stride,) * 3
    return options["padding"] == "same" and any(k < s for k, s in zip(windows, strides, strict=True))


def placed(draw: Draw, space: list[int], channels: int, first: bool) -> tuple[str, str]:
    """The shape of a batch, and what the model declares of it: perhaps no sizes of space."""
    shape = [2, channels, *space] if first else [2, *space, channels]
    if draw(st.integers(0, 2)):
        return " ".join(map(str, shape)), ""
    axes = range(2, len(shape)) if first else range(1, len(shape) - 1)
    declared = ["?", *(str(size) for size in shape[1:])]
    for axis in axes:
        declared[axis] = "?"
    return " ".join(map(str, shape)), " ".join(declared)


ACTIVATIONS = st.sampled_from([None, "relu", "softmax", "tanh", "hard_silu", "log_softmax"])


@st.composite
def convolutions(draw: Draw) -> Case:
    base = draw(st.sampled_from(["Conv", "DepthwiseConv", "SeparableConv"]))
    rank = draw(st.integers(1, 3 if base == "Conv" else 2))
    first = base != "Conv" and draw(st.booleans())
    causal = base == "Conv" and rank == 1
    options: dict[str, Any] = {
        "kernel_size": each(draw, rank, 1, 4),
        "padding": draw(st.sampled_from(["valid", "same", *(["causal"] if causal else [])])),
        "use_bias": draw(st.booleans()),
        "activation": draw(ACTIVATIONS),
    }
    if draw(st.booleans()):
        options["dilation_rate"] = each(draw, rank, 1, 3)
    else:
        options["strides"] = each(draw, rank, 1, 3)
    if base != "DepthwiseConv":
        options["filters"] = draw(st.integers(1, 5))
    if base != "Conv":
        options["depth_multiplier"] = draw(st.integers(1, 3))
        options["data_format"] = "channels_first" if first else "channels_last"
    # Keras adds a bias of as many channels as the last axis has to the last axis, whatever
    # data_format says. Source: keras/src/backend/tensorflow/numpy.py, add.
    if first:
        options["use_bias"] = False
    assume(rank < 3 or not shifted(options, "kernel_size"))
    x, declared = placed(draw, sizes(draw, rank, 4, 9), draw(st.integers(1, 4)), first)
    return Case(f"{base}{rank}D", options, x, sizes=declared)


@st.composite
def transposed(draw: Draw) -> Case:
    rank = draw(st.integers(1, 3))
    strides = each(draw, rank, 1, 3)
    options = {
        "filters": draw(st.integers(1, 4)),
        "kernel_size": each(draw, rank, 1, 5),
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same"])),
        "use_bias": draw(st.booleans()),
    }
    assume(rank < 3 or not shifted(options, "kernel_size"))
    if draw(st.booleans()):
        least = min(strides) if isinstance(strides, tuple) else strides
        options["output_padding"] = draw(st.integers(0, least - 1))
    x, declared = placed(draw, sizes(draw, rank, 2, 5), draw(st.integers(1, 3)), False)
    return Case(f"Conv{rank}DTranspose", options, x, sizes=declared)


@st.composite
def pooling(draw: Draw) -> Case:
    kind, rank = draw(st.sampled_from(["Max", "Average"])), draw(st.integers(1, 3))
    first = draw(st.booleans())
    options = {
        "pool_size": draw(st.integers(1, 5)) if rank == 1 else each(draw, rank, 1, 4),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "data_format": "channels_first" if first else "channels_last",
    }
    if draw(st.booleans()):
        options["strides"] = draw(st.integers(1, 4)) if rank == 1 else each(draw, rank, 1, 3)
    x, declared = placed(draw, sizes(draw, rank, 4, 7), draw(st.integers(1, 3)), first)
    if rank == 3:  # no kernel for float64
        assume(not shifted(options, "pool_size"))
        within, why = 1e-5, "float32"
        return Case(f"{kind}Pooling3D", options, x, (), declared, within, why, dtype="float32")
    return Case(f"{kind}Pooling{rank}D", options, x, sizes=declared)


@st.composite
def global_pooling(draw: Draw) -> Case:
    kind, rank = draw(st.sampled_from(["Max", "Average"])), draw(st.integers(1, 3))
    first = draw(st.booleans())
    options = {
        "keepdims": draw(st.booleans()),
        "data_format": "channels_first" if first else "channels_last",
    }
    x, declared = placed(draw, sizes(draw, rank, 1, 5), draw(st.integers(1, 3)), first)
    return Case(f"Global{kind}Pooling{rank}D", options, x, sizes=declared)


@st.composite
def space(draw: Draw) -> Case:
    kind, rank = draw(st.sampled_from(["UpSampling", "ZeroPadding", "Cropping"])), None
    rank = draw(st.integers(1, 3))
    first = rank > 1 and draw(st.booleans())
    options: dict[str, Any] = {"data_format": "channels_first"} if first else {}
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    pairs = [draw(pair) for _ in range(rank)]
    if kind == "UpSampling":
        options["size"] = draw(st.integers(1, 4)) if rank == 1 else each(draw, rank, 1, 4)
    else:
        name = "padding" if kind == "ZeroPadding" else "cropping"
        options[name] = pairs[0] if rank == 1 else tuple(pairs)
    x, declared = placed(draw, sizes(draw, rank, 5, 7), draw(st.integers(1, 3)), first)
    return Case(f"{kind}{rank}D", options, x, sizes=declared)


@st.composite
def norms(draw: Draw) -> Case:
    kind = draw(st.sampled_from(["Batch", "Layer", "Group"]))
    rank = draw(st.integers(2, 5))
    shape = [3, *sizes(draw, rank - 1, 2, 5)]
    axis = draw(st.integers(1, rank - 1))
    options: dict[str, Any] = {
        "axis": draw(st.sampled_from([axis, axis - rank])),
        "scale": draw(st.booleans()),
        "center": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([1e-3, 1e-5, 0.1])),
    }
    if kind == "Batch":
        options["trainable"] = draw(st.booleans())
    if kind == "Group":
        counts = [it for it in range(1, shape[axis] + 1) if shape[axis] % it == 0]
        options["groups"] = draw(st.sampled_from([*counts, -1]))
        alone = options["groups"] in (shape[axis], -1) and rank == 2
        assume(not alone)  # a group of one value: its gradient is nothing but rounding
    if kind == "Layer" and draw(st.booleans()):
        options["axis"] = draw(st.lists(st.integers(1, rank - 1), min_size=1, unique=True))
    return Case(f"{kind}Normalization", options, " ".join(map(str, shape)))


@st.composite
def reshaping(draw: Draw) -> Case:
    rank = draw(st.integers(1, 4))
    shape = [2, *sizes(draw, rank, 1, 5)]
    x = " ".join(map(str, shape))
    kind = draw(st.sampled_from(["Reshape", "Permute", "Flatten", "RepeatVector"]))
    if kind == "Permute":
        return Case(kind, {"dims": tuple(draw(st.permutations(range(1, rank + 1))))}, x)
    if kind == "RepeatVector":
        return Case(kind, {"n": draw(st.integers(1, 4))}, f"2 {draw(st.integers(1, 5))}")
    if kind == "Flatten":
        first = draw(st.booleans())
        return Case(kind, {"data_format": "channels_first" if first else "channels_last"}, x)
    target = draw(st.permutations(shape[1:]))
    while len(target) > 1 and draw(st.booleans()):
        at = draw(st.integers(0, len(target) - 2))
        target = [*target[:at], target[at] * target[at + 1], *target[at + 2 :]]
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return Case(kind, {"target_shape": tuple(target)}, x)


@st.composite
def flat_chains(draw: Draw) -> Case:
    """What stands between Flatten and Dense, whose rows turn."""
    shape = [2, *sizes(draw, draw(st.integers(2, 3)), 2, 4)]
    count = 1
    for size in shape[1:]:
        count *= size
    middle = draw(
        st.lists(
            st.sampled_from(
                [
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
            ),
            max_size=3,
        )
    )
    first = draw(st.booleans())
    last = (("Flatten", {}), ("Dense", {"units": 3})) if draw(st.booleans()) else ()
    options = {"data_format": "channels_first" if first else "channels_last"}
    return Case("Flatten", options, " ".join(map(str, shape)), then=(*middle, *last))


@st.composite
def merging(draw: Draw) -> Case:
    kinds = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"]
    kind, rank = draw(st.sampled_from(kinds)), draw(st.integers(2, 4))
    shape = [2, *sizes(draw, rank - 1, 1, 4)]
    if kind == "Dot":
        other = [2, *sizes(draw, draw(st.integers(1, 3)), 1, 4)]
        axes = draw(st.integers(1, rank - 1)), draw(st.integers(1, len(other) - 1))
        other[axes[1]] = shape[axes[0]]
        options: dict[str, Any] = {"axes": axes, "normalize": draw(st.booleans())}
        return Case(kind, options, (" ".join(map(str, shape)), " ".join(map(str, other))))
    # A batch of another size than all axes: Keras takes (n, 1) for a bias where n is the last size.
    # Source: keras/src/backend/tensorflow/numpy.py, add.
    batch = 7
    count = 2 if kind == "Subtract" else draw(st.integers(2, 3))
    shapes, options = [], {}
    axis = draw(st.integers(1, rank - 1))
    if kind == "Concatenate":
        options["axis"] = draw(st.sampled_from([axis, axis - rank]))
    for _ in range(count):
        one = [batch, *shape[1:]]
        if kind == "Concatenate":
            one[axis] = draw(st.integers(1, 4))
        else:
            one = [batch, *(draw(st.sampled_from([size, size, 1])) for size in shape[1:])]
            one = [batch, *one[1 + draw(st.integers(0, rank - 2)) :]]
        shapes.append(" ".join(map(str, one)))
    return Case(kind, options, tuple(shapes))


@st.composite
def activations(draw: Draw) -> Case:
    rank = draw(st.integers(1, 4))
    shape = [2, *sizes(draw, rank, 1, 5)]
    axis = draw(st.integers(1, rank))
    kind = draw(st.sampled_from(["ReLU", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"]))
    options: dict[str, Any] = {}
    if kind == "ReLU":
        options = {
            "max_value": draw(st.sampled_from([None, 6, 6.0, 1.0, eighths(draw, 0.5, 2)])),
            "negative_slope": draw(st.sampled_from([0.0, eighths(draw, 0, 1)])),
            "threshold": draw(st.sampled_from([0.0, eighths(draw, 0, 1)])),
        }
    if kind == "LeakyReLU":
        options = {"negative_slope": eighths(draw, 0, 1)}
    if kind == "ELU":
        options = {"alpha": eighths(draw, 0, 2)}
    if kind == "PReLU":
        options = {"shared_axes": draw(st.sets(st.integers(1, rank)).map(sorted)) or None}
    if kind == "Softmax":
        several = draw(st.sets(st.integers(1, rank), min_size=1).map(sorted))
        options = {"axis": draw(st.sampled_from([axis, axis - rank - 1, several]))}
    return Case(kind, options, " ".join(map(str, shape)))


@st.composite
def preprocessing(draw: Draw) -> Case:
    rank = draw(st.integers(1, 3))
    shape = [2, *sizes(draw, rank, 1, 4)]
    x = " ".join(map(str, shape))
    if draw(st.booleans()):
        along = shape[len(shape) - draw(st.integers(1, rank)) :]
        numbers: Any = eighths(draw, -2, 2)
        for size in reversed(along):
            numbers = [numbers, *[eighths(draw, -2, 2)] * (size - 1)] if size > 1 else [numbers]
        scale = draw(st.sampled_from([0.5, 1.0, 2, 0.0078125, -1.0]))
        return Case("Rescaling", {"scale": scale, "offset": draw(st.sampled_from([0, 0.5, -1]))}, x)
    axes = draw(st.sets(st.integers(1, rank)).map(sorted))
    options = {"axis": axes or None, "invert": draw(st.booleans())}
    return Case("Normalization", options, x)


FAMILIES = {
    strategy.__name__: strategy
    for strategy in (
        convolutions, transposed, pooling, global_pooling, space, norms, reshaping, flat_chains,
        merging, activations, preprocessing,
    )
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_or_refuses(family: str) -> None:
    compared: list[Case] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=not RANDOM,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(FAMILIES[family]())
    def check(case: Case) -> None:
        try:
            reference = Reference(case)
            reference.gradients  # noqa: B018
            assume(reference.output.size)  # torch has no empty results of pooling
        except (ValueError, TypeError, tf.errors.OpError):  # Keras or TensorFlow does not take it
            assume(False)
        compared.append(case)
        try:
            made = ports(reference.model, ("free", "first first", "keep_io"))
        except Refused as refused:
            assert str(refused)
            return
        for port in made:
            found = problems(case, reference, port)
            assert not found, "\n".join([port.layout, *found, port.code])

    check()
    assert len(compared) >= EXAMPLES, "too many examples were not options that TensorFlow takes"
