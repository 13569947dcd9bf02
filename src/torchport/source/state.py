"""A file of the source's weights as the state_dict of the port: loaded by Keras, moved, and proven."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.errors import TorchportError
from torchport.read import live, separate
from torchport.source.cases import cases_of
from torchport.source.observe import as_it_is
from torchport.source.prove import Proof, Prover
from torchport.source.reference import Case, Reference, values
from torchport.source.transfer import Differs, move_weights
from torchport.source.unit import Unit

if TYPE_CHECKING:
    from torchport.source.project import Project


@dataclass(frozen=True)
class State:
    """The state_dict for one unit of a port, `made` as text, and how it was proven."""

    made: str
    tensors: Mapping[str, Any]
    proof: Proof


def state_of(
    project: Project, prover: Prover, units: Sequence[Unit], calls: Sequence[str], path: Path
) -> State:
    """The weights of a file for what the first call makes. Raises TorchportError."""
    unit = unit_of(units, calls, path)
    project.watched.recorder.is_on = True
    cases = list(cases_of(project.watched, unit))
    if not cases:
        raise TorchportError(f"is for {unit.name}, which never ran", where=str(path), advice="add --call")
    case, proof = cases[0], Proof()
    reference = Reference.of(prover, unit, case)
    load(project, unit, case, reference, path)
    port = prover.instance(unit, case, reference)
    try:
        move_weights(prover, unit, case, reference, port)
        tensors = {key: single(it) for key, it in port.state_dict().items()}
        for training in reference.modes:
            reference.gave(training)
        prover.compare(unit, case, reference, proof)
    except Differs as error:
        why = f"in {unit.name} the port is not the same with these weights: {error}"
        raise TorchportError(why, where=str(path), advice="report it with both files") from error
    proof.cases.append(case)
    return State(made_of(unit, case, reference), tensors, proof)


def unit_of(units: Sequence[Unit], calls: Sequence[str], path: Path) -> Unit:
    """The unit whose weights a file has: what the first call makes; without one, the only model."""
    known = {it.name: it for it in units if it.kind not in ("function", "loss")}
    for call in calls[:1]:
        names = [it.id for it in ast.walk(ast.parse(call)) if isinstance(it, ast.Name)]
        found = next((known[it] for it in names if it in known), None)
        if found is None:
            raise TorchportError(
                f"is for {call}, which is not ported", where=str(path), advice="give a --call of what is"
            )
        return found
    models = [it for it in known.values() if it.kind in ("builder", "layer")]
    if len(models) != 1:
        advice = "say with --call what makes the model of these weights"
        raise TorchportError(f"could be for {len(models)} parts of the port", where=str(path), advice=advice)
    return models[0]


def load(project: Project, unit: Unit, case: Case, reference: Reference, path: Path) -> None:
    """The file's weights into the reference, by Keras itself in float32. Raises TorchportError."""
    target, recorder = getattr(project.watched.module, unit.name), project.watched.recorder
    was, recorder.is_on = recorder.is_on, False
    try:
        with as_it_is():
            model = target(**case.arguments)
            if unit.kind == "layer":
                keras = reference.keras
                kinds = case.kinds or ("",) * len(case.shapes)
                pairs = zip(case.shapes, kinds, strict=True)
                ends = [keras.Input(shape[1:], dtype=kind or None) for shape, kind in pairs]
                (first, *_), others = unit.grouped(ends).values(), list(unit.grouped(ends).items())[1:]
                model(first, **dict(others))
            if not hasattr(model, "load_weights"):
                advice = "give a --call that makes a model"
                raise TorchportError(f"is for {unit.name}, which is no model", where=str(path), advice=advice)
            separate.loaded(model, path)
    finally:
        recorder.is_on = was
    ours, theirs = list(live.variables(reference.model)), list(live.variables(model))
    if [tuple(it.shape) for it in ours] != [tuple(it.shape) for it in theirs]:
        raise TorchportError("has its weights in another order in each run", where=str(path))
    for one, other in zip(ours, theirs, strict=True):
        one.assign(np.asarray(other.numpy(), one.numpy().dtype))
    reference.start = values(ours)


def single(tensor: Any) -> Any:
    """A tensor as the port has it: float32."""
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().clone().contiguous()


def made_of(unit: Unit, case: Case, reference: Reference) -> str:
    """The call that makes the module that the weights are for."""
    pairs = zip(unit.inputs, reference.shapes, strict=True)
    places = {name: shape[at] for it, shape in pairs for at, name in {**it.extents, -1: it.channels}.items()}
    given = [f"{it}={places[it]}" for it in unit.sizes if it in places]
    given += [f"{it.name}={case.arguments[it.name]!r}" for it in unit.parameters if it.name in case.arguments]
    return f"{unit.cls}({', '.join(given)})"


__all__ = ["State", "state_of"]
