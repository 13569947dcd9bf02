"""Whole models, and weights, in one HDF5 file: Keras 1 and 2, tf.keras, and the legacy format of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph, Weight
from torchport.read import config, dialect, keras1
from torchport.read.document import parse
from torchport.read.layers import Claims, Layer
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
            advice="give the architecture too, --config model.json, or save the whole model",
        )
    if WEIGHTS not in file.groups:
        raise BadFile(f"has no group {WEIGHTS}", where=where, advice=DAMAGED)
    claims = LayerGroups.of(file, WEIGHTS)
    dialect.check_version(claims.version, where)
    entry = parse(model_config, where)
    if keras1.is_keras_1(claims.version):
        entry = keras1.model(entry, claims.order, where)
    graph = config.graph(entry, claims.version, claims, where)
    claims.check_all_claimed()
    return graph


@dataclass(frozen=True)
class LayerGroups(Claims):
    """The variables of a legacy file: a group for each layer, by its name.

    `root` is the group that holds them, `version` and `backend` are who wrote them. `groups` are those of
    layers that the architecture calls otherwise.
    """

    file: Variables
    root: str
    order: tuple[str, ...]
    version: str
    backend: str
    groups: Mapping[str, str] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, file: Variables, root: str) -> LayerGroups:
        names = file.texts(root, "layer_names")
        if names is None:
            raise BadFile(f"{root or 'it'} does not list its layers", where=file.where, advice=DAMAGED)
        version, backend = (
            file.text("", name) or file.text(root, name) for name in ("keras_version", "backend")
        )
        return cls(file, root, tuple(names), version or "1", backend or "")

    @property
    def is_old(self) -> bool:
        return keras1.is_keras_1(self.version)

    def group(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        found = self.own(layer)
        if layer.is_model:
            if self.backend == "theano" and found and not self.is_old:
                advice = "load it with Keras 2 and save the weights again with the backend TensorFlow"
                raise TorchportError("a model in a model, saved with Theano", where=layer.name, advice=advice)
            return {} if self.is_old else found
        turned = keras1.weights(layer.kind, layer.config, list(found.values()), self.is_old, self.backend)
        return dict(zip(map(str, range(len(turned))), turned, strict=True))

    def own(self, layer: Layer) -> dict[str, Weight]:
        """The variables in a layer's group, as they are."""
        name = self.groups.get(layer.name, layer.name)
        group = self.group(name)
        if name not in self.order or group not in self.file.groups:
            if layer.is_operation or self.groups:
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
                raise BadFile(f"the weight {path} is missing", where=self.file.where, advice=DAMAGED)
            if path in self.claimed and not (layer.is_model and self.is_old):
                raise BadFile(f"the weight {path} is listed twice", where=self.file.where, advice=DAMAGED)
            self.claimed.add(path)
            own = name if layer.is_model else name.rpartition("/")[2].partition(":")[0]
            found[str(number)] = self.file.weight(path, f"{layer.name}/{own}")
        return found

    def inside(self, layer: Layer) -> Claims:
        if self.is_old:
            stored = list(self.own(layer).values())
            return keras1.Slices.of(layer, stored, self.backend, self.file.where)
        return Within()

    def check_all_claimed(self) -> None:
        """Raises BadFile if variables are left over that belong to no layer."""
        inside = self.group("")
        left = [
            p
            for p in self.file.datasets
            if p.startswith(inside) and p not in self.claimed and not self.is_apart(p)
        ]
        if left:
            raise BadFile(
                f"{len(left)} variables belong to no layer of the model, such as {left[0]}",
                where=self.file.where,
                advice="configuration and weights are of different models, or the model has "
                "weights of its own beside its layers",
            )

    def is_apart(self, path: str) -> bool:
        """Whether a variable is the optimizer's, which may stand beside those of the layers."""
        return not self.root and path.startswith("optimizer_weights/")


@dataclass(frozen=True)
class Within(Claims):
    """The claims inside a nested model of a legacy file: none, the model holds them as one list."""

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        return {}

    def inside(self, layer: Layer) -> Within:
        return self
