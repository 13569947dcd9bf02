"""The first thing that differs: which layer, and why."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from torchport.graph import Graph
from torchport.verify.cause import Suspect, cause
from torchport.verify.checks import expected, layer_of
from torchport.verify.forward import Seen, Watch
from torchport.verify.frameworks import torch
from torchport.verify.places import Place, Places
from torchport.verify.port_runs import PortRuns
from torchport.verify.record import Key
from torchport.verify.result import CHECKS, Divergence, Row

#: What is blamed first: a layer that is wrong in inference mode is wrong everywhere.
ORDER = (
    "state",
    "inference",
    "run",
    "trainable",
    "dropout",
    "training",
    "sizes",
    "gradient",
    "steps",
    "reference",
)


@dataclass(frozen=True)
class Scene:
    """What a cause is looked for in: where tensors are, the inputs, the source's variables."""

    places: Places
    arrays: Sequence[np.ndarray]
    variables: Mapping[str, Any]


def first(rows: Sequence[Row], causes: Mapping[Row, str]) -> Divergence | None:
    """The first row that differs, in the order in which one thing can be the cause of the next."""
    wrong = [row for row in rows if row.differs]
    if not wrong:
        return None
    assert set(ORDER) == set(CHECKS)
    check = min((row.check for row in wrong), key=ORDER.index)
    mine = [row for row in wrong if row.check == check]
    # A gradient is handed backwards: the last layer that has a wrong one is where it went wrong.
    weights = [row for row in mine if "/" in row.tensor]
    row = (weights or mine)[-1] if check == "gradient" else mine[0]
    return Divergence(check, row.layer, row.tensor, row.name, causes.get(row) or row.note or "differs")


def output_layer(graph: Graph, name: str) -> str:
    """The layer that gives an output of the model."""
    op = next((op for op in graph.ops if name in op.outputs), None)
    return op.layer.removesuffix(".activation") if op else name


def after(watch: Watch, places: Places) -> str:
    """The layer that was running when the port stopped: the first watched one that has not given a value."""
    seen = {key for key, _ in watch.seen}
    by_name = {(place.path, place.tensor.name): place for _, _, place in places.all()}
    for key in watch.reference.tensors:
        path = "".join(f"{it.partition('@')[0]}/" for it in key[0])
        if key not in seen and (path, key[1]) in by_name:
            return by_name[path, key[1]].layer
    return ""


def explain(watch: Watch, at: Seen, port: PortRuns, scene: Scene, training: bool) -> str:
    """The likely cause of the first tensor that differs."""
    key, _ = at
    _, place = watch.seen[at]
    want = place.held(watch.reference.tensors[key]).astype(np.float64)
    inputs = []
    graph = scene.places.graph(place.path)
    for name in place.op.inputs if place.op else ():
        inner = (key[0], name)
        if inner in watch.reference.tensors:
            other = scene.places.place(place.path, graph, name)
            inputs.append(other.held(watch.reference.tensors[inner]))
        elif not key[0] and name in graph.inputs:
            other = scene.places.place(place.path, graph, name)
            given = scene.arrays[graph.inputs.index(name)]
            inputs.append(other.held(given.astype(port.dtype) if given.dtype.kind == "f" else given))
    paths = scene.places.module_of(place.layer)
    own = dict(port.module.named_modules())
    variables = scene.variables
    weights = {
        it.name: expected(it, variables) for it in scene.places.program.entries if layer_of(it) == place.layer
    }
    weights = {name: it.astype(np.float64) if it.dtype.kind == "f" else it for name, it in weights.items()}
    suspect = Suspect(
        place, watch.wrong[at].astype(np.float64), want, inputs,
        {path: own[path] for path in paths if path in own}, weights,
        _reapply(port, scene, place, key, training), training,
    )  # fmt: skip
    unseen = unseen_before(watch, key, scene, place)
    found = cause(suspect)
    return (
        f"{found} (or {', '.join(unseen)} before it, not seen alone in the edited code)" if unseen else found
    )


def unseen_before(watch: Watch, key: Key, scene: Scene, place: Place) -> list[str]:
    """Layers between this tensor and those that were seen to be right: the fault may be in them as well."""
    graph, seen = scene.places.graph(place.path), {it for it, _ in watch.seen}
    producers = {name: op for op in graph.ops for name in op.outputs}
    waiting, found = list(place.op.inputs) if place.op else [], list[str]()
    while waiting:
        name = waiting.pop()
        inner = (key[0], name)
        if name in producers and inner not in seen and inner in watch.reference.tensors:
            found.append(producers[name].layer.removesuffix(".activation"))
            waiting += producers[name].inputs
    return list(dict.fromkeys(found))


def _reapply(port: PortRuns, scene: Scene, place: Place, key: Any, training: bool) -> Any:
    """Runs the whole port again with one module in another's place, and gives the tensor in question."""
    pristine = copy.deepcopy(port.module.state_dict())

    def again(path: str, repaired: Any) -> np.ndarray | None:
        found: list[np.ndarray] = []

        def sink(other: Any, where: Place, got: np.ndarray) -> None:
            if other == key and where.order is place.order:
                found.append(got.astype(np.float64))

        parent, _, name = path.rpartition(".")
        owner = port.module.get_submodule(parent) if parent else port.module
        original = getattr(owner, name)
        try:
            setattr(owner, name, repaired)
            modes = {it: it.training for it in port.module.modules()}
            kept = repaired.training
            with port.watching(sink), torch().no_grad():
                for module in port.module.modules():
                    module.training = training
                repaired.training = kept
                port.module(*port.tensors(scene.arrays))
            for module, mode in modes.items():
                module.training = mode
        finally:
            setattr(owner, name, original)
            port.module.load_state_dict(pristine)
        return found[0] if found else None

    return again
