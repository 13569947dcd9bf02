"""Attention with several heads: MultiHeadAttention, GroupQueryAttention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, Fill, Load, call, module
from torchport.rules.arguments import default
from torchport.rules.attended_axes import STEPS, AttendedAxes, attended_axes
from torchport.rules.attention import is_masked, joined
from torchport.rules.bound import positions
from torchport.rules.broadcast import check_bias
from torchport.rules.dtypes import as_bool
from torchport.rules.facts import Gives, Masks, Reads
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Onto, Reading, Whole


def third(query: Any, value: Any, rest: Sequence[Any], key: Any) -> Any:
    """The key, given by place or by name; the value where there is none."""
    given = rest[0] if rest and rest[0] is not None else key
    return value if given is None else given


def widths(query: Tensor | Value, output_shape: Any) -> tuple[int, ...]:
    """How many features come out: along one axis, or along several."""
    sizes = [output_shape] if isinstance(output_shape, int) else list(output_shape or [])
    return tuple(map(int, sizes)) if sizes else (features(query),)


@dataclass(frozen=True)
class Heads:
    """How many heads the query has, how many key and value, and how many features each."""

    query: int
    key: int
    dim: int
    value_dim: int
    outs: tuple[int, ...]
    bias: bool
    #: Whether what is attended to passes a gate that the query opens.
    gate: bool = False

    @property
    def out(self) -> int:
        return prod(self.outs)

    @property
    def projections(self) -> tuple[tuple[str, str, int, int], ...]:
        """What each reads, and how many heads of which size it makes, in Keras's order."""
        gate = (("gate", "query", self.query, self.value_dim),) if self.gate else ()
        return (
            ("query", "query", self.query, self.dim), ("key", "key", self.key, self.dim), *gate,
            ("value", "value", self.key, self.value_dim),
        )  # fmt: skip

    def weights(self, query: Tensor, value: Tensor, key: Tensor) -> Mapping[str, Shape]:
        """In the order in which Keras creates them."""
        shapes: dict[str, Shape] = {}
        read = {"query": query, "key": key, "value": value}
        for name, source, count, size in self.projections:
            shapes[f"{name}_dense/kernel"] = (features(read[source]), count, size)
            if self.bias:
                shapes[f"{name}_dense/bias"] = (count, size)
        shapes["output_dense/kernel"] = (self.query, self.value_dim, *self.outs)
        return {**shapes, **({"output_dense/bias": self.outs} if self.bias else {})}

    def products(self, query: Tensor, value: Tensor, key: Tensor, axes: AttendedAxes) -> int:
        """Those of the projections, of each query with each key, and of their scores with the values."""
        read = {"query": query, "key": key, "value": value}
        found = [
            positions(read[source].shape) * features(read[source]) * count * size
            for _, source, count, size in self.projections
        ]
        attended = prod(value.shape[at] or 1 for at in axes.attended)
        scores = self.query * positions(query.shape) * attended * (self.dim + self.value_dim)
        return sum(found) + scores + positions(query.shape) * self.query * self.value_dim * self.out

    def loads(self, tensors: Mapping[str, Value], dialect: str) -> dict[str, Load | Fill]:
        """The weights as those of four nn.Linear: q, k, v, out; and of one more where there is a gate."""
        loads: dict[str, Load | Fill] = {}
        for name, source, h, k in self.projections:
            own = name if name == "gate" else name[0]
            loads[f"{own}.weight"] = Load.of(f"{name}_dense/kernel", "d h k -> (h k) d", h=h, k=k)
            if self.bias:
                check_bias((*tensors[source].shape[:-1], h, k), (h, k), dialect)
                loads[f"{own}.bias"] = Load.of(f"{name}_dense/bias", "h k -> (h k)", h=h, k=k)
        names = [f"o{at}" for at in range(len(self.outs))]
        out, one = " ".join(names), f"({' '.join(names)})"
        sizes = {"h": self.query, "k": self.value_dim, **dict(zip(names, self.outs, strict=True))}
        if len(names) == 1:
            out, one, sizes = "d", "d", {"h": self.query, "k": self.value_dim}
        loads["out.weight"] = Load.of("output_dense/kernel", f"h k {out} -> {one} (h k)", **sizes)
        if self.bias:
            check_bias((*tensors["query"].shape[:-1], *self.outs), self.outs, dialect)
            own_sizes = {key: size for key, size in sizes.items() if key in names}
            loads["out.bias"] = Load.of("output_dense/bias", f"{out} -> {one}", **own_sizes)
        return loads


