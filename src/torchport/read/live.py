"""A model in memory, of Keras 3 or tf_keras, without importing either."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import numpy as np

from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Graph, Weight, is_keras_2
from torchport.read import config
from torchport.read.document import bounded
from torchport.read.inherited import as_keras
from torchport.read.layers import Claims, Layer
from torchport.read.subclass import class_of, functional
from torchport.training import compiled

#: The functional models that stand for those of the user's own classes, by id.
Twins = dict[int, Any]


def is_model(source: Any) -> bool:
    """Whether an object looks like a Keras model."""
    has = (hasattr(type(source), name) for name in ("get_config", "layers", "weights"))
    return hasattr(source, "name") and all(has)  # of the object, Keras 2 raises where a part was never called


def read(model: Any) -> Graph:
    """The graph of a live model. Variables are keyed "0", "1"… in the order of `layer.weights`."""
    where = f"the model {model.name!r}"
    given, model = model, functional(model)
    twins: Twins = {}
    saved, version = entry(model, twins)
    graph = config.graph(bounded(saved, where), version, Layers.of(model, twins), where)
    return graph.replace(compiled=compiled(bounded(as_saved(compile_config(given)), where)))


def compile_config(model: Any) -> Any:
    """What `compile` was given, as a file would have it; of people's own objects as far as Keras can say."""
    try:
        saved = model.get_compile_config()
    except Exception:  # a loss or a metric of the user's that has no configuration; Keras before 2.12
        saved = None
    if saved or getattr(model, "optimizer", None) is None:
        return saved
    given = {key: getattr(model, key, None) for key in ("optimizer", "loss", "loss_weights")}
    return {key: named(value) for key, value in given.items()}


def named(value: Any) -> Any:
    """An object of the user's by its class or name."""
    if isinstance(value, Mapping):
        return {str(key): named(it) for key, it in value.items()}
    if isinstance(value, (list, tuple)):
        return [named(it) for it in value]
    plain = value is None or isinstance(value, (str, int, float))
    return value if plain else getattr(value, "__name__", type(value).__name__)


def entry(model: Any, twins: Twins | None = None) -> tuple[dict[str, Any], str]:
    """A model's configuration as a file would have it, and the Keras version.

    `twins` is told which models in it another stands for.
    """
    model = functional(model)
    version = version_of(model, f"the model {model.name!r}")
    with variables_as_numbers(model), with_configs(model):
        saved = with_operands(as_saved(model.get_config()), model)
    tell_functions(saved, model)
    stand_in(saved, model, version, {} if twins is None else twins)
    return {"class_name": class_name(model), "config": saved}, version


@contextmanager
def with_configs(model: Any) -> Iterator[None]:
    """Layers of which Keras knows no configuration have one of their name alone.

    A class of the user's need not have a `get_config` to be called; Keras 2 raises where an argument of its
    `__init__` is no plain value. Source: tf_keras/src/engine/base_layer.py, get_config.
    """
    changed = []
    for layer in getattr(model, "_flatten_layers", lambda: ())():
        if type(layer).__module__.partition(".")[0] in ("keras", "tf_keras") or layer is model:
            continue
        try:
            layer.get_config()
        except Exception:  # the code is the user's: it may raise anything
            named = {"name": layer.name, "trainable": layer.trainable}
            object.__setattr__(layer, "get_config", lambda named=named: dict(named))
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            object.__delattr__(layer, "get_config")


@contextmanager
def variables_as_numbers(model: Any) -> Iterator[None]:
    """The variables that functions of a Keras 2 model were called with, as the numbers that they hold now.

    Keras saves no such model; nor does it train them: no layer of it has them.
    Source: tf_keras/src/engine/node.py, Node.serialize.
    """
    held: list[tuple[Any, str, Any]] = []

    def number(value: Any) -> Any:
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            return type(value)(map(number, value))
        if isinstance(value, dict):
            return {key: number(it) for key, it in value.items()}
        is_variable = hasattr(value, "assign") and not hasattr(value, "_keras_history")
        return np.asarray(value) if is_variable else value

    owners = {id(it): layer for layer in model.layers for it in layer.weights}
    for layer in getattr(model, "_flatten_layers", lambda: ())():
        for node in getattr(layer, "_inbound_nodes", ()):
            for name in ("call_args", "call_kwargs"):
                given = getattr(node, name, None)
                for owner in (owners[id(it)] for it in variables_in(given) if id(it) in owners):
                    why = f"it reads a weight of {owner.name}, which trains with that"
                    advice = "do so in the `call` of a layer or of a model of your own that has the layer"
                    raise Refused((Refusal(str(layer.name), type(layer).__name__, why, advice),))
                if next(variables_in(given), None) is not None:
                    held.append((node, name, given))
                    setattr(node, name, number(given))
    try:
        yield
    finally:
        for node, name, given in held:
            setattr(node, name, given)


