"""Layers of the user's own classes that set options of one of Keras's, and compute what that computes.

before:  class InstanceNormalization(GroupNormalization): def __init__(self): super().__init__(groups=-1)
after:   GroupNormalization, groups=-1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchport.read.subclass import package_of

#: What a class may define that changes nothing of what its base computes.
IDLE = frozenset(
    "__init__ get_config from_config compute_output_shape compute_output_spec __module__ __doc__ "
    "__qualname__ __annotations__ __firstlineno__ __static_attributes__ __annotate__ __annotate_func__ "
    "__annotations_cache__ __slotnames__ _keras_api_names _keras_api_names_v1 _tf_decorator __parameters__ "
    "__orig_bases__ __abstractmethods__ _abc_impl".split()
)
#: Keras's classes that compute nothing themselves, or what others do.
ABSTRACT = frozenset(
    "Layer Model Sequential Functional Wrapper Lambda RNN Bidirectional TimeDistributed TFDataLayer "
    "AbstractRNNCell DropoutRNNCell Pipeline BaseRandomLayer BaseImageAugmentationLayer Operation "
    "Module".split()
)


def keras_base(layer: Any) -> type | None:
    """Keras's class that a layer of the user's own class computes as; None where it has more of its own."""
    kinds = type(layer).__mro__
    at = next((at for at, cls in enumerate(kinds) if package_of(cls) is not None), 0)
    base = kinds[at]
    if not at or base.__name__ in ABSTRACT or "call" in vars(layer) or not hasattr(base, "get_config"):
        return None
    own = (vars(cls).keys() for cls in kinds[:at])
    return base if all(names <= IDLE for names in own) and is_public(base) else None


def is_public(cls: type) -> bool:
    """Whether a class is one of the layers that Keras has: not one that they are made of."""
    package = package_of(cls)
    return getattr(getattr(package, "layers", None), cls.__name__, None) is cls


def as_keras(layer: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a layer in a configuration as one of Keras's class, where it computes as that does.

    What TimeDistributed applies too.
    """
    found = dict(saved)
    if (base := keras_base(layer)) is not None:
        config = base.get_config(layer)  # type: ignore[attr-defined]
        found |= {"class_name": base.__name__, "config": config}
        found |= {key: None for key in ("module", "registered_name") if key in found}
    inner, config = getattr(layer, "layer", None), found.get("config")
    if inner is not None and isinstance(config, Mapping) and isinstance(config.get("layer"), Mapping):
        found["config"] = {**config, "layer": as_keras(inner, config["layer"])}
    return found
