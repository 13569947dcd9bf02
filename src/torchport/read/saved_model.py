"""A SavedModel of Keras 2: its configuration as JSON beside the graph, its variables in a checkpoint.

The graph itself is not read: it is TensorFlow's, and says nothing that the configuration does not. Sources:
tf_keras/src/saving/legacy/saved_model/save.py, tf_keras/protobuf/saved_metadata.proto,
tensorflow/core/protobuf/saved_model.proto and saved_object_graph.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph
from torchport.read import config, dialect
from torchport.read.bundle import Bundle, contents
from torchport.read.document import bounded, mapping, parse, text
from torchport.read.members import DAMAGED
from torchport.read.objects import Objects, nodes
from torchport.read.wire import Message
from torchport.training import compiled

MODEL, METADATA = "saved_model.pb", "keras_metadata.pb"
VARIABLES = "variables/variables"
#: Bytes of the configurations of all layers; of their objects, the paths and texts.
LIMIT = 2**28
#: What an object says that it is, if it is a Keras model.
MODELS = ("_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model")
GRAPH = "load the model where it was built, with the Keras that built it, and save it as .keras or .h5"


def read(folder: Path) -> Graph:
    """The model of a folder with a saved_model.pb. Raises TorchportError where Keras 2 did not write it."""
    where = str(folder)
    described = dict(metadata(folder))
    if "root" not in described:
        raise not_keras_2(folder)
    identifier, root = described["root"]
    if isinstance(root.get("model_config"), dict):  # TensorFlow 2.0 to 2.4 have the whole model there as well
        root = {**root, **root["model_config"]}
    name = text(root.get("class_name", ""), "the class of the model", where)
    if not isinstance(root.get("config"), dict) or (identifier == "_tf_keras_model" and not root["config"]):
        raise config.subclassed(str(root.get("name", name)), name)
    version = text(root.get("keras_version", "2.4.0"), "keras_version", where)
    dialect.check_version(version, where)
    bundle = Bundle.open(folder / VARIABLES)
    found = nodes(bundle)
    names, metrics = {}, set()
    for path, (kind, own) in described.items():
        at = walked(found, path)
        if kind == "_tf_keras_metric":
            metrics.add(at)
        elif isinstance(own.get("name"), str):
            names[at] = own["name"]
    claims = Objects(bundle, found, names=names, metrics=frozenset(metrics - {-1}))
    graph = config.graph({"class_name": name, "config": root["config"]}, version, claims, where)
    claims.check_all_claimed()
    return graph.replace(compiled=compiled(root.get("training_config")))


def walked(found: Any, path: str) -> int:
    """The object at a path such as `root.layer-1.cell`; -1 if there is none."""
    at = 0
    for name in path.split(".")[1:]:
        at = found[at].children.get(name, -1)
        if at < 0:
            break
    return at


def metadata(folder: Path) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """(path, (what it says that it is, its configuration)) of each object that Keras described."""
    path = folder / METADATA
    if path.is_file():
        for it in Message.of(contents(path, LIMIT), str(path)).messages(1):
            yield it.text(3), (it.text(4), described(it.text(5), str(path)))
        return
    objects = graph_of_objects(folder)
    where = str(folder / MODEL)
    kinds = [it.message(4) for it in objects]
    children = [[(child.text(2), child.integer(1)) for child in it.messages(1)] for it in objects]
    done, stack = {0}, [("root", 0)] if objects else []
    while stack:  # TensorFlow up to 2.4 has it in the graph of objects
        at_path, at = stack.pop()
        identifier = kinds[at].text(1)
        if identifier.startswith("_tf_keras_") and len(kinds[at].data(3)):
            yield at_path, (identifier, described(kinds[at].text(3), where))
        for name, child in children[at]:
            if child not in done and child < len(objects) and name != "keras_api":
                done.add(child)
                stack.append((f"{at_path}.{name}", child))


def graph_of_objects(folder: Path) -> list[Message]:
    """The objects of a saved_model.pb, undecoded; none, where TensorFlow 1 wrote it."""
    path = folder / MODEL
    where = str(path)
    for graph in Message.of(mapped(path), where).messages(2):
        if 7 in graph.fields:
            return list(graph.message(7).messages(1))
    return []


def mapped(path: Path) -> memoryview:
    """A file in memory as far as it is looked at. Raises BadFile if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(f"cannot be opened ({reason})", where=str(path), advice=DAMAGED) from None


def described(saved: str, where: str) -> dict[str, Any]:
    """An object's description, tuples and shapes in it as lists."""
    return mapping(plain(bounded(parse(saved, where), where)), "a description", where) if saved else {}


def plain(value: Any) -> Any:
    """The same with lists for tuples and shapes, as an HDF5 file has them.

    Source: tf_keras/src/saving/legacy/saved_model/json_utils.py.
    """
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return plain(value["items"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def not_keras_2(folder: Path) -> TorchportError:
    """The refusal of what else writes a saved_model.pb, by what it is."""
    objects = graph_of_objects(folder)
    if not objects:
        what = "is a SavedModel of TensorFlow 1 (an Estimator, or tf.saved_model.builder)"
        advice = (
            "rebuild the network in Keras, load its checkpoint's variables into it, and save it as .keras"
        )
        return TorchportError(f"{what}: operations, no layers", where=str(folder), advice=advice)
    names = {child.text(2) for child in objects[0].messages(1)}
    if {"_endpoint_names", "serve"} & names or "_tracked" in names:
        what = "is what Keras 3's model.export() writes: TensorFlow's operations for serving, no layers"
        return TorchportError(what, where=str(folder), advice="convert the .keras file that was exported")
    what = "is a SavedModel that is no Keras model (tf.saved_model.save of a tf.Module, TensorFlow Hub)"
    return TorchportError(f"{what}: operations, no layers", where=str(folder), advice=GRAPH)
