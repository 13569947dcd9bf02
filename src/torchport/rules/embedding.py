"""Embedding, and masks: which steps of a sequence count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Apply, Code, Expr, Infix, call, module
from torchport.rules.dtypes import as_index
from torchport.rules.entry import Layer, Variable, layer, variables
from torchport.rules.facts import Gives, Masks
from torchport.rules.sizes import end_to_end
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants, rule

LOOKUP = Masks(gives=Gives.LOOKUP)


@layer("Embedding", ignores="mask_zero quantization_config", masks=LOOKUP, indexes=True)
class Embedding(Layer):
    """nn.Embedding. `mask_zero` is not `padding_idx`: the row of zero is used and trained."""

    input_dim: int
    output_dim: int

    def shape(self, x: Tensor) -> Shape:
        return (*x.shape, self.output_dim)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        return variables(embeddings=("v d", {"v": self.input_dim, "d": self.output_dim}))

    def wants(self, x: Any, y: Any) -> Wants:
        return SOURCE

    def dtype(self, x: Any) -> str:
        return "float32"

    def write(self, x: Value, y: Value, embeddings: Variable) -> Expr:
        table = module("nn.Embedding", *embeddings.shape, loads={"weight": embeddings("v d")})
        return table(as_index(x))


@layer(
    "ReversibleEmbedding", ignores="mask_zero quantization_config",
    only={"reverse_dtype": (None, "float32")}, masks=LOOKUP, indexes=True,
)  # fmt: skip
class ReversibleEmbedding(Embedding):
    """An nn.Embedding with a method for the way back: a product with its own, or another, table."""

    tie_weights: bool = True
    logit_soft_cap: float | None = None
    reverse_dtype: str | None = None
    reverse: bool = False

    def shape(self, x: Tensor) -> Shape:
        return (*x.shape[:-1], self.input_dim) if self.reverse else super().shape(x)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        back = "d v", {"d": self.output_dim, "v": self.input_dim}
        table = super().weights(x, y)
        return table if self.tie_weights else {**table, **variables(reverse_embeddings=back)}

    def write(
        self, x: Value, y: Value, embeddings: Variable, reverse_embeddings: Variable | None = None
    ) -> Expr:
        loads = {"weight": embeddings("v d")}
        if reverse_embeddings:
            loads["reverse_weight"] = reverse_embeddings("v d")
        table = module(
            "ReversibleEmbedding", *embeddings.shape, tied=None if self.tie_weights else False,
            soft_cap=None if self.logit_soft_cap is None else float(self.logit_soft_cap), loads=loads,
        )  # fmt: skip
        if self.reverse:
            return call(".reverse", Apply(table, (), called=False), x)
        return table(as_index(x))


@rule("Masking", ignores="mask_value", masks=Masks(gives=Gives.VALUES))
def masking(x: Value, *, mask: Value) -> Expr:
    """x, zero at steps that are masked."""
    return x * call(".unsqueeze", mask, x.dim(x.rank - 1))


def step_wants(x: Tensor) -> Wants:
    """Where there are several axes of steps, they stay in order."""
    return FOLLOWS if len(x.shape) <= 3 else SOURCE


def step_shape(x: Tensor) -> Shape:
    return x.shape[:-1]


@rule("mask:unlike", dtype="bool")
def unlike(x: Value, *, value: float) -> Expr:
    """x != value."""
    return Infix("!=", x, value)


@rule("mask:any_unlike", wants=step_wants, shape=step_shape, dtype="bool")
def any_unlike(x: Value, *, value: float) -> Expr:
    """Steps of which any feature is unlike a value."""
    return call(".any", Infix("!=", x, value), dim=x.dim(x.rank - 1))


@rule("mask:steps", wants=SOURCE, shape=lambda x: x.shape[:2], dtype="bool")
def any_within(x: Value) -> Expr:
    """Steps that have anything in them."""
    return x if x.rank < 3 else call(".any", x if x.rank == 3 else call(".flatten", x, 2), dim=2)


@rule("mask:or", dtype="bool")
def either(xs: Sequence[Value]) -> Any:
    """a | b."""
    return joined("|", xs)


@rule("mask:and", dtype="bool")
def both(xs: Sequence[Value]) -> Any:
    """a & b."""
    return joined("&", xs)


def joined(symbol: str, xs: Sequence[Value]) -> Any:
    result: Any = xs[0]
    for x in xs[1:]:
        result = Infix(symbol, result, x)
    return result


@rule("mask:all", wants=step_wants, shape=step_shape, dtype="bool")
def every(x: Value) -> Expr:
    """All steps count."""
    sizes = (call(".size", x, x.dim(at)) for at in range(x.rank - 1))
    return call(".new_ones", x, *sizes, dtype=Code("torch.bool"))


def joint_shape(xs: Sequence[Tensor], *, axis: int) -> Shape:
    return end_to_end(xs, axis)


@rule("mask:cat", shape=joint_shape, dtype="bool")
def joint(xs: Sequence[Value], *, axis: int) -> Expr:
    """Masks of sequences that are laid end to end."""
    return call("torch.cat", list(xs), dim=xs[0].dim(axis))
