"""TensorFlow.js layers models: `model.json`, and the weights in files beside it, some of them quantised."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph, Weight
from torchport.read import config, dialect, keras1
from torchport.read.archive import CONFIG_LIMIT
from torchport.read.document import bounded, integer, mapping, parse, sequence, text
from torchport.read.layers import Claims, Layer
from torchport.read.members import DAMAGED, HOSTILE
from torchport.training import compiled

#: Element types, and the kinds of number that stand in for another.
DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "<u1", "uint16": "<u2", "bool": "?"}
QUANTISED = frozenset({"uint8", "uint16", "float16"})
#: Files, and variables, of one model.
FILES, VARIABLES = 100_000, 1_000_000
#: Keras's order of a layer's variables.
ORDER = (
    "kernel depthwise_kernel pointwise_kernel recurrent_kernel bias gamma beta moving_mean moving_variance"
).split()


def read(path: Path) -> Graph:
    """The model of a `model.json`. Raises BadFile for one that is damaged, or names files elsewhere."""
    where = str(path)
    with path.open("rb") as file:
        data = file.read(CONFIG_LIMIT + 1)
    if len(data) > CONFIG_LIMIT:
        raise BadFile(f"has more than {CONFIG_LIMIT} bytes", where=where, advice=HOSTILE)
    tree = mapping(bounded(parse(data, where), where), "model.json", where)
    topology = tree.get("modelTopology")
    if tree.get("format") == "graph-model" or isinstance(topology, Mapping) and "node" in topology:
        raise TorchportError(
            "a graph model of TensorFlow.js: a TensorFlow graph, no Keras layers",
            where=where,
            advice="convert the Keras model that it was made of, or save it as a layers model",
        )
    if topology is None:
        if "class_name" in tree:
            advice = "give the file of weights, and this with --config"
            raise BadFile("holds an architecture, but no weights", where=where, advice=advice)
        raise BadFile("has no modelTopology: it is not TensorFlow.js's", where=where, advice=DAMAGED)
    topology = mapping(topology, "modelTopology", where)
    entry = topology.get("model_config", topology)
    version = text(topology.get("keras_version", "2"), "keras_version", where)
    # TensorFlow.js itself writes "tfjs-layers 4.2.0": its layers are those of Keras 2.
    version = "2.15.0" if version.startswith("tfjs") else dialect.check_version(version, where)
    if keras1.is_keras_1(version):
        raise TorchportError("a model of Keras 1 in TensorFlow.js's format", where=where)
    manifest = tree.get("weightsManifest")
    claims = Manifest.of(manifest, path.parent, where)
    graph = config.graph(entry, version, claims, where)
    claims.check_all_claimed()
    return graph.replace(compiled=compiled(topology.get("training_config", tree.get("trainingConfig"))))


@dataclass(frozen=True)
class Shards:
    """Files that hold the variables of one group, end to end."""

    files: tuple[Path, ...]
    sizes: tuple[int, ...]

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start`. Raises BadFile where the files have become shorter."""
        found, at = [], 0
        for path, size in zip(self.files, self.sizes, strict=True):
            low, high = max(start, at), min(start + count, at + size)
            if low < high:
                with path.open("rb") as file:
                    file.seek(low - at)
                    found.append(file.read(high - low))
            at += size
        whole = b"".join(found)
        if len(whole) != count:
            raise BadFile("is cut off", where=str(self.files[-1]), advice=DAMAGED)
        return whole


