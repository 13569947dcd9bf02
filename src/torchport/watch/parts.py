"""What a layer of the user's own is made of, by the names of its attributes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

from torchport.names import numbered

#: Attributes in which Keras itself keeps track of layers and variables.
TRACKED = frozenset(
    "_layers _self_tracked_trackables _trainable_variables _non_trainable_variables _trainable_weights "
    "_non_trainable_weights _metrics _tracker _self_unconditional_checkpoint_dependencies "
    "_self_unconditional_dependency_names _seed_generators _obj_reference_counts_dict _functional "
    "_inbound_nodes _outbound_nodes _inbound_nodes_value _outbound_nodes_value _losses _updates optimizer "
    "_callable_losses _eager_losses _compile_metrics _compile_loss".split()
)
#: Lists in lists of layers.
DEPTH = 4


def is_layer(value: Any) -> bool:
    kind = type(value)  # of the object itself, `weights` raises where it was never called
    return hasattr(kind, "weights") and hasattr(kind, "get_config") and callable(value)


def is_variable(value: Any) -> bool:
    """A variable of TensorFlow's, or of Keras 3."""
    return hasattr(value, "assign") and hasattr(value, "trainable") and hasattr(value, "shape")


def is_at_every_step(layer: Any) -> bool:
    """Whether a layer is Keras's TimeDistributed: what it wraps is `layer.layer`."""
    return type(layer).__name__ == "TimeDistributed" and hasattr(layer, "layer")


def innermost(layer: Any) -> Any:
    """What TimeDistributed applies at every step; any other layer itself."""
    return innermost(layer.layer) if is_at_every_step(layer) else layer


def parts(layer: Any) -> dict[str, Any]:
    """Layers and variables by attribute: `conv`, `blocks_0` of a list, `heads_left` of a dict.

    What has two names has the first. Names are those of the class, without the `_` of private ones.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for name, value in list(vars(layer).items()):
        if name in TRACKED:
            continue
        for path, part in below(name.strip("_") or name, value, DEPTH):
            if id(part) not in seen and part is not layer:
                seen.add(id(part))
                found[numbered(path, found)] = part
    return found


def below(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The layers and variables in an attribute."""
    if is_layer(value) or is_variable(value):
        yield path, value
    elif depth and isinstance(value, Mapping):
        for key, item in value.items():
            yield from below(f"{path}_{key}", item, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            yield from below(f"{path}_{at}", item, depth - 1)


def members(layer: Any) -> dict[str, Any]:
    """What the `call` of a layer has by name: its parts, and layers of its module's."""
    found = parts(layer)
    known = {id(it) for it in found.values()}
    for name, it in outside(layer).items():
        if id(it) not in known:
            found[numbered(name, found)] = it
    return found


def outside(layer: Any) -> dict[str, Any]:
    """Layers of its module's that the `call` of a class names: they are no part of its objects."""
    call = inspect.unwrap(vars(layer).get("call") or getattr(type(layer), "call", layer))
    space = getattr(call, "__globals__", {})
    return {
        name: space[name] for name in names_in(getattr(call, "__code__", None)) if is_layer(space.get(name))
    }


def names_in(code: CodeType | None) -> Iterator[str]:
    """The names that code asks its module for, that of functions in it too."""
    if code is not None:
        yield from code.co_names
        for it in code.co_consts:
            if isinstance(it, CodeType):
                yield from names_in(it)


def one_of(layer: Any) -> tuple[int, ...]:
    """What says which layer this is: two chains of the very same layers are one."""
    is_chain = type(layer).__name__ == "Sequential" and type(layer).__module__.startswith(
        ("keras.", "tf_keras.")
    )
    return tuple(map(id, layer.layers)) if is_chain and layer.layers else (id(layer),)


def variable_of(value: Any) -> Any:
    """TensorFlow's variable in one of Keras 3; another value is itself."""
    inner = getattr(value, "_value", None)
    return inner if is_variable(inner) else value
