"""The entries of a saved model's `layers`, checked; and who hands out their variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torchport.errors import BadFile
from torchport.graph import Weight
from torchport.read import dialect
from torchport.read.document import mapping, sequence, text
from torchport.read.nodes import Call, calls


@dataclass(frozen=True)
class Layer:
    """One entry of a model's `layers`: a layer, a nested model, or an operation between layers."""

    name: str
    kind: str
    entry: Mapping[str, Any]
    calls: tuple[Call, ...]
    is_operation: bool

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.entry["config"]
        return config

    @property
    def class_name(self) -> str:
        """The class as the file names it, before any renaming."""
        return str(self.entry["class_name"]).rpartition(">")[2]

    @property
    def is_input(self) -> bool:
        return self.kind == "InputLayer"

    @property
    def is_model(self) -> bool:
        return is_model(self.kind, self.config)

    @property
    def stepwise(self) -> Mapping[str, Any] | None:
        """The model that this layer, TimeDistributed, runs at every step."""
        inner = self.config.get("layer")
        if self.kind != "TimeDistributed" or not isinstance(inner, Mapping):
            return None
        return inner if is_model(str(inner.get("class_name")), inner.get("config")) else None

    @property
    def has_body(self) -> bool:
        """Whether it is a model, or runs one."""
        return self.is_model or self.stepwise is not None


class Claims(Protocol):
    """Hands out the variables of a file: asked for each layer once, in the model's order."""

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        """The variables of a layer or, where the file does not tell them apart, a nested model."""
        ...

    def adapted(self, layer: Layer) -> Mapping[str, Any]:
        """Options of a lookup layer that it was adapted to, and that its configuration lacks."""
        return {}

    def among(self, layers: Sequence[str]) -> Claims:
        """The same of a model whose layers are these, in Keras's order."""
        return self

    def inside(self, layer: Layer) -> Claims:
        """The claims of a nested model's layers."""
        ...


#: What a Sequential model's config holds, and nothing else.
SEQUENTIAL = frozenset({"name", "trainable", "dtype", "layers", "build_input_shape"})


def is_model(kind: str, config: Any) -> bool:
    """Whether an entry is a model that is described by its layers."""
    if kind == "Sequential":
        return True
    return kind in ("Functional", "Model") and isinstance(config, Mapping) and "layers" in config


def model_kind(kind: str, config: Any) -> str:
    """The kind of an entry; of a model of somebody's own class, the one that its configuration is of.

    Such a class adds something to training, such as a `train_step`; Keras rebuilds the model of its layers
    and their calls all the same (`functional_like_constructor` in keras/src/models/functional.py). Not of a
    Pipeline, which has layers too and is a layer of Keras's own.
    """
    if (
        is_model(kind, config)
        or kind == "Pipeline"
        or not isinstance(config, Mapping)
        or not isinstance(config.get("layers"), list)
    ):
        return kind
    if {"input_layers", "output_layers"} <= config.keys():
        return "Functional"
    # A layer's config has `trainable` and `dtype`, Keras 2's of a Sequential model neither.
    is_chain = "build_input_shape" in config or not config.keys() & {"trainable", "dtype"}
    return "Sequential" if is_chain and config.keys() <= SEQUENTIAL else kind


def layers(config: Mapping[str, Any], version: str, where: str) -> list[Layer]:
    """The entries of a model in their order. Raises BadFile for a name that is used twice."""
    found: dict[str, Layer] = {}
    for number, item in enumerate(sequence(config.get("layers"), "layers", where)):
        entry = mapping(item, f"layer number {number}", where)
        inner = entry.get("config")
        if entry.get("class_name") == "Sequential" and isinstance(inner, list):  # Keras 2.0
            inner = {"layers": inner}
        inner = mapping(inner, f"the config of layer number {number}", where)
        name = text(entry.get("name", inner.get("name")), f"the name of layer number {number}", where)
        if name in found:
            raise BadFile(
                f"two layers are called {name!r}",
                where=where,
                advice="layer names are unique in a Keras model: the file is damaged",
            )
        at = f"{where}, layer {name!r}"
        kind = model_kind(dialect.kind(entry, at), inner)
        operation = dialect.is_operation({**entry, "config": inner}, version)
        if operation and entry.get("module") is None:
            kind = f"keras.ops.{kind}"
        made = () if kind == "InputLayer" else tuple(calls(entry, kind, version, at))
        found[name] = Layer(name, kind, {**entry, "config": inner}, made, operation)
    return list(found.values())
