"""Attention of one head, without projections: every step of a query looks at all steps of a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, Load, State, call, module
from torchport.rules.dtypes import as_bool
from torchport.rules.facts import Gives, Masks, Reads
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Onto, Reading, Whole


def joined(masks: Sequence[Expr]) -> Expr | None:
    """All masks in one, True where all are; None without any."""
    result: Expr | None = None
    for mask in masks:
        result = mask if result is None else Infix("&", result, mask)
    return result


def dot_shape(xs: Sequence[Tensor], *, return_attention_scores: bool) -> Any:
    if any(len(x.shape) != 3 for x in xs):
        raise Unsupported("over several axes", "flatten them to one axis of steps first")
    out = (*xs[0].shape[:-1], xs[1].shape[-1])
    return [out, (*xs[0].shape[:-1], xs[1].shape[1])] if return_attention_scores else out


def dot_reads(xs: Sequence[Tensor]) -> list[dict[int, Reading]]:
    """Its own step of the query, all steps of value and key; of a key alone, all features."""
    first: dict[int, Reading] = {1: Onto(1), 2: Whole()}
    value: dict[int, Reading] = {1: Whole(), 2: Onto(2) if len(xs) == 3 else Whole()}
    key: dict[int, Reading] = {1: Whole(), 2: Whole()}
    return [first, value, *(key for _ in xs[2:])]


def dot_weights(xs: Sequence[Tensor], *, use_scale: bool, score_mode: str) -> Mapping[str, Shape]:
    scale: dict[str, Shape] = {"scale": ()} if use_scale else {}
    return {**scale, "concat_score_weight": ()} if score_mode == "concat" else scale


def dot_products(xs: Sequence[Tensor], *, score_mode: str) -> int:
    """Of each query with each key, and of the scores with the values."""
    met = (xs[0].shape[1] or 1) * (xs[1].shape[1] or 1)
    return met * ((features(xs[0]) if score_mode == "dot" else 0) + features(xs[1]))


def additive_products(xs: Sequence[Tensor]) -> int:
    return dot_products(xs, score_mode="concat")


def scalar(name: str) -> State:
    return State(name, Load.of(name, "->"), ())


def pairs(query: Expr, key: Expr) -> Expr:
    """Every query with every key: (n, t, s, c)."""
    return query[(slice(None), slice(None), None)] + key[(slice(None), None)]


def is_masked(masks: Any) -> bool:
    """Whether any mask is given."""
    return masks is not None and any(it is not None for it in masks)


def masked_sum(
    scores: Expr, xs: Sequence[Value], mask: Any, dropout: float, return_scores: bool, causal: bool
) -> Any:
    """The values weighted by the softmax of the scores where the masks allow."""
    query, value = xs[0], xs[1]
    query_mask, value_mask = list(mask)[:2] if is_masked(mask) else (None, None)
    found: list[Expr] = [] if value_mask is None else [as_bool(value_mask)[(slice(None), None)]]
    found += [call("causal_mask", query, xs[-1])] if causal else []
    allowed = joined(found)
    weights: Expr = call("F.softmax", scores, dim=-1)
    if allowed is not None:
        weights = call("masked_softmax", scores, allowed)
    if dropout:
        weights = module("nn.Dropout", dropout, role="dropout", loads={})(weights)
    if return_scores:
        if query_mask is not None:
            return call("weighted_queries", weights, value, as_bool(query_mask))
        return call("weighted", weights, value)
    result: Expr = Infix("@", weights, value)
    if query_mask is not None:
        result = call("torch.where", as_bool(query_mask)[(Ellipsis, None)], result, 0.0)
    return result


#: Takes a list of masks, and gives the first on.
LISTS = Masks(Reads.LIST, Gives.LIST)


@rule(
    "Attention", wants=SOURCE, shape=dot_shape, weights=dot_weights, masks=LISTS,
    only={"score_mode": ("dot", "concat")}, products=dot_products, reads=dot_reads,
)  # fmt: skip
def attention(
    xs: Sequence[Value], *, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0,
    mask: Any = None, return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """F.scaled_dot_product_attention without the scale; with masks or other scores, its parts."""
    query, value, key = xs[0], xs[1], xs[-1]
    scaled: Expr = query * scalar("scale") if use_scale else query
    if score_mode == "concat":
        both = pairs(query, key)
        inside = scalar("scale") * both if use_scale else both
        scores: Expr = scalar("concat_score_weight") * call(".sum", call("torch.tanh", inside), dim=-1)
    elif is_masked(mask) or dropout or return_attention_scores:
        scores = Infix("@", scaled, call(".transpose", key, 1, 2))
    else:
        causal = True if use_causal_mask else None
        return call("F.scaled_dot_product_attention", scaled, key, value, is_causal=causal, scale=1.0)
    return masked_sum(scores, xs, mask, dropout, return_attention_scores, use_causal_mask)


def additive_weights(xs: Sequence[Tensor], *, use_scale: bool) -> Mapping[str, Shape]:
    return {"scale": (features(xs[0]),)} if use_scale else {}


@rule(
    "AdditiveAttention", wants=SOURCE, shape=dot_shape, weights=additive_weights, masks=LISTS,
    products=additive_products, reads=dot_reads,
)  # fmt: skip
def additive_attention(
    xs: Sequence[Value], *, use_scale: bool = True, dropout: float = 0.0, mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """Scores are sums of tanh(query + key)."""
    both: Expr = call("torch.tanh", pairs(xs[0], xs[-1]))
    if use_scale:
        count = features(xs[0])
        both = State("scale", Load.of("scale", "c -> c"), (count,)) * both
    scores = call(".sum", both, dim=-1)
    return masked_sum(scores, xs, mask, dropout, return_attention_scores, use_causal_mask)
