"""The layers of keras-bert and of the packages that it is made of.

Sources: keras_multi_head/multi_head_attention.py, keras_self_attention/seq_self_attention.py,
seq_weighted_attention.py, scaled_dot_attention.py, keras_position_wise_feed_forward/feed_forward.py,
keras_bert/layers.

What a step may not see scores 10000 less there, where Keras's own attention leaves it out.
"""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Ref
from torchport.normalise.composed.parts import Part, Parts

GELU = (
    "gelu is another function in keras_transformer than in Keras, and the file has its name alone",
    "add --code FILE.py, the Python file that loads the model, which is run",
)
#: What keras_bert hands to Keras to load its models.
TANH = "gelu was taken to be that of keras_transformer, by tanh, as the layers are of keras_bert."


def tensors(parts: Parts, count: int) -> list[Any]:
    """The tensors that the layer is called with: one for all, or a list."""
    given = parts.op.args[0]
    return list(given) if isinstance(given, (list, tuple)) else [given] * count


def dense(parts: Parts, name: str, weights: str, activation: Any = None) -> Part:
    """A linear layer of one or two weights of the layer itself, by their attributes."""
    attributes = weights.split()
    kernel, *bias = parts.own(len(attributes))
    config = {"units": kernel.shape[1], "use_bias": bool(bias), "activation": activation}
    return Part(name, "Dense", config, (kernel, *bias), tuple(attributes))


def activation_of(parts: Parts, name: str = "activation", usual: Any = "relu") -> Any:
    found = parts.option(name, usual)
    named = found.get("config") if isinstance(found, dict) else found
    if named != "gelu":
        return found
    if not any(it.startswith("keras_bert>") for it in parts.kinds):
        raise Unsupported(*GELU)
    parts.notes.append(TANH)
    return "gelu_new"


def multi_head_attention(parts: Parts) -> None:
    parts.check_options("head_num activation use_bias history_only")
    bias = parts.option("use_bias", True)
    given = tensors(parts, 3)
    if len(given) != 3:
        raise Unsupported(f"it is called with {len(given)} tensors")
    activation = activation_of(parts)
    q, k, v, out = (
        dense(parts, name, f"W{at} b{at}" if bias else f"W{at}", activation)
        for name, at in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o"))
    )
    if len({it.tensor for it in given}) == 1:
        x = parts.input(given[0], q.weights[0].shape[0])
        query = key = value = x
    else:
        query, key, value = inputs(parts, given, [it.weights[0].shape[0] for it in (q, k, v)])
    y = parts.apply(
        "attention:lowered", parts.call(q, query), parts.call(k, key), parts.call(v, value), name="attention",
        num_heads=parts.option("head_num"), history_only=parts.option("history_only", False),
    )  # fmt: skip
    parts.outputs = [parts.call(out, y)]


def inputs(parts: Parts, given: list[Ref], sizes: list[int | None]) -> list[Ref]:
    """Tensors that a layer is given, of which some may be one."""
    found: dict[str, Ref] = {}
    for name, value, size in zip(("query", "key", "value"), given, sizes, strict=True):
        if value.tensor not in found:
            found[value.tensor] = parts.input(value, size, name=name)
    return [found[it.tensor] for it in given]


def scaled_dot_product_attention(parts: Parts) -> None:
    parts.check_options("return_attention history_only")
    if parts.option("return_attention"):
        raise Unsupported("return_attention=True is not ported")
    given = tensors(parts, 3)
    query, key, value = inputs(parts, given, [None, None, None])
    parts.outputs = [parts.apply("attention:lowered", query, key, value, name="attention", num_heads=1,
                                 history_only=parts.option("history_only", False))]  # fmt: skip


def feed_forward(parts: Parts) -> None:
    parts.check_options("units activation use_bias dropout_rate")
    bias = parts.option("use_bias", True)
    hidden = dense(parts, "hidden", "W1 b1" if bias else "W1", activation_of(parts))
    out = dense(parts, "out", "W2 b2" if bias else "W2")
    x = parts.call(hidden, parts.input(parts.op.args[0], hidden.weights[0].shape[0]))
    rate = parts.option("dropout_rate", 0.0)
    if 0 < rate < 1:
        x = parts.apply("mode:select", parts.apply("tf.nn.dropout", x, name="dropped", rate=rate), x)
    parts.outputs = [parts.call(out, x)]


