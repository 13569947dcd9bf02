"""The folder of a port: what it says of itself, and what verify writes into it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.options import Options
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
