"""The folder of a port: what it says of itself, and what verify writes into it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchport import pipeline
from torchport.errors import BadFile, Refused, TorchportError
from torchport.options import Options
from torchport.pipeline import Program
from torchport.port import OURS
from torchport.verify.result import Verification


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


def read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "port.json").read_text())
        return {
            **record,
            "options": Options.of_record(record["options"]),
            "class": str(record["class"]),
        }
    except TorchportError as error:
        raise BadFile(error.what, where=str(folder / "port.json"), advice=error.advice) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(
            f"port.json is damaged ({error})", where=str(folder), advice="convert the model again"
        ) from error


def check_same(record: Mapping[str, Any], program: Program, folder: Path) -> None:
    """Raises TorchportError where port.json is that of another model than the one that is compared with."""
    weights = set(record.get("weights", ()))
    mine = {entry.name for entry in program.entries}
    shapes = [it.get("shape") for it in record.get("inputs", ())]
    own = [list(it.shape) for it in program.definition.inputs]
    if weights == mine and shapes == own:
        return
    if shapes != own:
        what = f"its inputs are {shapes}, the source's {own}"
    else:
        missing, extra = (sorted(it)[:3] for it in (mine - weights, weights - mine))
        lists = [f"has {', '.join(extra)}" if extra else "", f"lacks {', '.join(missing)}" if missing else ""]
        what = f"it {' and '.join(filter(None, lists))}"
    advice = "give the model that it was made from, or convert this one"
    raise TorchportError(f"is the port of another model: {what}", where=str(folder), advice=advice)


def ported(source: Any, options: Options) -> Program:
    """The program of a source that a port was made of. Raises TorchportError for what it lacks to be read."""
    try:
        return pipeline.port(source, options)
    except Refused as error:
        kinds = ", ".join(sorted({it.kind for it in error.refusals}))
        advice = "add --rules FILE.py, the file that convert was given (in Python rules=...)"
        raise TorchportError(f"the port was made with rules for {kinds}", advice=advice) from error


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
    scratch.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(scratch, path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
