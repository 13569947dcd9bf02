"""The table of rules, a file for each family."""

from torchport.rules import (
    activation,
    conv,
    dropout,
    linear,
    merge,
    norm,
    pool,
    preprocess,
    reshape,
    space,
)
from torchport.rules.table import TABLE, Rule, Value, Want, Wants, apply, rule_for

__all__ = ["TABLE", "Rule", "Value", "Want", "Wants", "apply", "rule_for"]

FAMILIES = (
    conv, pool, space, norm, linear, activation, dropout, reshape, merge, preprocess,
)  # fmt: skip
