"""Classes and functions of the user's own that TensorFlow needs: those of a live model."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torchport.watch.code import FOUND, custom_objects, is_own, package, spelled

__all__ = ["adopt_functions", "custom_objects", "of_model", "without_functions"]


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
    """A rebuilt layer's functions are those of the layer it was rebuilt of, which their names may not say.

    One of the same code it has itself: what that holds is its own, such as the layer that it is part of.
    """
    for name, value in vars(source).items():
        other = vars(target).get(name)
        if isinstance(value, types.FunctionType) and isinstance(other, types.FunctionType):
            if value.__code__ is not other.__code__:
                setattr(target, name, value)
