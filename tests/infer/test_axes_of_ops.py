"""Axes against numpy: an array of coordinates goes the way of the tensor, and each axis is where it says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.blocks.graphs import Network

from torchport.axis import Axis, regroup
from torchport.errors import Refusal
from torchport.graph import Graph, Op, Ref, Tensor
from torchport.infer import infer
from torchport.infer.axes import OPEN
from torchport.layout import choose_orders, write
from torchport.normalise import normalise

BATCH = 2
Call = tuple[str, Mapping[str, Any], int]


def chain(shape: tuple[int | None, ...], calls: list[Call]) -> Graph:
    """A graph of layers one behind the other; a number says how often a call reads what it reads."""
    ops = []
    for at, (kind, config, count) in enumerate(calls):
        read = Ref(f"x{at}")
        args = (read,) if count == 1 else ([read] * count,)
        ops.append(Op(f"x{at + 1}", kind, args, (f"x{at + 1}",), config, layer=f"x{at + 1}"))
    return Graph("m", ("x0",), (f"x{len(calls)}",), tuple(ops), {"x0": Tensor("x0", shape)}, "3.15.0")


def inferred(shape: tuple[int | None, ...], calls: list[Call]) -> list[Tensor]:
    """The tensors of a chain, the input first."""
    refusals: list[Refusal] = []
    graph = infer(normalise(chain(shape, calls)), refusals)
    assert not refusals
    return [graph.tensors[f"x{at}"] for at in range(len(calls) + 1)]


def axes(shape: tuple[int | None, ...], *calls: Call) -> str:
    """Names of the axes that a chain ends in."""
    return " ".join(map(str, inferred(shape, list(calls))[-1].axes))


def along(position: int, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array in which an axis has these values."""
    rest = [1] * len(shape)
    rest[position] = -1
    return np.broadcast_to(values.reshape(rest), shape)


def computed(kind: str, config: Mapping[str, Any], count: int, x: np.ndarray) -> np.ndarray:
    """What a layer makes of an array; pooling takes the first of each window."""
    match kind:
        case "Permute":
            return x.transpose(0, *config["dims"])
        case "Reshape":
            return x.reshape(len(x), *config["target_shape"])
        case "Flatten":
            return x.reshape(len(x), -1)
        case "Concatenate":
            return np.concatenate([x] * count, config["axis"])
        case "RepeatVector":
            return np.repeat(x[:, None], config["n"], 1)
        case "keras.ops.ExpandDims":
            return np.expand_dims(x, config["axis"])
        case "keras.ops.Squeeze":
            return x.squeeze(config["axis"])
    if config.get("data_format") == "channels_first":
        return x[(slice(None), slice(None), *[slice(None, None, 2)] * (x.ndim - 2))]
    return x[(slice(None), *[slice(None, None, 2)] * (x.ndim - 2))]


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Call]]:
    """A shape, and up to six layers; each fits what the one before it gives."""
    shape = tuple(draw(st.lists(st.sampled_from((1, 2, 3, 4, 6)), min_size=1, max_size=4)))
    now, calls = shape, list[Call]()
    for _ in range(draw(st.integers(1, 6))):
        kind, config, count = draw(layers(now))
        x = computed(kind, config, count, np.zeros((BATCH, *now)))
        if x.size <= 20_000 and x.ndim <= 6:
            calls.append((kind, config, count))
            now = x.shape[1:]
    return shape, calls


@st.composite
def layers(draw: st.DrawFn, shape: tuple[int, ...]) -> Call:
    """A layer that takes tensors of this shape, batch left out."""
    rank = len(shape)
    kinds = ["Permute", "Reshape", "Reshape", "Flatten", "Concatenate", "keras.ops.ExpandDims"]
    kinds += ["RepeatVector"] if rank == 1 else []
    kinds += [f"MaxPooling{rank - 1}D"] * 2 if rank in (2, 3, 4) else []
    kinds += ["keras.ops.Squeeze"] if 1 in shape else []
    match draw(st.sampled_from(kinds)):
        case "Permute":
            return "Permute", {"dims": list(draw(st.permutations(range(1, rank + 1))))}, 1
        case "Reshape":
            return "Reshape", {"target_shape": draw(factors(math.prod(shape)))}, 1
        case "Concatenate":
            return "Concatenate", {"axis": draw(st.integers(1, rank))}, draw(st.integers(2, 3))
        case "RepeatVector":
            return "RepeatVector", {"n": draw(st.integers(1, 3))}, 1
        case "keras.ops.ExpandDims":
            return "keras.ops.ExpandDims", {"axis": draw(st.integers(1, rank + 1))}, 1
        case "keras.ops.Squeeze":
            return "keras.ops.Squeeze", {"axis": shape.index(1) + 1}, 1
        case "Flatten":
            return "Flatten", {}, 1
        case kind:
            data_format = draw(st.sampled_from(("channels_last", "channels_first")))
            config = {"pool_size": 2, "strides": 2, "padding": "same", "data_format": data_format}
            return kind, config, 1


