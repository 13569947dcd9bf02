"""The first thing that differs: which layer, and why."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from torchport.verify.compare import LIMIT32, agrees
from torchport.verify.diagnosis.cause import cause
from torchport.verify.diagnosis.relations import EXACT
from torchport.verify.diagnosis.suspect import ModuleCall, Suspect, axes_of
from torchport.verify.forward import Seen, Watch
from torchport.verify.frameworks import torch
from torchport.verify.places import Place, Places
from torchport.verify.port_runs import PortRuns
from torchport.verify.recorder import Key
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


def after(watch: Watch, places: Places) -> str:
    """The layer that was running when the port stopped: the first watched one that has not given a value."""
    seen = {key for key, _ in watch.seen}
    by_name = {(place.path, place.tensor.name): place for place in places.all()}
    for key in watch.reference.tensors:
        path = "".join(f"{it.partition('@')[0]}/" for it in key[0])
        if key not in seen and (path, key[1]) in by_name:
            return by_name[path, key[1]].layer
    return ""


def explain(watch: Watch, at: Seen, port: PortRuns, scene: Scene, training: bool) -> str:
    """The likely cause of the first tensor that differs."""
    key, _ = at
    _, place = watch.seen[at]
    want = fractions(place.held(watch.reference.tensors[key]))
    inputs, input_axes = [], []
    graph = scene.places.graph(place.path)
    for name in place.op.inputs if place.op else ():
        inner = (key[0], name)
        if inner in watch.reference.tensors:
            other = scene.places.place(place.path, name)
            inputs.append(double(other.held(watch.reference.tensors[inner])))
            input_axes.append(axes_of(other))
        elif not key[0] and name in graph.inputs:
            other = scene.places.place(place.path, name)
            given = scene.arrays[graph.inputs.index(name)]
            inputs.append(double(other.held(given)))
            input_axes.append(axes_of(other))
    paths = scene.places.module_of(place.layer)
    own = dict(port.module.named_modules())
    variables = scene.variables
    weights = {
        it.name: it.expected(variables) for it in scene.places.record.weights if it.layer == place.layer
    }
    weights = {name: double(it) for name, it in weights.items()}
    suspect = Suspect(
        place, fractions(watch.wrong[at]), want, inputs,
        {path: own[path] for path in paths if path in own}, weights,
        _reapply(port, scene, place, key, training), training, input_axes, _calls(port, scene, training),
        lambda array: _twin(array, watch, key), LIMIT32 if key in watch.reference.inexact else EXACT,
    )  # fmt: skip
    unseen = unseen_before(watch, key, scene, place)
    found = cause(suspect)
    return (
        f"{found} (or {', '.join(unseen)} before it, not seen alone in the edited code)" if unseen else found
    )


def with_momentum(row: Row, module: Any, places: Places) -> Row:
    """A row of a running statistic that moved too far; where its module's momentum is another, with that."""
    path, _, name = row.name.rpartition(".")
    if not row.differs or not name.startswith("running_"):
        return row
    try:
        own = module.get_submodule(path).momentum
    except AttributeError:
        return row
    inside, _, layer = row.layer.rpartition("/")
    graph = places.graph(f"{inside}/" if inside else "")
    op = next((op for op in graph.ops if op.layer == layer), None)
    kept = float(op.config.get("momentum", 0.99)) if op else 0.99
    if own is None or math.isclose(own, 1 - kept, rel_tol=1e-6):
        return row
    said = f"its momentum is {own:g}, should be {1 - kept:g}"
    return replace(
        row, note=f"{said}: Keras's {kept:g} is the share that stays, torch's the share that is new"
    )


def _twin(array: np.ndarray, watch: Watch, key: Key) -> str:
    """The layer that gives an array in the source: another than the one of a key."""
    for (other, _), place in ((at, place) for at, (_, place) in watch.seen.items()):
        if other != key and other in watch.reference.tensors:
            right = watch.reference.tensors[other]
            if right.size == array.size and agrees(array, double(place.held(right))):
                return place.layer
    return ""


def fractions(array: np.ndarray) -> np.ndarray:
    """Numbers to compute with: complex ones as they are, all others in float64."""
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def double(array: np.ndarray) -> np.ndarray:
    """Numbers with a fraction in float64, all others as they are."""
    return array.astype(np.float64) if array.dtype.kind == "f" else array


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


@contextmanager
def _as_it_was(port: PortRuns, training: bool) -> Iterator[None]:
    """The port in one of its modes; its state and the modes of its modules are put back after."""
    pristine = copy.deepcopy(port.module.state_dict())
    modes = {module: module.training for module in port.module.modules()}
    try:
        with torch().no_grad():
            for module in port.module.modules():
                module.training = training
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        port.module.load_state_dict(pristine)


def _calls(port: PortRuns, scene: Scene, training: bool) -> Callable[[str], list[ModuleCall]]:
    """Runs the port again, and gives what the module of a path reads and gives each time."""

    def calls(path: str) -> list[ModuleCall]:
        found: list[ModuleCall] = []

        def arrays(tree: Any) -> list[np.ndarray]:
            if isinstance(tree, (tuple, list)):
                return [array for item in tree for array in arrays(item)]
            if isinstance(tree, Mapping):
                return [array for item in tree.values() for array in arrays(item)]
            return [double(tree.detach().cpu().numpy())] if hasattr(tree, "detach") else []

        def record(module: Any, args: Any, kwargs: Any, outputs: Any) -> None:
            found.append(ModuleCall(arrays((args, kwargs)), arrays(outputs)))

        handle = port.module.get_submodule(path).register_forward_hook(record, with_kwargs=True)
        try:
            with _as_it_was(port, training), port.watching(None):
                port.module(*port.tensors(scene.arrays))
        except Exception:  # a port that stops halfway has called some of its modules
            pass
        finally:
            handle.remove()
        return found

    return calls


def _reapply(port: PortRuns, scene: Scene, place: Place, key: Any, training: bool) -> Any:
    """Runs the whole port again with one module in another's place, and gives the tensor in question."""

    def again(path: str, repaired: Any) -> np.ndarray | None:
        found: list[np.ndarray] = []

        def sink(other: Any, where: Place, got: np.ndarray) -> None:
            if other == key and where.order is place.order:
                found.append(got.astype(np.float64))

        parent, _, name = path.rpartition(".")
        owner = port.module.get_submodule(parent) if parent else port.module
        original = getattr(owner, name)
        with _as_it_was(port, training), port.watching(sink):
            kept = repaired.training
            setattr(owner, name, repaired)
            try:
                repaired.training = kept
                port.module(*port.tensors(scene.arrays))
            finally:
                setattr(owner, name, original)
        return found[0] if found else None

    return again
