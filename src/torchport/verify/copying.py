"""Weights of the source into a model that was rebuilt from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from torchport.errors import TorchportError
from torchport.read.live import is_model
from torchport.verify.custom import adopt_functions
from torchport.verify.retype import retyped


def copy_weights(source: Any, target: Any, unfused: WeakSet[Any]) -> None:
    """Layer by layer, each variable to the one of its name."""
    for ours, theirs in zip(layers_of(source), layers_of(target), strict=True):
        if ours.name != theirs.name and type(theirs) is type(ours) and not has_name(ours):
            rename(theirs, ours.name)
        if ours.name != theirs.name:
            raise TorchportError(f"rebuilt {theirs.name!r} where the source has {ours.name!r}")
        if is_model(ours):
            copy_weights(ours, theirs, unfused)
            continue
        for one, other in zip(parts_of(ours), parts_of(theirs), strict=False):
            if type(one).__name__ != type(other).__name__:
                break  # one of them makes its layers later
            adopt_functions(one, other)
            if getattr(one, "fused", False) is True and not getattr(other, "fused", False):
                unfused.add(other)
        if hasattr(ours, "get_vocabulary"):
            copy_vocabulary(ours, theirs)
        given, wanted = theirs.weights, weights_of(ours, theirs)
        if len(given) != len(wanted):
            problem = f"rebuilt with {len(given)} variables where the source has {len(wanted)}"
            raise TorchportError(problem, where=str(ours.name))
        for have, want in pairs(given, wanted):
            if tuple(have.shape) != tuple(want.shape):
                raise TorchportError(f"rebuilt with the shape {have.shape}", where=f"{ours.name}/{want.name}")
            have.assign(np.asarray(value_of(want)).astype(str(name_of(have.dtype))))


def pairs(have: Sequence[Any], want: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The variables of a layer that was rebuilt, each with the source's of its name; of one name in order.

    Where names are not the same on both sides, in order. A wrapper that takes a variable of its layer for its
    own lists it first or last, by whether the layer was built before it (WeightNormalization).
    """
    names, wanted = [last_name(it) for it in have], [last_name(it) for it in want]
    if sorted(names) == sorted(wanted):
        have, want = (sorted(them, key=last_name) for them in (have, want))
    return list(zip(have, want, strict=True))


def last_name(variable: Any) -> str:
    """What a variable is called in its layer; of values that are no variable nothing."""
    return str(getattr(variable, "name", "")).rpartition("/")[2].partition(":")[0]


def has_name(layer: Any) -> bool:
    """Whether a layer's configuration has its name."""
    try:
        return "name" in layer.get_config()
    except Exception:  # the code is the user's: it may raise anything
        return False


def rename(layer: Any, name: str) -> None:
    """Another name for a layer whose class hands its name on to nobody: Keras made one up."""
    setattr(layer, "_name" if hasattr(layer, "_name") else "name", name)


def of_floats(model: Any) -> Any:
    """A model without quantised layers: itself, or the one of the floats that its weights stand for."""
    if all(getattr(it, "quantization_mode", None) is None for it in model._flatten_layers()):
        return model
    made = type(model).from_config(retyped(model.get_config(), "float32"))
    if not made.built:
        made.build([tuple(it.shape) for it in model.inputs][0])
    copy_weights(model, made, WeakSet())
    return made


def weights_of(layer: Any, twin: Any) -> list[Any]:
    """The variables of a layer; of a quantised one the floats that they stand for, as its twin has them.

    By Keras's own functions: the layer with its variables is asked what it makes of rows with a single one.
    """
    mode = getattr(layer, "quantization_mode", None)
    if mode is None:
        return list(layer.weights)
    names = [str(it.name).rpartition("/")[2] for it in twin.weights]
    return [floats(layer, name, mode, tuple(it.shape)) for name, it in zip(names, twin.weights, strict=True)]


def floats(layer: Any, name: str, mode: str, shape: tuple[int, ...]) -> Any:
    """A variable of a quantised layer of Keras 3, of floats."""
    from keras import ops
    from keras.src.quantizers.quantizers import dequantize_with_sz_map, unpack_int4

    if name == "bias" or mode == "float8":
        return getattr(layer, name)
    scale = getattr(layer, f"{name}_scale")
    zero = getattr(layer, f"{name}_zero", None)
    if mode in ("gptq", "awq"):
        stored, rows = layer.quantized_kernel, layer.g_idx.shape[0]
        columns = math.prod(shape) // rows
        if stored.shape[0] != columns:
            stored = unpack_int4(stored, columns, axis=0, dtype="uint8")
        found = ops.transpose(dequantize_with_sz_map(ops.cast(stored, "float32"), scale, zero, layer.g_idx))
        found = found / layer.awq_scales[:, None] if mode == "awq" else found
        return ops.reshape(found, shape)
    stored = getattr(layer, "_kernel" if name == "kernel" else name.replace("embeddings", "_embeddings", 1))
    axis = -1
    if name == "kernel" and mode == "int8" and hasattr(layer, "_adjust_scale_for_dequant"):
        return ops.cast(stored, "float32") / layer._adjust_scale_for_dequant(scale)
    if mode == "int4":
        columns = scale.shape[-1] if name == "kernel" else shape[-1]
        stored = unpack_int4(stored, columns, axis=axis)
    stored = ops.cast(stored, "float32")
    if zero is not None:
        group_axis = 0 if name == "kernel" else -1
        found = dequantize_with_sz_map(stored, scale, zero, layer.g_idx, group_axis=group_axis)
    else:
        found = stored / (scale if name == "kernel" else scale[:, None])
    return ops.reshape(found, shape)


def copy_vocabulary(source: Any, target: Any) -> None:
    """What a lookup layer was adapted to."""
    weights = getattr(getattr(source, "_lookup_layer", source), "idf_weights_const", None)
    target.set_vocabulary(
        source.get_vocabulary(), idf_weights=None if weights is None else np.asarray(weights)
    )


def parts_of(layer: Any) -> list[Any]:
    """A layer, and the layers in it."""
    return list(layer._flatten_layers())


def layers_of(model: Any) -> list[Any]:
    return sorted(model.layers, key=lambda layer: str(layer.name))


def name_of(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


def value_of(variable: Any) -> np.ndarray:
    """A variable's value; half-precision kinds that numpy has not as float32."""
    array = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
    return array.astype(np.float32) if array.dtype.kind not in "fiub" else array
