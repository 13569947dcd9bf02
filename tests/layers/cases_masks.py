"""Masks: how Keras makes them, carries them and uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.layers.harness import Case, Inner

WORDS = {"input_dim": 5, "output_dim": 3}
SEQUENCES = {"units": 4, "return_sequences": True}
Layer = tuple[str, Mapping[str, Any]]

LSTM: Layer = ("LSTM", {"units": 4})
LSTMS: Layer = ("LSTM", SEQUENCES)
BOTH: Layer = ("Bidirectional", {"layer": Inner("LSTM", SEQUENCES)})
LAST: Layer = ("Bidirectional", {"layer": Inner("GRU", {"units": 4})})
STEPWISE: Layer = ("Bidirectional", {"layer": Inner("LSTM", {**SEQUENCES, "activation": "relu"})})

#: What follows an Embedding with mask_zero.
CHAINS: list[tuple[Layer, ...]] = [
    (LSTM,),
    (("GRU", {"units": 4, "go_backwards": True}),),
    (("GRU", {"units": 4, "reset_after": False}),),
    (("SimpleRNN", {**SEQUENCES, "zero_output_for_mask": True}),),
    (LSTMS, ("GRU", {**SEQUENCES, "go_backwards": True}), ("SimpleRNN", {"units": 3})),
    (BOTH, ("Dense", {"units": 2, "activation": "softmax"})),
    (LAST,),
    (STEPWISE,),
    (("Bidirectional", {"layer": Inner("LSTM", {"units": 4}), "merge_mode": "sum"}),),
    (BOTH, ("Dropout", {"rate": 0.5}), ("LayerNormalization", {}), LAST),
    (("TimeDistributed", {"layer": Inner("Dense", {"units": 2})}), LSTM),
    (("Conv1D", {"filters": 3, "kernel_size": 1}), LSTM),
    (("BatchNormalization", {"momentum": 0.7}), LSTM),
    (("BatchNormalization", {"scale": False, "center": False}), ("Dense", {"units": 2})),
    (("RNN", {"cell": Inner("StackedRNNCells", {"cells": [Inner("LSTMCell", {"units": 4})] * 2})}),),
]

#: A nested model that reads masked words, and drops the mask.
NESTED = (
    "(lambda words, i: keras.Model(i, layers.Reshape((21,), dtype='float64')(i))(words))"
    "(layers.Embedding(5, 3, mask_zero=True, dtype='float64')(x), keras.Input((7, 3), dtype='float64'))"
)

D = "dtype='float64'"
EMBEDDED = f"layers.Embedding(5, 8, mask_zero=True, {D})(x)"
#: MultiHeadAttention takes masks off what it reads, for those that run after it.
TAKEN = [
    "layers.Add({d})([m(w, w), w])",
    "m(m(w, w), w)",
    "m(w, m(w, w))",
    "layers.Add({d})([m(w, w), m(w, w)])",
    "m(*[layers.LayerNormalization({d})(layers.Add({d})([w, m(w, w)]))] * 2)",
    "layers.Add({d})([layers.LSTM(8, return_sequences=True, {d})(w), m(w, w)])",
    "m(layers.Dropout(0.5, {d})(w), layers.Dense(8, {d})(w))",
]

CASES = [
    *(
        Case(
            "MultiHeadAttention", {}, "4 7", below=below, of="tf_keras", within=1e-6,
            why="TensorFlow lowers scores by 1e9, which costs the last digits where all is masked",
            call=f"(lambda w: layers.MultiHeadAttention(2, 4, {dropout}{D})(w, w))({EMBEDDED})",
        )  # fmt: skip
        for below in (3, 1)
        for dropout in ("", "dropout=0.3, ")
    ),
    Case("Embedding", x="4 7", below=5, call=NESTED),
    *(
        Case(
            kind, {}, "4 7", below=3,
            call=f"(lambda w, m: layers.LSTM(4, {D})({call.format(d=D)}))({EMBEDDED}, "
            f"lambda *q: layers.{kind}({options}, {D})(*q))",
        )  # fmt: skip
        for kind, options in (("MultiHeadAttention", "2, 4"), ("GroupQueryAttention", "4, 6, 2"))
        for call in TAKEN
    ),
    *(
        Case("Softmax", {}, ("2 5 7", "2 5 7"), call=f"layers.Softmax({axis}{D})(x, mask={mask})")
        for axis in ("", "axis=1, ", "axis=(1, 2), ")
        for mask in ("y > 0", "y", "y[:, :1] > 9", "y[:1, :] > 0", "ops.greater(y[0], 0.0)")
    ),
    Case("Softmax", {}, ("2 3 5 7", "2 3 5 7"), call=f"layers.Softmax({D})(x, mask=y > 0)"),
    Case("Embedding", WORDS, "3 7", below=5),
    Case("Embedding", WORDS, "3 2 7", below=5),
    Case("Embedding", {**WORDS, "mask_zero": True}, "3 7", below=5),
    *(
        Case("Embedding", {**WORDS, "mask_zero": True}, "4 7", then=chain, below=below, of=of)
        for of in ("keras", "tf_keras")
        for chain in CHAINS
        for below in (3, 1)
        if of == "keras" or (below != 1 and chain[0][0] != "Conv1D" and "zero_output" not in str(chain))
    ),
    *(
        Case(
            "Embedding", {**WORDS, "mask_zero": True}, "4 7",
            then=(("Dense", {"units": 2}), ("GlobalAveragePooling1D", options)), below=3, of=of,
        )  # fmt: skip
        for of in ("keras", "tf_keras")
        for options in ({}, {"keepdims": True})
    ),
    Case("Masking", {}, "3 7 2"),
    Case("Masking", {"mask_value": 0.5}, "3 7 2", then=(LSTM,)),
]  # fmt: skip