@dataclass(frozen=True)
class Manifest(Claims):
    """The variables that a manifest lists, by their names: `conv1/kernel`."""

    where: str
    variables: Mapping[str, Weight]
    claimed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, manifest: Any, folder: Path, where: str) -> Manifest:
        found: dict[str, Weight] = {}
        files = 0
        for group in sequence(manifest, "weightsManifest", where):
            group = mapping(group, "a group of weights", where)
            paths = sequence(group.get("paths"), "paths", where)
            files += len(paths)
            if files > FILES:
                raise BadFile(f"names more than {FILES} files", where=where, advice=HOSTILE)
            inside = [shard(folder, text(it, "a path", where), where) for it in paths]
            shards = Shards(tuple(inside), tuple(it.stat().st_size for it in inside))
            at = 0
            for item in sequence(group.get("weights"), "weights", where):
                weight, count = variable(mapping(item, "a weight", where), shards, at, where)
                if weight.name in found:
                    raise BadFile(f"lists {weight.name!r} twice", where=where, advice=DAMAGED)
                if len(found) > VARIABLES:
                    raise BadFile(f"has more than {VARIABLES} weights", where=where, advice=HOSTILE)
                found[weight.name] = weight
                at += count
            if at != sum(shards.sizes):
                named = ", ".join(map(str, paths))[:200]
                what = f"its weights take {at} bytes, {named} have {sum(shards.sizes)}"
                raise BadFile(what, where=where, advice=DAMAGED)
        return cls(where, found)

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        """A layer's variables: those whose name starts with its own, in Keras's order."""
        if layer.has_body or layer.is_operation:
            return {}
        own = [name for name in self.variables if name.startswith(f"{layer.name}/")]
        for name in own:
            if name in self.claimed:
                raise BadFile(f"{name!r} belongs to two layers", where=self.where, advice=DAMAGED)
            self.claimed.add(name)
        return {str(at): self.variables[name] for at, name in enumerate(in_order(own))}

    def inside(self, layer: Layer) -> Manifest:
        return self

    def check_all_claimed(self) -> None:
        """Raises BadFile if variables are left over that belong to no layer."""
        left = self.variables.keys() - self.claimed
        if left:
            raise BadFile(
                f"{len(left)} variables belong to no layer of the model, such as {min(left)}",
                where=self.where,
                advice="the configuration and the weights are of different models",
            )


def in_order(names: list[str]) -> Iterator[str]:
    """A layer's variables as Keras creates them; those with other names as they are listed."""
    prefixes = list(dict.fromkeys(name.rpartition("/")[0] for name in names))

    def place(name: str) -> tuple[int, int]:
        prefix, _, last = name.rpartition("/")
        return prefixes.index(prefix), ORDER.index(last) if last in ORDER else len(ORDER)

    return iter(sorted(names, key=place))


def shard(folder: Path, name: str, where: str) -> Path:
    """A file beside model.json. Raises BadFile for a path that leads out of its folder."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in name or "\0" in name:
        raise BadFile(f"the file {name!r} is not beside it", where=where, advice=HOSTILE)
    path = folder / name
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve())
        is_file = path.is_file()
    except (OSError, ValueError, RuntimeError):
        raise BadFile(f"the file {name!r} is missing", where=where, advice=DAMAGED) from None
    if not inside or not is_file:
        raise BadFile(f"{name!r} is not a file beside it", where=where, advice=HOSTILE)
    return path


def variable(item: Mapping[str, Any], shards: Shards, start: int, where: str) -> tuple[Weight, int]:
    """A reference to a variable that starts at a byte of its group, and how many it takes."""
    name = text(item.get("name"), "a weight's name", where)
    shape = tuple(
        integer(it, f"a size of {name}", where) for it in sequence(item.get("shape"), "a shape", where)
    )
    if len(shape) > 32:
        raise BadFile(f"{name} has {len(shape)} axes", where=where, advice=HOSTILE)
    dtype = text(item.get("dtype"), f"the dtype of {name}", where)
    scale, low, stored = 1.0, 0.0, dtype
    if item.get("quantization") is not None:
        how = mapping(item["quantization"], f"the quantization of {name}", where)
        stored = text(how.get("dtype"), f"the quantization of {name}", where)
        if stored not in QUANTISED or dtype not in ("float32", "int32"):
            raise BadFile(f"{name} is {dtype} kept as {stored}", where=where, advice=DAMAGED)
        if stored != "float16":
            scale, low = (number(how.get(key), f"the {key} of {name}", where) for key in ("scale", "min"))
    if stored not in DTYPES:
        raise BadFile(f"{name} holds {stored}, which is not a kind of number", where=where, advice=DAMAGED)
    kind = np.dtype(DTYPES[stored])
    count = math.prod(shape) * kind.itemsize
    if start + count > sum(shards.sizes):
        raise BadFile(f"{name} is cut off", where=where, advice=DAMAGED)

    def load() -> np.ndarray:
        array = np.frombuffer(shards.read(start, count), kind).reshape(shape)
        if stored == dtype:
            return array
        if stored == "float16":
            return array.astype(dtype)
        whole = array.astype("float64") * scale + low
        return (np.round(whole) if dtype == "int32" else whole).astype(dtype)

    return Weight(name, shape, dtype, load), count


def number(value: Any, what: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadFile(f"{what} is {repr(value)[:60]}, not a number", where=where, advice=DAMAGED)
    return float(value)
