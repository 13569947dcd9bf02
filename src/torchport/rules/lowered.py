"""Attention of keras_multi_head and keras_self_attention: what a step may not see scores 10000 less.

They are made by `normalise/composed/bert.py`, of layers of those packages.
"""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.dtypes import as_bool
from torchport.rules.facts import Gives, Masks, Reads
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Value, rule

EACH = Masks(Reads.EACH, Gives.FIRST)


def lowered_shape(query: Tensor, key: Tensor, value: Tensor) -> Shape:
    return (*query.shape[:2], value.shape[2])


@rule("attention:lowered", wants=SOURCE, shape=lowered_shape, masks=EACH)
def lowered(
    query: Value, key: Value, value: Value, *, num_heads: int, history_only: bool, query_mask: Any = None,
    value_mask: Any = None, key_mask: Any = None,
) -> Expr:  # fmt: skip
    """F.scaled_dot_product_attention of each head; with masks, in a helper, under a bias.

    The masks are named as Keras's attention orders its arguments: here the second is the key.
    Source: keras_self_attention/scaled_dot_attention.py, call.
    """
    if not (history_only or value_mask is not None):
        return call("split_attention", query, key, value, num_heads)
    mask = None if value_mask is None else as_bool(value_mask)
    options = {"mask": mask, "is_causal": True if history_only else None}
    return call("lowered_attention", query, key, value, num_heads, **options)


def banded_shape(scores: Tensor, x: Tensor) -> Shape:
    return x.shape


@rule("attention:banded", wants=SOURCE, shape=banded_shape, masks=EACH)
def banded(
    scores: Value, x: Value, *, width: int | None, history_only: bool, query_mask: Any = None,
    value_mask: Any = None,
) -> Expr:  # fmt: skip
    """A helper of a few lines. Source: keras_self_attention/seq_self_attention.py, call."""
    mask = None if value_mask is None else as_bool(value_mask)
    if width is None and mask is None:
        return Infix("@", call("F.softmax", scores, dim=-1), x)
    before = None if width is None else width - 1 if history_only else width // 2
    return call("banded_attention", scores, x, mask=mask, width=width, before=before)


def pooled_shape(scores: Tensor, x: Tensor) -> Shape:
    if len(x.shape) != 3:
        raise Unsupported(f"a tensor with {len(x.shape)} axes", "give it sequences")
    return (x.shape[0], features(x))


@rule("attention:pooled", wants=SOURCE, shape=pooled_shape, masks=Masks(Reads.EACH, Gives.NONE))
def pooled(scores: Value, x: Value, *, query_mask: Any = None, value_mask: Any = None) -> Expr:
    """A helper of a few lines. Source: keras_self_attention/seq_weighted_attention.py, call."""
    mask = None if value_mask is None else as_bool(value_mask)
    return call("pooled_attention", scores, x, **({} if mask is None else {"mask": mask}))
