"""A model that Keras does not load from its file: built by Keras from its configuration, with our weights.

TensorFlow.js keeps its weights in files of its own; Keras 1, and some files of later versions, are refused by
the Keras of today. The layers are TensorFlow's all the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from torchport.graph import Graph
from torchport.read.dialect import RENAMED, is_operation, policy_name
from torchport.verify.folder import variables_of
from torchport.verify.variables import variables

#: Options of every layer, which no class lists.
COMMON = frozenset(
    "name trainable dtype dynamic batch_input_shape batch_shape input_shape autocast "
    "activity_regularizer".split()
)
#: Where Keras 3 keeps the classes of its operations.
OPERATIONS = tuple(f"keras.src.ops.{it}" for it in "numpy nn math core linalg image einops".split())
#: Layers that give whole numbers, and refuse the very dtype that their `get_config` gives
#: (keras/src/layers/preprocessing/hashing.py).
HASHES = frozenset({"Hashing", "HashedCrossing"})


def built(keras: Any, graph: Graph) -> Any:
    """The model of a graph. Raises whatever Keras raises where it does not build it."""
    kind = keras.Sequential if graph.entry["class_name"] == "Sequential" else keras.Model
    found = graph.entry["config"]
    model = kind.from_config(
        readable(keras, {"layers": found} if isinstance(found, list) else found, graph.dialect)
    )
    if not model.built:
        model.build([(None, *graph.tensors[name].shape[1:]) for name in graph.inputs][0])
    weights = dict(variables_of(graph))
    for name, variable in variables(model, graph):
        variable.assign(
            np.asarray(weights[name].load()).astype(str(getattr(variable.dtype, "name", variable.dtype)))
        )
    return model


def readable(keras: Any, value: Any, version: str) -> Any:
    """A configuration without what the layers' classes of today do not take: torchport read it, and knows.

    Quantised layers are those of the floats that their weights stand for, as the graph has them.

    What an old option does is known to the rules, which refuse it where it changes what is computed. An
    HDF5 file does not say where an operation is from, and Keras 3 takes `x + y` for the layer Add.
    """
    if isinstance(value, (list, tuple)):
        return [readable(keras, it, version) for it in value]
    if not isinstance(value, Mapping):
        return value
    found = {key: readable(keras, it, version) for key, it in value.items()}
    if "dtype" in found:
        found["dtype"] = dequantised(found["dtype"])
    found.pop("quantization_config", None)
    if "inbound_nodes" in value and "module" not in value and is_operation(value, version):
        return {**found, "module": module_of(str(value["class_name"])), "registered_name": None}
    config = found.get("config")
    kind = RENAMED.get(str(found.get("class_name")), found.get("class_name"))
    cls = getattr(keras.layers, str(kind), None)
    if isinstance(config, dict) and inspect.isclass(cls) and "layers" not in config:
        taken = options(cls)
        found["class_name"] = kind
        found["config"] = {
            key: it for key, it in config.items() if key in taken and not (key == "dtype" and kind in HASHES)
        }
    return found


def dequantised(policy: Any) -> Any:
    """A dtype policy; of a quantised one what it was made from: float32 of int8_from_float32."""
    name = policy_name(policy)
    made_from = name.partition("_from_")[2] if isinstance(name, str) else ""
    return made_from or policy


def module_of(operation: str) -> str:
    """The module of Keras that has the class of an operation. Raises StopIteration where none has."""
    return next(name for name in OPERATIONS if hasattr(import_module(name), operation))


def options(cls: type) -> frozenset[str]:
    """The options that a class of layers takes, those of what it is made of among them."""
    found = set(COMMON)
    for base in cls.__mro__:
        if "__init__" in vars(base):
            found |= inspect.signature(base.__init__).parameters.keys()  # type: ignore[misc]
    return frozenset(found)
