"""What DeepLC's activation, a lambda, is in PyTorch."""

from __future__ import annotations

from torchport.program import Expr
from torchport.rules import Value, call, rule


@rule("activation:<lambda>")
def lrelu(x: Value) -> Expr:
    """A leaky ReLU that ends at 20."""
    return call(".clamp", call("F.leaky_relu", x, 0.1), max=20)
