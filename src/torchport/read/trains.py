"""Which layers of a file train, once Keras has loaded it.

What counts is the flag of the layer that has the weights. Keras 2 asks the layers around it as well, but not
the models: when it loads one, their flags are lost. Keras 3 asks no one else but the model as a whole, and
forgets the flag of a layer that makes layers of its own while it is built.
Source: tf_keras/src/engine/base_layer.py and functional.py, from_config; keras/src/layers/layer.py,
trainable_variables and _track_variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torchport.graph import is_keras_2

#: Layers of Keras 3 whose parts are made without their flag.
FORGETS = frozenset("MultiHeadAttention GroupQueryAttention ConvLSTM1D ConvLSTM2D ConvLSTM3D".split())
#: Why a layer is refused of which a part trains, and what to do.
PARTLY = ("a part of its weights trains, another does not", "freeze all of the layer, or none")
#: Where a layer has the layers inside of it.
INSIDE = ("layer", "backward_layer", "cell", "cells")


def flags(kind: str, config: Mapping[str, Any], version: str) -> tuple[bool, ...]:
    """Whether each of the layers that have a layer's weights trains."""
    own = config.get("trainable") is not False
    inner = [it for key in INSIDE for it in _inside(config.get(key), version)]
    if is_keras_2(version):
        return tuple(own and it for it in inner) or (own,)
    return (True,) if kind in FORGETS else tuple(inner) or (own,)


def _inside(entry: Any, version: str) -> Iterator[bool]:
    if isinstance(entry, (list, tuple)):
        for it in entry:
            yield from _inside(it, version)
    elif isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping):
        yield from flags(str(entry.get("class_name")), entry["config"], version)
