"""TensorFlow code becomes PyTorch code: the user's functions and classes, ported one by one and proven.

The user's file is run under TensorFlow while every expression tells what it saw. Each statement is split into
what is known when the model is built, and what happens to tensors; the rules that serve saved models write
the latter. Then both sides run, with the arguments that were watched and with others.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchport.emit.source import formatted
from torchport.errors import TorchportError
from torchport.read.subclass import keras_of
from torchport.source import module, vary
from torchport.source.fragment import is_layer
from torchport.source.observe import Watched, told, watch
from torchport.source.project import Project
from torchport.source.prove import Proof, Prover, case_of
from torchport.source.sites import NotPorted, SourceFile, SourceRefusal, site
from torchport.source.theirs import Case
from torchport.source.unit import SIZES_OF_SPACE, Unit

#: With how many watched calls, and with how many others, a unit is proven; how many are tried for that.
WATCHED, VARIED, TRIED = 1, 3, 10
#: Shapes on which losses are tried that no call runs.
LOSS_SHAPES = ((4, 8, 6, 3), (3, 10, 4, 2))


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
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.code, encoding="utf-8")
        if tests:
            beside = path.with_name(f"test_{path.name}")
            beside.write_text(test_text(self), encoding="utf-8")
        return path


def port_source(
    path: str | Path, names: Sequence[str] = (), *, calls: Sequence[str] = (), partial: bool = False
) -> SourcePort:
    """The port of a file's functions and classes. The file is run.

    `names`: those that are wanted; all by default. `calls`: expressions that run them. Raises SourceRefused
    with everything that is not ported, unless `partial`.
    """
    source = SourceFile.of(Path(path))
    defined = [it.name for it in source.definitions()]
    if unknown := [it for it in names if it not in defined]:
        known = ", ".join(defined) or "nothing"
        raise TorchportError(f"has no {unknown[0]}; it defines {known}", where=str(path))
    return port_of(watched_project(source, names, calls), names, calls, partial)


def port_of(
    project: Project, names: Sequence[str] = (), calls: Sequence[str] = (), partial: bool = False
) -> SourcePort:
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
    stubs = [stub(source, it) for it in refusals]
    code = module.text_of(source, good, stubs)
    notes = [f"{it.name}: {note}" for it in good for note in it.notes]
    for name, calls_of in watched.recorder.stopped.items():
        notes += [f"{name}: stopped after {watched.patience:.0f} s with {it}" for it in calls_of]
    return SourcePort(source, code, tuple(good), proofs, tuple(refusals), tuple(notes), tuple(calls))


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
    given = list(calls) or list(calls_in(source, watched))
    for call in given:
        watched.evaluate(call)
    watched.recorder.is_varied = True
    for call in given:
        try_others(watched, call)
    try_blocks(watched)
    try_layers(watched)
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


def is_plain(project: Project, name: str) -> bool:
    """Whether a function has nothing to do with tensors: scripts, and what reads files."""
    from torchport.source.observe import tensors

    node = project.node_of(name)
    if isinstance(node, ast.ClassDef):
        return False
    calls = project.watched.recorder.units.get(name, [])
    if calls:
        held = [one for it in calls for one in (*it.arguments.values(), it.result)]
        return not any(is_layer(one) or any(True for _ in tensors(one)) for one in held)
    return False


def calls_in(source: SourceFile, watched: Watched) -> Iterator[str]:
    """Calls of the file's own functions: those of its script, else those that need no arguments."""
    functions = set(source.functions())
    found = []
    for node in source.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for it in ast.walk(node):
            if isinstance(it, ast.Call) and isinstance(it.func, ast.Name) and it.func.id in functions:
                read = {one.id for one in ast.walk(it) if isinstance(one, ast.Name)}
                if all(one in vars(watched.module) for one in read):
                    found.append(ast.unparse(it))
    called = {it.partition("(")[0] for it in found}
    for name in functions - called:
        if vary.has_defaults(getattr(watched.module, name)) and makes_model(source.functions()[name]):
            found.append(f"{name}()")
    yield from dict.fromkeys(found)


def makes_model(node: ast.FunctionDef) -> bool:
    """Whether a function looks as if it made a model: only such is called without being asked to."""
    text = ast.unparse(node)
    return "Model(" in text or "Sequential(" in text