def variables_in(tree: Any) -> Iterator[Any]:
    """The variables of TensorFlow in the arguments of a call."""
    if isinstance(tree, (dict, list, tuple)):
        for it in tree.values() if isinstance(tree, dict) else tree:
            yield from variables_in(it)
    elif hasattr(tree, "assign") and not hasattr(tree, "_keras_history"):
        yield tree


def stand_in(saved: dict[str, Any], model: Any, version: str, twins: Twins) -> None:
    """In place of models of the user's own classes, puts functional ones into a model's configuration."""
    name_layers(saved, model)
    layers = {it.name: it for it in model.layers}
    for item in saved.get("layers", ()):
        if (layer := layers.get(item.get("name", item["config"].get("name")))) is not None:
            item |= as_saved(as_keras(layer, item))
    inside = {it.name: it for it in model.layers if is_model(it) and hasattr(it, "compile")}  # no Pipeline
    for item in saved.get("layers", ()):
        inner = inside.get(item.get("name", item["config"].get("name")))
        if inner is None:
            continue
        twin = functional(inner)
        if twin is inner:
            with_operands(item["config"], inner)
            stand_in(item["config"], inner, version, twins)
            continue
        twins[id(inner)] = twin
        made, _ = entry(twin, twins)
        config = {**made["config"], "name": inner.name}
        item |= {"class_name": made["class_name"], "config": config, "module": None, "registered_name": None}
        if class_of(inner) is None and not is_keras_2(version):
            # Calls of a functional model would be counted from 1 here (`config.keras_3_output`).
            saved["output_layers"] = counted_from_1(saved["output_layers"], inner.name)


def name_layers(saved: Mapping[str, Any], model: Any) -> None:
    """Gives layers in the configuration of a Sequential their names, where their class has no `get_config`.

    Source: tf_keras/src/saving/legacy/serialization.py, serialize_keras_object.
    """
    items = saved.get("layers", ())
    for item, layer in zip(reversed(items), reversed(model.layers), strict=False):
        if not isinstance(item.get("config"), dict):
            item["config"] = {}
        if "name" not in item and "name" not in item["config"]:
            item["config"]["name"] = layer.name


def counted_from_1(outputs: Any, name: str) -> Any:
    """Outputs of a model in which the calls of one layer are numbered one higher."""
    if isinstance(outputs, dict):
        return {key: counted_from_1(item, name) for key, item in outputs.items()}
    if len(outputs) == 3 and outputs[0] == name:
        return [name, outputs[1] + 1, outputs[2]]
    return [counted_from_1(it, name) if isinstance(it, (list, dict)) else it for it in outputs]


#: Packages whose functions are known by their names alone.
PACKAGES = ("tensorflow", "tensorflow_addons", "transformers")
#: Functions of Keras of a name that another one of Keras has, as a layer's configuration says neither which:
#: `keras.ops.gelu` is the tanh form, `keras.activations.gelu` is not.
ALIKE: dict[str, dict[str, tuple[str, ...]]] = {
    "keras": {"keras.src.ops": ("gelu",)},
    "tf_keras": {"keras.src": ("gelu", "hard_sigmoid"), "tf_keras.src.backend": ("sqrt",)},
}


