"""What only the writing of a layer refuses is said at once with what was refused before it."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.errors import Refused
from torchport.graph import Graph, Op, Ref, Tensor
from torchport.layout import refused
from torchport.pipeline import written

SHAPE = (None, 4, 5, 3)


def op(name: str, kind: str, read: str, **config: Any) -> Op:
    return Op(name, kind, (Ref(read),), (name,), config, layer=name)


def graph_of(*ops: Op, name: str = "net", **more: Any) -> Graph:
    last = ops[-1].outputs
    return Graph(
        name, ("x",), last, ops, {"x": Tensor("x", SHAPE)}, "3.15.0", structure=(Ref(last[0]),), **more
    )


#: Whose mask has another rank than what it drops: this only shows where it is written.
DROP: dict[str, Any] = {"rate": 0.5, "noise_shape": [1, 1]}


def refusals(graph: Graph) -> dict[str, tuple[str, str, str]]:
    with pytest.raises(Refused) as caught:
        written(graph, "Net")
    return {it.layer: (it.kind, it.why, it.advice) for it in caught.value.refusals}


def test_all_refusals_come_at_once() -> None:
    found = refusals(graph_of(op("drop", "Dropout", "x", **DROP), op("mine", "Mine", "drop")))
    assert set(found) == {"net/drop", "net/mine"}
    kind, why, _ = found["net/drop"]
    assert (kind, why) == ("Dropout", "noise_shape=[1, 1] of a tensor with 4 axes")
    assert found["net/mine"][0] == "Mine"


def test_those_in_a_nested_model_are_named_by_their_path() -> None:
    inner = graph_of(op("drop", "Dropout", "x", **DROP), name="inner")
    call = Op("part", "Model", (Ref("x"),), ("part",), layer="part")
    found = refusals(graph_of(call, op("mine", "Mine", "x"), bodies={"part": inner}))
    assert set(found) == {"net/part/drop", "net/mine"}
    assert found["net/part/drop"][:2] == ("Dropout", "noise_shape=[1, 1] of a tensor with 4 axes")


def test_what_can_be_written_is_not_refused() -> None:
    """In the order that each layer wants, of those tensors that are known."""
    ops = [op("pool", "MaxPooling2D", "x", pool_size=2), op("drop", "Dropout", "pool", rate=0.5)]
    known = graph_of(*ops, op("mine", "Mine", "drop"))
    assert set(refusals(known)) == {"net/mine"}
    assert refused(known) == ()
