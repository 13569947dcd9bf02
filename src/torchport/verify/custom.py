"""Classes and functions of the user's own that TensorFlow needs: handed over, or those of a live model."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import is_keras_2
from torchport.verify.frameworks import tensorflow

#: Packages whose classes and functions Keras finds by itself.
FOUND = frozenset({"keras", "tf_keras"})
ADVICE = "--custom takes the Python file, or the module, that has the classes of your Keras layers"


def custom_objects(custom: Any, dialect: str) -> dict[str, Any]:
    """By every name that a file may have for it, what `custom` gives.

    `custom`: a mapping, a Python file or the name of a module, which is run, or several of these. `dialect`:
    the Keras version that wrote the model, which is what `tf.keras` stands for in the user's files.
    """
    if custom is None:
        return {}
    if isinstance(custom, Mapping):
        return {key: it for name, value in custom.items() for key, it in spelled(str(name), value)}
    if isinstance(custom, Sequence) and not isinstance(custom, str):
        return {key: it for part in custom for key, it in custom_objects(part, dialect).items()}
    if is_keras_2(dialect):
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    tensorflow()
    module = module_of(str(custom))
    own = [(name, it) for name, it in vars(module).items() if is_own(it)]
    return {key: it for name, value in own for key, it in spelled(name, value)}


def module_of(custom: str) -> types.ModuleType:
    """The module of a file, or of that name; run. Raises TorchportError."""
    path = Path(custom)
    try:
        if path.suffix != ".py" and not path.is_file():
            return importlib.import_module(custom)
        name = f"torchport_custom_{abs(hash(str(path.resolve())))}"
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module
    except Exception as error:  # the file is the user's: it may raise anything
        what = f"cannot be run ({type(error).__name__}: {error})"
        raise TorchportError(what, where=custom, advice=ADVICE) from error


def is_own(value: Any) -> bool:
    """Whether it is a class that Keras makes from a configuration, or a function."""
    is_class = isinstance(value, type) and hasattr(value, "from_config")
    return (is_class or isinstance(value, types.FunctionType)) and package(value) not in FOUND


def package(value: Any) -> str:
    return str(getattr(value, "__module__", "")).partition(".")[0]


def spelled(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """An object by the name that it was given, by its own, and as Keras registers it."""
    own = getattr(value, "__name__", name)  # of a function without a name it is "<lambda>"
    for key in dict.fromkeys((name, own)):
        yield key, value
        yield f"Custom>{key}", value


def of_model(model: Any) -> dict[str, Any]:
    """The classes and functions of a live model's layers that are not Keras's."""
    found: dict[str, Any] = {}
    for layer in (model, *model._flatten_layers(include_self=False)):
        for value in (type(layer), *parts(layer)):
            if is_own(value):
                found.update(spelled(value.__name__, value))
    return found


def parts(layer: Any) -> Iterator[Any]:
    """What a layer is set to: functions, and the classes of initialisers and the like."""
    for value in vars(layer).values():
        if isinstance(value, types.FunctionType):
            yield value
        elif hasattr(value, "get_config"):
            yield type(value)


@contextmanager
def without_functions(model: Any, linear: Any) -> Iterator[None]:
    """A live model whose configuration Keras reads back: where its layers have functions it has `linear`.

    Keras 3 writes a function without a name in a way that it does not read.
    """
    held = [
        (layer, name, value)
        for layer in model._flatten_layers()
        if type(layer).__name__ != "Lambda"
        for name, value in vars(layer).items()
        if isinstance(value, types.FunctionType) and package(value) not in FOUND
    ]
    for layer, name, _ in held:
        setattr(layer, name, linear)
    try:
        yield
    finally:
        for layer, name, value in held:
            setattr(layer, name, value)


def adopt_functions(source: Any, target: Any) -> None:
    """A rebuilt layer's functions are those of the layer it was rebuilt of, which their names may not say."""
    for name, value in vars(source).items():
        other = vars(target).get(name)
        if isinstance(value, types.FunctionType) and isinstance(other, types.FunctionType):
            if value is not other:
                setattr(target, name, value)
