"""Recurrent layers and the layers around them."""

from __future__ import annotations

from dataclasses import replace

from tests.layers.harness import Case, Inner

#: States dropped as well.
OWN = {"recurrent_dropout": 0.3}

FIRST = {"data_format": "channels_first"}
#: Options that the three kinds have alike.
COMMON = (
    {},
    {"return_sequences": True},
    {"go_backwards": True},
    {"return_sequences": True, "go_backwards": True, "use_bias": False},
    {"activation": "relu", "return_sequences": True},
    {"activation": "softsign", "go_backwards": True},
    {"unroll": True},
    {"dropout": 0.2, "return_sequences": True},
    {"recurrent_dropout": 0.2, "dropout": 0.3},
)
GATED = (
    {"recurrent_activation": "hard_sigmoid"},
    {"activation": "linear", "recurrent_activation": "relu", "use_bias": False},
    {"activation": None, "recurrent_activation": "tanh"},
)


def both(kind: str, options: dict, x: str = "2 7 3", **wrapper) -> Case:  # type: ignore[type-arg, no-untyped-def]
    return Case("Bidirectional", {"layer": Inner(kind, options), **wrapper}, x)


def steps(kind: str, options: dict, x: str, **more) -> Case:  # type: ignore[type-arg, no-untyped-def]
    return Case("TimeDistributed", {"layer": Inner(kind, options)}, x, **more)


SEQUENCES = {"units": 5, "return_sequences": True}
STACK = Inner(
    "StackedRNNCells",
    {"cells": [Inner(f"{it}Cell", {"units": units}) for it, units in (("LSTM", 5), ("GRU", 3), ("LSTM", 2))]},
)

WINDOW = {"filters": 3, "kernel_size": 2}

