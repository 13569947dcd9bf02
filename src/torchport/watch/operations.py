"""The operation of keras.ops that a call of a function makes on symbols."""

from __future__ import annotations

import inspect
from typing import Any

from torchport.watch.spy import Event


class Seen(Exception):
    """Stops a function of keras.ops where it has the operation that it stands for."""


def operation(event: Event) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """The operation of keras.ops that a call makes on symbols, and what that is called with."""
    from keras.src.ops.operation import Operation

    held: list[Any] = []
    space = getattr(inspect.unwrap(event.target), "__globals__", {})
    test, own = space.get("any_symbolic_tensors"), Operation.symbolic_call

    def symbolic_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        held.append((self, args, kwargs))
        raise Seen

    if test is None:
        return None
    space["any_symbolic_tensors"] = lambda *args, **kwargs: True
    Operation.symbolic_call = symbolic_call
    try:
        event.target(*event.args, **event.kwargs)
    except Seen:
        pass
    except Exception:  # what it does before is for symbols alone
        held.clear()
    finally:
        space["any_symbolic_tensors"] = test
        Operation.symbolic_call = own
    return held[0] if held else None


def options(target: Any) -> dict[str, Any]:
    """The options of an operation, tensors among them; a configuration has none.

    Source: keras/src/ops/operation.py, get_config.
    """
    try:
        return {key: it for key, it in target.get_config().items() if key != "name"}
    except NotImplementedError:
        names = list(inspect.signature(type(target).__init__).parameters)[1:]
        return {name: getattr(target, name) for name in names if name != "name" and hasattr(target, name)}