def multi_heads(
    query: Tensor | Value, *, num_heads: int, key_dim: int, value_dim: int | None, use_bias: bool,
    output_shape: Any, use_gate: bool,
) -> Heads:  # fmt: skip
    outs = widths(query, output_shape)
    return Heads(num_heads, num_heads, key_dim, value_dim or key_dim, outs, use_bias, use_gate)


def grouped_heads(
    query: Tensor | Value, *, head_dim: int, num_query_heads: int, num_key_value_heads: int, use_bias: bool,
    use_gate: bool,
) -> Heads:  # fmt: skip
    outs = (features(query),)
    return Heads(num_query_heads, num_key_value_heads, head_dim, head_dim, outs, use_bias, use_gate)


def attended_shape(
    query: Tensor, value: Tensor, *rest: Any, num_heads: int, output_shape: Any,
    return_attention_scores: bool, attention_axes: Any = None, dialect: str = "",
) -> Any:  # fmt: skip
    axes = attended_axes(attention_axes, query, value, dialect)
    out = (*query.shape[:-1], *widths(query, output_shape))
    if return_attention_scores and not axes.are_steps:
        raise Unsupported("the scores over other axes than one of steps", "do not return them")
    scores = (query.shape[0], num_heads, query.shape[1], value.shape[1])
    return [out, scores] if return_attention_scores else out


def grouped_shape(
    query: Tensor, value: Tensor, *rest: Any, num_query_heads: int, return_attention_scores: bool
) -> Any:
    return attended_shape(
        query, value, num_heads=num_query_heads, output_shape=None,
        return_attention_scores=return_attention_scores,
    )  # fmt: skip


def attended_weights(
    query: Tensor, value: Tensor, *rest: Any, key: Any, num_heads: int, key_dim: int, value_dim: int | None,
    use_bias: bool, output_shape: Any, use_gate: bool,
) -> Mapping[str, Shape]:  # fmt: skip
    heads = multi_heads(
        query, num_heads=num_heads, key_dim=key_dim, value_dim=value_dim, use_bias=use_bias,
        output_shape=output_shape, use_gate=use_gate,
    )  # fmt: skip
    return heads.weights(query, value, third(query, value, rest, key))


def grouped_weights(
    query: Tensor, value: Tensor, *rest: Any, key: Any, head_dim: int, num_query_heads: int,
    num_key_value_heads: int, use_bias: bool, use_gate: bool,
) -> Mapping[str, Shape]:  # fmt: skip
    heads = grouped_heads(
        query, head_dim=head_dim, num_query_heads=num_query_heads, num_key_value_heads=num_key_value_heads,
        use_bias=use_bias, use_gate=use_gate,
    )  # fmt: skip
    return heads.weights(query, value, third(query, value, rest, key))


def attended_products(
    query: Tensor, value: Tensor, *rest: Any, key: Any, num_heads: int, key_dim: int, value_dim: int | None,
    use_bias: bool, output_shape: Any, use_gate: bool, attention_axes: Any, dialect: str = "",
) -> int:  # fmt: skip
    heads = multi_heads(
        query, num_heads=num_heads, key_dim=key_dim, value_dim=value_dim, use_bias=use_bias,
        output_shape=output_shape, use_gate=use_gate,
    )  # fmt: skip
    axes = attended_axes(attention_axes, query, value, dialect)
    return heads.products(query, value, third(query, value, rest, key), axes)


def grouped_products(
    query: Tensor, value: Tensor, *rest: Any, key: Any, head_dim: int, num_query_heads: int,
    num_key_value_heads: int, use_bias: bool, use_gate: bool,
) -> int:  # fmt: skip
    heads = grouped_heads(
        query, head_dim=head_dim, num_query_heads=num_query_heads, num_key_value_heads=num_key_value_heads,
        use_bias=use_bias, use_gate=use_gate,
    )  # fmt: skip
    return heads.products(query, value, third(query, value, rest, key), STEPS)