@st.composite
def factors(draw: st.DrawFn, total: int) -> list[int]:
    """Numbers of a product."""
    found, left = list[int](), total
    while left > 1 and len(found) < 4:
        size = draw(st.sampled_from([it for it in range(1, left + 1) if left % it == 0]))
        found.append(size)
        left //= size
    return [*found, left]


@settings(max_examples=250, deadline=None, derandomize=True)
@given(chains(), st.booleans())
def test_an_axis_is_where_it_says(case: tuple[tuple[int, ...], list[Call]], is_open: bool) -> None:
    """Coordinates of the axis that every element came from, by the axis's origin."""
    shape, calls = case
    tensors = inferred((None if is_open else BATCH, *shape), calls)
    coordinates: dict[str, np.ndarray] = {}
    now = (BATCH, *shape)
    for at, tensor in enumerate(tensors):
        if at:
            coordinates = {name: computed(*calls[at - 1], it) for name, it in coordinates.items()}
            now = computed(*calls[at - 1], np.zeros(now)).shape
        assert len(tensor.axes) == len(now)
        names = [name for axis in tensor.axes for name in axis.atoms]
        assert len(set(names)) == len(names)
        for position, axis in enumerate(tensor.axes):
            if axis.origin == f"{tensor.name}.{position}":
                coordinates[axis.origin] = along(position, np.arange(now[position]), now)
            sizes = tuple(BATCH if size is None else size for _, size in axis.of) or (now[position],)
            assert math.prod(sizes) == now[position]
            parts = [part for part, _ in axis.of] or [axis]
            places = np.unravel_index(np.arange(now[position]), sizes)
            for part, values in zip(parts, places, strict=True):
                assert np.array_equal(coordinates[part.origin], along(position, values, now)), (axis, at)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((1, 2, 3, 4, 6)), min_size=1, max_size=5), st.data())
def test_no_axis_is_lost_that_is_still_there(shape: list[int], data: st.DataObject) -> None:
    """Of a reshape, by brute force: an axis along which alone some axes run, and with all their values."""
    target = data.draw(factors(math.prod(shape)))
    known = [Axis("abcde"[at], f"x.{at}") for at in range(len(shape))]
    indices = np.indices(shape).reshape(len(shape), *target)
    for position, found in enumerate(regroup(known, shape, target)):
        others = tuple(at for at in range(len(target)) if at != position)
        runs = [
            at for at, size in enumerate(shape)
            if size > 1 and (np.ptp(indices[at], axis=others) == 0).all()
        ]  # fmt: skip
        is_whole = runs and math.prod(shape[at] for at in runs) == target[position]
        wanted = [known[at] for at in runs] if is_whole else []
        assert ([part for part, _ in found.of] or [found] if found else []) == wanted


