"""TensorFlow code becomes PyTorch code: the user's functions and classes, ported one by one and proven.

The user's file is run under TensorFlow while every expression tells what it saw. Each statement is split into
what is known when the model is built, and what happens to tensors; the rules that serve saved models write
the latter. Then both sides run, with the arguments that were watched and with others.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchport.emit.source import formatted
from torchport.errors import TorchportError
from torchport.source import module
from torchport.source.cases import cases_of, proven
from torchport.source.fragment import is_layer
from torchport.source.observe import watch
from torchport.source.project import Project
from torchport.source.prove import Proof, Prover
from torchport.source.sites import NotPorted, SourceFile, SourceRefusal, site
from torchport.source.state import State, state_of
from torchport.source.trials import calls_that_run, losses, try_blocks, try_layers, try_others, try_rows
from torchport.source.unit import Unit


class SourceRefused(TorchportError):
    """All of a file's code that is not ported."""

    def __init__(self, refusals: Sequence[SourceRefusal]) -> None:
        self.refusals = tuple(refusals)
        lines = "".join(f"\n  {it}" for it in refusals)
        count = f"{len(refusals)} thing{'s' if len(refusals) != 1 else ''}"
        super().__init__(
            f"{count} cannot be ported exactly:{lines}",
            advice="mend them, or write what is proven alone with --partial",
        )


@dataclass(frozen=True)
class SourcePort:
    """A file's port: its text, its units and what was proven of each; what was refused."""

    source: SourceFile
    code: str
    units: tuple[Unit, ...]
    proofs: Mapping[str, Proof]
    refusals: tuple[SourceRefusal, ...] = ()
    notes: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    #: The state_dict for what the first call makes, where a file of weights was given.
    state: State | None = None

    @property
    def passed(self) -> bool:
        return not self.refusals

    def save(self, folder: str | Path, tests: bool = False) -> Path:
        """Writes the file, of the source's name, into a folder; with `tests`, one that proves it again.

        Raises TorchportError where that is the source itself.
        """
        path = Path(folder) / self.source.path.name
        if path.resolve() == self.source.path.resolve():
            raise TorchportError(
                "is the source itself", where=str(path), advice="give another folder with -o"
            )
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.code, encoding="utf-8")
        if tests:
            beside = path.with_name(f"test_{path.name}")
            beside.write_text(test_text(self), encoding="utf-8")
        if self.state is not None:
            save_file(dict(self.state.tensors), self.state_path(path))
        return path

    @staticmethod
    def state_path(path: Path) -> Path:
        """The file of the state_dict beside the port."""
        return path.with_suffix(".safetensors")


def port_source(
    path: str | Path, names: Sequence[str] = (), *, calls: Sequence[str] = (), partial: bool = False,
    weights: str | Path | None = None,
) -> SourcePort:  # fmt: skip
    """The port of a file's functions and classes. The file is run.

    `names`: those that are wanted; all by default. `calls`: expressions that run them. `weights`: a file of
    Keras's with those of what the first call makes. Raises SourceRefused with everything that is not ported,
    unless `partial`.
    """
    source = SourceFile.of(Path(path))
    defined = [it.name for it in source.definitions()]
    if unknown := [it for it in names if it not in defined]:
        known = ", ".join(defined) or "nothing"
        raise TorchportError(f"has no {unknown[0]}; it defines {known}", where=str(path))
    held = None if weights is None else Path(weights)
    return port_of(watched_project(source, names, calls), names, calls, partial, held)


def port_of(
    project: Project, names: Sequence[str] = (), calls: Sequence[str] = (), partial: bool = False,
    weights: Path | None = None,
) -> SourcePort:  # fmt: skip
    """The port of a file that was run. Raises SourceRefused, unless `partial`."""
    source, watched = project.source, project.watched
    defined = [it.name for it in source.definitions()]
    refusals, units = staged(project, names or defined, bool(names))
    if not units and not refusals:
        raise TorchportError(
            "none of its functions that ran has to do with tensors", where=str(source.path),
            advice='say what to call: --call "build_model((64, 64, 3))"',
        )  # fmt: skip
    proofs: dict[str, Proof] = {}
    if units:
        prover = Prover(project, module.loaded(module.text_of(source, units), f"port_of_{source.path.stem}"))
        watched.recorder.is_on = True
        cases = {unit.name: list(cases_of(watched, unit)) for unit in units}
        for unit in units:
            proofs[unit.name] = proven(prover, unit, cases[unit.name])
            refusals += unproven(project, unit, proofs[unit.name])
    if refusals and not partial:
        raise SourceRefused(refusals)
    bad = {it.unit for it in refusals}
    good = [it for it in units if it.name not in bad]
    state = None
    if weights is not None:
        state = state_of(project, prover, good, calls, weights)
    stubs = [stub(source, it) for it in refusals]
    code = module.text_of(source, good, stubs)
    notes = [f"{it.name}: {note}" for it in good for note in it.notes]
    for name, calls_of in watched.recorder.stopped.items():
        notes += [f"{name}: stopped after {watched.patience:.0f} s with {it}" for it in calls_of]
    return SourcePort(source, code, tuple(good), proofs, tuple(refusals), tuple(notes), tuple(calls), state)


