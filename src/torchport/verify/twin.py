"""A copy of a layer of the user's own that computes in another dtype: the object, not its configuration.

A class need not have a `get_config`, and one that has may forget an argument. Copied is what a layer is made
of: layers, variables, lists of them, constants; all else is shared.
"""

from __future__ import annotations

import inspect
import threading
import types
import weakref
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import numpy as np

from torchport.read import dialect
from torchport.read.inherited import keras_base
from torchport.read.live import name_layers, with_configs
from torchport.verify.frameworks import tensorflow
from torchport.verify.retype import retyped
from torchport.watch import is_own
from torchport.watch.parts import innermost, is_layer, is_variable, one_of, outside, variable_of

#: What ties a layer to the graph of the model that it is in.
NODES = frozenset({"_inbound_nodes", "_outbound_nodes", "_inbound_nodes_value", "_outbound_nodes_value"})
#: Modules whose objects are copied wherever they stand.
COPIED = ("keras.src.utils.tracking", "keras.src.random")
#: Those that only count what they know.
EMPTIED = "tensorflow.python.util.object_identity"
FLOATS = ("float16", "bfloat16", "float32", "float64")


class Twin:
    """Copies in one dtype; of each object one.

    `unfused`: gets the batch normalisations whose kernel, of float32 alone, computes in another way. Source:
    tf_keras/src/layers/normalization/batch_normalization.py, _fused_can_be_used.
    """

    def __init__(self, keras: Any, dtype: str, unfused: WeakSet[Any]) -> None:
        self.keras, self.dtype, self.unfused = keras, dtype, unfused
        self.known: dict[int, Any] = {}
        self.chains: dict[tuple[int, ...], Any] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        """The copy of a value, or the value itself where nothing in it computes."""
        if id(value) in self.known:
            return self.known[id(value)]
        made = self._made(value)
        self.known[id(value)] = made
        self.kept.append(value)
        return made

    def _made(self, value: Any) -> Any:
        tf = tensorflow()
        if value is None or isinstance(value, (bool, int, float, str, bytes, type)):
            return value
        if isinstance(value, types.FunctionType):
            return self._closure(value)
        if is_variable(value):
            return self._variable(value)
        if isinstance(value, tf.Tensor):
            is_held = hasattr(value, "numpy") and value.dtype.name in FLOATS
            if not is_held:
                return value
            return tf.constant(self._array(value.numpy()), self.dtype)
        if isinstance(value, tf.DType):
            return tf.as_dtype(self.dtype) if value.name in FLOATS else value
        if isinstance(value, (np.ndarray, np.floating)):
            return self._array(value)
        if (
            hasattr(value, "compute_dtype")
            and hasattr(value, "variable_dtype")
            and not hasattr(value, "weights")
        ):
            return self._policy(value)
        if type(value).__module__ == EMPTIED:
            return type(value)()
        if isinstance(value, weakref.WeakKeyDictionary):
            return self._cache(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self.of(value.__self__))
        if isinstance(value, threading.local):
            made = threading.local()
            made.__dict__.update(value.__dict__)
            return made
        if hasattr(value, "weights") and hasattr(value, "get_config") or self._is_copied(value):
            return self._object(value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, tuple):
            items = [self.of(it) for it in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return value

    def _array(self, value: Any) -> Any:
        """An array in the dtype; a single number is the decimal that the port has, 0.2."""
        if value.dtype != np.float32:
            return value
        wide = np.asarray(dialect.shortest(value)) if value.ndim == 0 else value
        return wide.astype(self.dtype)[()]

    @staticmethod
    def _is_copied(value: Any) -> bool:
        return type(value).__module__.startswith(COPIED) and hasattr(value, "__dict__") and not isinstance(
            value, (list, dict, set)
        )  # fmt: skip

    def _object(self, value: Any) -> Any:
        if is_described(value) and not is_own(value):
            return self._model(value)
        made = object.__new__(type(value))
        self.known[id(value)] = made
        first = [it for it in vars(value).values() if is_described(it)]
        for it in first:  # the layers of a list, which a model was made of afterwards, are the model's
            self.of(it)
        for name, it in vars(value).items():
            made.__dict__[name] = [] if name in NODES else self.of(it)
        if self.dtype == "float64" and made.__dict__.get("fused") is True:
            made.fused = False
            self.unfused.add(made)
        if layers := outside(value):
            made.__dict__["call"] = types.MethodType(self._function(type(value).call, layers), made)
        return made

    def _function(self, call: Any, layers: Mapping[str, Any]) -> Any:
        """A function that finds copies in its module where it looks for these layers."""
        call = inspect.unwrap(call)
        space = {**call.__globals__, **{name: self.of(it) for name, it in layers.items()}}
        made = types.FunctionType(call.__code__, space, call.__name__, call.__defaults__, call.__closure__)
        made.__kwdefaults__ = call.__kwdefaults__
        return made

    def _closure(self, function: types.FunctionType) -> Any:
        """A function that holds copies of the layers and variables it holds, as `lambda x: self.dense(x)`.

        Or their methods: a decorator around `self.call`.
        """
        if not computes(function, set()):
            return function
        cells = tuple(types.CellType(self.of(it.cell_contents)) if holds(it) else it
                      for it in function.__closure__ or ())  # fmt: skip
        made = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
        )
        made.__kwdefaults__ = function.__kwdefaults__
        made.__dict__.update({name: self.of(it) for name, it in function.__dict__.items()})
        return made

    def _model(self, value: Any) -> Any:
        """A model that is described by its layers, which Keras rebuilds."""
        if one_of(value) in self.chains:
            return self.chains[one_of(value)]
        stand = Stand(self)
        with with_configs(value):
            config = retyped(stand.configured(value.get_config(), value), self.dtype)
        with self.keras.utils.custom_object_scope(stand.custom):
            made = type(value).from_config(config)
        if not made.built:
            made.build([tuple(it.shape) for it in value.inputs][0])
        made.set_weights(value.get_weights())
        made.trainable = value.trainable
        for ours, theirs in zip(value.layers, made.layers, strict=False):
            if type(ours) is type(theirs):
                self.known.setdefault(id(ours), theirs)
        self.chains[one_of(value)] = made
        return made

    def _cache(self, value: Any) -> Any:
        """A cache by graphs, empty: `ContextValueCache` of tf_keras/src/backend.py, what cells drop."""
        cls: Any = type(value)
        made = cls.__new__(cls)
        weakref.WeakKeyDictionary.__init__(made)
        self.known[id(value)] = made
        own = {name: it for name, it in vars(value).items() if name not in vars(made)}
        made.__dict__.update({name: self.of(it) for name, it in own.items()})
        return made

    def _list(self, value: list[Any]) -> Any:
        if type(value).__module__.startswith("tensorflow."):  # one that it keeps track of
            return type(value)([self.of(it) for it in value])
        made = list.__new__(type(value))
        self.known[id(value)] = made
        for key, it in getattr(value, "__dict__", {}).items():
            made.__dict__[key] = self.of(it)
        list.extend(made, [self.of(it) for it in value])
        return made

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if not all(isinstance(key, (str, int)) for key in value):
            return value
        if type(value).__module__.startswith("tensorflow."):
            wrap: Any = type(value)
            return wrap({key: self.of(it) for key, it in value.items()})
        made: dict[Any, Any] = {}
        self.known[id(value)] = made
        made.update({key: self.of(it) for key, it in value.items()})
        return made

    def _policy(self, value: Any) -> Any:
        if value.compute_dtype not in FLOATS:
            return value
        cls = getattr(self.keras, "DTypePolicy", None) or self.keras.mixed_precision.Policy
        return cls(self.dtype)

    def _variable(self, value: Any) -> Any:
        tf = tensorflow()
        name = getattr(value.dtype, "name", value.dtype)
        if variable_of(value) is value:
            dtype = self.dtype if name in FLOATS else name
            made = tf.Variable(
                tf.cast(value, dtype), trainable=value.trainable, name=str(value.name).partition(":")[0]
            )
            for key in ("_keras_mask", "_handle_name"):
                if hasattr(value, key):
                    setattr(made, key, getattr(value, key))
            return made
        made = object.__new__(type(value))  # Keras 3, around one of TensorFlow's
        self.known[id(value)] = made
        for key, it in vars(value).items():
            made.__dict__[key] = self.dtype if key == "_dtype" and name in FLOATS else self.of(it)
        return made


