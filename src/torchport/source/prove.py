"""Both sides of a unit run: the same weights, inputs and draws, in float64; what they give is compared.

A unit of the source is run as its author would: `block(keras.Input(...), 64)`, `Layer(64)(x)`, `loss(y, z)`.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from torchport import scripts
from torchport.program import Module
from torchport.source.activations import argument_text
from torchport.source.observe import Endless
from torchport.source.port_run import in_doubles, run_port
from torchport.source.project import Project
from torchport.source.reference import (
    Case,
    Reference,
    Run,
)
from torchport.source.transfer import Differs, move_weights
from torchport.source.unit import Unit

#: How far two float64 results may be apart, as a share of the largest number.
LIMIT = 1e-9


@dataclass
class Proof:
    """What was run of a unit, and what differs. `failed`: cases that the source itself cannot run."""

    cases: list[Case] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    checks: int = 0
    worst: float = 0.0


@dataclass
class Prover:
    """The port's module beside the user's."""

    project: Project
    port: types.ModuleType
    #: What layers of these options, called there with these shapes, are.
    known: dict[Any, list[tuple[Module, dict[str, int]]]] = field(default_factory=dict)
    #: What the source's side gave, by unit and case, for several ports of one source. None: not kept.
    references: dict[tuple[str, str], Reference] | None = None

    def reference(self, unit: Unit, case: Case) -> Reference:
        """The source's side of a case. Raises whatever the user's code raises."""
        if self.references is None:
            return Reference.of(self, unit, case)
        key = (unit.name, str(case))
        if key not in self.references:
            self.references[key] = Reference.of(self, unit, case)
        return self.references[key]

    def prove(self, unit: Unit, cases: Sequence[Case], enough: int) -> Proof:
        """Tries cases until so many have run, or one differs."""
        found = Proof()
        for case in cases:
            if len(found.cases) == enough or found.differences:
                break
            recorder = self.project.watched.recorder
            if case.is_varied and recorder.is_endless(unit.name):
                continue
            try:
                with self.limit(case):
                    reference = self.runs(unit, case)
            except Endless:
                recorder.stopped[unit.name].append(str(case))
                continue
            except scripts.RAISED as error:  # arguments of our own: the source may refuse them
                found.failed.append(f"{case}: {type(error).__name__}: {cause(error)[:160]}")
                continue
            if unit.kind == "builder" and [len(it) for it in reference.shapes] != [
                it.rank for it in unit.inputs
            ]:
                found.failed.append(f"{case}: its inputs have other numbers of axes")
                continue
            try:
                self.compare(unit, case, reference, found)
                found.cases.append(case)
            except Differs as error:
                found.differences.append(f"{case}: {error}")
            except Exception as error:  # the port is a program: whatever it raises is a difference
                found.differences.append(f"{case}: the port raises {type(error).__name__}: {error}")
        return found

    def runs(self, unit: Unit, case: Case) -> Reference:
        """The source's side of a case, run. An open size may have to be one of the arguments' numbers."""
        numbers = {it for it in case.arguments.values() if type(it) is int and 1 < it <= 512}
        others = [replace(case, size=it) for it in sorted(numbers)] if unit.kind == "builder" else []
        for at, one in enumerate([case, *others]):
            try:
                reference = self.reference(unit, one)
                for training in reference.modes:
                    reference.gave(training)
                return reference
            except scripts.RAISED:
                if at == len(others):
                    raise
        raise AssertionError("one of them returns or raises")

    def limit(self, case: Case) -> AbstractContextManager[None]:
        """Runs that nobody asked for may not take long."""
        watched = self.project.watched
        return watched.recorder.limited(watched.patience) if case.is_varied else nullcontext()

    def compare(self, unit: Unit, case: Case, reference: Reference, found: Proof) -> None:
        """Raises Differs."""
        import torch

        unit = unit.of_ranks(tuple(map(len, case.shapes)))
        port = self.instance(unit, case, reference)
        if reference.model is not None:
            move_weights(self, unit, case, reference, port)
        counts: dict[str, int] = {}
        if reference.model is not None:
            for name, it in port.named_modules():
                if type(it).__name__.startswith("BatchNorm"):
                    it.register_forward_hook(partial(count, counts, name))
        for training in reference.modes:
            theirs = reference.gave(training)
            ours = run_port(torch, unit, port, reference.inputs, training)
            mode = "in training" if training else "in inference"
            if len(theirs.outputs) != len(ours.outputs):
                raise Differs(f"gives {len(ours.outputs)} tensors, the source {len(theirs.outputs)}")
            for at, (one, other) in enumerate(zip(theirs.outputs, ours.outputs, strict=True)):
                self.same(one, other, f"output {at} {mode}", found)
            for at, (one, other) in enumerate(zip(theirs.slopes, ours.slopes, strict=True)):
                self.same(one, other, f"the gradient of input {at} {mode}", found, theirs.steepest)
            if reference.model is not None:
                self.weights(reference, port, theirs, mode, found, counts)

    def same(self, one: np.ndarray, other: np.ndarray, what: str, found: Proof, reach: float = 0.0) -> None:
        """Raises Differs. `reach`: the largest of the numbers that are compared like this one.

        A gradient may be nothing but rounding, such as that of a bias before a batch normalisation: it is
        zero, and the sum of large numbers.
        """
        if one.dtype.kind == "b":
            one, other = one.astype(float), other.astype(float)
        if one.shape != other.shape:
            raise Differs(f"{what} has the shape {other.shape}, the source's {one.shape}")
        if not np.isfinite(one).all():
            if not np.array_equal(one, other, equal_nan=True):
                raise Differs(f"{what}: not the same where numbers are not finite")
            return
        away = float(np.max(np.abs(one - other), initial=0.0))
        scale = max(float(np.max(np.abs(one), initial=0.0)), reach, 1e-3)
        found.checks += 1
        found.worst = max(found.worst, away / scale)
        if not away <= LIMIT * scale:
            raise Differs(f"{what} is {away / scale:.1e} off")

    def instance(self, unit: Unit, case: Case, reference: Reference) -> Any:
        """The port's class with these arguments; its function."""
        import torch

        made = getattr(self.port, unit.cls)
        kept = {it.name for it in unit.parameters}
        defaults = inspect.signature(getattr(self.project.watched.module, unit.name)).parameters
        # what the source has as a default is left to the port's own
        given = {
            key: value
            for key, value in case.arguments.items()
            if key in kept and not (key in defaults and defaults[key].default is value)
        }
        for key in given.keys() & unit.modules.keys():
            if (text := argument_text(unit.modules[key], given[key])) is None:
                raise Differs(f"has no module for {key}={given[key]!r}")
            given[key] = eval(text, {"nn": torch.nn})
        if unit.kind == "function":
            return lambda *tensors: made(*tensors, **given)
        sizes = {
            name: shape[axis]
            for it, shape in zip(unit.inputs, reference.shapes, strict=True)
            for axis, name in {**it.extents, -1: it.channels}.items()
            if name in unit.sizes
        }
        with in_doubles(torch):
            return made(**sizes, **given).double()

    def weights(
        self, reference: Reference, port: Any, theirs: Run, mode: str, found: Proof,
        counts: Mapping[str, int],
    ) -> None:  # fmt: skip
        """Gradients of weights, and what statistics became."""
        state = dict(port.named_parameters()) | dict(port.named_buffers())
        for link in reference.links:
            tensor, slope = state[link.name], theirs.weights.get(id(link.variable))
            if slope is not None:
                ours = tensor.grad if tensor.grad is not None else tensor.detach() * 0
                what = f"the gradient of {link.name} {mode}"
                self.same(np.asarray(link.turn.apply(slope)), ours.numpy(), what, found, theirs.steepest)
            now, (owner, _, short) = link.of(theirs.after), link.name.rpartition(".")
            if short == "running_var" and training_of(mode) and (size := counts.get(owner, 0)) > 1:
                # torch's running variance is that of a sample: Bessel's correction
                share = port.get_submodule(owner).momentum
                kept = link.of(theirs.before) * (1 - share)
                now = kept + (now - kept) * size / (size - 1)
            self.same(now, tensor.detach().numpy(), f"{link.name} after a run {mode}", found)


def count(counts: dict[str, int], name: str, module: Any, args: Any, out: Any) -> None:
    """Notes of how many values each channel has."""
    counts[name] = args[0].numel() // args[0].shape[1]


def cause(error: BaseException) -> str:
    """What an error says first, but for where Keras was when it came."""
    lines = [it.strip() for it in str(error).splitlines() if it.strip(" \x1b[01m")]
    told = [it for it in lines if not it.startswith(("Exception encountered", "\x1b[1mCould not auto"))]
    return (told or lines or [""])[0]


def training_of(mode: str) -> bool:
    return mode == "in training"
