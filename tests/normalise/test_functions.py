"""What a call of a function of TensorFlow becomes: which operations, of which tensors, with which options."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.function_table import IDLE
from torchport.normalise.functions import name_functions, strided

X, Y, Z = Ref("x"), Ref("y"), Ref("z")
#: An operation in short: its kind, what it reads, and its options.
Shown = tuple[str, tuple[Any, ...], dict[str, Any]]


def ops(function: str, *args: Any, **given: Any) -> tuple[Op, ...]:
    op = Op("out", "TFOpLambda", args, ("out",), {"function": function}, given, layer="out")
    tensors = {name: Tensor(name, (None, 4, 4)) for name in "xyz"}
    return name_functions(Graph("net", ("x", "y", "z"), ("out",), (op,), tensors, "2.15.0")).ops


def shown(function: str, *args: Any, **given: Any) -> list[Shown]:
    """Each operation, and its options but for those that tell nothing."""
    found = ops(function, *args, **given)
    assert not any(op.refused for op in found), found
    return [
        (op.kind.removeprefix("keras.ops."), op.args, {**dict(op.config), **dict(op.kwargs)}) for op in found
    ]


def swap(source: Ref, name: str) -> Shown:
    assert name
    return "Swapaxes", (source,), {"axis1": -2, "axis2": -1}


A, B = Ref("out.transposed_a"), Ref("out.transposed")
PAD = [[0, 0], [1, 2], [3, 4], [0, 0]]

CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[Shown]]] = [
    ("linalg.solve", (X, Y), {}, [("Solve", (X, Y), {})]),
    ("linalg.solve", (X, Y), {"adjoint": False}, [("Solve", (X, Y), {})]),
    ("linalg.solve", (X, Y), {"adjoint": True},
        [swap(X, "adjoint"), ("Solve", (Ref("out.adjoint"), Y), {})]),
    ("linalg.inv", (X,), {"adjoint": True}, [swap(X, "adjoint"), ("Inv", (Ref("out.adjoint"),), {})]),
    ("linalg.matmul", (X, Y), {}, [("Matmul", (X, Y), {})]),
    ("linalg.matmul", (X, Y), {"transpose_a": True}, [swap(X, "a"), ("Matmul", (A, Y), {})]),
    ("linalg.matmul", (X, Y), {"transpose_b": True}, [swap(Y, "b"), ("Matmul", (X, B), {})]),
    ("linalg.matmul", (X, Y), {"adjoint_b": True}, [swap(Y, "b"), ("Matmul", (X, B), {})]),
    ("linalg.matmul", (X,), {"b": Y, "transpose_b": True}, [swap(Y, "b"), ("Matmul", (X, B), {})]),
    ("linalg.matmul", (X, Y), {"transpose_a": True, "transpose_b": True},
        [swap(X, "a"), swap(Y, "b"), ("Matmul", (A, B), {})]),
    ("math.add_n", ([X, Y, Z],), {}, [("Add", ([X, Y, Z],), {})]),
    ("nn.conv2d", (X, Y), {"strides": 1, "padding": PAD}, [
        ("Pad", (X,), {"pad_width": PAD}), ("Conv", (Ref("out.pad"), Y), {"padding": "valid", "strides": 1}),
    ]),
    ("nn.conv2d", (X, Y), {"strides": [1, 2, 3, 1], "padding": "VALID", "dilations": [1, 2, 4, 1]},
        [("Conv", (X, Y), {"strides": [2, 3], "padding": "valid", "dilation_rate": [2, 4]})]),
    ("nn.conv2d", (X, Y), {"strides": [1, 1, 2, 3], "padding": "SAME", "data_format": "NCHW"},
        [("Conv", (X, Y), {"strides": [2, 3], "padding": "same", "data_format": "channels_first"})]),
    ("nn.max_pool2d", (X,), {"ksize": [1, 2, 3, 1], "strides": 2, "padding": "SAME"},
        [("MaxPool", (X,), {"pool_size": [2, 3], "strides": 2, "padding": "same"})]),
    ("nn.max_pool2d", (X,), {"ksize": 2, "strides": 2, "padding": PAD}, [
        ("Pad", (X,), {"pad_width": PAD, "constant_values": float("-inf")}),
        ("MaxPool", (Ref("out.pad"),), {"pool_size": 2, "strides": 2, "padding": "valid"}),
    ]),
    ("nn.pool", (X,), {"window_shape": [2, 3], "pooling_type": "MAX", "strides": [2, 1], "padding": "SAME"},
        [("MaxPool", (X,), {"pool_size": [2, 3], "strides": [2, 1], "padding": "same"})]),
    ("nn.pool", (X,), {"window_shape": [2, 3], "pooling_type": "AVG", "dilations": [1, 1],
        "data_format": "NCHW"},
        [("AveragePool", (X,), {"pool_size": [2, 3], "strides": 1, "padding": "valid",
            "data_format": "channels_first"})]),
    ("nn.convolution", (X, Y), {"strides": 2, "padding": "SAME", "data_format": "NCHW"},
        [("Conv", (X, Y), {"strides": 2, "padding": "same", "data_format": "channels_first"})]),
    ("nn.convolution", (X, Y), {}, [("Conv", (X, Y), {"padding": "valid"})]),
    ("compat.v1.nn.dropout", (X,), {"keep_prob": 0.75}, [("tf.nn.dropout", (X,), {"rate": 0.25})]),
    ("compat.v1.nn.dropout", (X,), {"rate": 0.5}, [("tf.nn.dropout", (X,), {"rate": 0.5})]),
    ("pad", (X, PAD), {"mode": "REFLECT"}, [("Pad", (X, PAD), {"mode": "reflect"})]),
    ("pad", (X, PAD), {"constant_values": 3},
        [("Pad", (X, PAD), {"mode": "constant", "constant_values": 3})]),
    ("concat", ([X, Y],), {"axis": -1}, [("Concatenate", ([X, Y],), {"axis": -1})]),
    ("math.reduce_mean", (X,), {"axis": [1, 2], "keepdims": True},
        [("Mean", (X,), {"axis": [1, 2], "keepdims": True})]),
    ("math.pow", (X, 3.0), {}, [("Power", (X, 3.0), {})]),
    ("math.subtract", (X,), {"y": Y}, [("Subtract", (X, Y), {})]),
    ("clip_by_value", (X,), {"clip_value_min": -1.0, "clip_value_max": 2.0},
        [("Clip", (X,), {"x_min": -1.0, "x_max": 2.0})]),
    ("math.segment_sum", (X,), {"segment_ids": [0, 0, 1, 2]},
        [("SegmentSum", (X, [0, 0, 1, 2]), {"num_segments": 3})]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "args", "given", "expected"), CASES, ids=[f"{it[0]} {it[2]}" for it in CASES]
)
def test_a_call(function: str, args: tuple[Any, ...], given: dict[str, Any], expected: list[Shown]) -> None:
    assert shown(function, *args, **given) == expected


@pytest.mark.parametrize("key", [key for key, value in IDLE.items() if isinstance(value, bool)])
def test_what_is_off_says_nothing_and_what_is_on_is_kept(key: str) -> None:
    """TensorFlow leaves each of these off. Where none knows it, one that is on gets as far as the rule."""
    assert shown("math.exp", X, **{key: False}) == [("Exp", (X,), {})]
    assert shown("math.exp", X, **{key: None}) == [("Exp", (X,), {})]
    (op,) = ops("math.exp", X, **{key: True})
    assert True in op.config.values()


@pytest.mark.parametrize(
    ("ids", "said"),
    [([0, 2], "empty"), ([1, 0], "empty"), ([], "a tensor"), (Y, "a tensor"), ([0.0], "a tensor")],
    ids=str,
)
def test_segments_that_are_not_told_are_refused(ids: Any, said: str) -> None:
    (op,) = ops("math.segment_sum", X, segment_ids=ids)
    assert op.refused and said in op.refused[0]


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        ("__operators__.eq", (X,), "tf.equal"),
        ("math.not_a_function", (X,), ""),
        ("einsum", ("ij,jk->ik",), "tf.tensordot"),
        ("where", (X,), ""),
    ],
)
def test_what_is_refused(function: str, args: tuple[Any, ...], said: str) -> None:
    (op,) = ops(function, *args)
    assert op.refused and said in " ".join(op.refused)


def test_an_index() -> None:
    spec = [{"class_name": "__ellipsis__"}, {"start": 1, "stop": None, "step": 2}, 3]
    op = Op("out", "SlicingOpLambda", (X,), ("out",), {}, {"slice_spec": spec}, layer="out")
    (found,) = name_functions(
        Graph("net", ("x",), ("out",), (op,), {"x": Tensor("x", (None, 4))}, "2.15.0")
    ).ops
    assert (found.kind, found.args) == ("keras.ops.GetItem", (X, [..., slice(1, None, 2), 3]))
    assert strided({"begin": [0, 1], "end": [0, 3], "begin_mask": 1, "end_mask": 1}) == [
        slice(None, None),
        slice(1, 3),
    ]


@pytest.mark.parametrize(
    ("function", "args", "given", "said"),
    [
        (
            "nn.conv2d",
            (X, Y),
            {"strides": [1, 1, 1, 2], "padding": "VALID"},
            "over the batch or the channels",
        ),
        (
            "nn.conv2d",
            (X, Y),
            {"strides": [2, 1, 1, 1], "padding": "VALID"},
            "over the batch or the channels",
        ),
        ("nn.conv2d", (X, Y), {"strides": [1, 2, 1, 1], "data_format": "NCHW"}, "over the batch or"),
        ("nn.pool", (X,), {"window_shape": [2, 2], "pooling_type": "MAX", "dilations": [2, 1]}, "dilations"),
        (
            "nn.avg_pool2d",
            (X,),
            {"ksize": 2, "strides": 2, "padding": PAD},
            "padding that is given as numbers",
        ),
    ],
)
def test_options_that_are_refused(
    function: str, args: tuple[Any, ...], given: dict[str, Any], said: str
) -> None:
    (op,) = ops(function, *args, **given)
    assert op.refused and said in op.refused[0]
