"""Whole models in one HDF5 file: tf.keras, Keras 2, and the legacy format of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torchport.errors import BadFile
from torchport.graph import Graph, Weight
from torchport.read import config, dialect
from torchport.read.document import parse
from torchport.read.layers import Layer
from torchport.read.variables import DAMAGED, Variables

WEIGHTS = "model_weights"


def read(path: Path) -> Graph:
    """The model of a `.h5` file. Its variables are keyed "0", "1"… in the order of `weight_names`.

    Those of a nested model are one flat list, on the op of the model itself: all that are trained,
    then the others. Their names are the file's own, since they tell which layer each belongs to.
    """
    where = str(path)
    file = Variables.open(path, path.stat().st_size, where)
    model_config = file.text("", "model_config")
    if model_config is None:
        raise BadFile(
            "holds no model, only weights: the attribute model_config is missing",
            where=where,
            advice="save the whole model with model.save(...), not only its weights",
        )
    if WEIGHTS not in file.groups:
        raise BadFile(f"has no group {WEIGHTS}", where=where, advice=DAMAGED)
    version = file.text("", "keras_version") or file.text(WEIGHTS, "keras_version") or "1"
    dialect.check_version(version, where)
    layer_names = file.texts(WEIGHTS, "layer_names")
    if layer_names is None:
        raise BadFile(f"{WEIGHTS} does not list its layers", where=where, advice=DAMAGED)
    claims = LayerGroups(file, frozenset(layer_names))
    graph = config.graph(parse(model_config, where), version, claims, where)
    claims.check_all_claimed()
    return graph


@dataclass(frozen=True)
class LayerGroups:
    """The variables of a legacy file: a group for each layer, by its name."""

    file: Variables
    names: frozenset[str]
    claimed: set[str] = field(default_factory=set)

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        group = f"{WEIGHTS}/{layer.name}"
        if layer.name not in self.names or group not in self.file.groups:
            if layer.is_operation:
                return {}
            raise BadFile(
                f"has no variables of the layer {layer.name!r}",
                where=self.file.where,
                advice=DAMAGED,
            )
        found = {}
        for number, name in enumerate(self.file.texts(group, "weight_names") or ()):
            path = f"{group}/{name}"
            if path not in self.file.datasets:
                raise BadFile(
                    f"the weight {path} is missing", where=self.file.where, advice=DAMAGED
                )
            if path in self.claimed:
                raise BadFile(
                    f"the weight {path} is listed twice", where=self.file.where, advice=DAMAGED
                )
            self.claimed.add(path)
            found[str(number)] = self.file.weight(
                path, f"{layer.name}/{name if layer.is_model else number}"
            )
        return found

    def inside(self, layer: Layer) -> Within:
        return Within()

    def check_all_claimed(self) -> None:
        """Raises BadFile if variables are left over that belong to no layer."""
        left = [
            p for p in self.file.datasets if p.startswith(f"{WEIGHTS}/") and p not in self.claimed
        ]
        if left:
            raise BadFile(
                f"{len(left)} variables belong to no layer of the model, such as {left[0]}",
                where=self.file.where,
                advice="configuration and weights are of different models, or the model has "
                "weights of its own beside its layers",
            )


@dataclass(frozen=True)
class Within:
    """The claims inside a nested model of a legacy file: none, the model holds them as one list."""

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        return {}

    def inside(self, layer: Layer) -> Within:
        return self
