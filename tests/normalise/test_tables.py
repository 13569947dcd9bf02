"""Tables of functions: every entry leads to what there is, so that one without a case is not a dead end."""

from __future__ import annotations

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.function_table import FUNCTIONS
from torchport.normalise.nodes import NODES, key_of
from torchport.rules import find


@pytest.mark.parametrize("name", NODES)
def test_nodes_name_functions_and_arguments(name: str) -> None:
    node = NODES[name]
    arguments = [*node.inputs, *node.attributes, *node.attributes.values()]
    assert all(isinstance(it, str) and it.isidentifier() for it in arguments), arguments
    assert all(part.isidentifier() for part in node.function.split("."))
    assert len({*node.inputs, *node.attributes.values()}) == len(node.inputs) + len(node.attributes)


#: What other stages work out, or another function.
WITHOUT = {"pool", "rank", "shape"}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in WITHOUT])
def test_functions_have_rules(name: str) -> None:
    entry = FUNCTIONS[name]
    kinds = (entry.kind, f"keras.ops.{entry.kind}", f"tf.{entry.kind}", entry.kind.rpartition(".")[2])
    assert any(map(find, kinds)), entry.kind
    assert all(isinstance(it, str) and it.isidentifier() for it in (*entry.places, *entry.defaults))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (((0, 1), (0, 3), (1, 1), {}), [slice(0, 0), slice(1, 3)]),
        (((0, 1), (0, 3), (1, 2), {"begin": 1, "end": 3}), [slice(None, None), slice(1, None, 2)]),
        (((0, 1), (0, 0), (1, 1), {"ellipsis": 1, "shrink_axis": 2}), [..., 1]),
        (((0, 0), (0, 0), (1, 1), {"new_axis": 1, "begin": 2, "end": 2}), [None, slice(None)]),
        ((2, 5, 1, {}), [slice(2, 5)]),
    ],
)
def test_strided_slices(given: tuple[object, ...], key: list[object]) -> None:
    """As array_ops._slice_helper writes them: one bit of each mask for each place of the index."""
    begin, end, strides, masks = given
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    assert key_of(begin, end, strides, {name: dict(masks).get(name, 0) for name in names}) == key  # type: ignore[call-overload]


def test_graphs_that_cannot_be_run_are_named() -> None:
    """What every stage is checked by: read before it is written, written twice, never written."""
    x = {"x": Tensor("x", (None, 2))}

    def op(name: str, read: str, *outputs: str) -> Op:
        return Op(name, "ReLU", (Ref(read),), outputs)

    Graph("m", ("x",), ("y",), (op("a", "x", "y"),), x).check()
    for ops, outputs, said in (
        ((op("a", "z", "y"),), ("y",), "before anything writes it"),
        ((op("a", "x", "y"), op("b", "x", "y")), ("y",), "a second time"),
        ((op("a", "x", "x"),), ("x",), "a second time"),
        ((op("a", "x", "y"),), ("z",), "never written"),
    ):
        with pytest.raises(Exception, match=said):
            Graph("m", ("x",), outputs, ops, x).check()
        body = Graph("inner", ("x",), outputs, ops, x)
        with pytest.raises(Exception, match=said):
            Graph("m", ("x",), ("x",), (), x, bodies={"inner": body}).check()
