"""The table of rules, a file for each family."""

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Fill, Load, State, call, module
from torchport.rules import (
    activation,
    addons,
    applications,
    attention,
    audio,
    augment,
    augment_mix,
    augment_place,
    categories,
    conv,
    conv_lstm,
    directions,
    dropout,
    einsum,
    embedding,
    hashing,
    linear,
    locally_connected,
    merge,
    multi_head,
    norm,
    operations,
    pool,
    positions,
    recurrent,
    rescale,
    reshape,
    resize,
    space,
    text,
    wrappers,
)
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
]  # fmt: skip

#: In the order in which they are shown.
FAMILIES = (
    conv, locally_connected, pool, space, resize, norm, linear, einsum, activation, dropout, reshape,
    merge, rescale, embedding, positions, recurrent, conv_lstm, wrappers, directions, multi_head, attention,
    categories, hashing, text, audio, augment, augment_place, augment_mix, applications, addons,
    *operations.FAMILIES,
)  # fmt: skip