def attend(
    heads: Heads, query: Value, value: Value, key: Value, masks: Sequence[Any], *, causal: bool,
    window: int | None, scores: bool, dropout: float, dialect: str, axes: AttendedAxes = STEPS,
) -> Any:  # fmt: skip
    """The module and its call. `masks`: of the query, the value, the key, and of their pairs."""
    loads = heads.loads({"query": query, "value": value, "key": key}, dialect)
    explicit = scores or is_masked(masks) or window is not None
    if not axes.are_steps and (explicit or causal):
        raise Unsupported("masks over other axes than one of steps", "flatten the axes to one of steps first")
    tensors = tuple(map(axes.fold, (query, value) if key == value else (query, value, key)))
    count, dim = heads.query, heads.dim
    square = features(value) == features(key) == features(query) == heads.out
    plain = (
        square
        and heads.bias
        and not heads.gate
        and (heads.key, heads.value_dim) == (count, dim)
        and key == value
    )
    found = pair_masks(query, value, masks, causal, window) if explicit else []
    if is_keras_2(dialect) and len(found) == 1 and masks[3] is not None:
        found = [masks[3]]  # tf-keras lowers scores by as much as its numbers say
    allowed = joined(found)
    if plain and allowed is not None and not scores and not is_keras_2(dialect) and len(heads.outs) == 1:
        kind = "ZeroMaskedMultiHeadAttention" if dropout else "MaskedMultiHeadAttention"
        rate = [dropout] if dropout else []
        attention = module(kind, features(query), count, dim, *rate, loads=loads)
        return attention(*tensors, allowed)
    if plain and not explicit:
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
            value_dim=default(heads.value_dim, dim), out_features=default(heads.out, features(query)),
            num_kv_heads=default(heads.key, count), bias=None if heads.bias else False,
            dropout=default(float(dropout), 0.0), gate=True if heads.gate else None, loads=loads,
        )  # fmt: skip

    def spread(out: Any) -> Any:
        return call(".unflatten", out, -1, heads.outs) if len(heads.outs) > 1 else out

    if not explicit:
        return spread(axes.unfold(attention(*tensors, **({"is_causal": True} if causal else {})), query))
    result = attention(*tensors, **({} if allowed is None else {"mask": allowed}))
    if not scores:
        return spread(result[0])
    return result if len(heads.outs) == 1 else (spread(result[0]), result[1])


def pair_masks(
    query: Value, value: Value, masks: Sequence[Any], causal: bool, window: int | None = None
) -> list[Expr]:
    """Masks of steps as masks of their pairs (n, t, s)."""
    query_mask, value_mask, key_mask, mask = masks
    if mask is not None and mask.rank == 4 and (causal or window or is_masked(masks[:3])):
        raise Unsupported("an attention_mask for each head together with other masks")
    found: list[Expr] = []
    if query_mask is not None:
        found.append(as_bool(query_mask)[(slice(None), slice(None), None)])
    found += [as_bool(it)[(slice(None), None)] for it in (value_mask, key_mask) if it is not None]
    found += [call("band_mask", query, value, window)] if window else []
    found += [call("causal_mask", query, value)] if causal else []
    return found + ([as_bool(mask)] if mask is not None else [])


def attended_reads(
    query: Tensor, value: Tensor, *rest: Tensor, attention_axes: Any = None, dialect: str = ""
) -> list[dict[int, Reading]]:
    """Its own step of the query; all steps that are attended over of values and keys; all features."""
    over = attended_axes(attention_axes, query, value, dialect).attended
    found: list[dict[int, Reading]] = []
    for number, x in enumerate((query, value, *rest)):
        steps = range(1, len(x.shape) - 1)
        own: dict[int, Reading] = {at: Whole() if number and at in over else Onto(at) for at in steps}
        found.append({**own, len(x.shape) - 1: Whole()})
    return found


