"""Random options of recurrent layers, their wrappers and cells, attention, embeddings and masks."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from tests.layers.draws import Draw, each, family, one_of, rank_of, sizes, some, text
from tests.layers.harness import Case, Inner

GATES = st.sampled_from(["tanh", "sigmoid", "relu", "linear", "softsign", "hard_sigmoid", "elu"])
RATES = st.sampled_from([0.25, 0.5])


def cell(draw: Draw, kind: str) -> dict[str, Any]:
    """The options that a recurrent layer and its cell have alike."""
    options: dict[str, Any] = {"units": draw(st.integers(1, 5)), "use_bias": draw(st.booleans())}
    if draw(st.booleans()):
        options["activation"] = draw(GATES)
        if not kind.startswith("SimpleRNN"):
            options["recurrent_activation"] = draw(GATES)
    if kind.startswith("GRU"):
        options["reset_after"] = draw(st.booleans())
    return {**options, **some(draw, {"dropout": RATES, "recurrent_dropout": RATES})}


def loop(draw: Draw) -> dict[str, Any]:
    return {name: draw(st.booleans()) for name in ("return_sequences", "go_backwards", "unroll")}


@family("LSTM GRU SimpleRNN")
def recurrent(draw: Draw, kind: str) -> Case:
    return Case(kind, {**cell(draw, kind), **loop(draw)}, text([2, *sizes(draw, 2, 1, 5)]))


def cells(draw: Draw, kind: str) -> Inner:
    """A cell, or several on top of another."""
    kinds = ["LSTMCell", "GRUCell", "SimpleRNNCell"]
    if kind == "StackedRNNCells":
        inner = [Inner(name, cell(draw, name)) for name in draw(st.lists(st.sampled_from(kinds), min_size=1))]
        return Inner(kind, {"cells": inner[:3]})
    return Inner(kind, cell(draw, kind))


@family("LSTMCell GRUCell SimpleRNNCell StackedRNNCells RNN")
def rnn(draw: Draw, kind: str) -> Case:
    one = cells(draw, one_of(draw, "LSTMCell", "StackedRNNCells") if kind == "RNN" else kind)
    return Case("RNN", {"cell": one, **loop(draw)}, text([2, *sizes(draw, 2, 1, 5)]))


@family("Bidirectional")
def bidirectional(draw: Draw, kind: str) -> Case:
    if not draw(st.integers(0, 3)):
        inner = {"filters": 2, "kernel_size": 2, "return_sequences": draw(st.booleans())}
        both = {
            "layer": Inner("ConvLSTM1D", inner),
            "merge_mode": one_of(draw, "concat", "sum", "mul", "ave"),
        }
        return Case(kind, both, text([2, *sizes(draw, 1, 1, 3), *sizes(draw, 1, 2, 5), 2]))
    name = one_of(draw, "LSTM", "GRU", "SimpleRNN")
    options = cell(draw, name) | {"return_sequences": draw(st.booleans())}
    wrapper: dict[str, Any] = {"merge_mode": one_of(draw, "concat", "sum", "mul", "ave")}
    if draw(st.booleans()):
        other = one_of(draw, "LSTM", "GRU", "SimpleRNN")
        units = {} if wrapper["merge_mode"] == "concat" else {"units": options["units"]}
        back = {**cell(draw, other), **units, "return_sequences": options["return_sequences"]}
        wrapper["backward_layer"] = Inner(other, {**back, "go_backwards": True})
    return Case(kind, {"layer": Inner(name, options), **wrapper}, text([2, *sizes(draw, 2, 1, 5)]))


@family("ConvLSTM1D ConvLSTM2D ConvLSTM3D")
def conv_lstm(draw: Draw, kind: str) -> Case:
    rank = rank_of(kind)
    options: dict[str, Any] = {
        "filters": draw(st.integers(1, 3)), "kernel_size": each(draw, rank, 1, 3),
        "padding": one_of(draw, "valid", "same"), "use_bias": draw(st.booleans()),
        "return_sequences": draw(st.booleans()), "go_backwards": draw(st.booleans()),
        **some(draw, {
            "activation": GATES, "recurrent_activation": GATES, "dropout": RATES, "recurrent_dropout": RATES,
        }),
    }  # fmt: skip
    way = one_of(draw, "strides", "dilation_rate", "")
    if way:
        options[way] = draw(st.integers(1, 2))
    low = 4 if rank < 3 else 3
    return Case(kind, options, text([2, *sizes(draw, 1, 1, 3), *sizes(draw, rank, low, 5), 2]))


STEPS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("Dense", {"units": 3, "activation": "softmax"}, 1), ("Dropout", {"rate": 0.25}, 1),
    ("LayerNormalization", {}, 1), ("BatchNormalization", {"trainable": False}, 1),
    ("Dense", {"units": 3}, 2), ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "same"}, 2),
    ("LSTM", {"units": 3}, 2), ("GRU", {"units": 2, "return_sequences": True}, 2), ("Flatten", {}, 2),
    ("GlobalAveragePooling1D", {}, 2), ("Permute", {"dims": (2, 1)}, 2), ("ZeroPadding1D", {}, 2),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "activation": "relu"}, 3), ("MaxPooling2D", {}, 3),
    ("Conv2D", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, 3), ("Flatten", {}, 3),
    ("GlobalMaxPooling2D", {"keepdims": True}, 3), ("BatchNormalization", {"trainable": False}, 3),
    ("DepthwiseConv2D", {"kernel_size": 2}, 3), ("Reshape", {"target_shape": (-1,)}, 2),
    ("RepeatVector", {"n": 2}, 1), ("Activation", {"activation": "softmax"}, 1),
)  # fmt: skip


@family("TimeDistributed")
def time_distributed(draw: Draw, kind: str) -> Case:
    name, options, rank = one_of(draw, *STEPS)
    shape = [2, *sizes(draw, 1, 1, 4), *sizes(draw, rank, 2, 5)]
    declared = text(["?", "?", *shape[2:]]) if draw(st.booleans()) else ""
    return Case(kind, {"layer": Inner(name, options)}, text(shape), sizes=declared)


def called(kind: str, options: dict[str, Any], call: str, x: list[list[int]], **more: Any) -> Case:
    given = ", ".join(f"{key}={value!r}" for key, value in {**options, "dtype": "float64"}.items())
    made = f"layers.{kind}({given})({call})"
    if "return_attention_scores" in call:  # of a result and its weights, both in one
        made = f"ops.concatenate([ops.reshape(it, (-1, 1)) for it in {made}], axis=0)"
    return Case(kind, {}, tuple(map(text, x)), call=made, **more)


@family("MultiHeadAttention GroupQueryAttention")
def heads(draw: Draw, kind: str) -> Case:
    # TensorFlow makes a float32 of 1 / sqrt(key_dim) first.
    dim = one_of(draw, 1, 4, 16)
    if kind == "MultiHeadAttention":
        options: dict[str, Any] = {"num_heads": draw(st.integers(1, 3)), "key_dim": dim}
        options |= some(draw, {
            "value_dim": st.integers(1, 5), "attention_axes": st.sampled_from([1, (1,)]),
            "output_shape": st.integers(1, 5) | st.tuples(st.integers(1, 3), st.integers(1, 3)),
        })  # fmt: skip
    else:
        shared = draw(st.integers(1, 3))
        options = {"head_dim": dim, "num_key_value_heads": shared}
        options["num_query_heads"] = shared * draw(st.integers(1, 3))
    options |= some(draw, {
        "use_bias": st.booleans(), "dropout": RATES, "use_gate": st.just(True),
        "sliding_window": st.integers(1, 4),
    })  # fmt: skip
    steps, more = sizes(draw, 2, 1, 5)
    query, value, key = sizes(draw, 3, 1, 6)
    causal = one_of(draw, "", ", use_causal_mask=True")
    if draw(st.booleans()):
        causal += ", return_attention_scores=True"
    # The gradient of a key's bias is zero, up to rounding.
    why = {"within": 1e-8, "why": "a gradient of zero is compared"}
    if draw(st.booleans()):
        return called(kind, options, f"x, x{causal}", [[2, steps, query]], **why)
    x = [[2, steps, query], [2, more, value]]
    extra = one_of(draw, "", "z", "mask", "value", "attention")
    if extra == "z":
        return called(kind, options, f"x, y, z{causal}", [*x, [2, more, key]], **why)
    if extra == "mask":
        masks = ", query_mask=x[..., 0] > 0, value_mask=y[..., 0] > -0.5"
        return called(kind, options, f"x, y{masks}{causal}", x, **why)
    if extra == "value":
        return called(kind, options, f"x, y, value_mask=y[..., 0] > -0.5{causal}", x, **why)
    if extra == "attention":
        given = [*x, [2, steps, more]]
        return called(kind, options, f"x, y, attention_mask=z > -0.5{causal}", given, **why)
    return called(kind, options, f"x, y{causal}", x, **why)


@family("Attention AdditiveAttention")
def scores(draw: Draw, kind: str) -> Case:
    options = some(draw, {"use_scale": st.booleans(), "dropout": RATES})
    if kind == "Attention" and draw(st.booleans()):
        options["score_mode"] = one_of(draw, "dot", "concat")
    steps, more = sizes(draw, 2, 1, 5)
    width, other = sizes(draw, 2, 1, 5)
    causal = one_of(draw, "", ", use_causal_mask=True")
    if draw(st.booleans()):
        causal += ", return_attention_scores=True"
    masks = one_of(
        draw, "", ", mask=[x[..., 0] > 0, y[..., 0] > -0.5]", ", mask=[None, y[..., 0] > -0.5]",
        ", mask=[x[..., 0] > 0, None]",
    )  # fmt: skip
    x = [[2, steps, width], [2, more, width]]
    if draw(st.booleans()):
        x = [x[0], [2, more, other], x[1]]
        return called(kind, options, f"[x, y, z]{masks}{causal}", x)
    return called(kind, options, f"[x, y]{masks}{causal}", x)


#: What a mask goes through, on sequences (n, time, features).
MIDDLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Dropout", {"rate": 0.25}), ("Dense", {"units": 3, "activation": "tanh"}), ("LayerNormalization", {}),
    ("activation:relu", {}), ("TimeDistributed", {"layer": Inner("Dense", {"units": 2})}),
    ("LSTM", {"units": 3, "return_sequences": True}), ("SpatialDropout1D", {"rate": 0.25}),
    ("Bidirectional", {"layer": Inner("GRU", {"units": 2, "return_sequences": True})}),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "same"}), ("PReLU", {}), ("Softmax", {}),
    ("BatchNormalization", {"trainable": False}), ("UnitNormalization", {}), ("Rescaling", {"scale": 2.0}),
    ("GRU", {"units": 2, "return_sequences": True, "go_backwards": True}), ("LeakyReLU", {}),
)  # fmt: skip


@st.composite
def ends(draw: Draw) -> tuple[str, dict[str, Any]]:
    """A layer that uses a mask."""
    kind = one_of(draw, "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "GlobalAveragePooling1D")
    if kind == "GlobalAveragePooling1D":
        return kind, {"keepdims": draw(st.booleans())}
    if kind == "RNN":
        one = cells(draw, one_of(draw, "GRUCell", "StackedRNNCells"))
        return kind, {"cell": one, **loop(draw), **some(draw, {"zero_output_for_mask": st.booleans()})}
    if kind == "Bidirectional":
        inner = one_of(draw, "LSTM", "GRU", "SimpleRNN")
        options = {**cell(draw, inner), "return_sequences": draw(st.booleans())}
        return kind, {"layer": Inner(inner, options), "merge_mode": one_of(draw, "concat", "sum", "mul")}
    return kind, {**cell(draw, kind), **loop(draw), **some(draw, {"zero_output_for_mask": st.booleans()})}


@family("Embedding Masking")
def masks(draw: Draw, kind: str) -> Case:
    middle = draw(st.lists(st.sampled_from(MIDDLE), max_size=2))
    then = (*middle, draw(ends()))
    # LeakyReLU's own slope is a float32 in TensorFlow.
    then = tuple((name, {"negative_slope": 0.25} if name == "LeakyReLU" else it) for name, it in then)
    batch, steps = 4, draw(st.integers(1, 5))
    if kind == "Masking":
        return Case(kind, some(draw, {"mask_value": st.just(0.5)}), text([batch, steps, 2]), then=then)
    below = draw(st.integers(1, 4))
    options = {"input_dim": below, "output_dim": draw(st.integers(1, 3)), "mask_zero": draw(st.booleans())}
    if draw(st.booleans()):
        assume(not options["mask_zero"])
        return Case(kind, options, text([batch, *sizes(draw, draw(st.integers(0, 2)), 1, 4)]), below=below)
    return Case(kind, options, text([batch, steps]), then=then, below=below)


@family("ReversibleEmbedding")
def reversible(draw: Draw, kind: str) -> Case:
    count, width = sizes(draw, 2, 1, 5)
    options = some(draw, {
        "tie_weights": st.booleans(), "mask_zero": st.booleans(),
        "logit_soft_cap": st.sampled_from([2.5, 8.0]),
    })  # fmt: skip
    given = "".join(f", {name}={value}" for name, value in options.items())
    lstm = "layers.LSTM(2, dtype='float64')"
    calls = ["words(x)", "words(words(x), reverse=True)", f"{lstm}(words(x))", "words(x, reverse=True)"]
    call = one_of(draw, *calls)
    made = f"layers.ReversibleEmbedding({count}, {width}, dtype='float64'{given})"
    shape, below = [4, draw(st.integers(1, 5))], count
    if call == calls[3]:
        shape, below = [*shape, width], 0
    return Case(kind, call=f"(lambda words: {call})({made})", x=text(shape), below=below)