def tell_functions(config: Any, layer: Any) -> None:
    """Puts into a live layer's configuration whose function it has, where the name alone would be another's.

    A model's own `swish` is not Keras's.
    """
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        live = getattr(layer, key, None)  # of Normalization a tensor, which has no truth
        if live is None and key == "layer":
            live = getattr(layer, "forward_layer", None)
        if key.endswith("activation") and isinstance(live, FunctionType):
            if (name := function_name(value)) and (owner := owner_of(live, layer)):
                config[key] = {"class_name": "function", "config": name, "owner": owner}
        elif isinstance(value, list) and isinstance(live, (list, tuple)):
            by_name = {getattr(it, "name", ""): it for it in live}
            for item in (it.get("config") for it in value if isinstance(it, dict)):
                tell_functions(item, by_name.get(item.get("name")) if isinstance(item, dict) else None)
        elif isinstance(value, dict) and live is not None:
            tell_functions(value.get("config"), live)


def function_name(spec: Any) -> str:
    """The name of a function in a configuration; empty for anything else."""
    if isinstance(spec, dict):
        spec = spec.get("config") if spec.get("class_name") == "function" else ""
    return spec if isinstance(spec, str) and ">" not in spec else ""


def owner_of(function: FunctionType, layer: Any) -> str:
    """The module of a function that is not the one its name says; empty for one that is."""
    module = function.__module__ or "__main__"
    package = module.partition(".")[0]
    if package in PACKAGES:
        return ""
    if package not in ALIKE:
        return module
    kinds = ALIKE.get(type(layer).__module__.partition(".")[0], ALIKE["keras"])
    return module if any(module.startswith(it) and function.__name__ in kinds[it] for it in kinds) else ""


#: Functions of TensorFlow of which Keras 2 saves the first argument alone: where the others go.
LOST = {"einsum": "inputs", "meshgrid": "inputs", "__operators__.eq": "other", "__operators__.ne": "other"}


def with_operands(config: Any, model: Any) -> Any:
    """The config of a model of Keras 2 with the tensors that it lacks, as its layers know them.

    Source: tf_keras/src/engine/node.py, Node.serialize, which keeps no positional arguments after the first.
    """
    network = {id(node) for nodes in getattr(model, "_nodes_by_depth", {}).values() for node in nodes}
    nodes = {layer.name: [it for it in getattr(layer, "_inbound_nodes", ()) if id(it) in network]
             for layer in model.layers}  # fmt: skip
    for entry in config.get("layers", ()) if isinstance(config, dict) else ():
        settings = entry.get("config")
        function = settings.get("function") if isinstance(settings, dict) else None
        if entry.get("class_name") != "TFOpLambda" or function not in LOST:
            continue
        for saved, node in zip(entry["inbound_nodes"], nodes.get(entry["config"]["name"], ()), strict=False):
            args = [operand(it, nodes) for it in node.call_args]
            first = saved[0] if isinstance(saved[0], list) else saved
            key = LOST[function]
            first[3][key] = args[1] if key == "other" else args[function == "einsum" :]
    return config


def operand(value: Any, nodes: Mapping[str, Any]) -> Any:
    """A tensor of the graph as a file refers to it, or a constant."""
    history = getattr(value, "_keras_history", None)
    if history is None:
        return as_saved(value.numpy() if hasattr(value, "numpy") else value)
    node = history.layer._inbound_nodes[history.node_index]
    place = next((at for at, it in enumerate(nodes.get(history.layer.name, ())) if it is node), 0)
    return [history.layer.name, place, history.tensor_index]


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
    #: The functional models that stand for others, by id.
    twins: Mapping[int, Any] = field(default_factory=dict)
    #: Ids of the variables that the model trains.
    trained: frozenset[int] = frozenset()
    #: What each variable is, by its id: a layer that is in two models has the same twice.
    loads: dict[int, Weight] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, twins: Mapping[int, Any]) -> Layers:
        trained = frozenset(id(variable) for variable in model.trainable_variables)
        return cls({layer.name: layer for layer in model.layers}, "", twins, trained)

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        if layer.is_operation or layer.has_body:
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
        model = self.layer(layer)
        model = model.layer if layer.stepwise else model
        inner = {it.name: it for it in self.twins.get(id(model), model).layers}
        return replace(self, layers=inner, path=f"{self.path}{layer.name}/")

    def reference(self, variable: Any, name: str) -> Weight:
        """A variable by the name that it has here."""
        if id(variable) not in self.loads:
            trains = id(variable) in self.trained
            self.loads[id(variable)] = replace(reference(variable, name), trains=trains)
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
