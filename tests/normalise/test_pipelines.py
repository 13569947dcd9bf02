"""Pipeline as its layers: their order and names, and the weights of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.normalise.pipelines import unroll_pipelines


def entry(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


def weights(*keys: str) -> dict[str, Weight]:
    return {key: Weight(f"pipe/{key}", (3,), "float32", lambda: np.zeros(3, "float32")) for key in keys}


def graph(layers: Any, *stored: str, **more: Any) -> Graph:
    op = Op("pipe", "Pipeline", (Ref("x"),), ("y",), {"layers": layers}, layer="pipe",
            stored=weights(*stored), **more)  # fmt: skip
    return Graph("net", ("x",), ("y",), (op,), {"x": Tensor("x", (None, 4, 4, 3))}, "3.15.0")


def unrolled(layers: Any, *stored: str, **more: Any) -> list[tuple[Any, ...]]:
    """Each layer: its kind and name, what it reads and gives, its options, and its weights in the file."""
    return [
        (it.kind, it.layer, it.args[0].tensor, it.outputs[0], dict(it.config),
         {key: weight.name for key, weight in it.stored.items()})
        for it in unroll_pipelines(graph(layers, *stored, **more)).ops
    ]  # fmt: skip


FLIP, SCALE = entry("RandomFlip", name="flip", mode="vertical"), entry("Rescaling", scale=2.0, name="scale")
NORM = entry("Normalization", axis=-1, name="norm")


def test_one_behind_another() -> None:
    assert unrolled([FLIP, SCALE]) == [
        ("RandomFlip", "flip", "x", "pipe.0", {"mode": "vertical"}, {}),
        ("Rescaling", "scale", "pipe.0", "y", {"scale": 2.0}, {}),
    ]


def test_names_that_others_have() -> None:
    layers = [entry("ReLU", name="pipe"), entry("ReLU"), entry("Pipeline", name="inner", layers=[FLIP])]
    assert [it[1] for it in unrolled(layers)] == ["pipe.pipe", "1", "flip"]
    twice = [FLIP, entry("Pipeline", name="inner", layers=[FLIP])]
    assert [it[1] for it in unrolled(twice)] == ["flip", "inner.flip"]


def test_one_in_another_is_unrolled_in_its_place() -> None:
    found = unrolled([entry("Pipeline", name="inner", layers=[FLIP, SCALE]), entry("ReLU", name="last")])
    assert [it[0] for it in found] == ["RandomFlip", "Rescaling", "ReLU"]
    assert [it[2:4] for it in found] == [("x", "pipe.0.0"), ("pipe.0.0", "pipe.0"), ("pipe.0", "y")]


def test_groups_of_an_archive() -> None:
    """Numbered by class, the first without a number."""
    other = entry("Normalization", axis=-1, name="other")
    keys = ("layers/normalization/mean", "layers/normalization/variance", "layers/normalization_1/mean")
    found = unrolled([NORM, FLIP, other], *keys)
    assert [it[-1] for it in found] == [
        {"mean": "pipe/layers/normalization/mean", "variance": "pipe/layers/normalization/variance"},
        {},
        {"mean": "pipe/layers/normalization_1/mean"},
    ]


def test_a_flat_list_is_that_of_the_one_layer_that_may_have_weights() -> None:
    assert [sorted(it[-1]) for it in unrolled([FLIP, NORM, SCALE], "0", "1", "2")] == [
        [],
        ["0", "1", "2"],
        [],
    ]
    inner = entry("Pipeline", name="inner", layers=[FLIP, NORM])
    assert [sorted(it[-1]) for it in unrolled([SCALE, inner], "0", "1")] == [[], [], ["0", "1"]]


@pytest.mark.parametrize(
    "layers",
    [
        [NORM, NORM], [FLIP, SCALE], [NORM, entry("Pipeline", name="inner", layers=[NORM])],
        [NORM, entry("Own", name="own")], [FLIP, "none"], [FLIP, {"class_name": "ReLU"}], "none", [],
    ],
    ids=str,
)  # fmt: skip
def test_weights_that_cannot_be_told_apart(layers: Any) -> None:
    (found,) = unroll_pipelines(graph(layers, "0", "1")).ops
    assert found.kind == "Pipeline" and found.config == {"layers": layers}


def test_a_pipeline_inside_that_has_none() -> None:
    """What is not a list of layers holds none."""
    inner = entry("Pipeline", name="inner", layers=[FLIP, "none"])
    assert [it[0] for it in unrolled([NORM, inner], "0")] == ["Normalization", "Pipeline"]


def test_of_several_inputs_or_with_options_it_stays() -> None:
    (found,) = unroll_pipelines(graph([FLIP], kwargs={"training": True})).ops
    assert found.kind == "Pipeline"


def test_in_a_nested_model_too() -> None:
    body = graph([FLIP, SCALE])
    use = Op("base", "Model", (Ref("x"),), ("y",), layer="base")
    whole = Graph("net", ("x",), ("y",), (use,), body.tensors, "3.15.0", bodies={"base": body})
    assert [it.kind for it in unroll_pipelines(whole).bodies["base"].ops] == ["RandomFlip", "Rescaling"]
