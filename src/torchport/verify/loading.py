"""The source as its Keras loads it: from a file, from weights and an architecture, or live."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchport.errors import Refused, TorchportError
from torchport.graph import Graph
from torchport.read import WithConfig, checkpoint
from torchport.read.dialect import ADOPTED
from torchport.read.packages import FOREIGN
from torchport.read.subclass import functional
from torchport.verify.built import built
from torchport.verify.copying import of_floats
from torchport.verify.frameworks import is_other_keras, tensorflow
from torchport.verify.patches import LEGACY, patched
from torchport.watch import is_own
from torchport.watch.lambdas import as_read


def load_source(
    keras: Any, source: str | Path | WithConfig, graph: Graph, custom: Mapping[str, Any],
    notes: dict[str, None],
) -> Any:  # fmt: skip
    """The model of a file, of float layers. What a reader has to know of it goes to `notes`."""
    try:
        own = patched(tensorflow(), LEGACY)
        with as_read(keras, graph.dialect, notes), keras.utils.custom_object_scope(custom), own:
            return of_floats(built(keras, graph) if graph.is_part else load_file(keras, source))
    except Exception as error:  # whatever Keras raises: there is no list of it
        first = str(error).strip().split("\n")[0][:300]
        read = as_read(keras, graph.dialect, notes)
        with suppress(Exception), read, keras.utils.custom_object_scope(custom):
            model = built(keras, graph)
            note = f"{keras.__name__} does not load this file: it built the layers, with the file's weights"
            notes[note] = None
            return model
        if unknown := re.search(r"(?:locate class|Unknown layer:?)\s+'?([\w>]+)", str(error)):
            raise TorchportError(
                f"no reference: {keras.__name__} does not know the class {unknown[1]}",
                where=str(source),
                advice="add --custom FILE.py, the file that has this class (in Python custom=...)",
            ) from error
        advice = "load it with the Keras version that wrote it, and give verify the live model"
        if custom and is_other_keras(keras):
            advice += (
                "; where your code reads tf.keras, it is Keras 3 in this process: set TF_USE_LEGACY_KERAS=1 "
                "before TensorFlow is imported, or use the command line"
            )
        raise TorchportError(
            f"no reference: {keras.__name__} {keras.__version__} does not load this file "
            f"({type(error).__name__}: {first})",
            where=str(source),
            advice=advice,
        ) from error


def source_of(model: Any, graph: Graph) -> Any:
    """The functional model that stands for a live one; where none does, itself.

    None does where the graph is that of its `call`: for the sake of a model in it that has none, maybe.
    """
    try:
        made = functional(model)
    except Refused:
        if not is_own(model):
            raise
        return model
    known = {it.name for it in made.layers}
    is_whole = is_own(model) and any(op.kind == "Model" and op.layer not in known for op in graph.ops)
    return model if is_whole else made


def stand_ins(keras: Any, graph: Graph) -> dict[str, Any]:
    """Keras's own classes for models whose class is somebody's own, and adds only to training.

    And for layers of packages that Keras has since.
    """
    kinds = {"Functional": keras.Model, "Sequential": keras.Sequential}
    models = {name: kinds[kind] for name, kind in graph.own_models.items()}
    foreign = {name: it.kind for name, it in FOREIGN.items() if it.kind != name}
    known = {name: getattr(keras.layers, kind, None) for name, kind in {**ADOPTED, **foreign}.items()}
    return {**{name: cls for name, cls in known.items() if cls}, **models}


def load_file(keras: Any, source: str | Path | WithConfig) -> Any:
    """The model of a file; of weights and an architecture, joined by Keras."""
    if not isinstance(source, WithConfig):
        path = Path(source)
        path = path.parent if path.name == "saved_model.pb" else path
        return keras.models.load_model(str(path), compile=False, safe_mode=True)
    model = source.model or keras.models.model_from_json(Path(source.config).read_text(encoding="utf-8"))
    weights = checkpoint.prefix(source.weights) or source.weights
    done = model.load_weights(str(weights))
    if hasattr(done, "expect_partial"):
        done.expect_partial()  # the optimizer's, which no one asks for
    return model
