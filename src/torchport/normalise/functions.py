"""Calls of TensorFlow's own functions in a Keras 2 model become operations of `keras.ops`.

before:  y = TFOpLambda(x), function="math.reduce_mean", axis=[1, 2]
after:   y = keras.ops.Mean(x), axis=[1, 2]

`SlicingOpLambda` is an index. A function that the table does not have keeps its name, `tf.math.bincount`,
and is refused by it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

from torchport.graph import Graph, Op, Ref
from torchport.normalise.operations import PREFIX

#: Arguments that change nothing, at the values that they have.
IDLE = {
    "name": ..., "validate_indices": ..., "conjugate": False, "keep_dims": None, "axis_name": ...,
    "output_type": ..., "transpose_a": False, "adjoint_a": False, "adjoint_b": False, "batch_dims": 0,
    "a_is_sparse": False, "b_is_sparse": False, "antialias": False, "preserve_aspect_ratio": False,
    "exclusive": False, "reverse": False, "data_format": ..., "num": ..., "dim": None, "dtype": None,
    "dimension": None, "squeeze_dims": None, "on_value": None, "off_value": None, "transpose_b": False,
    "reduction_indices": None, "num_split": ..., "value_index": None,
}  # fmt: skip

#: What TensorFlow calls an argument that Keras calls otherwise.
RENAMED = {
    "shape": "newshape", "perm": "axes", "multiples": "repeats", "num_or_size_splits": "indices_or_sections",
    "paddings": "pad_width", "clip_value_min": "x_min", "clip_value_max": "x_max", "alpha": "negative_slope",
    "depth": "num_classes", "method": "interpolation", "ksize": "pool_size", "keepdim": "keepdims",
}  # fmt: skip

#: Functions by the class of keras.ops that does the same, and what is different by default.
UNARY = (
    "exp expm1 log log1p sqrt rsqrt sin cos tan sinh cosh tanh asinh acosh atanh abs negative sign square "
    "floor round erf sigmoid reciprocal relu relu6 selu silu softsign softplus elu leaky_relu softmax "
    "log_softmax is_nan is_inf is_finite logical_not identity stop_gradient ceil swish"
).split()
SPELLED = {
    "asinh": "Arcsinh", "acosh": "Arccosh", "atanh": "Arctanh", "abs": "Absolute", "is_nan": "Isnan",
    "is_inf": "Isinf", "is_finite": "Isfinite", "identity": "Copy", "swish": "Silu",
}  # fmt: skip
#: Functions of two tensors: the class, and the name of the second argument.
BINARY = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "truediv": "TrueDivide", "divide": "Divide",
    "floordiv": "FloorDivide", "floormod": "Mod", "mod": "Mod", "pow": "Power", "maximum": "Maximum",
    "minimum": "Minimum", "equal": "Equal", "eq": "Equal", "not_equal": "NotEqual", "ne": "NotEqual",
    "greater": "Greater", "greater_equal": "GreaterEqual", "less": "Less", "less_equal": "LessEqual",
    "logical_and": "LogicalAnd", "logical_or": "LogicalOr", "logical_xor": "LogicalXor", "atan2": "Arctan2",
    "squared_difference": "SquaredDifference", "sub": "Subtract", "mul": "Multiply", "div": "Divide",
}  # fmt: skip
REDUCED = {
    "reduce_mean": "Mean", "reduce_sum": "Sum", "reduce_max": "Max", "reduce_min": "Min",
    "reduce_prod": "Prod",
    "reduce_std": "Std", "reduce_variance": "Var", "reduce_any": "Any", "reduce_all": "All",
    "reduce_logsumexp": "Logsumexp",
}  # fmt: skip
#: Others: the class, the names of arguments that are passed by place, and other defaults than Keras's.
OTHERS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "concat": ("Concatenate", (), {}), "stack": ("Stack", (), {"axis": 0}), "reshape": ("Reshape", (), {}),
    "unstack": ("Unstack", (), {"axis": 0}), "transpose": ("Transpose", (), {}), "cast": ("Cast", (), {}),
    "expand_dims": ("ExpandDims", (), {}), "squeeze": ("Squeeze", (), {}), "tile": ("Tile", (), {}),
    "split": ("Split", (), {"axis": 0}), "pad": ("Pad", (), {}), "clip_by_value": ("Clip", (), {}),
    "where": ("Where", ("x", "y"), {}), "where_v2": ("Where", ("x", "y"), {}),
    "gather": ("Take", ("indices",), {"axis": 0}), "one_hot": ("OneHot", (), {}),
    "image.resize": ("Resize", (), {}), "matmul": ("Matmul", ("b",), {}),
    "gelu": ("Gelu", (), {"approximate": False}),
    "argmax": ("Argmax", (), {"axis": 0}), "argmin": ("Argmin", (), {"axis": 0}),
    "reverse": ("Flip", (), {}),
    "cumsum": ("Cumsum", (), {"axis": 0}), "l2_normalize": ("Normalize", (), {"epsilon": 1e-12}),
    "max_pool2d": ("MaxPool", (), {}), "avg_pool2d": ("AveragePool", (), {}),
    "ones_like": ("OnesLike", (), {}), "zeros_like": ("ZerosLike", (), {}), "roll": ("Roll", (), {}),
    "broadcast_to": ("BroadcastTo", (), {}),
}  # fmt: skip
#: Their arguments that RENAMED would get wrong.
KEPT = {"broadcast_to": {"shape": "shape"}, "elu": {"alpha": "alpha"}}


def name_functions(graph: Graph) -> Graph:
    """The graph with operations of keras.ops in the place of functions of TensorFlow."""
    bodies = {layer: name_functions(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(it for op in graph.ops for it in _named(op)), bodies=bodies)


def _named(op: Op) -> Iterator[Op]:
    if op.kind == "SlicingOpLambda":
        key = _key(op.kwargs.get("slice_spec", list(op.args[1:])))
        yield replace(op, kind=f"{PREFIX}GetItem", args=(op.args[0], key), config={}, kwargs={})
    elif op.kind == "TFOpLambda":
        yield from _function(op, str(op.config.get("function")), dict(op.kwargs))
    elif op.kind == "TensorFlowOpLayer":
        yield from _node(op)
    else:
        yield op


def _key(spec: Any) -> Any:
    if isinstance(spec, (list, tuple)):
        return [_key(it) for it in spec]
    if isinstance(spec, Mapping):
        if spec.get("class_name") == "__ellipsis__":
            return ...
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    return spec


def _function(op: Op, function: str, given: dict[str, Any]) -> Iterator[Op]:
    name = function
    for prefix in ("compat.v1.", "__operators__.", "math.", "nn.", "linalg."):
        name = name.removeprefix(prefix)
    places: tuple[str, ...] = ()
    defaults: dict[str, Any] = {}
    args = op.args
    if name in UNARY:
        kind = SPELLED.get(name, "".join(word.capitalize() for word in name.split("_")))
    elif name in BINARY:
        kind, places = BINARY[name], ("y",)
    elif name in REDUCED:
        kind = REDUCED[name]
    elif name == "add_n":
        yield replace(op, kind="Add", config={}, kwargs={})
        return
    elif name in OTHERS:
        kind, places, defaults = OTHERS[name]
    else:
        yield replace(op, kind=f"tf.{function}", config={}, kwargs={})
        return
    if name == "matmul" and given.pop("transpose_b", False):
        turned = f"{op.outputs[0]}.transposed"
        b = given["b"] if "b" in given else args[1]
        swap = {"axis1": -2, "axis2": -1}
        yield Op(turned, f"{PREFIX}Swapaxes", (b,), (turned,), swap, layer=turned)
        given["b"], args = Ref(turned), args[:1]
    for place in places:
        if place in given:
            args = (*args, given.pop(place))
    options = {key: value for key, value in given.items() if key not in IDLE or not _idle(key, value)}
    renamed = {**RENAMED, **KEPT.get(name, {})}
    config = {**defaults, **{renamed.get(key, key): value for key, value in options.items()}}
    if name in CHANGES:
        CHANGES[name](config)
    yield replace(op, kind=f"{PREFIX}{kind}", args=args, config=config, kwargs={})


def _idle(key: str, value: Any) -> bool:
    return IDLE[key] is ... or value is None or value == IDLE[key]


def _split(config: dict[str, Any]) -> None:
    """TensorFlow gives the sizes of pieces, Keras where they are cut."""
    sizes = config.get("indices_or_sections")
    if isinstance(sizes, (list, tuple)):
        config["indices_or_sections"] = list(accumulate(sizes))[:-1]


def _pad(config: dict[str, Any]) -> None:
    config["mode"] = str(config.get("mode", "constant")).lower()


def _pool(config: dict[str, Any]) -> None:
    config["padding"] = str(config.get("padding", "valid")).lower()
    for key in ("pool_size", "strides"):
        if isinstance(config.get(key), list) and len(config[key]) == 4:
            config[key] = config[key][1:3]


def _normalize(config: dict[str, Any]) -> None:
    """TensorFlow's epsilon is that of the sum of squares."""
    config["epsilon"] = math.sqrt(config["epsilon"])


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "split": _split, "pad": _pad, "max_pool2d": _pool, "avg_pool2d": _pool, "l2_normalize": _normalize,
}  # fmt: skip