def test_text(port: SourcePort) -> str:
    """A pytest file that proves the units of a port again, for as long as TensorFlow is installed."""
    source, names = str(port.source.path.resolve()), [it.name for it in port.units]
    return formatted(
        f'''"""{port.source.path.name}: its units are those of the TensorFlow code."""

from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
from torchport.source import prove_again

PORT = Path(__file__).with_name({port.source.path.name!r})


@pytest.mark.parametrize("name", {names!r})
def test_is_the_same(name: str) -> None:
    proof = prove_again({source!r}, PORT, name, calls={list(port.calls)!r})
    assert proof.cases and not proof.differences, proof.differences
'''
    )


def prove_again(path: str | Path, port: str | Path, name: str, calls: Sequence[str] = ()) -> Proof:
    """A unit of a port as it is now beside its source."""
    project = project_again(Path(path).resolve(), tuple(calls))
    unit = project.unit(name)
    text = Path(port).read_text(encoding="utf-8")
    prover = Prover(project, module.loaded(text, Path(port).stem))
    return proven(prover, unit, list(cases_of(project.watched, unit)))


@functools.cache
def project_again(path: Path, calls: tuple[str, ...]) -> Project:
    """A file that was run, once for all of its units."""
    return watched_project(SourceFile.of(path), (), calls)


def watched_project(source: SourceFile, names: Sequence[str], calls: Sequence[str]) -> Project:
    """A file that was run, with what is asked for, with other arguments, and its losses."""
    defined = [it.name for it in source.definitions()]
    watched = watch(source)
    given = list(calls) or list(calls_that_run(source, watched))
    for call in calls:
        watched.evaluate(call)
    watched.recorder.is_varied = True
    for call in given:
        try_others(watched, call)
    try_blocks(watched)
    try_layers(watched)
    try_rows(watched)
    watched.recorder.is_varied = False
    losses(source, watched, names or defined)
    if not watched.recorder.units:
        raise TorchportError(
            "nothing in it ran",
            where=str(source.path),
            advice='say what to call: --call "build_model((64, 64, 3))"',
        )
    return Project(source, watched)


def staged(project: Project, names: Sequence[str], is_asked: bool) -> tuple[list[SourceRefusal], list[Unit]]:
    """The units, and those that are refused, each at the line that it is refused for."""
    refusals, seen = list[SourceRefusal](), set[Any]()
    for name in names:
        try:
            project.unit(name)
        except NotPorted as error:
            if is_plain(project, name):
                continue
            found = project.source.refusal(error, name)
            if (key := (site(error.node), error.why)) not in seen:
                seen.add(key)
                refusals.append(found)
    return refusals, [it for it in project.units.values() if it is not None]


#: Classes that have to do with tensors, by what they are made of.
TENSORS = frozenset({"Layer", "Model", "Loss", "Metric", "Module"})


def is_plain(project: Project, name: str) -> bool:
    """Whether a function has nothing to do with tensors: scripts, and what reads files."""
    from torchport.source.observe import tensors

    node = project.node_of(name)
    if isinstance(node, ast.ClassDef):
        # a regulariser, a callback, a schedule: what is used in training alone, or holds settings
        kinds = {it.__name__ for it in getattr(getattr(project.watched.module, name, None), "__mro__", ())}
        return bool(kinds) and not kinds & TENSORS
    calls = project.watched.recorder.units.get(name, [])
    if calls:
        held = [one for it in calls for one in (*it.arguments.values(), it.result)]
        return not any(is_layer(one) or any(True for _ in tensors(one)) for one in held)
    return False


def unproven(project: Project, unit: Unit, proof: Proof) -> Iterator[SourceRefusal]:
    """Why a unit that was written is not ported all the same."""
    node = project.node_of(unit.name)
    where = str(project.source.path)
    if proof.differences:
        why = f"its port is not the same: {proof.differences[0]}"
        advice = "report it with this file: the rules say otherwise"
        yield SourceRefusal(where, node.lineno, node.col_offset + 1, unit.name, why, advice, unit.name)
    elif not proof.cases:
        why = f"could not be run by itself: {(proof.failed or ['it never ran'])[0]}"
        yield SourceRefusal(where, node.lineno, node.col_offset + 1, unit.name, why, "add --call", unit.name)


def stub(source: SourceFile, refusal: SourceRefusal) -> str:
    """What stands for a unit that is not ported."""
    where = f"{source.path.name}:{refusal.line}"
    node = next(it for it in source.definitions() if it.name == refusal.unit)
    if isinstance(node, ast.ClassDef):
        head = f"class {node.name}(nn.Module):\n    def __init__(self, *args, **kwargs):"
        return f"{head}\n        raise NotImplementedError({where!r})"
    return f"def {node.name}(*args, **kwargs):\n    raise NotImplementedError({where!r})"


__all__ = ["SourcePort", "SourceRefused", "port_source"]
