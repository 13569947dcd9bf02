"""The groups of an archive's weights: which belongs to which layer, and what is left over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torchport.errors import BadFile
from torchport.graph import Weight, is_keras_2
from torchport.read.layers import Claims, Layer
from torchport.read.variables import DAMAGED, Variables

#: Groups of a model that hold what training left behind, not weights.
TRAINING = frozenset(
    {"optimizer", "metrics", "_metrics", "loss_tracker", "compile_metrics", "_compile_metrics"}
)
#: Groups that hold the state of random numbers.
RANDOM = frozenset(
    {"seed_generator", "_seed_generator", "generator", "_random_generator", "random_generator"}
)
#: Where a model keeps its layers; the second is Keras 2.12's.
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
#: A layer of a nested model that is used beside it again is stored once; which one it is gets lost.
LOST = (
    "the layer is shared with another model, which the archive does not say (Keras cannot load it "
    "either): convert the model in memory, or save it as .h5"
)


@dataclass(frozen=True)
class Store:
    """The variables of an archive, and which of them belong to a layer already."""

    where: str
    version: str
    datasets: Mapping[str, Variables]
    #: All groups, each with the layer's name that it bears, or None.
    groups: Mapping[str, str | None]
    is_sharded: bool = False
    claimed: set[str] = field(default_factory=set)
    #: What the layers that occur in several models own, by their `shared_object_id`.
    shared: dict[int, Mapping[str, Weight]] = field(default_factory=dict)
    #: The models that occur in several, by that id, and what has been read of each group.
    containers: dict[int, Container] = field(default_factory=dict)
    kept: dict[str, Mapping[str, Weight]] = field(default_factory=dict)
    #: The groups of the model itself and of the models in it.
    models: set[str] = field(default_factory=lambda: {""})
    by_group: dict[str, list[str]] = field(default_factory=dict)
    #: The text of a file beside the weights, empty if there is none.
    asset: Callable[[str], str] = lambda name: ""

    def __post_init__(self) -> None:
        for path in self.datasets:
            for end in (place for place, letter in enumerate(path) if letter == "/"):
                self.by_group.setdefault(path[:end], []).append(path)

    @property
    def is_complete(self) -> bool:
        """Whether every layer has a group, with variables or without.

        So it is in Keras 2 and in those versions of Keras 3 that write the layer's name there.
        """
        if self.is_sharded:
            return False
        return is_keras_2(self.version) or any(self.groups.values())

    def weights(self, group: str, layer: str) -> dict[str, Weight]:
        """All variables under a group, in the file's order, without the state of random numbers."""
        found = {}
        for path in sorted(self.by_group.get(group, ()), key=natural):
            self.claimed.add(path)
            key = path[len(group) + 1 :]
            if not RANDOM & set(key.split("/")):
                found[key] = self.datasets[path].weight(path, f"{layer}/{key}")
        return found

    def check_group(self, group: str, layer: Layer) -> None:
        """Raises BadFile if a layer's group is missing, or bears another layer's name."""
        if group not in self.groups and self.is_complete and not self.never_has_variables(group):
            raise BadFile(
                f"has no group {group} for the layer {layer.name!r}",
                where=self.where,
                advice=DAMAGED if shared_id(layer) is None else LOST,
            )
        name = self.groups.get(f"{group}/vars")
        if name is not None and name != layer.name:
            raise BadFile(
                f"the group {group} is of the layer {name!r}, not of {layer.name!r}",
                where=self.where,
                advice="the configuration and the weights are of different models",
            )

    def never_has_variables(self, group: str) -> bool:
        """Whether layers of a group's class are stored elsewhere, none of them with variables.

        Such a layer that is part of two models is stored with one of them, and nothing is lost.
        """
        kind = re.sub(r"_\d+$", "", group.rpartition("/")[2])
        alike = [
            it for it in self.groups if re.fullmatch(rf"{re.escape(kind)}(_\d+)?", it.rpartition("/")[2])
        ]
        return bool(alike) and not any(self.by_group.get(it) for it in alike)

    def check_all_claimed(self) -> None:
        """Raises BadFile if variables are left over that belong to no layer."""
        left = self.datasets.keys() - self.claimed - self.training
        if left:
            raise BadFile(
                f"{len(left)} variables belong to no layer of the model, such as {min(left)}",
                where=self.where,
                advice="configuration and weights are of different models, or the model has "
                "weights of its own beside its layers",
            )

    @property
    def training(self) -> set[str]:
        """The datasets of optimizers, metrics and random numbers, of the model or one in it."""
        found: set[str] = set()
        for model in self.models:
            for name in TRAINING | RANDOM:
                found.update(self.by_group.get(f"{model}/{name}" if model else name, ()))
        return found


