"""What a conversion makes of every graph of the corpus: text, state_dict, permutes, or refusals."""

from __future__ import annotations

import hashlib
import json
import lzma
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.replay.codec import decode, is_quantised

from torchport import pipeline, training
from torchport.emit.weights import Entry
from torchport.errors import BadFile, Refused
from torchport.graph import Graph
from torchport.options import DEFAULT, Options
from torchport.program import Fill

FOLDER = Path(__file__).parent
#: The graphs, and what became of them, part by part: a change of one family rewrites one file.
CORPUS, EXPECTED = FOLDER / "corpus", FOLDER / "expected"
#: Parts whose programs are written as ruff formats them. Of the many graphs of one layer the text is kept as
#: emit gives it: formatting each would take longer than all else.
FORMATTED = ("applications", "networks", "random")
#: Of larger weights only the turn is compared, not what it makes of the numbers.
LARGEST = 5_000
#: Other ways to write a program, asked for where they could make another; kept where they do.
VARIANTS = {
    "keep_io": Options(keep_io=True), "exact": Options(exact=True), "dequantise": Options(dequantise=True),
}  # fmt: skip


def parts() -> list[str]:
    """The names of the parts of the corpus, the small ones first."""
    files = sorted(CORPUS.glob("*.json.xz"), key=lambda path: (path.stat().st_size, path.name))
    return [path.name.partition(".")[0] for path in files]


def load(folder: Path, part: str) -> dict[str, Any]:
    """A part of the corpus or of what is expected; empty where there is none."""
    path = folder / f"{part}.json.xz"
    return json.loads(lzma.decompress(path.read_bytes())) if path.exists() else {}


def save(folder: Path, part: str, content: Mapping[str, Any]) -> None:
    """The same content gives the same bytes."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    (folder / f"{part}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


def replay(part: str) -> dict[str, Any]:
    """What becomes of every graph of a part, by its name."""
    corpus = load(CORPUS, part)
    if part in FORMATTED:
        return {name: outcome(decode(graph)) for name, graph in corpus.items()}
    with without_formatting():
        return {name: outcomes(decode(graph)) for name, graph in corpus.items()}


@contextmanager
def without_formatting() -> Iterator[None]:
    """Programs as emit gives them."""
    ruff = pipeline.formatted
    pipeline.formatted = str
    try:
        yield
    finally:
        pipeline.formatted = ruff


def outcomes(graph: Graph) -> dict[str, Any]:
    """What becomes of one graph, and with options that make another program of it."""
    plain = outcome(graph)
    is_normalised = any(op.kind == "BatchNormalization" for op in graph.ops)
    wanted = ("keep_io", "exact") if is_normalised else ("keep_io",)
    if "refused" in plain:
        wanted = ("dequantise",) if is_quantised(graph) else ()
    others = {name: outcome(graph, VARIANTS[name]) for name in wanted}
    return {**plain, **{name: other for name, other in others.items() if other != plain}}


def outcome(graph: Graph, options: Options = DEFAULT) -> dict[str, Any]:
    """The program of a graph, or why it has none."""
    try:
        program = pipeline.written(graph, "Replay", options)
        weights = {entry.name: transform(entry) for entry in program.entries}
    except Refused as error:
        return {"refused": [str(refusal) for refusal in error.refusals]}
    except BadFile as error:
        return {"refused": [str(error)]}
    found = {
        "code": program.code,
        "weights": weights,
        "permutes": [str(permute) for permute in program.permutes],
        "notes": list(program.notes),
        "training": json.loads(json.dumps(training.record(graph))),
    }
    return {key: value for key, value in found.items() if value}


def transform(entry: Entry) -> str:
    """Where a tensor of the state_dict comes from, and a digest of what becomes of the numbers 1, 2, 3, …"""
    if isinstance(entry.load, Fill):
        return f"{entry.load.value} {entry.shape} {entry.dtype}"
    text = f"{entry.load.turn.text} of {entry.source} {entry.shape} {entry.dtype}"
    if math.prod(entry.shape) > LARGEST:
        return f"{text} {entry.load.turn}"
    return f"{text} {hashlib.sha256(entry.array().tobytes()).hexdigest()[:12]}"