#: Nodes of a TensorFlowOpLayer: the function, and the names of inputs after the first.
NODES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (function, ("y",)) for name, function in {
        "Add": "add", "AddV2": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "truediv",
        "FloorDiv": "floordiv", "FloorMod": "floormod", "Pow": "pow", "Maximum": "maximum",
        "Minimum": "minimum", "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater",
        "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal",
        "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "SquaredDifference": "squared_difference",
    }.items()},
    **{name: (function, ("axis",)) for name, function in {
        "Mean": "reduce_mean", "Sum": "reduce_sum", "Max": "reduce_max", "Min": "reduce_min",
        "Prod": "reduce_prod", "Any": "reduce_any", "All": "reduce_all", "ExpandDims": "expand_dims",
        "ArgMax": "argmax", "ReverseV2": "reverse",
    }.items()},
    **{name: (name.lower(), ()) for name in (
        "Exp", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "Abs", "Tanh", "Sigmoid", "Relu", "Relu6", "Elu",
        "Selu", "Softplus", "Softsign", "Sin", "Cos", "Floor", "Ceil", "Round", "Sign", "Softmax", "Erf",
        "Identity",
    )},
    "Neg": ("negative", ()), "Reshape": ("reshape", ("shape",)), "Transpose": ("transpose", ("perm",)),
    "Tile": ("tile", ("multiples",)), "Pad": ("pad", ("paddings",)), "MatMul": ("matmul", ("b",)),
    "BatchMatMulV2": ("matmul", ("b",)), "GatherV2": ("gather", ("indices", "axis")),
    "ResizeBilinear": ("image.resize", ("size",)), "Cast": ("cast", ()), "Squeeze": ("squeeze", ()),
}  # fmt: skip
#: Attributes of nodes that are arguments.
ATTRIBUTES = {"keep_dims": "keepdims"}


