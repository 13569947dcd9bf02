"""Every raw op of a Keras 2 graph over every dtype that TensorFlow has it for: equal, or refused by name."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

import torchport
from torchport.errors import Refused
from torchport.normalise.nodes import NODES

NAN, INF = float("nan"), float("inf")
FLOATS = [-INF, -7.0, -2.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 7.0, INF, NAN]
WHOLE = [-7, 7, -8, 8, -1, 1, 3, -3, 100, -100, 2, 5]
DTYPES = "float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64".split()
TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}


def values(dtype: str) -> np.ndarray:
    """Two rows of numbers of a dtype: negative ones, ties, what is not finite, what wraps."""
    if dtype == "bool":
        return np.array([True, False] * 6).reshape(2, 6)
    if dtype[0] == "c":
        return (np.array(WHOLE) + 1j * np.array(WHOLE)[::-1]).astype(dtype).reshape(2, 6)
    numbers = FLOATS if dtype[0] == "f" else [abs(it) for it in WHOLE] if dtype[0] == "u" else WHOLE
    return np.array(numbers, dtype).reshape(2, 6)


def others(dtype: str) -> np.ndarray:
    """The second operand: no zeros among whole numbers, by which TensorFlow does not divide."""
    rows = np.array([3, -2, 5, -4, 2, 7, -7, 3, 2, -3, 9, -5])
    if dtype in ("bool", "complex64"):
        return values(dtype)[::-1].copy()
    if dtype[0] == "u":
        rows = abs(rows)
    made = rows.astype(dtype).reshape(2, 6)
    if dtype[0] == "f":
        made[0, :2] = NAN, INF
        made[1, 0] = 0
    return made


#: Further inputs and attributes of ops that need some: constants by the number of the input.
AXIS = ({1: 1}, {})
EXTRA: dict[str, tuple[dict[int, Any], dict[str, Any]]] = {
    **dict.fromkeys("Mean Sum Max Min Prod Any All EuclideanNorm Cumsum Cumprod ReverseV2".split(), AXIS),
    "ExpandDims": AXIS, "Reshape": ({1: [-1, 3, 2]}, {}), "Transpose": ({1: [1, 0]}, {}),
    "Tile": ({1: [1, 2]}, {}),
    "Pad": ({1: [[0, 0], [1, 2]]}, {}), "MirrorPad": ({1: [[0, 0], [1, 2]]}, {"mode": {"s": "U1lNTUVUUklD"}}),
    "Cast": ({}, {"DstT": {"type": "DT_INT32"}}), "TopKV2": ({1: 3}, {}),
    "OneHot": ({1: 4, 2: 1.0, 3: 0.0}, {"axis": {"i": "-1"}}), "GatherV2": ({1: [3, 0], 2: 1}, {}),
    "BroadcastTo": ({1: [3, 2, 6]}, {}), "Roll": ({1: 2, 2: 1}, {}), "Slice": ({1: [0, 1], 2: [-1, 3]}, {}),
    "LeakyRelu": ({}, {"alpha": {"f": 0.25}}), "Unpack": ({}, {"axis": {"i": "1"}, "num": {"i": "6"}}),
    "Split": ({}, {"num_split": {"i": "3"}}),
}  # fmt: skip
#: Ops that need more than a table of numbers: tests/layers/cases_functions.py has those that are everyday.
ELSEWHERE = set(
    "MatMul BatchMatMul BatchMatMulV2 Conv2D DepthwiseConv2dNative MaxPool AvgPool DepthToSpace SpaceToDepth "
    "ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea BiasAdd Select SelectV2 SplitV Split "
    "ConcatV2 Pack AddN Shape "
    "Squeeze PadV2 Einsum GatherNd ScatterNd LRN Range Fill ReverseSequence MatrixBandPart MatrixDiag "
    "MatrixDiagPart MatrixInverse MatrixDeterminant Cholesky RFFT IRFFT FFT2D IFFT2D FFT IFFT Rank Size "
    "UnsortedSegmentSum Complex EnsureShape PlaceholderWithDefault Snapshot PreventGradient CheckNumerics "
    "NextAfter L2Loss ArgMin ArgMax TopKV2".split()
)  # fmt: skip


def call(op: str, dtype: str) -> Callable[..., Any]:
    """The op itself on tensors and constants."""
    constants, attributes = EXTRA.get(op, ({}, {}))

    def run(*tensors: Any) -> Any:
        function = getattr(tf.raw_ops, op)
        parameters = [it for it in inspect.signature(function).parameters if it != "name"]
        given = dict(zip(parameters, tensors, strict=False))
        for at, value in constants.items():
            given[parameters[at]] = value
        for key, value in attributes.items():
            ((kind, found),) = value.items()
            given[key] = {"i": int, "type": lambda it: it.removeprefix("DT_").lower(), "f": float,
                          "s": lambda it: "SYMMETRIC"}[kind](found)  # fmt: skip
        return function(**given)

    return run


def layer(op: str, dtype: str, count: int) -> dict[str, Any]:
    constants, attributes = EXTRA.get(op, ({}, {}))
    kind = TYPES.get(dtype, dtype.upper())
    node = {"name": op, "op": op, "input": [], "attr": {"T": {"type": f"DT_{kind}"}, **attributes}}
    nodes = [[name, 0, 0, {}] for name in ("x", "y")[:count]]
    config = {"name": op, "trainable": True, "dtype": "float32", "node_def": json.dumps(node),
              "constants": {str(at): it for at, it in constants.items()}}  # fmt: skip
    return {"class_name": "TensorFlowOpLayer", "name": op, "config": config, "inbound_nodes": [nodes]}


def write(path: Path, dtype: str, ops: dict[str, int]) -> None:
    inputs = [
        {"class_name": "InputLayer", "name": name, "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 6], "dtype": dtype, "name": name}}
        for name in ("x", "y")
    ]  # fmt: skip
    layers = [*inputs, *(layer(op, dtype, count) for op, count in ops.items())]
    config = {"name": "model", "layers": layers, "input_layers": [["x", 0, 0], ["y", 0, 0]],
              "output_layers": [[op, 0, 0] for op in ops]}  # fmt: skip
    with h5py.File(path, "w") as file:
        saved = json.dumps({"class_name": "Functional", "config": config})
        file.attrs.update({"model_config": saved, "keras_version": "2.4.0", "backend": "tensorflow"})
        weights = file.create_group("model_weights")
        names = [it["name"] for it in layers]
        weights.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            weights.create_group(name).attrs["weight_names"] = np.zeros(0, "S1")


#: What is refused, though TensorFlow has it: dtypes for which torch has no kernel, or none that is equal.
REFUSED = re.compile(r"of (\w+) values|torch has no gradient")
#: Where either gives NaN, though the function has a limit, or its parts overflow: not compared there.
OPEN = {
    "Digamma": lambda x: x == 0, "Erf": np.isinf,
    "Expm1": lambda x: (abs(x) > 50) & np.iscomplexobj(x),
    "Sigmoid": lambda x: (abs(x) > 50) & np.iscomplexobj(x),
    # A row with an infinity or NaN is NaN in torch and in TensorFlow's own kernel (softmax_op_functor.h);
    # that of oneDNN, for float32 alone (mkl_softmax_op.cc), gives 0 for the finite numbers in it.
    "Softmax": lambda x: (np.isnan(x) | np.isposinf(x)).any(-1, keepdims=True) & (x.dtype == np.float32),
}  # fmt: skip


def operands(op: str, dtype: str) -> list[np.ndarray]:
    """Two operands; no shift is negative or as far as the number is wide, which is not defined."""
    return [values(dtype), abs(others(dtype)) % 6 + 1 if "Shift" in op else others(dtype)]


def tried(dtype: str) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """The ops that TensorFlow has for a dtype, by how many tensors they take; and what each gives."""
    counts, wanted = {}, {}
    for op, node in NODES.items():
        if op in ELSEWHERE:
            continue
        count = 2 if node.inputs[:1] in (("y",), ("x",), ("x2",)) else 1
        try:
            found = call(op, dtype)(*[tf.constant(it) for it in operands(op, dtype)][:count])
        except (tf.errors.OpError, TypeError, ValueError, KeyError):
            continue  # TensorFlow has no such kernel
        first = found[0] if isinstance(found, (list, tuple)) else found
        counts[op], wanted[op] = count, first.numpy()
    return counts, wanted


@pytest.mark.parametrize("dtype", DTYPES)
def test_is_equal_or_refused(dtype: str, tmp_path: Path) -> None:
    ops, wanted = tried(dtype)
    refused: dict[str, str] = {}
    path = tmp_path / "model.h5"
    while True:
        write(path, dtype, ops)
        try:
            port = torchport.convert(path)
            break
        except Refused as error:
            for it in error.refusals:
                op = it.layer.rpartition("/")[2]
                assert op in ops, it
                refused[op] = f"{it.kind}: {it.why}"
                del ops[op]
    assert all(REFUSED.search(why) for why in refused.values()), refused
    shifts = [op for op in ops if "Shift" in op]
    found = dict(zip(ops, port.run(values(dtype), others(dtype)), strict=True))
    if shifts:
        again = port.run(*operands("LeftShift", dtype))
        found.update({op: got for op, got in zip(ops, again, strict=True) if op in shifts})
    wrong = {}
    for op, got in found.items():
        want = wanted[op]
        same = got.shape == want.shape and got.dtype.kind == want.dtype.kind
        close = {"float16": 2e-3, "complex64": 1e-4}.get(dtype, 2e-6)
        if op in OPEN and same:
            got = np.where(OPEN[op](values(dtype)), want, got)
        if same and want.dtype.kind in "fc":
            same = np.allclose(got, want, rtol=close, atol=close, equal_nan=True)
        elif same:
            same = np.array_equal(got, want)
        if not same:
            wrong[op] = (got.dtype, got.ravel()[:12].tolist(), want.dtype, want.ravel()[:12].tolist())
    assert not wrong, "\n".join(f"{op}: {it}" for op, it in wrong.items())