def grouped_reads(query: Tensor, value: Tensor, *rest: Tensor) -> list[dict[int, Reading]]:
    return attended_reads(query, value, *rest)


@rule(
    "MultiHeadAttention", reads=attended_reads, wants=SOURCE, shape=attended_shape, weights=attended_weights,
    masks=Masks(Reads.EACH, Gives.FIRST, removes=True), ignores="flash_attention",
    products=attended_products,
)  # fmt: skip
def multi_head_attention(
    query: Value, value: Value, *rest: Any, num_heads: int, key_dim: int, value_dim: int | None = None,
    dropout: float = 0.0, use_bias: bool = True, output_shape: Any = None, key: Any = None,
    query_mask: Any = None, value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False, attention_axes: Any = None,
    use_gate: bool = False, sliding_window: int | None = None, dialect: str = "",
) -> Any:  # fmt: skip
    """A module of nn.Linear and F.scaled_dot_product_attention; with masks, of what that stands for.

    Of images the axes it attends over become one of steps, and the others more of the batch.
    A query whose keys are all masked gets the mean of all values in Keras, of none from torch.
    """
    heads = multi_heads(
        query, num_heads=num_heads, key_dim=key_dim, value_dim=value_dim, use_bias=use_bias,
        output_shape=output_shape, use_gate=use_gate,
    )  # fmt: skip
    return attend(
        heads, query, value, third(query, value, rest, key),
        (query_mask, value_mask, key_mask, attention_mask), causal=use_causal_mask,
        window=sliding_window, scores=return_attention_scores, dropout=dropout, dialect=dialect,
        axes=attended_axes(attention_axes, query, value, dialect),
    )  # fmt: skip


@rule(
    "GroupQueryAttention", reads=grouped_reads, wants=SOURCE, shape=grouped_shape, weights=grouped_weights,
    masks=Masks(Reads.EACH, Gives.FIRST), ignores="flash_attention", products=grouped_products,
)  # fmt: skip
def group_query_attention(
    query: Value, value: Value, *rest: Any, head_dim: int, num_query_heads: int, num_key_value_heads: int,
    dropout: float = 0.0, use_bias: bool = True, key: Any = None, query_mask: Any = None,
    value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False, use_gate: bool = False,
    sliding_window: int | None = None, dialect: str = "",
) -> Any:  # fmt: skip
    """As MultiHeadAttention; several heads of the query share one of the key and value."""
    heads = grouped_heads(
        query, head_dim=head_dim, num_query_heads=num_query_heads, num_key_value_heads=num_key_value_heads,
        use_bias=use_bias, use_gate=use_gate,
    )  # fmt: skip
    return attend(
        heads, query, value, third(query, value, rest, key),
        (query_mask, value_mask, key_mask, attention_mask), causal=use_causal_mask,
        window=sliding_window, scores=return_attention_scores, dropout=dropout, dialect=dialect,
    )  # fmt: skip


@rule(
    "keras_hub>CachedMultiHeadAttention", reads=attended_reads, wants=SOURCE, shape=attended_shape,
    weights=attended_weights, masks=Masks(Reads.EACH, Gives.FIRST), products=attended_products,
)  # fmt: skip
def cached_attention(
    query: Value, value: Value, *, num_heads: int, key_dim: int, dropout: float = 0.0,
    query_mask: Any = None, value_mask: Any = None, attention_mask: Any = None, use_causal_mask: bool = False,
    value_dim: int | None = None, use_bias: bool = True, output_shape: Any = None, key: Any = None,
    use_gate: bool = False, return_attention_scores: bool = False, attention_axes: Any = None,
    dialect: str = "",
) -> Any:  # fmt: skip
    """That of keras_hub's decoder, without a cache: as MultiHeadAttention, with no mask of the query.

    Source: keras_hub/src/layers/modeling/cached_multi_head_attention.py, call.
    """
    return multi_head_attention(
        query, value, num_heads=num_heads, key_dim=key_dim, dropout=dropout, value_mask=value_mask,
        attention_mask=attention_mask, use_causal_mask=use_causal_mask, dialect=dialect,
    )  # fmt: skip
