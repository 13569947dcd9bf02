"""What a person calls layers and what they give: `conv` a `Conv2D`, `total` the output of an `Add`."""

from __future__ import annotations

import re

from torchport.names import short_name, snake
from torchport.rules.table import find

#: Classes that are one working layer and what goes with it: `ConvBNReLU`.
UNIT = re.compile(
    r"(?:[BLGI]N|[A-Za-z]*LU|Dropout\dd?)*(Conv|Linear)(?:[BLGI]N|[A-Z][A-Za-z]*LU\d?|Dropout|Tanh|Sigmoid)+"
)


def noun_of(kind: str) -> str:
    """What a person calls something of this kind: `conv` for a `Conv2D` and for a `ConvBNReLU`."""
    unit = UNIT.fullmatch(kind)
    if unit:
        return {"Conv": "conv", "Linear": "fc"}[unit[1]]
    return layer_noun(kind) or snake(short_name(kind))


def layer_noun(kind: str) -> str:
    """The noun of a layer of the source; empty where its own name is as good."""
    if kind == "Model":
        return "block"
    entry = find(kind)
    return entry.noun if entry else ""


def value_of(kind: str) -> str:
    """What a person calls what it gives; empty where that has no name of its own."""
    if kind == "Model":
        return "block"
    entry = find(kind)
    return entry.value if entry else ""
