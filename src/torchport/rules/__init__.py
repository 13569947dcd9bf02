"""The table of rules, a file for each family.

The families of the layers that most networks have are imported here; `families.py` has all, and is imported
when a model has others.
"""

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Fill, Load, State, call, module
from torchport.rules import activation, conv, dropout, linear, merge, norm, pool, reshape, space
from torchport.rules.table import (
    CHANNELS_FIRST,
    FOLLOWS,
    MEMORY,
    SOURCE,
    TABLE,
    Rule,
    Value,
    Want,
    Wants,
    apply,
    find,
    rule,
    rule_for,
)
from torchport.rules.user import helper

#: What rules of the user's own are written with (docs/custom-layers.md), and the table.
__all__ = [
    "CHANNELS_FIRST", "FOLLOWS", "MEMORY", "SOURCE", "Expr", "Fill", "Load", "Shape", "State", "Tensor",
    "Unsupported", "Value", "Want", "Wants", "call", "helper", "module", "rule",
    "TABLE", "Rule", "apply", "find", "rule_for",
    "activation", "conv", "dropout", "linear", "merge", "norm", "pool", "reshape", "space",
]  # fmt: skip
