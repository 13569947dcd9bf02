"""Losses of TensorFlow that stand in a graph: one number for each example, none of them summed."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import as_dtype
from torchport.rules.operations.operands import buffer
from torchport.rules.table import SOURCE, Value, rule


def each_shape(labels: Any, logits: Tensor) -> Shape:
    return logits.shape


@rule("tf.nn.sigmoid_cross_entropy_with_logits", wants=SOURCE, shape=each_shape)
def sigmoid_cross_entropy(labels: Any, logits: Value) -> Expr:
    """F.binary_cross_entropy_with_logits, nothing reduced."""
    return call("F.binary_cross_entropy_with_logits", logits, buffer(labels, "labels"), reduction="none")


@rule("tf.nn.weighted_cross_entropy_with_logits", wants=SOURCE, shape=each_shape)
def weighted_cross_entropy(labels: Any, logits: Value, *, pos_weight: Any) -> Expr:
    """F.binary_cross_entropy_with_logits with a weight of what is true."""
    weight = call(".new_tensor", logits, float(pos_weight)) if isinstance(pos_weight, (int, float)) else None
    if weight is None:
        raise Unsupported("a pos_weight that is a tensor", "give it as a number")
    return call(
        "F.binary_cross_entropy_with_logits", logits, buffer(labels, "labels"), pos_weight=weight,
        reduction="none",
    )  # fmt: skip


@rule("tf.nn.log_poisson_loss", wants=SOURCE, shape=each_shape, only={"compute_full_loss": (False,)},
      ignores="compute_full_loss")  # fmt: skip
def log_poisson(targets: Any, log_input: Value) -> Expr:
    """F.poisson_nll_loss, nothing reduced."""
    return call("F.poisson_nll_loss", log_input, buffer(targets, "targets"), reduction="none")


def summed_shape(labels: Any, logits: Tensor, *, axis: int = -1) -> Shape:
    if axis not in (-1, len(logits.shape) - 1):
        raise Unsupported(f"axis={axis}", "the last axis is ported")
    return logits.shape[:-1]


@rule("tf.nn.softmax_cross_entropy_with_logits", wants=SOURCE, shape=summed_shape)
def softmax_cross_entropy(labels: Any, logits: Value, *, axis: int = -1) -> Expr:
    """-(labels * F.log_softmax(logits)).sum over the classes: labels need not sum to one."""
    product = call("F.log_softmax", logits, dim=-1) * buffer(labels, "labels")
    return call("torch.neg", call(".sum", product, -1))


def chosen_shape(labels: Any, logits: Tensor) -> Shape:
    if len(shape_of(labels)) != len(logits.shape) - 1:
        raise Unsupported("labels with as many axes as logits", "give a number for each example")
    return logits.shape[:-1]


@rule("tf.nn.sparse_softmax_cross_entropy_with_logits", wants=SOURCE, shape=chosen_shape)
def sparse_softmax_cross_entropy(labels: Any, logits: Value) -> Expr:
    """F.cross_entropy, nothing reduced, its classes behind the batch."""
    found = buffer(labels, "labels", "int64")
    if isinstance(labels, Value):
        found = as_dtype(labels, labels.tensor.dtype, "int64")
    classes = logits if logits.rank == 2 else call(".movedim", logits, -1, 1)
    return call("F.cross_entropy", classes, found, reduction="none")
