"""In which mode Keras 3 runs the layers of a model: each by its own word, where it has one.

`model(x, training=False)` wins over a layer's own `training=True`, and `model(x)` hands a layer's own on to
all layers after it. A port does neither: what an author said of a layer holds for that layer.
Source: keras/src/models/functional.py, operation_fn; keras/src/layers/layer.py, _resolve_and_populate_arg.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


class Unsaid(int):
    """False, for layers of which nobody says more."""


#: The mode of inference, to be given to a model of Keras 3.
UNSAID = Unsaid(0)


def usual(operation: Any) -> Any:
    """The mode of a layer that nobody told one; Keras keeps it as if it were said. True of random images."""
    parameter = inspect.signature(type(operation).call).parameters.get("training")
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def own_word(operation_fn: Callable[..., Any]) -> Callable[..., Any]:
    """`operation_fn`, which calls a model's layers, for which UNSAID does not win over a layer's own mode."""

    def call_of(operation: Any, **said: Any) -> Any:
        call = operation_fn(operation, **said)
        if not isinstance(said.get("training"), Unsaid):
            return call
        as_said = operation_fn(operation, **{**said, "training": None})

        def called(*args: Any, **kwargs: Any) -> Any:
            mode = kwargs.get("training")
            return (call if mode is None or mode == usual(operation) else as_said)(*args, **kwargs)

        return called

    return call_of