def natural(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts vars/10 behind vars/9."""

    def part_key(part: str) -> tuple[int, int, str]:
        is_number = part.isascii() and part.isdigit() and len(part) < 10
        return (0, int(part), part) if is_number else (1, 0, part)

    return [part_key(part) for part in path.split("/")]


@dataclass(frozen=True)
class Container(Claims):
    """The layers of one model in the archive, each in a group named after its class and turn."""

    store: Store
    model: str
    turns: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    path: str = ""

    def group(self, layer: Layer) -> str:
        """The group of a layer, `layers/conv2d_3` (Keras: `_save_container_state`)."""
        if layer.name not in self.places:
            name = snake_case(CLASSES.get(layer.class_name, layer.class_name), self.store.version)
            turn = self.turns.get(name, -1) + 1
            self.turns[name] = turn
            prefix = f"{self.model}/" if self.model else ""
            container = next((c for c in CONTAINERS if f"{prefix}{c}" in self.store.groups), CONTAINERS[0])
            self.places[layer.name] = (
                f"{prefix}{container}/{name}_{turn}" if turn else f"{prefix}{container}/{name}"
            )
        return self.places[layer.name]

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        if layer.is_operation or layer.has_body:
            return {}
        shared = shared_id(layer)
        if shared in self.store.shared:
            self.visit_again(layer)
            return self.store.shared[shared]
        group = self.group(layer)
        self.store.check_group(group, layer)
        if group not in self.store.kept:
            self.store.kept[group] = self.store.weights(group, f"{self.path}{layer.name}")
        found = self.store.kept[group]
        if shared is not None:
            self.store.shared[shared] = found
        return found

    def adapted(self, layer: Layer) -> Mapping[str, Any]:
        """Source: keras/src/layers/preprocessing/index_lookup.py, load_assets and load_own_variables."""
        group = self.group(layer)
        lines = self.store.asset(f"{group}/vocabulary.txt").splitlines()
        while lines and lines[-1] == "":
            lines.pop()
        found: dict[str, Any] = {}
        if lines:
            found["vocabulary"] = lines
        path = f"{group}/vars/idf_weights"
        if path in self.store.datasets:
            found["idf_weights"] = self.store.datasets[path].weight(path, layer.name).load().tolist()
        return found

    def inside(self, layer: Layer) -> Container:
        path = f"{self.path}{layer.name}/"
        shared = shared_id(layer)
        if shared is not None and shared in self.store.containers:
            # Stored where it was first met; its layers may have got an id only since then.
            self.visit_again(layer)
            return self.store.containers[shared]
        group = self.group(layer)
        self.store.check_group(group, layer)
        group = f"{group}/layer" if layer.stepwise else group
        self.store.models.add(group)
        made = Container(self.store, group, path=path)
        if shared is not None:
            self.store.containers[shared] = made
        return made

    def visit_again(self, layer: Layer) -> None:
        """A layer that another model stored: Keras 3 counts it here as well, Keras 2 does not."""
        if not is_keras_2(self.store.version):
            self.group(layer)


def shared_id(layer: Layer) -> int | None:
    """The number that Keras gives an object which is part of several models."""
    value = layer.entry.get("shared_object_id")
    return value if isinstance(value, int) else None


#: Classes whose name in Python, which groups are called after, is not the one they are saved under.
CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}


def snake_case(name: str, version: str) -> str:
    """A class name as Keras turns it into a group name: `Conv2DTranspose` -> `conv2d_transpose`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return f"private{name}" if name.startswith("_") and is_keras_2(version) else name