def _node(op: Op) -> Iterator[Op]:
    """A node of TensorFlow 2.0 to 2.3, whose constants are kept beside it."""
    node: Any = op.config.get("node_def")
    node = json.loads(node) if isinstance(node, str) else node
    kind = str(node.get("op")) if isinstance(node, Mapping) else "TensorFlowOpLayer"
    attributes = node.get("attr", {}) if isinstance(node, Mapping) else {}
    constants = {int(at): it for at, it in (op.config.get("constants") or {}).items()}
    first = op.args[0]
    tensors = list(first) if isinstance(first, (list, tuple)) else [first]
    inputs: list[Any] = []
    while tensors or len(inputs) in constants:
        inputs.append(constants[len(inputs)] if len(inputs) in constants else tensors.pop(0))
    if kind == "ConcatV2":
        yield replace(op, kind=f"{PREFIX}Concatenate", args=(inputs[:-1],), config={"axis": inputs[-1]})
        return
    legacy = kind == "ResizeBilinear" and not _flag(attributes, "half_pixel_centers")
    if kind not in NODES or kind in ("Cast", "Squeeze") or legacy:
        yield replace(op, kind=f"tf.raw_ops.{kind}", config={}, kwargs={})
        return
    function, names = NODES[kind]
    given = dict(zip(names, inputs[1:], strict=False))
    given.update({ours: True for name, ours in ATTRIBUTES.items() if _flag(attributes, name)})
    if _flag(attributes, "adj_y") or _flag(attributes, "transpose_b"):
        given["transpose_b"] = True
    if _flag(attributes, "adj_x") or _flag(attributes, "transpose_a"):
        yield replace(op, kind=f"tf.raw_ops.{kind}", config={}, kwargs={})
        return
    yield from _function(replace(op, args=(inputs[0],)), function, given)


def _flag(attributes: Mapping[str, Any], name: str) -> bool:
    value = attributes.get(name)
    return isinstance(value, Mapping) and bool(value.get("b"))
