"""Attention: layers in which every step of a query looks at all steps of a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, Fill, Infix, Load, State, call, module
from torchport.rules.broadcast import check_bias
from torchport.rules.norm import default, size_of
from torchport.rules.table import SOURCE, Value, rule


def third(query: Any, value: Any, rest: Sequence[Any], key: Any) -> Any:
    """The key, given by place or by name; the value where there is none."""
    given = rest[0] if rest and rest[0] is not None else key
    return value if given is None else given


def features(x: Tensor | Value) -> int:
    return size_of(x, len(x.shape) - 1)


def width(query: Tensor | Value, output_shape: Any) -> int:
    """How many features come out."""
    sizes = [output_shape] if isinstance(output_shape, int) else list(output_shape or [])
    if len(sizes) > 1:
        raise Unsupported(f"output_shape={output_shape!r} has several axes", "reshape what comes out")
    return int(sizes[0]) if sizes else features(query)


def attended_shape(
    query: Tensor, value: Tensor, *rest: Any, num_heads: int, output_shape: Any,
    return_attention_scores: bool,
) -> Any:  # fmt: skip
    if len(query.shape) != 3 or len(value.shape) != 3:
        raise Unsupported("over several axes", "flatten them to one axis of steps first")
    out = (*query.shape[:-1], width(query, output_shape))
    scores = (query.shape[0], num_heads, query.shape[1], value.shape[1])
    return [out, scores] if return_attention_scores else out


def grouped_shape(
    query: Tensor, value: Tensor, *rest: Any, num_query_heads: int, return_attention_scores: bool
) -> Any:
    return attended_shape(
        query, value, num_heads=num_query_heads, output_shape=None,
        return_attention_scores=return_attention_scores,
    )  # fmt: skip


def projections(
    query: Any,
    value: Any,
    key: Any,
    heads: int,
    kv_heads: int,
    dim: int,
    value_dim: int,
    out: int,
    bias: bool,
) -> Mapping[str, Shape]:
    """The weights in the order in which Keras creates them."""
    shapes: dict[str, Shape] = {}
    for name, source, count, size in (
        ("query", query, heads, dim), ("key", key, kv_heads, dim), ("value", value, kv_heads, value_dim),
    ):  # fmt: skip
        shapes[f"{name}_dense/kernel"] = (features(source), count, size)
        if bias:
            shapes[f"{name}_dense/bias"] = (count, size)
    shapes["output_dense/kernel"] = (heads, value_dim, out)
    return {**shapes, **({"output_dense/bias": (out,)} if bias else {})}


def attended_weights(
    query: Tensor, value: Tensor, *rest: Any, key: Any, num_heads: int, key_dim: int, value_dim: int | None,
    use_bias: bool, output_shape: Any,
) -> Mapping[str, Shape]:  # fmt: skip
    key = third(query, value, rest, key)
    out = width(query, output_shape)
    return projections(query, value, key, num_heads, num_heads, key_dim, value_dim or key_dim, out, use_bias)


def grouped_weights(
    query: Tensor, value: Tensor, *rest: Any, key: Any, head_dim: int, num_query_heads: int,
    num_key_value_heads: int, use_bias: bool,
) -> Mapping[str, Shape]:  # fmt: skip
    return projections(
        query, value, third(query, value, rest, key), num_query_heads, num_key_value_heads, head_dim,
        head_dim, features(query), use_bias,
    )  # fmt: skip


def truth(mask: Value) -> Expr:
    return mask if mask.tensor.dtype == "bool" else call(".bool", mask)


def joined(masks: Sequence[Expr]) -> Expr | None:
    """All masks in one, True where all are; None without any."""
    result: Expr | None = None
    for mask in masks:
        result = mask if result is None else Infix("&", result, mask)
    return result


def heads(
    query: Value, value: Value, key: Value, weights: Mapping[str, Shape], masks: Sequence[Any], causal: bool,
    scores: bool, dropout: float, output: int, dialect: str,
) -> Any:  # fmt: skip
    """The module and its call: the weights as nn.Linear has them."""
    query_mask, value_mask, key_mask, mask = masks
    count, dim = weights["query_dense/kernel"][1:]
    kv_count, value_dim = weights["value_dense/kernel"][1:]
    bias = "query_dense/bias" in weights
    loads: dict[str, Load | Fill] = {}
    for name, role in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")):
        shape = weights[f"{name}_dense/kernel"]
        turn = "h k d -> d (h k)" if name == "output" else "d h k -> (h k) d"
        first, second = shape[:2] if name == "output" else shape[1:]
        sizes = {"h": first or 0, "k": second or 0}
        loads[f"{role}.weight"] = Load.of(f"{name}_dense/kernel", turn, **sizes)
        if bias:
            if name != "output":
                x = {"query": query, "key": key, "value": value}[name]
                check_bias((*x.shape[:2], *shape[1:]), shape[1:], dialect)
            one = "d -> d" if name == "output" else "h k -> (h k)"
            loads[f"{role}.bias"] = Load.of(f"{name}_dense/bias", one, **({} if name == "output" else sizes))
    explicit = scores or any(it is not None for it in masks)
    plain = bias and features(value) == features(key) == features(query) == output
    if plain and not explicit and (kv_count, value_dim) == (count, dim) and (key is value or key == value):
        rate = [dropout] if dropout else []
        attention = module("MultiHeadAttention", features(query), count, dim, *rate, loads=loads)
    else:
        # Keras attends with the backend's function, or where it wants the weights with its own Softmax,
        # which leaves nothing where all is masked. Source: multi_head_attention.py, _compute_attention.
        # That of Keras 2 only lowers scores. Source: tf_keras/src/layers/activation/softmax.py.
        masked = "ZeroMaskedAttention" if dropout or scores else "MaskedAttention"
        masked = "LoweredAttention" if is_keras_2(dialect) else masked
        attention = module(
            masked if explicit else "ProjectedAttention",
            features(query), count, dim,
            value_features=default(features(value), features(query)),
            key_features=default(features(key), features(value)),
            value_dim=default(value_dim, dim), out_features=default(output, features(query)),
            num_kv_heads=default(kv_count, count), bias=None if bias else False,
            dropout=default(float(dropout), 0.0), loads=loads,
        )  # fmt: skip
    tensors = (query, value) if key is value or key == value else (query, value, key)
    if not explicit:
        return attention(*tensors, **({"is_causal": True} if causal else {}))
    if mask is not None and mask.rank == 4 and (causal or any(it is not None for it in masks[:3])):
        raise Unsupported("an attention_mask for each head together with other masks")
    found: list[Expr] = []
    if query_mask is not None:
        found.append(truth(query_mask)[(slice(None), slice(None), None)])
    found += [truth(it)[(slice(None), None)] for it in (value_mask, key_mask) if it is not None]
    found += [call("causal_mask", query, value)] if causal else []
    found += [truth(mask)] if mask is not None else []
    allowed = joined(found)
    result = attention(*tensors, **({} if allowed is None else {"mask": allowed}))
    return result if scores else result[0]


ATTENTION = {"use_gate": (False,), "sliding_window": (None,)}


@rule(
    "MultiHeadAttention", wants=SOURCE, shape=attended_shape, weights=attended_weights,
    only={**ATTENTION, "attention_axes": (None, [1], (1,), 1)},
    ignores="use_gate sliding_window flash_attention attention_axes",
)  # fmt: skip
def multi_head_attention(
    query: Value, value: Value, *rest: Any, num_heads: int, key_dim: int, value_dim: int | None = None,
    dropout: float = 0.0, use_bias: bool = True, output_shape: Any = None, key: Any = None,
    query_mask: Any = None, value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False, dialect: str = "",
) -> Any:  # fmt: skip
    """A module of nn.Linear and F.scaled_dot_product_attention; with masks, of what that stands for.

    A query whose keys are all masked gets the mean of all values in Keras, of none from torch.
    """
    third_ = third(query, value, rest, key)
    weights = attended_weights(
        query.tensor, value.tensor, key=third_.tensor, num_heads=num_heads, key_dim=key_dim,
        value_dim=value_dim, use_bias=use_bias, output_shape=output_shape,
    )  # fmt: skip
    masks = (query_mask, value_mask, key_mask, attention_mask)
    return heads(
        query, value, third_, weights, masks, use_causal_mask, return_attention_scores, dropout,
        width(query, output_shape), dialect,
    )  # fmt: skip


@rule(
    "GroupQueryAttention", wants=SOURCE, shape=grouped_shape, weights=grouped_weights, only=ATTENTION,
    ignores="use_gate sliding_window flash_attention",
)  # fmt: skip
def group_query_attention(
    query: Value, value: Value, *rest: Any, head_dim: int, num_query_heads: int, num_key_value_heads: int,
    dropout: float = 0.0, use_bias: bool = True, key: Any = None, query_mask: Any = None,
    value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False, dialect: str = "",
) -> Any:  # fmt: skip
    """As MultiHeadAttention; several heads of the query share one of the key and value."""
    third_ = third(query, value, rest, key)
    weights = grouped_weights(
        query.tensor, value.tensor, key=third_.tensor, head_dim=head_dim, num_query_heads=num_query_heads,
        num_key_value_heads=num_key_value_heads, use_bias=use_bias,
    )  # fmt: skip
    masks = (query_mask, value_mask, key_mask, attention_mask)
    return heads(
        query, value, third_, weights, masks, use_causal_mask, return_attention_scores, dropout,
        features(query), dialect,
    )  # fmt: skip


def dot_shape(xs: Sequence[Tensor], *, return_attention_scores: bool) -> Any:
    if any(len(x.shape) != 3 for x in xs):
        raise Unsupported("over several axes", "flatten them to one axis of steps first")
    out = (*xs[0].shape[:-1], xs[1].shape[-1])
    return [out, (*xs[0].shape[:-1], xs[1].shape[1])] if return_attention_scores else out


def dot_weights(xs: Sequence[Tensor], *, use_scale: bool, score_mode: str) -> Mapping[str, Shape]:
    scale: dict[str, Shape] = {"scale": ()} if use_scale else {}
    return {**scale, "concat_score_weight": ()} if score_mode == "concat" else scale


def scalar(name: str) -> State:
    return State(name, Load.of(name, "->"), ())


def pairs(query: Expr, key: Expr) -> Expr:
    """Every query with every key: (n, t, s, c)."""
    return query[(slice(None), slice(None), None)] + key[(slice(None), None)]


def masked_sum(
    scores: Expr, xs: Sequence[Value], mask: Any, dropout: float, return_scores: bool, causal: bool
) -> Any:
    """The values weighted by the softmax of the scores where the masks allow."""
    query, value = xs[0], xs[1]
    query_mask, value_mask = (list(mask)[:2]) if mask else (None, None)
    found: list[Expr] = [] if value_mask is None else [truth(value_mask)[(slice(None), None)]]
    found += [call("causal_mask", query, xs[-1])] if causal else []
    allowed = joined(found)
    weights: Expr = call("F.softmax", scores, dim=-1)
    if allowed is not None:
        weights = call("masked_softmax", scores, allowed)
    if dropout:
        weights = module("nn.Dropout", dropout, role="dropout", loads={})(weights)
    if return_scores:
        if query_mask is not None:
            raise Unsupported("the scores of a masked query", "do not return them")
        return call("weighted", weights, value)
    result: Expr = Infix("@", weights, value)
    if query_mask is not None:
        result = call("torch.where", truth(query_mask)[(Ellipsis, None)], result, 0.0)
    return result


@rule(
    "Attention", wants=SOURCE, shape=dot_shape, weights=dot_weights, only={"score_mode": ("dot", "concat")}
)  # fmt: skip
def attention(
    xs: Sequence[Value], *, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0,
    mask: Any = None, return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """F.scaled_dot_product_attention without the scale; with masks or other scores, its parts."""
    query, value, key = xs[0], xs[1], xs[-1]
    masked = mask is not None and any(it is not None for it in mask)
    scaled: Expr = query * scalar("scale") if use_scale else query
    if score_mode == "concat":
        both = pairs(query, key)
        inside = scalar("scale") * both if use_scale else both
        scores: Expr = scalar("concat_score_weight") * call(".sum", call("torch.tanh", inside), dim=-1)
    elif masked or dropout or return_attention_scores:
        scores = Infix("@", scaled, call(".transpose", key, 1, 2))
    else:
        causal = True if use_causal_mask else None
        return call("F.scaled_dot_product_attention", scaled, key, value, is_causal=causal, scale=1.0)
    return masked_sum(scores, xs, mask if masked else None, dropout, return_attention_scores, use_causal_mask)


def additive_weights(xs: Sequence[Tensor], *, use_scale: bool) -> Mapping[str, Shape]:
    return {"scale": (features(xs[0]),)} if use_scale else {}


@rule("AdditiveAttention", wants=SOURCE, shape=dot_shape, weights=additive_weights)
def additive_attention(
    xs: Sequence[Value], *, use_scale: bool = True, dropout: float = 0.0, mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """Scores are sums of tanh(query + key)."""
    both: Expr = call("torch.tanh", pairs(xs[0], xs[-1]))
    if use_scale:
        count = features(xs[0])
        both = State("scale", Load.of("scale", "c -> c"), (count,)) * both
    masked = mask is not None and any(it is not None for it in mask)
    scores = call(".sum", both, dim=-1)
    return masked_sum(scores, xs, mask if masked else None, dropout, return_attention_scores, use_causal_mask)
