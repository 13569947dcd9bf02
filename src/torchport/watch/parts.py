"""What a layer of the user's own is made of, by the names of its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def variable_of(value: Any) -> Any:
    """TensorFlow's variable in one of Keras 3; another value is itself."""
    inner = getattr(value, "_value", None)
    return inner if is_variable(inner) else value
