"""How a weight of a module is read where it is transposed."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.layout.write import turned_twice
from torchport.program import Apply, Attribute, Module, Var, call

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
