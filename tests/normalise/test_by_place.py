"""Arguments that a call names, in their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.by_place import place_arguments
from torchport.rules import book
from torchport.rules.table import rule

X, Y, Z = map(Ref, "xyz")
TENSORS = {name: Tensor(name, (None, 4, 4)) for name in "xyz"}


@pytest.fixture
def own() -> Iterator[None]:
    """A layer of somebody's that takes two tensors, and an option."""

    def joining(first: Any, second: Any, *, scale: Any = None) -> Any:
        return first

    rule("Joins")(joining)
    try:
        yield
    finally:
        del book.PROCESS.rules["Joins"]


CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[Any, ...], dict[str, Any]]] = [
    ("MultiHeadAttention", (), {"query": X, "value": Y}, (X, Y), {}),
    ("MultiHeadAttention", (X,), {"value": Y, "key": Z}, (X, Y), {"key": Z}),
    ("GroupQueryAttention", (X,), {"query": Y, "value": Z}, (X, Z), {"query": Y}),
    ("MultiHeadAttention", (), {"value": Y}, (), {"value": Y}),
    ("Dense", (), {"inputs": X}, (X,), {}),
    ("LSTM", (), {"sequences": X, "mask": Y}, (X,), {"mask": Y}),
    ("Dense", (X,), {"training": True}, (X,), {"training": True}),
    ("Dense", (X,), {"x": Y}, (X,), {"x": Y}),
    ("Own", (), {"data": X, "other": Y}, (X,), {"other": Y}),
    ("Joins", (), {"first": X, "second": Y, "scale": Z}, (X, Y), {"scale": Z}),
    ("Joins", (X,), {"second": Y}, (X, Y), {}),
    ("Joins", (), {"second": Y}, (), {"second": Y}),
]


@pytest.mark.parametrize(("kind", "args", "kwargs", "placed", "left"), CASES, ids=str)
def test_what_it_is_called_with(own: None, kind: str, args: Any, kwargs: Any, placed: Any, left: Any) -> None:
    del own
    op = Op("out", kind, args, ("out",), {}, kwargs, layer="out")
    body = Graph("net", ("x", "y", "z"), ("out",), (op,), TENSORS, "3.15.0")
    use = Op("base", "Model", (X, Y, Z), ("out",), layer="base")
    for graph in (body, body.replace(ops=(use,), bodies={"base": body})):
        found = place_arguments(graph)
        (it,) = (found.bodies or {"base": found})["base"].ops
        assert (it.args, dict(it.kwargs)) == (placed, left)
