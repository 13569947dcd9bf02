"""The folder of a port: it appears whole or not at all, and what the user has in it stays."""

from __future__ import annotations

import os
from pathlib import Path

from torchport.errors import TorchportError
from torchport.record import OURS


def check_replaceable(target: Path, force: bool) -> None:
    """Raises TorchportError unless the path is an empty folder, or a port and to be replaced."""
    where = str(target)
    if not target.is_dir():
        raise TorchportError("is a file", where=where, advice="give a folder that is not there yet")
    if not any(target.iterdir()):
        return
    if not (target / "port.json").is_file():
        advice = "give another folder; --force replaces ports only"
        raise TorchportError("is there already, and is not a port", where=where, advice=advice)
    if not force:
        raise TorchportError("is there already", where=where, advice="add --force to replace it")


def swap(made: Path, target: Path, old: Path) -> None:
    """Put `made` where `target` is; what is ours of `target` ends up at `old`.

    All three are on one file system. On any failure `target` is what it was; killed between the two
    renames, it is at `old`.
    """
    if not target.exists():
        os.rename(made, target)
        return
    try:
        os.rename(target, old)
        os.rename(made, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    for item in old.iterdir():
        if not OURS.fullmatch(item.name):
            os.rename(item, target / item.name)
