"""Calls of TensorFlow's own functions in a Keras 2 model become operations of `keras.ops`.

before:  y = TFOpLambda(x), function="math.reduce_mean", axis=[1, 2]
after:   y = keras.ops.Mean(x), axis=[1, 2]

`SlicingOpLambda` is an index. A function that the table does not have keeps its name, `tf.math.bincount`,
and is refused by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, refs
from torchport.normalise.function_table import FUNCTIONS, IDLE, KEPT, RENAMED, UNUSED
from torchport.normalise.nodes import MASKS, function_of, key_of
from torchport.normalise.operations import PREFIX
from torchport.rules import find
from torchport.rules.refused_functions import refusal

#: Functions whose further results are not ported: why.
FIRST_ONLY = {
    "max_pool_with_argmax": "the places of the largest values are counted otherwise in torch",
    "fused_batch_norm": "the statistics of the batch as results are not ported",
}
UNSAVED = "Keras 2 does not save the tensors that it was called with: the file has the first argument alone"
#: Operators of Python whose second operand is lost.
COMPARED = {
    "eq": "convert the live model, or write it with tf.equal",
    "ne": "convert the live model, or write it with tf.not_equal",
}
#: Functions of any number of tensors, and what to use instead.
VARIADIC = {
    "einsum": "convert the live model, or write it with tf.tensordot, tf.matmul or layers.EinsumDense",
    "meshgrid": "convert the live model, or write it with tf.broadcast_to",
}
#: Where functions are, which says nothing more than their names.
MODULES = (
    "compat.v1.", "__operators__.", "math.", "nn.", "linalg.", "debugging.", "bitwise.", "dtypes.",
)  # fmt: skip


def name_functions(graph: Graph) -> Graph:
    """The graph with operations of keras.ops in the place of functions of TensorFlow."""
    bodies = {layer: name_functions(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(it for op in graph.ops for it in _checked(op)), bodies=bodies)


def _checked(op: Op) -> list[Op]:
    """What stands for an op; if its arguments make no sense, itself, refused."""
    try:
        return list(_named(op))
    except Unsupported as error:
        return [replace(op, refused=(error.why, error.advice))]
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        return [replace(op, refused=(f"its arguments do not fit: {error}", ""))]


def _named(op: Op) -> Iterator[Op]:
    if op.kind == "SlicingOpLambda":
        function = str(op.config.get("function", "__operators__.getitem"))
        if function == "__operators__.getitem":
            yield _index(op, _key(op.kwargs["slice_spec"]))
        else:  # such as boolean_mask, which is a slice too
            yield from _function(op, function, dict(op.kwargs))
    elif op.kind == "TFOpLambda":
        yield from _function(op, str(op.config.get("function")), dict(op.kwargs))
    elif op.kind == "TensorFlowOpLayer":
        named, function, given = function_of(op)
        yield from _function(named, function, given) if function else (named,)
    else:
        yield op


def _index(op: Op, key: Any) -> Op:
    return replace(op, kind=f"{PREFIX}GetItem", args=(op.args[0], key), config={}, kwargs={})


def _key(spec: Any) -> Any:
    if isinstance(spec, (list, tuple)):
        return [_key(it) for it in spec]
    if isinstance(spec, Mapping):
        if spec.get("class_name") == "__ellipsis__":
            return ...
        return slice(*(spec.get(end) for end in ("start", "stop", "step")))
    return spec


def _function(op: Op, function: str, given: dict[str, Any]) -> Iterator[Op]:
    name = short(function)
    if name == "getitem" and "key" in given:
        yield _index(op, given["key"])
        return
    if name == "strided_slice":
        yield _index(op, strided(given))
        return
    if name in COMPARED and "other" not in given:
        yield replace(op, kind=f"tf.{function}", refused=(UNSAVED, COMPARED[name]))
        return
    if name in VARIADIC:
        if "inputs" not in given:
            yield replace(op, kind=f"tf.{function}", refused=(UNSAVED, VARIADIC[name]))
            return
        operands = given.pop("inputs")
        first = {"subscripts": op.args[0]} if name == "einsum" else {}
        op, given = replace(op, args=tuple(operands)), {**given, **first}
    if name in ("add_n", "accumulate_n"):
        yield replace(op, kind="Add", config={}, kwargs={})
        return
    if name not in FUNCTIONS:
        yield unknown(op, f"tf.{function}", given)
        return
    known = FUNCTIONS[name]
    if name in FIRST_ONLY and len(op.outputs) > 1:
        yield replace(op, kind=f"tf.{function}", refused=(FIRST_ONLY[name], "read its first result alone"))
        return
    if isinstance(given.get("padding"), list) and known.kind in ("Conv", "DepthwiseConv"):
        name_, pad = f"{op.outputs[0]}.pad", {"pad_width": given.pop("padding")}
        yield Op(name_, f"{PREFIX}Pad", (op.args[0],), (name_,), pad, layer=name_)
        op, given = replace(op, args=(Ref(name_), *op.args[1:])), {**given, "padding": "VALID"}
    if name.startswith("segment_"):
        given["num_segments"] = segments(given.get("segment_ids"), name)
    if known.kind == "MaxPool" and isinstance(given.get("padding"), list):
        name_ = f"{op.outputs[0]}.pad"
        pad = {"pad_width": given.pop("padding"), "constant_values": float("-inf")}
        yield Op(name_, f"{PREFIX}Pad", (op.args[0],), (name_,), pad, layer=name_)
        op, given = replace(op, args=(Ref(name_), *op.args[1:])), {**given, "padding": "VALID"}
    if name in ("inv", "solve", "triangular_solve") and given.pop("adjoint", False):  # of real numbers
        turned, swap = f"{op.outputs[0]}.adjoint", {"axis1": -2, "axis2": -1}
        yield Op(turned, f"{PREFIX}Swapaxes", (op.args[0],), (turned,), swap, layer=turned)
        op = replace(op, args=(Ref(turned), *op.args[1:]))
        if name == "triangular_solve":
            given["lower"] = not given.get("lower", True)
    if known.kind == "Where" and "x" not in given and "y" not in given:  # the places of what holds
        yield unknown(op, "tf.where", given)
        return
    args = op.args
    if name == "matmul":
        for side in "ab":
            if given.pop(f"adjoint_{side}", False):  # of real numbers
                given[f"transpose_{side}"] = True
        for at, side in enumerate("ab"):
            if given.pop(f"transpose_{side}", False):
                turned = f"{op.outputs[0]}.transposed{'' if side == 'b' else '_a'}"
                matrix = args[0] if side == "a" else given["b"] if "b" in given else args[1]
                swap = {"axis1": -2, "axis2": -1}
                yield Op(turned, f"{PREFIX}Swapaxes", (matrix,), (turned,), swap, layer=turned)
                if side == "a" or "b" not in given:
                    args = (*args[:at], Ref(turned), *args[at + 1 :])
                else:
                    given["b"] = Ref(turned)
    if name == "fused_batch_norm":  # in another order than tf.nn.batch_normalization
        statistics = (given.pop(key, None) for key in ("mean", "variance"))  # none: those of the batch
        args = (*args, *statistics, given.pop("offset"), given.pop("scale"))
    for place in known.places:
        if place in given:
            args = (*args, given.pop(place))
    options = {key: value for key, value in given.items() if key not in IDLE or not _idle(key, value)}
    options = {key: value for key, value in options.items() if key not in UNUSED.get(name, ())}
    renamed = {**RENAMED, **KEPT.get(name, {})} if not known.kind.startswith("tf.") else {}
    config = {**known.defaults, **{renamed.get(key, key): value for key, value in options.items()}}
    kind = known.kind
    if known.change:
        known.change(config)
    if kind == "Pool":
        kind = "MaxPool" if config.pop("pooling_type") == "MAX" else "AveragePool"
    tensors = {key: config.pop(key) for key in list(config) if any(refs(config[key]))}
    kind = kind.removeprefix("layers.") if kind.startswith(("tf.", "layers.")) else f"{PREFIX}{kind}"
    yield replace(op, kind=kind, args=args, config=config, kwargs=tensors)


def segments(ids: Any, name: str) -> int:
    """How many segments rows in order have. Raises Unsupported where that is not told, or one is empty."""
    if not isinstance(ids, (list, tuple)) or not all(isinstance(it, int) for it in ids) or not ids:
        raise Unsupported("numbers of segments that are a tensor", f"use tf.math.unsorted_{name}")
    if sorted(set(ids)) != list(range(ids[-1] + 1)) or list(ids) != sorted(ids):
        raise Unsupported("segments that are empty", f"use tf.math.unsorted_{name}")
    return int(ids[-1]) + 1


def strided(given: Mapping[str, Any]) -> list[Any]:
    """The index of Python that a strided slice is."""
    ends = [given.get(key) for key in ("begin", "end", "strides")]
    strides = [1] * len(ends[0] or []) if ends[2] is None else ends[2]
    masks = {name: int(given.get(f"{name}_mask") or 0) for name in MASKS}
    return key_of(ends[0], ends[1], strides, masks)


def short(function: str) -> str:
    """The name by which the table has a function: without the module, where that says nothing more."""
    if function in FUNCTIONS:
        return function
    for prefix in MODULES:
        function = function.removeprefix(prefix)
    return function


def unknown(op: Op, kind: str, given: dict[str, Any]) -> Op:
    """An op that is refused, unless the user has a rule for it."""
    tensors = {key: value for key, value in given.items() if any(refs(value))}
    options = {key: value for key, value in given.items() if key not in tensors and value is not None}
    refused = None if find(kind) else refusal(kind)
    return replace(op, kind=kind, config=options, kwargs=tensors, refused=refused)


def _idle(key: str, value: Any) -> bool:
    return IDLE[key] is ... or value is None or bool(value == IDLE[key])
