"""Keras archives: the `.keras` zip file of Keras 3, and of Keras from 2.12 on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torchport.errors import BadFile
from torchport.graph import Graph
from torchport.read import config, dialect
from torchport.read.document import mapping, parse, sequence, text
from torchport.read.groups import Container, Store
from torchport.read.keras1 import is_keras_1
from torchport.read.members import DAMAGED, HOSTILE, Archive
from torchport.read.variables import Variables
from torchport.training import compiled, has_state

#: A config of this size would describe a million layers.
CONFIG_LIMIT = 2**26
WEIGHTS = "model.weights.h5"
SHARDS = "model.weights.json"


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
    if is_keras_1(dialect.check_version(version, where)):
        raise BadFile(f"written by Keras {version}, which wrote no archives", where=where, advice=HOSTILE)
    files = [open_member(zipped, name) for name in weight_members(zipped)]
    groups = merged(files, where), group_names(files)
    store = Store(where, version, *groups, len(files) > 1, asset=partial(asset, zipped))
    graph = config.graph(entry, version, Container(store, ""), where)
    store.check_all_claimed()
    saved = entry.get("compile_config") if isinstance(entry, dict) else None
    return graph.replace(compiled=compiled(saved, has_state(store.datasets)))


def asset(zipped: Archive, name: str) -> str:
    """The text of a layer's asset, such as the vocabulary that it was adapted to; empty if it has none."""
    member = f"assets/{name}"
    if member not in zipped.members:
        return ""
    try:
        return zipped.read(member, CONFIG_LIMIT).decode("utf-8")
    except UnicodeDecodeError:
        raise BadFile(f"{member} is not text", where=zipped.where, advice=DAMAGED) from None


def weight_members(zipped: Archive) -> list[str]:
    """The members that hold the weights: one, or several shards that a JSON file lists."""
    if WEIGHTS in zipped.members:
        return [WEIGHTS]
    if SHARDS in zipped.members:
        at = f"{zipped.where}, {SHARDS}"
        index = mapping(parse(zipped.read(SHARDS, CONFIG_LIMIT), at), SHARDS, at)
        shards: dict[str, None] = {}
        for group, names in mapping(index.get("weight_map"), "weight_map", at).items():
            for name in sequence(names, "a list of shards", at) if isinstance(names, list) else [names]:
                shards[text(name, f"the shard of {group}", at)] = None
        for name in shards:
            if name not in zipped.members:
                raise BadFile(f"the shard {name!r} is missing", where=zipped.where, advice=DAMAGED)
        return list(shards)
    other = "its weights are in NumPy's format" if "model.weights.npz" in zipped.members else "has no weights"
    raise BadFile(other, where=zipped.where, advice="save the model again with model.save('model.keras')")


def open_member(zipped: Archive, name: str) -> Variables:
    file, size = zipped.open(name)
    return Variables.open(file, size, f"{zipped.where}, {name}")


def merged(files: list[Variables], where: str) -> dict[str, Variables]:
    """Which file holds each dataset."""
    holders: dict[str, Variables] = {}
    for file in files:
        for path in file.datasets:
            if path in holders:
                raise BadFile(f"{path} is in two shards", where=where, advice=HOSTILE)
            holders[path] = file
    return holders


def group_names(files: list[Variables]) -> dict[str, str | None]:
    """All groups, each with the layer's name that Keras 3 writes beside its variables, or None."""
    return {
        group: file.text(group, "name") if group.endswith("/vars") else None
        for file in files
        for group in file.groups
    }
