"""Keras archives: the `.keras` zip file of Keras 3, and of Keras from 2.12 on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torchport.errors import BadFile
from torchport.graph import Graph, Weight
from torchport.read import config, dialect
from torchport.read.document import mapping, parse, sequence, text
from torchport.read.layers import Layer
from torchport.read.members import DAMAGED, HOSTILE, Archive
from torchport.read.variables import Variables

#: A config of this size would describe a million layers.
CONFIG_LIMIT = 2**26
WEIGHTS = "model.weights.h5"
SHARDS = "model.weights.json"

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


def read(path: Path) -> Graph:
    """The model of a `.keras` file, variables keyed by their path in the layer: `cell/vars/0`."""
    zipped = Archive(path)
    where = str(path)
    entry = parse(zipped.read("config.json", CONFIG_LIMIT), f"{where}, config.json")
    metadata = mapping(
        parse(zipped.read("metadata.json", CONFIG_LIMIT), f"{where}, metadata.json"),
        "metadata.json",
        where,
    )
    version = text(metadata.get("keras_version"), "keras_version", f"{where}, metadata.json")
    dialect.check_version(version, where)
    files = [open_member(zipped, name) for name in weight_members(zipped)]
    store = Store(where, version, *merged(files, where), len(files) > 1)
    graph = config.graph(entry, version, Container(store, ""), where)
    store.check_all_claimed()
    return graph


def weight_members(zipped: Archive) -> list[str]:
    """The members that hold the weights: one, or several shards that a JSON file lists."""
    if WEIGHTS in zipped.members:
        return [WEIGHTS]
    if SHARDS in zipped.members:
        at = f"{zipped.where}, {SHARDS}"
        index = mapping(parse(zipped.read(SHARDS, CONFIG_LIMIT), at), SHARDS, at)
        shards: dict[str, None] = {}
        for group, names in mapping(index.get("weight_map"), "weight_map", at).items():
            for name in (
                sequence(names, "a list of shards", at) if isinstance(names, list) else [names]
            ):
                shards[text(name, f"the shard of {group}", at)] = None
        for name in shards:
            if name not in zipped.members:
                raise BadFile(f"the shard {name!r} is missing", where=zipped.where, advice=DAMAGED)
        return list(shards)
    other = (
        "its weights are in NumPy's format"
        if "model.weights.npz" in zipped.members
        else "has no weights"
    )
    raise BadFile(
        other, where=zipped.where, advice="save the model again with model.save('model.keras')"
    )


def open_member(zipped: Archive, name: str) -> Variables:
    file, size = zipped.open(name)
    return Variables.open(file, size, f"{zipped.where}, {name}")


def merged(files: list[Variables], where: str) -> tuple[dict[str, Variables], frozenset[str]]:
    """Which file holds each dataset, and the groups of all files."""
    holders: dict[str, Variables] = {}
    for file in files:
        for path in file.datasets:
            if path in holders:
                raise BadFile(f"{path} is in two shards", where=where, advice=HOSTILE)
            holders[path] = file
    return holders, frozenset().union(*(file.groups for file in files))


@dataclass(frozen=True)
class Store:
    """The variables of an archive, and which of them belong to a layer already."""

    where: str
    version: str
    datasets: Mapping[str, Variables]
    groups: frozenset[str]
    is_sharded: bool
    claimed: set[str] = field(default_factory=set)
    #: What the layers that occur in several models own, by their `shared_object_id`.
    shared: dict[int, Mapping[str, Weight]] = field(default_factory=dict)
    by_group: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in self.datasets:
            for end in (place for place, letter in enumerate(path) if letter == "/"):
                self.by_group.setdefault(path[:end], []).append(path)
        for holder in {id(file): file for file in self.datasets.values()}.values():
            for group in holder.groups:
                if group.endswith("/vars") and (name := holder.text(group, "name")) is not None:
                    self.names[group] = name

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
        if (
            group not in self.groups
            and (dialect.is_keras_2(self.version) or self.names)
            and not self.is_sharded
        ):
            raise BadFile(
                f"has no group {group} for the layer {layer.name!r}",
                where=self.where,
                advice=DAMAGED if shared_id(layer) is None else LOST,
            )
        if self.names.get(f"{group}/vars", layer.name) != layer.name:
            raise BadFile(
                f"the group {group} is of the layer {self.names[f'{group}/vars']!r}, "
                f"not of {layer.name!r}",
                where=self.where,
                advice="the configuration and the weights are of different models",
            )

    def check_all_claimed(self) -> None:
        """Raises BadFile if variables are left over that belong to no layer."""
        left = [
            path for path in self.datasets if path not in self.claimed and not is_training(path)
        ]
        if left:
            raise BadFile(
                f"{len(left)} variables belong to no layer of the model, such as {left[0]}",
                where=self.where,
                advice="configuration and weights are of different models, or the model has "
                "weights of its own beside its layers",
            )


def is_training(path: str) -> bool:
    """Whether a dataset is of an optimizer, a metric or a random number generator of some model."""
    parts = path.split("/")
    for place, part in enumerate(parts):
        if part in RANDOM:
            return True
        if part in TRAINING:
            # Directly in a model, not in a layer that has an attribute of that name.
            above = parts[:place]
            return all(step in CONTAINERS for step in above[::2])
    return False


def natural(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts vars/10 behind vars/9."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in path.split("/")]


@dataclass(frozen=True)
class Container:
    """The layers of one model in the archive, each in a group named after its class and turn."""

    store: Store
    model: str
    turns: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    path: str = ""

    def group(self, layer: Layer) -> str:
        """The group of a layer, `layers/conv2d_3` (Keras: `_save_container_state`)."""
        if layer.name not in self.places:
            name = snake_case(layer.class_name, self.store.version)
            turn = self.turns.get(name, -1) + 1
            self.turns[name] = turn
            prefix = f"{self.model}/" if self.model else ""
            container = next(
                (c for c in CONTAINERS if f"{prefix}{c}" in self.store.groups), CONTAINERS[0]
            )
            self.places[layer.name] = (
                f"{prefix}{container}/{name}_{turn}" if turn else f"{prefix}{container}/{name}"
            )
        return self.places[layer.name]

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        if layer.is_operation or layer.is_model:
            return {}
        shared = shared_id(layer)
        if shared in self.store.shared:
            self.visit_again(layer)
            return self.store.shared[shared]
        group = self.group(layer)
        self.store.check_group(group, layer)
        found = self.store.weights(group, f"{self.path}{layer.name}")
        if shared is not None:
            self.store.shared[shared] = found
        return found

    def inside(self, layer: Layer) -> Container:
        path = f"{self.path}{layer.name}/"
        shared = shared_id(layer)
        if shared in self.store.shared:
            # Its layers are shared too: each is found by its own id, none in a group from here.
            self.visit_again(layer)
            return Container(self.store, "", path=path)
        if shared is not None:
            self.store.shared[shared] = {}
        group = self.group(layer)
        self.store.check_group(group, layer)
        return Container(self.store, group, path=path)

    def visit_again(self, layer: Layer) -> None:
        """A layer that another model stored: Keras 3 counts it here as well, Keras 2 does not."""
        if not dialect.is_keras_2(self.store.version):
            self.group(layer)


def shared_id(layer: Layer) -> int | None:
    """The number that Keras gives an object which is part of several models."""
    value = layer.entry.get("shared_object_id")
    return value if isinstance(value, int) else None


def snake_case(name: str, version: str) -> str:
    """A class name as Keras turns it into a group name: `Conv2DTranspose` -> `conv2d_transpose`."""
    if dialect.is_keras_2(version):
        name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        return f"private{name}" if name.startswith("_") else name
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