CASES = [
    *(
        Case(kind, {"units": 5, **options}, "2 7 3")
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for options in (*COMMON, *(GATED if kind != "SimpleRNN" else ()))
    ),
    *(Case("GRU", {"units": 5, "reset_after": False, **options}, "2 7 3") for options in (*COMMON, *GATED)),
    Case("LSTM", {"units": 5, "unit_forget_bias": False}, "2 7 3", sizes="? ? 3"),
    Case("LSTM", SEQUENCES, "2 7 3", then=(("Conv1D", {"filters": 2, "kernel_size": 3}),)),
    Case("RNN", {"cell": Inner("LSTMCell", {"units": 5})}, "2 7 3"),
    Case("RNN", {"cell": Inner("GRUCell", {"units": 5}), "return_sequences": True}, "2 7 3"),
    Case("RNN", {"cell": Inner("SimpleRNNCell", {"units": 5}), "go_backwards": True}, "2 7 3"),
    Case("RNN", {"cell": STACK}, "2 7 3"),
    Case("RNN", {"cell": STACK, "return_sequences": True, "go_backwards": True}, "2 7 3"),
    *(
        both(kind, {"units": 5, "return_sequences": sequences}, merge_mode=mode)
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for sequences in (False, True)
        for mode in ("concat", "sum", "mul", "ave")
    ),
    both("GRU", {**SEQUENCES, "reset_after": False}),
    both("GRU", {"units": 5, "reset_after": False}, merge_mode="ave"),
    both("LSTM", {**SEQUENCES, "dropout": 0.2}),
    both("LSTM", SEQUENCES, backward_layer=Inner("GRU", {**SEQUENCES, "units": 3, "go_backwards": True})),
    *(
        Case(f"{kind}Cell", {}, ("2 7", "2 5", "2 5")[: 3 if kind == "LSTM" else 2],
             call=f"ops.concatenate(flat(layers.{kind}Cell(5{options}, dtype='float64')(x, {states})))")
        for kind, states, options in (
            ("LSTM", "[y, z]", ""), ("GRU", "[y]", ""), ("SimpleRNN", "[y]", ", activation='relu'"),
            ("LSTM", "[z, y]", ", use_bias=False"), ("SimpleRNN", "[y]", ""),
        )
    ),
    both("RNN", {"cell": STACK, "return_sequences": True}),
    *(
        both("ConvLSTM2D", {**WINDOW, "return_sequences": sequences}, "2 3 5 4 2", merge_mode=mode, **more)
        for sequences, mode, more in (
            (True, "concat", {}), (False, "concat", {}), (True, "sum", {}), (False, "mul", {}),
            (True, "ave", {"backward_layer": Inner(
                "ConvLSTM2D", {**WINDOW, "activation": "relu", "return_sequences": True, "go_backwards": True}
            )}),
        )
    ),
    Case("Bidirectional", {"layer": Inner("ConvLSTM2D", WINDOW)}, "2 3 5 4 2", of="tf_keras"),
    both("ConvLSTM1D", {**WINDOW, "use_bias": False}, "2 3 5 2"),
    Case("RNN", {"cell": Inner("StackedRNNCells", {"cells": [
        Inner("GRUCell", {"units": 2}), STACK, Inner("GRUCell", {"units": 4}),
    ]})}, "2 7 3"),
    steps("TimeDistributed", {"layer": Inner("Conv1D", {"filters": 5, "kernel_size": 2})}, "2 3 4 5 3"),
    steps("TimeDistributed", {"layer": Inner("Dense", {"units": 5})}, "2 3 4 7"),
    steps("TimeDistributed", {"layer": Inner("LSTM", {"units": 5})}, "2 3 4 5 7", of="tf_keras"),
    steps("Dense", {"units": 5, "activation": "softmax"}, "2 7 3"),
    steps("Dense", {"units": 5}, "2 7 4 3"),
    steps("Dropout", {"rate": 0.2}, "2 7 3"),
    steps("LayerNormalization", {}, "2 7 3"),
    steps("BatchNormalization", {"trainable": False}, "2 7 3"),
    steps("Conv2D", {"filters": 5, "kernel_size": 3, "activation": "relu"}, "2 4 5 7 3"),
    steps("Conv2D", {"filters": 5, "kernel_size": 3}, "2 4 5 7 3", sizes="? ? 5 7 3"),
    steps("MaxPooling2D", {}, "2 4 5 7 3"),
    steps("Flatten", {}, "2 7 4 3", then=(("LSTM", {"units": 5}),)),
    steps("LSTM", {"units": 5}, "2 4 7 3"),
    Case("ConvLSTM1D", {"filters": 5, "kernel_size": 3, "strides": 2}, "2 3 7 2"),
    Case(
        "ConvLSTM1D",
        {"filters": 5, "kernel_size": 3, "return_sequences": True, **FIRST},
        "2 3 2 7",
        compiled=True,
    ),
    Case("ConvLSTM2D", {"filters": 4, "kernel_size": 3}, "2 3 5 7 2"),
    Case(
        "ConvLSTM2D",
        {
            "filters": 4, "kernel_size": (3, 1), "padding": "same", "return_sequences": True,
            "activation": "relu", "recurrent_activation": "hard_sigmoid",
        },
        "2 3 5 7 2",
    ),
    Case(
        "ConvLSTM2D",
        {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "go_backwards": True, "return_sequences": True},
        "2 3 5 7 2",
    ),
    Case("ConvLSTM3D", {"filters": 4, "kernel_size": 2, "use_bias": False}, "2 3 5 4 3 2"),
    *(
        Case("ConvLSTM2D", {"filters": 4, "kernel_size": 3, **rates}, "2 3 5 7 2", of=of)
        for rates in (OWN, {"dropout": 0.2}, {"dropout": 0.2, **OWN})
        for of in ("keras", "tf_keras")
    ),
    # Keras 2
    *(
        Case(kind, {"units": 5, "time_major": True, **options}, "2 7 3", of="tf_keras")
        for kind in ("LSTM", "GRU")
        for options in ({}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True})
    ),
    *(
        Case(kind, {"units": 5, **options}, "2 7 3", of="tf_keras")
        for kind in ("LSTM", "GRU")
        for options in (
            {}, {"return_sequences": True, "go_backwards": True}, {"recurrent_activation": "hard_sigmoid"},
            {"implementation": 1, "use_bias": False},
        )
    ),
    Case("GRU", {"units": 5, "reset_after": False}, "2 7 3", of="tf_keras"),
    Case("SimpleRNN", {"units": 5}, "2 7 3", of="tf_keras"),
    Case("RNN", {"cell": Inner("LSTMCell", {"units": 5})}, "2 7 3", of="tf_keras"),
    Case("Bidirectional", {"layer": Inner("LSTM", SEQUENCES)}, "2 7 3", of="tf_keras"),
    steps("Conv1D", {"filters": 5, "kernel_size": 3}, "2 4 7 3", of="tf_keras"),
    Case("ConvLSTM2D", {"filters": 4, "kernel_size": 3}, "2 3 5 7 2", of="tf_keras"),
    *(
        replace(both("ConvLSTM2D", {"filters": 4, "kernel_size": 3, **options}, x, **wrapper), of=of)
        for of, x, options, wrapper in (
            ("keras", "2 3 5 7 2", {"return_sequences": True}, {}),
            ("keras", "2 3 5 7 2", {"dropout": 0.2, "recurrent_dropout": 0.3}, {"merge_mode": "mul"}),
            ("keras", "2 3 5 7 2", {"use_bias": False}, {"merge_mode": "ave"}),
            ("tf_keras", "2 3 5 7 2", {"return_sequences": True}, {"merge_mode": "sum"}),
            ("tf_keras", "2 3 5 7 2", {"go_backwards": False}, {}),
        )
    ),
    both("ConvLSTM1D", {"filters": 4, "kernel_size": 3}, "2 3 5 2"),
    replace(
        both("ConvLSTM1D", {"filters": 5, "kernel_size": 3, "return_sequences": True, **FIRST}, "2 3 2 7"),
        compiled=True,
    ),
]  # fmt: skip
