"""Activations: layers, and the functions that other layers apply to their output.

A function `f` of keras.activations has the kind `activation:f`; the layer Activation is that function.
"""

from __future__ import annotations

from torchport.program import Expr, call
from torchport.rules.table import Value, rule


@rule("activation:linear")
def linear(x: Value) -> Expr:
    """Nothing."""
    return x


@rule("activation:relu")
def relu(x: Value) -> Expr:
    """F.relu."""
    return call("F.relu", x)


@rule("activation:sigmoid")
def sigmoid(x: Value) -> Expr:
    """torch.sigmoid."""
    return call("torch.sigmoid", x)


@rule("activation:softmax")
def softmax(x: Value, *, axis: int = -1) -> Expr:
    """F.softmax over the same named axis."""
    return call("F.softmax", x, dim=x.dim(axis))
