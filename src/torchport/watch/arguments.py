"""What a layer is called with and what it gives, by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torchport.graph import Ref
from torchport.nest import leaves
from torchport.watch.nodes import is_tensor
from torchport.watch.spy import Event


def by_name(event: Event) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a layer is called with, the mode and masks by their names: `self.drop(x, training)`."""
    names = parameters(event.target)
    at = next((at for at, name in enumerate(names) if name in ("training", "mask")), len(event.args))
    return event.args[:at], {**dict(zip(names[at:], event.args[at:], strict=False)), **event.kwargs}


def implied(event: Event) -> list[str]:
    """The masks that Keras handed to a layer's `call` by itself."""
    _, kwargs = event.called or ((), {})
    return [
        key for key in kwargs if (key == "mask" or key.endswith("_mask")) and event.kwargs.get(key) is None
    ]


def nested(result: Any, names: Iterator[str]) -> Any:
    """What a layer gave, with the names of its tensors."""
    if isinstance(result, Mapping):
        found = {key: nested(result[key], names) for key in sorted(result)}
        return {key: found[key] for key in result}
    if isinstance(result, (list, tuple)):
        items = [nested(it, names) for it in result if is_given(it)]
        return items[0] if len(items) == 1 else items
    return Ref(next(names))


def is_given(value: Any) -> bool:
    """Whether there is a tensor in what a layer gave: no number, and not None."""
    return any(hasattr(it, "dtype") for it in leaves(value))


def given(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tensors that a layer's `call` got, by the names of its parameters, modes left out."""
    seen: set[int] = set()

    def below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if is_tensor(value):
            if id(value) in seen:
                return
            seen.add(id(value))
            yield path, value
        elif isinstance(value, Mapping):
            for key in sorted(value):
                yield from below(str(key), value[key])
        elif isinstance(value, (list, tuple)):
            for at, item in enumerate(value):
                yield from below(f"{path}_{at}", item)

    for name, value in placed(layer, args, kwargs).items():
        yield from below(name, value)


def placed(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a layer's `call` by the names of its parameters, in their order, modes left out."""
    names = parameters(layer)
    found = {names[at] if at < len(names) else f"x{at}": value for at, value in enumerate(args)}
    order = {name: at for at, name in enumerate(names)}
    for key in sorted(kwargs, key=lambda key: (order.get(key, len(order)), key)):
        found[key] = kwargs[key]
    return {key: value for key, value in found.items() if key != "training"}


def parameters(layer: Any) -> list[str]:
    """What a layer's `call` calls its arguments."""
    call = layer.function if type(layer).__name__ == "Lambda" else type(layer).call
    found = inspect.signature(call).parameters.values()
    names = [it.name for it in found if it.kind not in (it.VAR_POSITIONAL, it.VAR_KEYWORD)]
    return names if type(layer).__name__ == "Lambda" else names[1:]