def holds(cell: types.CellType) -> bool:
    """Whether anything is in a cell yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def is_described(value: Any) -> bool:
    """Whether a value is a model that its layers describe."""
    return getattr(value, "_functional", None) is not None or hasattr(value, "_nodes_by_depth")


def computes(value: Any, seen: set[int]) -> bool:
    """Whether a value is a layer, a variable, a method of one, or a function that holds such."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, types.MethodType):
        return computes(value.__self__, seen)
    if isinstance(value, types.FunctionType):
        cells = [it.cell_contents for it in value.__closure__ or () if holds(it)]
        return any(computes(it, seen) for it in cells)
    return is_layer(value) or is_variable(value)


def is_copied(layer: Any) -> bool:
    """Whether a layer is the user's own, or applies such ones at every step."""
    inner = innermost(layer)
    return (
        is_own(inner)
        or keras_base(inner) is not None
        or inner is not layer
        and any(map(is_own, inner._flatten_layers()))
    )


class Stand:
    """What Keras finds in a configuration in the place of a layer of the user's own: its copy."""

    name = "TorchportTwin"

    def __init__(self, twin: Twin) -> None:
        self.twin, self.layers = twin, list[Any]()

    def entry(self, item: dict[str, Any], layer: Any) -> dict[str, Any]:
        """The entry of a layer in a configuration as one of its copy."""
        self.layers.append(layer)
        config = {"name": layer.name, "number": len(self.layers) - 1}
        return {**item, "class_name": self.name, "config": config, "module": None,
                "registered_name": self.name, "build_config": None}  # fmt: skip

    def configured(self, config: Any, model: Any) -> Any:
        """A model's configuration in which layers of the user's own are copies."""
        if not isinstance(config, dict) or "layers" not in config:
            return config
        name_layers(config, model)
        inside = {str(it.name): it for it in model.layers}
        items = []
        for item in config["layers"]:
            layer = inside.get(str(item.get("name", item["config"].get("name"))))
            if layer is not None and is_copied(layer):
                item = self.entry(item, layer)
            elif layer is not None and hasattr(layer, "layers"):
                item = {**item, "config": self.configured(item["config"], layer)}
            items.append(item)
        return {**config, "layers": items}

    @property
    def custom(self) -> dict[str, Any]:
        """The class under whose name Keras makes the copies."""
        stand = self

        class TorchportTwin:
            @classmethod
            def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
                return stand.twin.of(stand.layers[int(config["number"])])

        return {self.name: TorchportTwin}