def seq_self_attention(parts: Parts) -> None:
    parts.check_options(
        "units attention_width attention_type return_attention history_only use_additive_bias "
        "use_attention_bias attention_activation attention_regularizer_weight"
    )
    option = parts.option
    for name in ("return_attention", "attention_regularizer_weight"):
        if option(name):
            raise Unsupported(f"{name}={option(name)!r} is not ported")
    bias = option("use_attention_bias", True)
    if option("attention_type", "additive") == "additive":
        query = dense(parts, "query", "Wt")
        key = dense(parts, "key", "Wx bh" if option("use_additive_bias", True) else "Wx")
        score = dense(parts, "score", "Wa ba" if bias else "Wa")
        x = parts.input(parts.op.args[0], query.weights[0].shape[0])
        pairs = parts.apply(
            "Add",
            [
                parts.apply("keras.ops.ExpandDims", parts.call(it, x), axis=axis)
                for it, axis in ((query, 2), (key, 1))
            ],
        )
        found = parts.call(score, parts.apply("keras.ops.Tanh", pairs))
        scores = parts.apply("keras.ops.Squeeze", found, axis=-1)
    else:
        query = dense(parts, "query", "Wa")
        x = parts.input(parts.op.args[0], query.weights[0].shape[0])
        turned = parts.apply("keras.ops.Transpose", x, axes=[0, 2, 1])
        scores = parts.apply("keras.ops.Matmul", parts.call(query, x), turned)
        if bias:
            (weight,) = parts.own(1)
            shift = parts.variable("bias", weight, "ba")
            scores = parts.apply("keras.ops.Add", scores, shift, name="scores")
    scores = parts.activate(scores, activation_of(parts, "attention_activation", None), "activation")
    history = option("history_only", False)
    width = option("attention_width")
    parts.outputs = [
        parts.apply("attention:banded", scores, x, name="attention", width=width, history_only=history)
    ]


def seq_weighted_attention(parts: Parts) -> None:
    parts.check_options("use_bias return_attention")
    if parts.option("return_attention"):
        raise Unsupported("return_attention=True is not ported")
    score = dense(parts, "score", "W b" if parts.option("use_bias", True) else "W")
    x = parts.input(parts.op.args[0], score.weights[0].shape[0])
    parts.masks = ("drops",)
    parts.outputs = [parts.apply("attention:pooled", parts.call(score, x), x, name="attention")]


def token_embedding(parts: Parts) -> None:
    """The rows of a table, and the table."""
    parts.check_options("input_dim output_dim input_length mask_zero")
    (table,) = parts.own(1)
    x = parts.input(parts.op.args[0], None, rank=2, dtype="int32")
    config = {"input_dim": table.shape[0], "output_dim": table.shape[1]}
    rows = parts.call(Part("tokens", "Embedding", config, (table,), ("embeddings",)), x)
    parts.masks = ("unlike 0" if parts.option("mask_zero") else "drops", "drops")
    parts.outputs = [rows, parts.variable("tokens_embeddings", table, of="tokens/embeddings")]


def embedding_similarity(parts: Parts) -> None:
    """How much each step is like each row of a table, of all rows 1."""
    parts.check_options("use_bias stop_gradient")
    if parts.option("stop_gradient"):
        raise Unsupported("stop_gradient=True is not ported")
    x, table = tensors(parts, 2)
    x = parts.input(x, None)
    if not parts.option("use_bias", True):
        raise Unsupported("use_bias=False is not ported")
    (bias,) = parts.own(1)
    rows = parts.input(table, None, rank=2, name="embeddings", first=bias.shape[0])
    scores = parts.apply("keras.ops.Matmul", x, parts.apply("keras.ops.Transpose", rows, axes=[1, 0]))
    scores = parts.apply("keras.ops.Add", scores, parts.variable("bias", bias, "bias"), name="scores")
    parts.outputs = [parts.activate(scores, "softmax", "similarity")]


def masked(parts: Parts) -> None:
    """What says in training which steps count: its first tensor."""
    parts.check_options("return_masked")
    if parts.option("return_masked"):
        raise Unsupported("return_masked=True is not ported")
    x, tokens = tensors(parts, 2)
    parts.masks = ("makes",)
    parts.outputs = [parts.apply("Identity", parts.input(x, None), name="masked")]
    parts.input(tokens, None, rank=2, name="tokens")


def extract(parts: Parts) -> None:
    """One step."""
    parts.check_options("index")
    x = parts.input(parts.op.args[0], None)
    parts.masks = ("drops",)
    parts.outputs = [parts.apply("keras.ops.GetItem", x, (slice(None), parts.option("index")), name="step")]


embedding_sim, embedding_ret = embedding_similarity, token_embedding
