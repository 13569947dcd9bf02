"""The folder of a port: what it says of itself, and what verify writes into it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any

from torchport.errors import BadFile, Refusal, Refused, TorchportError
from torchport.graph import Graph, Weight
from torchport.infer import prepare
from torchport.options import Options
from torchport.record import OURS, PortRecord, graphs, text
from torchport.rules import find, user
from torchport.verify.result import Verification
from torchport.watch.sources import graph_of


def folder_of(port: str | Path) -> Path:
    """The folder of a port. Raises BadFile if it is none."""
    folder = Path(port)
    for name in ("model.py", "port.json"):
        if not (folder / name).is_file():
            raise BadFile(
                f"there is no {name}",
                where=str(folder),
                advice="give a folder that torchport wrote",
            )
    return folder


def read_record(folder: Path) -> PortRecord:
    """What a port says of itself. Raises BadFile."""
    path = folder / "port.json"
    try:
        return PortRecord.of(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        what = f"port.json is damaged ({error})"
        raise BadFile(what, where=str(folder), advice="convert the model again") from error
    except TorchportError as error:
        raise BadFile(error.what, where=str(path), advice=error.advice) from error


def check_same(
    record: PortRecord, names: Set[str], own: Sequence[Sequence[int | None]], folder: Path
) -> None:
    """Raises TorchportError where port.json is that of another model than the one that is compared with.

    `names`: of the source's variables. `own`: the shapes of its inputs.
    """
    sources = {it.source for it in record.weights if it.turn is not None}
    shapes = shapes_of(record.graph)
    if shapes != [list(it) for it in own]:
        what = f"its inputs are {shapes}, the source's {own}"
    elif extra := sorted(sources - names)[:3]:
        missing = sorted(names - sources)[:3]
        what = f"it has {', '.join(extra)}" + (f" and lacks {', '.join(missing)}" if missing else "")
    else:
        return
    advice = "give the model that it was made from, or convert this one"
    raise TorchportError(f"is the port of another model: {what}", where=str(folder), advice=advice)


def check_rules(record: PortRecord) -> None:
    """Raises TorchportError where a port was made with rules of the user's that are not at hand."""
    user.plugins(record.graph)
    kinds = {op.kind for _, graph in graphs(record.graph) for op in graph.ops if op.kind != "Model"}
    if unknown := sorted(kind for kind in kinds if find(kind) is None):
        raise TorchportError(f"the port was made with rules for {', '.join(unknown)}", advice=RULES)


#: What to do where rules are missing.
RULES = "add --rules FILE.py, the file that convert was given (in Python rules=...)"


def shapes_of(graph: Graph) -> list[list[int | None]]:
    """The shapes of a graph's inputs."""
    return [list(graph.tensors[name].shape) for name in graph.inputs]


def variables_of(graph: Graph, path: str = "") -> Iterator[tuple[str, Weight]]:
    """The variables of a graph by the names that a record has for them: `encoder/conv1/kernel`."""
    for op in graph.ops:
        for name, weight in op.weights.items():
            yield f"{path}{op.layer}/{name}", weight
    for layer, body in graph.bodies.items():
        yield from variables_of(body, f"{path}{layer}/")


def source_graph(source: Any, options: Options) -> Graph:
    """The graph of a source that was ported. Raises TorchportError for what it lacks to be read."""
    try:
        graph = graph_of(source)
        user.plugins(graph)
        refusals: list[Refusal] = []
        graph = prepare(graph, options, refusals)
        if refusals:
            raise Refused(tuple(refusals))
        return graph
    except Refused as error:
        kinds = ", ".join(sorted({it.kind for it in error.refusals}))
        raise TorchportError(f"the port was made with rules for {kinds}", advice=RULES) from error


def write_record(folder: Path, result: Verification) -> None:
    """Into port.json what was verified, and of which files; null where something differs."""
    path = folder / "port.json"
    record = json.loads(path.read_text())
    summary = None
    if not result.differs:
        files = sorted(
            it for it in folder.iterdir() if OURS.fullmatch(it.name) and it.is_file() and it != path
        )
        summary = {**result.summary(), "files": {it.name: digest(it) for it in files}}
    if record.get("verified") == summary:
        return
    record["verified"] = summary
    scratch = path.with_name(".port.json.new")
    scratch.write_text(text(record) + "\n", encoding="utf-8")
    os.replace(scratch, path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
