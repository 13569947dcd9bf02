"""Weights in one file, the architecture in another: `model.json`, or a model that a function returned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph
from torchport.read import checkpoint, config, dialect, hdf5, keras1, live
from torchport.read.archive import CONFIG_LIMIT, group_names, merged
from torchport.read.document import bounded, mapping, parse, text
from torchport.read.groups import Container, Store
from torchport.read.hdf5 import LayerGroups
from torchport.read.subclass import functional
from torchport.read.variables import Variables


def read(path: Path, architecture: str, model: Any) -> Graph:
    """The graph of an architecture with the weights of a file.

    `architecture` is the path of a JSON file; or names where `model`, a live one, came from: of that only
    the configuration is used.
    """
    where = str(path)
    if model is not None and functional(model) is not model:
        return live.read(loaded(model, path))
    start = checkpoint.prefix(path)
    file = None if start else weights_file(path)
    if model is None:
        entry, version = saved(Path(architecture))
    else:
        entry, version = live.entry(model)
        entry = bounded(entry, architecture)
    if start:
        if keras1.is_keras_1(version):
            raise BadFile(
                f"is the architecture of Keras {version}, which wrote no checkpoints", where=architecture
            )
        return checkpoint.read(start, entry, version, architecture)
    assert file
    root = hdf5.WEIGHTS if hdf5.WEIGHTS in file.groups else ""
    if all(file.attribute(root, name) is None for name in ("layer_names", "layer_names0")):
        # A layer that was not given a name has another in every session; Keras does not look at them.
        names: dict[str, str | None] = dict.fromkeys(group_names([file]))
        store = Store(where, version, merged([file], where), names)
        graph = config.graph(entry, version, Container(store, ""), architecture)
        store.check_all_claimed()
        return graph
    claims = LayerGroups.of(file, root)
    if keras1.is_keras_1(version):
        entry = keras1.model(entry, claims.order, architecture)
    return hdf5.joined(entry, version, claims, is_one=False, where=architecture)


def loaded(model: Any, path: Path) -> Any:
    """A model of the user's own class with the weights of a file, as Keras finds them: by its attributes.

    A file: `.weights.h5`, `.h5`, `.keras`, a checkpoint, the folder of a SavedModel. Raises BadFile.
    """
    start = checkpoint.prefix(path) or checkpoint.prefix(path / "variables")
    try:
        done = model.load_weights(str(start or path))
        if start and hasattr(done, "assert_existing_objects_matched"):
            done.assert_existing_objects_matched()  # a checkpoint that lacks some is taken without a word
            done.expect_partial()  # the optimizer's, which no one asks for
    except Exception as error:  # whatever Keras raises: there is no list of it
        first = str(error).strip().split("\n")[0][:300]
        what = f"cannot be loaded into the model ({type(error).__name__}: {first})"
        raise BadFile(what, where=str(path), advice="give the function that builds this model") from error
    return model


def weights_file(path: Path) -> Variables:
    """The open file. Raises TorchportError for one that holds a whole model."""
    where, advice = str(path), "convert it without --config"
    try:
        with path.open("rb") as start:
            first = start.read(8)
        size = path.stat().st_size
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(f"cannot be opened ({reason})", where=where, advice="check the path") from None
    if first.startswith(b"PK"):
        raise TorchportError("is a Keras archive, which holds its architecture", where=where, advice=advice)
    file = Variables.open(path, size, where)
    if file.text("", "model_config") is not None:
        raise TorchportError("holds its architecture", where=where, advice=advice)
    return file


def saved(path: Path) -> tuple[dict[str, Any], str]:
    """The architecture in a JSON file, and the Keras version that wrote it."""
    where = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_LIMIT + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(f"cannot be opened ({reason})", where=where, advice="check the path") from None
    if len(data) > CONFIG_LIMIT:
        raise BadFile(f"has more than {CONFIG_LIMIT} bytes", where=where, advice="no architecture is so long")
    if data.lstrip()[:1] not in (b"{", b"[") and b"class_name:" in data:
        advice = "load it with Keras 2, model_from_yaml, and give what its to_json() writes"
        raise BadFile("is an architecture in YAML", where=where, advice=advice)
    entry = mapping(bounded(parse(data, where), where), "the architecture", where)
    if "class_name" not in entry:
        advice = "give what model.to_json() wrote, or FILE.py:FUNCTION"
        raise BadFile("is not a Keras architecture", where=where, advice=advice)
    version = entry.get("keras_version")
    if version is None:  # Keras 3 leaves it out, and so did the first of all
        version = "3" if "module" in entry else "1"
    return entry, dialect.check_version(text(version, "keras_version", where), where)
