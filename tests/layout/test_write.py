"""How a weight of a module is read where it is transposed."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.axes import Turn
from torchport.errors import Unsupported
from torchport.layout.write import dims_of, permuted, turned_twice
from torchport.program import Apply, Attribute, Load, Module, Var, call

WEIGHT = Attribute(Apply(Module("nn.Linear", (2, 3)), (), owner="fc"), "weight")
TURNED = Attribute(WEIGHT, "T")


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (call(".transpose", WEIGHT, 0, 1), TURNED),
        (call(".transpose", TURNED, 0, 1), WEIGHT),
        (call(".transpose", WEIGHT, 0, 2), None),
        (call(".transpose", WEIGHT, 1, 2), None),
        (call(".permute", WEIGHT, 0, 1), None),
        (call(".transpose", Var("x"), 0, 1), None),
        (call(".transpose", Attribute(Var("x"), "weight"), 0, 1), None),
        (WEIGHT, None),
    ],
    ids=str,
)
def test_a_weight_that_is_transposed(node: Any, found: Any) -> None:
    assert turned_twice(node) == (node if found is None else found)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("i o", "o i", TURNED),
        ("i o", "i o", WEIGHT),
        ("h w i o", "o i h w", call(".permute", WEIGHT, 3, 2, 0, 1)),
        ("o i h", "h i o", call(".permute", WEIGHT, 2, 1, 0)),
        ("h i o", "h i o", WEIGHT),
    ],
)
def test_axes_in_another_order(before: str, after: str, found: Any) -> None:
    assert permuted(WEIGHT, before.split(), after.split()) == found


def test_the_axes_of_a_weight() -> None:
    load = Load.of("kernel", "h w i o -> o i h w")
    assert dims_of(load) == (["h", "w", "i", "o"], ["o", "i", "h", "w"])


@pytest.mark.parametrize(
    "turn",
    [
        Turn("i o -> o i", regroup=((0, ((2, 3),)),)),
        Turn("i o -> o i", blocks=((1, 4, (1, 0, 2, 3)),)),
        Turn("i o -> o i", view=(3, 2)),
        Turn("h w i m -> (i m) 1 h w"),
        Turn("i o -> o i 1"),
    ],
    ids=str,
)
def test_a_weight_in_another_form_is_not_read(turn: Turn) -> None:
    with pytest.raises(Unsupported, match="in another form"):
        dims_of(Load("kernel", turn))
