"""Whole models, and weights, in one HDF5 file: Keras 1 and 2, tf.keras, and the legacy format of Keras 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph, Group, Weight
from torchport.read import config, dialect, keras1
from torchport.read.document import parse
from torchport.read.layers import Claims, Layer
from torchport.read.variables import DAMAGED, Variables
from torchport.training import compiled, has_state

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
        raise without_model(file)
    if WEIGHTS not in file.groups:
        raise BadFile(f"has no group {WEIGHTS}", where=where, advice=DAMAGED)
    claims = LayerGroups.of(file, WEIGHTS)
    dialect.check_version(claims.version, where)
    entry = parse(model_config, where)
    if keras1.is_keras_1(claims.version):
        entry = keras1.model(entry, claims.order, where)
    graph = joined(entry, claims.version, claims, is_one=True, where=where)
    saved = file.text("", "training_config")
    trained = parse(saved, f"{where}, training_config") if saved is not None else None
    return graph.replace(compiled=compiled(trained, has_state(file.datasets)))


def without_model(file: Variables) -> BadFile:
    """The refusal of a file that has no configuration: weights, or nothing of Keras at all."""
    is_keras = (
        WEIGHTS in file.groups
        or any(file.texts("", name) for name in ("layer_names", "layer_names0"))
        or any(group.rpartition("/")[2] == "vars" for group in file.groups)
    )
    if not is_keras:
        what = "is an HDF5 file that Keras did not write: it has neither model_config nor layer_names"
        return BadFile(what, where=file.where, advice="give a model that Keras saved")
    return BadFile(
        "holds no model, only weights: the attribute model_config is missing",
        where=file.where,
        advice="give the architecture too, --config model.json, or save the whole model",
    )


def joined(entry: Any, version: str, claims: LayerGroups, is_one: bool, where: str) -> Graph:
    """The graph of an architecture with the variables of a legacy file.

    Keras gives them to the layers in turn, whatever those are called (`load_weights_from_hdf5_group`).
    `is_one`: both were saved together. Then the names agree, unless one of the two was changed by hand, and
    say the same; whoever did not change the file finds the weights where they were.
    """
    by_name = is_one and set(claims.with_variables()) <= set(config.layer_names(entry))
    graph = config.graph(entry, version, claims if by_name else Within(), where)
    if not by_name:
        graph = graph.replace(groups=claims.in_turn())
    claims.check_all_claimed()
    return graph


@dataclass(frozen=True)
class LayerGroups(Claims):
    """The variables of a legacy file: a group for each layer, by its name.

    `root` is the group that holds them, `version` and `backend` are who wrote them.
    """

    file: Variables
    root: str
    order: tuple[str, ...]
    version: str
    backend: str
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
        if layer.has_body:
            if self.backend == "theano" and found and not self.is_old:
                advice = "load it with Keras 2 and save the weights again with the backend TensorFlow"
                raise TorchportError("a model in a model, saved with Theano", where=layer.name, advice=advice)
            return {} if self.is_old else found
        turned = keras1.weights(layer.kind, layer.config, list(found.values()), self.is_old, self.backend)
        return dict(zip(map(str, range(len(turned))), turned, strict=True))

    def own(self, layer: Layer) -> dict[str, Weight]:
        """The variables in a layer's group, as they are."""
        if layer.name not in self.order or self.group(layer.name) not in self.file.groups:
            if layer.is_operation:
                return {}
            what = f"has no variables of the layer {layer.name!r}"
            raise BadFile(what, where=self.file.where, advice=DAMAGED)
        found = {}
        for number, weight in enumerate(self.listed(layer.name, again=layer.has_body and self.is_old)):
            own = weight.name if layer.has_body else weight.name.rpartition("/")[2].partition(":")[0]
            found[str(number)] = replace(weight, name=f"{layer.name}/{own}")
        return found

    def listed(self, name: str, again: bool = False) -> Iterator[Weight]:
        """The variables in a group, as they are; `again`: it may have been read before."""
        group = self.group(name)
        for own in self.file.texts(group, "weight_names") or ():
            path = f"{group}/{own}"
            if path not in self.file.datasets:
                raise BadFile(f"the weight {path} is missing", where=self.file.where, advice=DAMAGED)
            if path in self.claimed and not again:
                raise BadFile(f"the weight {path} is listed twice", where=self.file.where, advice=DAMAGED)
            self.claimed.add(path)
            yield self.file.weight(path, own)

    def with_variables(self) -> Iterator[str]:
        """The names of the groups that have variables."""
        for name in self.order:
            group = self.group(name)
            if group in self.file.groups and self.file.texts(group, "weight_names"):
                yield name

    def in_turn(self) -> tuple[Group, ...]:
        """All groups that have variables, as the file lists them."""
        names = self.with_variables()
        return tuple(Group(it, tuple(self.listed(it)), self.version, self.backend) for it in names)

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