POOL = {"pool_size": 2}
FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    ("shape", "calls", "names"),
    [
        ((None, 7, 5), [("Permute", {"dims": [2, 1]}, 1)], "n c t"),
        ((None, 7, 11, 5), [("Permute", {"dims": [3, 1, 2]}, 1)], "n c h w"),
        ((None, 5, 7, 11), [("Reshape", {"target_shape": [35, 11]}, 1)], "n (h w) c"),
        ((None, None, None, 11), [("Reshape", {"target_shape": [-1, 11]}, 1)], "n (h w) c"),
        ((None, None, 7, 11), [("Flatten", {}, 1)], "n (h w c)"),
        ((None, 5, 7, 11), [("Flatten", FIRST, 1)], "n (h w c)"),
        ((None, 385), [("Reshape", {"target_shape": [5, 7, 11]}, 1)], "n h w c"),
        ((None, 12, 11), [("Reshape", {"target_shape": [3, 4, 11]}, 1)], "n h w c"),
        ((None, 11, 8, 8), [("MaxPooling2D", {**POOL, **FIRST}, 1)], "n c h w"),
        ((None, 11, 8, 8), [("ReLU", {}, 1), ("MaxPooling2D", {**POOL, **FIRST}, 1)], "n c h w"),
        ((None, 8, 8, 11), [("Reshape", {"target_shape": [64, 11]}, 1), ("MaxPooling1D", POOL, 1)], "n t c"),
        ((None, 3, 5, 7), [("Concatenate", {"axis": 3}, 2)], "n h w c"),
        ((None, 3, 5), [("Flatten", {}, 1), ("Concatenate", {"axis": 1}, 2)], "n c"),
        ((None, 3, 5, 7), [("GlobalAveragePooling2D", {}, 1)], "n c"),
        ((None, 3, 5, 7), [("Permute", {"dims": [3, 1, 2]}, 1), ("GlobalMaxPooling2D", {}, 1)], "n w"),
        ((None, 3, 5, 7), [("Permute", {"dims": [3, 1, 2]}, 1), ("Concatenate", {"axis": 3}, 2)], "n c h w"),
        ((None, 704), [("Reshape", {"target_shape": [11, 8, 8]}, 1), ("MaxPooling2D", POOL, 1)], "n h w c"),
        (
            (None, 704),
            [("Reshape", {"target_shape": [11, 8, 8]}, 1), ("MaxPooling2D", {**POOL, **FIRST}, 1)],
            "n c h w",
        ),
        ((None, 7), [("RepeatVector", {"n": 3}, 1)], "n t c"),
        ((None, 3, 5, 7), [("keras.ops.Mean", {"axis": 1, "keepdims": False}, 1)], "n w c"),
        ((None, 3, 5, 7), [("keras.ops.Transpose", {"axes": [0, 2, 1, 3]}, 1)], "n w h c"),
        ((None, 3, 5, 7), [("keras.ops.Moveaxis", {"source": 1, "destination": -1}, 1)], "n w c h"),
    ],
)  # fmt: skip
def test_names(shape: tuple[int | None, ...], calls: list[Call], names: str) -> None:
    assert axes(shape, *calls) == names


def test_there_and_back() -> None:
    shape = (None, 3, 5, 7)
    first, flat, image = inferred(shape, [("Flatten", {}, 1), ("Reshape", {"target_shape": [3, 5, 7]}, 1)])
    assert image.axes == first.axes and str(flat.axes[1]) == "(h w c)"


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_what_a_port_says_of_its_outputs(order: tuple[int, ...]) -> None:
    """Names in the source's order, and in PyTorch's."""
    graph = infer(normalise(chain((None, 3, 5, 7), [("Permute", {"dims": list(order)}, 1)])), [])
    (spec,) = write(graph, choose_orders(graph)).outputs
    names = ["n", *("hwc"[at - 1] for at in order)]
    assert spec.source_axes == " ".join(names)
    sizes = {"n": None, "h": 3, "w": 5, "c": 7}
    assert spec.shape == tuple(sizes[name] for name in spec.torch_axes.split())


@pytest.mark.parametrize(
    ("dims", "config", "names"),
    [
        ([1, 2, 3], {}, "n h w c"),
        ([3, 1, 2], {}, "n c h a"),  # features of w: neither w nor what has the name c
        ([3, 1, 2], FIRST, "n c h w"),
    ],
)
def test_a_kernel_makes_features_of_what_it_reads(
    dims: list[int], config: Mapping[str, Any], names: str
) -> None:
    net = Network((9, 7, 5))
    x = net.layer("Permute", "image", dims=dims)
    x = net.layer("Conv2D", x, filters=13, kernel_size=3, **config)
    graph = infer(normalise(net.graph(x)), [])
    assert " ".join(map(str, graph.tensors[x].axes)) == names


def test_stand_ins_for_open_sizes_are_primes() -> None:
    """So that no size that is worked out of one is that of another axis."""
    assert len({*OPEN}) == len(OPEN) >= 8
    assert all(size % divisor for size in OPEN for divisor in range(2, math.isqrt(size) + 1))
