"""What `model.save_weights("name")` of Keras 2 writes: a TensorFlow checkpoint, without the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph, is_keras_2
from torchport.read import config
from torchport.read.bundle import Bundle
from torchport.read.objects import Objects, nodes

SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")
#: A line of the file `checkpoint`, which names the newest.
NEWEST = re.compile(r'^model_checkpoint_path: "([^"/\\]+)"', re.MULTILINE)


def prefix(path: Path) -> Path | None:
    """What the names of a checkpoint's files start with, for any of its files or its folder; else None."""
    if path.is_dir():
        names = sorted(it.name.removesuffix(".index") for it in path.glob("*.index"))
        newest = path / "checkpoint"
        if newest.is_file():
            with newest.open(encoding="utf-8", errors="replace") as file:
                found = NEWEST.search(file.read(2**16))
            if found and found[1] in names:
                return path / found[1]
        return path / names[0] if len(names) == 1 else None
    name = SHARD.sub("", path.name.removesuffix(".index"))
    return path.with_name(name) if path.with_name(f"{name}.index").is_file() else None


def read(start: Path, entry: Any, version: str, architecture: str) -> Graph:
    """The graph of an architecture with the variables of a checkpoint."""
    if not is_keras_2(version):
        raise TorchportError(
            "is a checkpoint of TensorFlow, which Keras 3 does not load into its models",
            where=str(start),
            advice="give the architecture as Keras 2 writes it: to_json() of the tf_keras model",
        )
    bundle = Bundle.open(start)
    found = nodes(bundle)
    at = 0
    if not is_model(found[0].children):
        inside = [child for child in found[0].children.values() if is_model(found[child].children)]
        if len(set(inside)) != 1:
            what = f"has {len(set(inside))} Keras models"
            raise BadFile(what, where=str(start), advice="save it with model.save_weights(...)")
        at = inside[0]
    claims = Objects(bundle, found, at)
    graph = config.graph(entry, version, claims, architecture)
    claims.check_all_claimed()
    return graph


def is_model(children: Any) -> bool:
    return "layer-0" in children
