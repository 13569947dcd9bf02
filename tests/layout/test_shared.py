"""A layer that is called several times is one module: all calls read the order of its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from torchport.axes import Order, dims
from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.pipeline import written

KERNEL = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")


def dense(name: str, read: str) -> Op:
    """One of the calls of a shared layer."""
    stored = {"0": Weight("dense/kernel", (12, 5), "float32", lambda: KERNEL)}
    config = {"units": 5, "use_bias": False}
    return Op(name, "Dense", (Ref(read),), (name,), config, layer="dense", stored=stored)


def image(name: str) -> list[Op]:
    """An image that is held channels first, and flattened."""
    pool = Op(f"{name}.pool", "MaxPooling2D", (Ref(name),), (f"{name}.pool",), {"pool_size": 1})
    return [
        pool,
        Op(
            f"{name}.flat",
            "Flatten",
            (
                Ref(
                    f"{name}.pool",
                ),
            ),
            (f"{name}.flat",),
        ),
    ]


@pytest.mark.parametrize("features", [1, 2])
def test_flattened_images_and_features(features: int) -> None:
    """`features`: how many calls read features, which nobody may turn."""
    names = ["a", *"bc"[:features]]
    ops = [*image("a"), dense("y0", "a.flat"), *(dense(f"y{at}", names[at]) for at in range(1, len(names)))]
    shapes = {"a": (None, 2, 2, 3), **{name: (None, 12) for name in names[1:]}}
    outputs = tuple(f"y{at}" for at in range(len(names)))
    graph = Graph(
        "m", tuple(names), outputs, tuple(ops), {name: Tensor(name, shape) for name, shape in shapes.items()},
        "3.15.0", structure=tuple(map(Ref, outputs)),
    )  # fmt: skip
    arrays, found = computed(graph)
    for ours, array in zip(found, arrays, strict=True):
        np.testing.assert_allclose(ours, array.reshape(2, 12) @ KERNEL, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 12])
def test_flattened_images_and_features_added(size: int) -> None:
    """Features that nobody may turn, or one for all, are added to an image's as the source flattens it."""
    ops = [*image("a"), Op("y", "Add", ([Ref("a.flat"), Ref("b")],), ("y",)), dense("z", "y")]
    tensors = {"a": Tensor("a", (None, 2, 2, 3)), "b": Tensor("b", (None, size))}
    graph = Graph("m", ("a", "b"), ("z",), tuple(ops), tensors, "3.15.0", structure=(Ref("z"),))
    (a, b), (found,) = computed(graph)
    np.testing.assert_allclose(found, (a.reshape(2, 12) + b) @ KERNEL, rtol=1e-5, atol=1e-5)


def computed(graph: Graph) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs of a graph in the source's order, and what its program makes of them."""
    program = written(graph, "Net")
    space: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
    exec(compile(program.code, "model.py", "exec"), space)
    module = space["Net"]()
    module.load_state_dict({entry.name: torch.from_numpy(entry.array()) for entry in program.entries})
    rng = np.random.default_rng(1)
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    arrays = [rng.normal(size=(2, *shape[1:])).astype("float32") for shape in shapes]
    given = [
        torch.from_numpy(array).permute(dims(Order.SOURCE, spec.order, array.ndim))
        for array, spec in zip(arrays, program.definition.inputs, strict=True)
    ]
    return arrays, [found.detach().numpy() for found in module(*given)]
