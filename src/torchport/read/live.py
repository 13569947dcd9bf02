"""A model in memory, of Keras 3 or tf_keras, without importing either."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from torchport.errors import BadFile
from torchport.graph import Graph, Weight
from torchport.read import config, dialect
from torchport.read.document import bounded
from torchport.read.layers import Claims, Layer


def is_model(source: Any) -> bool:
    """Whether an object looks like a Keras model."""
    return all(hasattr(source, name) for name in ("get_config", "layers", "weights", "name"))


def read(model: Any) -> Graph:
    """The graph of a live model. Variables are keyed "0", "1"… in the order of `layer.weights`."""
    where = f"the model {model.name!r}"
    saved, version = entry(model)
    return config.graph(bounded(saved, where), version, Layers.of(model), where)


def entry(model: Any) -> tuple[dict[str, Any], str]:
    """A model's configuration as a file would have it, and the Keras version."""
    if not dialect.is_layer_module(type(model).__module__):
        raise config.subclassed(str(model.name), type(model).__name__)
    try:
        saved = model.get_config()
    except NotImplementedError:
        raise config.subclassed(str(model.name), type(model).__name__) from None
    made = {"class_name": class_name(model), "config": as_saved(saved)}
    return made, version_of(model, f"the model {model.name!r}")


def class_name(model: Any) -> str:
    """Sequential or Functional, of which every model that has a config is one."""
    names = [cls.__name__ for cls in type(model).__mro__]
    return next((name for name in names if name in ("Sequential", "Functional")), names[0])


def version_of(model: Any, where: str) -> str:
    """The version of the package that the model's class comes from."""
    package = sys.modules.get(type(model).__module__.split(".")[0])
    version = getattr(package, "__version__", None)
    if not isinstance(version, str):
        raise BadFile(f"cannot tell the Keras version of {type(model).__module__}", where=where)
    return version


def as_saved(value: Any) -> Any:
    """A config as JSON would hold it: lists for tuples, numbers of Python, texts."""
    if isinstance(value, np.generic):  # np.str_ and np.float64 are a str and a float, but not written so
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if value is ...:
        return {"class_name": "__ellipsis__"}
    if isinstance(value, Mapping):
        return {str(key): as_saved(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_saved(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "as_list"):  # tf.TensorShape, and lists that tf.keras wraps
        return as_saved(value.as_list())
    if isinstance(getattr(value, "name", None), str):  # tf.DType and the like
        return value.name
    return f"<{type(value).__module__}.{type(value).__qualname__}>"  # e.g. the function of a Lambda


@dataclass(frozen=True)
class Layers(Claims):
    """The variables of a live model's layers, by name."""

    layers: Mapping[str, Any]
    path: str = ""
    #: What each variable is, by its id: a layer that is in two models has the same twice.
    loads: dict[int, Weight] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any) -> Layers:
        return cls({layer.name: layer for layer in model.layers})

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        if layer.is_operation or layer.is_model:
            return {}
        return {
            str(number): self.reference(variable, f"{self.path}{layer.name}/{short(variable)}")
            for number, variable in enumerate(variables(self.layer(layer)))
        }

    def adapted(self, layer: Layer) -> Mapping[str, Any]:
        made = self.layer(layer)
        lookup = getattr(made, "_lookup_layer", made)
        found: dict[str, Any] = {"vocabulary": as_saved(lookup.get_vocabulary())}
        if (weights := getattr(lookup, "idf_weights_const", None)) is not None:
            found["idf_weights"] = as_saved(np.asarray(weights))
        return found

    def inside(self, layer: Layer) -> Layers:
        inner = {it.name: it for it in self.layer(layer).layers}
        return Layers(inner, f"{self.path}{layer.name}/", self.loads)

    def reference(self, variable: Any, name: str) -> Weight:
        """A variable by the name that it has here."""
        if id(variable) not in self.loads:
            self.loads[id(variable)] = reference(variable, name)
        return replace(self.loads[id(variable)], name=name)

    def layer(self, layer: Layer) -> Any:
        if layer.name not in self.layers:
            raise BadFile(f"the model's config names a layer {layer.name!r} that the model does not have")
        return self.layers[layer.name]


def variables(layer: Any) -> Iterator[Any]:
    """The weights of a layer, but not the state of its random numbers."""
    for variable in layer.weights:
        path = str(getattr(variable, "path", variable.name))
        if "seed_generator" not in path and "random_generator" not in path:
            yield variable


def short(variable: Any) -> str:
    """A variable's own name: `kernel`."""
    return str(variable.name).rpartition("/")[2].partition(":")[0]


def reference(variable: Any, name: str) -> Weight:
    """A variable as it is now: the model may be trained further before the port is written."""
    shape = tuple(int(size) for size in variable.shape)
    dtype = getattr(variable.dtype, "name", variable.dtype)
    array: np.ndarray = np.asarray(variable.numpy())
    if dtype == "bfloat16":
        array = array.astype(np.float32)
    return Weight(name, shape, str(dtype), lambda: array)