def try_others(watched: Watched, call: str) -> None:
    """Runs a call with other arguments: what is written must hold for them too."""
    node = ast.parse(call, mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    done = watched.recorder.units.get(node.func.id, [])
    if not done:
        return
    first = done[0].arguments
    run_others(watched, node.func.id, {}, first)


def try_blocks(watched: Watched) -> None:
    """Runs each function of tensors with other arguments than its callers give it."""
    from torchport.source.observe import is_tensor

    for name in watched.source.functions():
        calls = watched.recorder.units.get(name, [])
        if not calls or not any(map(is_tensor, calls[0].arguments.values())):
            continue
        plain = {key: it for key, it in calls[0].arguments.items() if not is_tensor(it)}
        tensors = {key: it for key, it in calls[0].arguments.items() if is_tensor(it)}
        run_others(watched, name, tensors, plain)


def try_layers(watched: Watched) -> None:
    """Runs each layer class in training too, and made with other arguments."""
    keras = keras_of(watched.module)
    for name, node in watched.source.classes().items():
        calls = watched.recorder.units.get(f"{name}.call", [])
        if not calls:
            continue
        given = {key: it for key, it in calls[0].arguments.items() if key not in ("self", "training")}
        layer, cls = calls[0].arguments["self"], getattr(watched.module, name)
        known = {it.arg for one in ast.walk(node) if isinstance(one, ast.FunctionDef) for it in one.args.args
                 if one.name == "call"}  # fmt: skip
        mode = {"training": True} if "training" in known else {}

        def run(layer: Any, given: Any = given, mode: Any = mode) -> None:
            (first, *_), others = given.values(), dict(list(given.items())[1:])
            layer(symbols(keras, first), **{key: symbols(keras, it) for key, it in others.items()}, **mode)

        if not given:
            continue
        if mode:
            watched.attempt(functools.partial(run, layer), name, {})
        made = watched.recorder.units.get(f"{name}.__init__", [])
        plain = next((it.arguments for it in made if it.arguments.get("self") is layer), {})
        plain = {key: it for key, it in plain.items() if key not in ("self", "kwargs", "args", "name")}
        for arguments in itertools.islice(vary.variations(plain), TRIED):
            if (
                not watched.recorder.is_endless(name)
                and told(arguments) not in watched.recorder.stopped[name]
            ):
                watched.attempt(functools.partial(made_and_run, run, cls, arguments), name, arguments)


def made_and_run(run: Callable[[Any], None], cls: Any, arguments: Mapping[str, Any]) -> None:
    """Makes an object with these arguments, and runs it."""
    run(cls(**arguments))


def symbols(keras: Any, value: Any) -> Any:
    """Tensors of these shapes, to call a layer on."""
    from torchport.source.observe import is_tensor

    if is_tensor(value):
        return keras.Input(tuple(value.shape)[1:], dtype=str(getattr(value.dtype, "name", value.dtype)))
    if isinstance(value, (list, tuple)):
        return [symbols(keras, it) for it in value]
    return value


def run_others(watched: Watched, name: str, tensors: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """Runs a function with other arguments, as long as they end."""
    function, recorder = getattr(watched.module, name), watched.recorder
    for arguments in itertools.islice(vary.variations(plain), TRIED):
        if not recorder.is_endless(name) and told(arguments) not in recorder.stopped.get(name, ()):
            watched.attempt(functools.partial(function, **tensors, **arguments), name, arguments)


def losses(source: SourceFile, watched: Watched, names: Sequence[str]) -> None:
    """Runs functions with the signature of Keras's losses, (y_true, y_pred), that nothing else runs."""
    import numpy as np
    import tensorflow as tf

    numbers = np.random.default_rng(3)

    def run(function: Any, name: str) -> None:
        for shape in LOSS_SHAPES:
            tensors = [tf.constant(numbers.uniform(0.05, 0.95, shape), tf.float32) for _ in range(2)]
            watched.attempt(functools.partial(function, *tensors), name, {})

    for name in source.classes():
        cls = getattr(watched.module, name, None)
        kinds = [it.__name__ for it in getattr(cls, "__mro__", ())]
        if "Loss" in kinds[1:] and name in names and f"{name}.call" not in watched.recorder.units:
            if vary.has_defaults(cls):
                watched.attempt(
                    functools.partial(made_and_run, functools.partial(run, name=name), cls, {}), name, {}
                )
    for name, node in source.functions().items():
        given = [it.arg for it in node.args.args][:2]
        if name not in names or given not in (["y_true", "y_pred"], ["true", "pred"]):
            continue
        if name in watched.recorder.units:
            continue
        run(getattr(watched.module, name), name)


def cases_of(watched: Watched, unit: Unit) -> Iterator[Case]:
    """What a unit was watched with, then other arguments and sizes."""
    is_class = unit.kind in ("layer", "loss")
    calls = watched.recorder.units.get(f"{unit.name}.call" if is_class else unit.name, [])
    made = watched.recorder.units.get(f"{unit.name}.__init__", [])
    seen: dict[str, Case] = {}
    inner = watched.recorder.units.get(f"{unit.name}.{unit.inner}", [])[:1] if unit.inner else []
    for at, call in enumerate(calls):
        case = case_of(unit, call, *inner)
        if is_class and made:
            own = next((it for it in made if it.arguments.get("self") is call.arguments.get("self")), None)
            if own is None:
                continue
            arguments = {it.name: own.arguments[it.name] for it in unit.known if it.name in own.arguments}
            case = replace(case, arguments=arguments)
        seen.setdefault(str(case), case)
        if at > 400:
            break
    yield from seen.values()


def proven(prover: Prover, unit: Unit, watched: Sequence[Case]) -> Proof:
    """A unit run with what was watched, and with other arguments."""
    cases = list(watched[:WATCHED])
    for case in watched[:1]:
        still = {*unit.fixed, *(unit.dropped if SIZES_OF_SPACE in unit.fixed else ())}
        arguments = [
            replace(case, arguments=it, is_varied=True)
            for it in vary.variations(case.arguments)
            if all(it[name] == case.arguments[name] for name in still if name in it)
        ]
        shapes = (
            []
            if SIZES_OF_SPACE in unit.fixed
            else [replace(case, shapes=it, is_varied=True) for it in vary.image_sizes(case.shapes)]
        )
        cases += [*arguments, *shapes, *watched[WATCHED:]][:TRIED]
    endless = prover.project.watched.recorder.stopped[unit.name]
    unique = {str(it): it for it in cases if not (it.is_varied and told(it.arguments) in endless)}
    return prover.prove(unit, list(unique.values()), VARIED + len(watched[:WATCHED]))


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
