"""Keras archives, HDF5 files and live models as Graphs. Nothing of them is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph

__all__ = ["read"]

#: An HDF5 file starts with this, or has it at 512, 1024, 2048… bytes.
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def read(source: Any) -> Graph:
    """The graph of a model: a path to a `.keras` or `.h5` file, or a live `keras.Model`.

    What a file is shows in its first bytes, not in its name. Raises BadFile for one that is damaged
    or hostile, and Refused for a model whose computation is Python code.
    """
    from torchport.read import live

    if not isinstance(source, (str, Path)):
        if live.is_model(source):
            return live.read(source).check()
        raise TorchportError(
            f"cannot read a model from {type(source).__name__}",
            advice="give the path of a .keras or .h5 file, or a built keras.Model",
        )
    path = Path(source)
    start = first_bytes(path)
    if start.startswith(ZIP):
        from torchport.read import archive

        return archive.read(path).check()
    if start.startswith(HDF5):
        from torchport.read import hdf5

        return hdf5.read(path).check()
    raise BadFile(
        "is neither a Keras archive (a zip file) nor an HDF5 file",
        where=str(path),
        advice="save the model as .keras or .h5; if it is one, the file is damaged",
    )


def first_bytes(path: Path) -> bytes:
    """The start of a file. Raises BadFile if there is none."""
    try:
        if path.is_dir():
            advice = "load the model where it was written and save it as one .keras file"
            raise BadFile(
                "is a folder; only .keras and .h5 files are read", where=str(path), advice=advice
            )
        with path.open("rb") as file:
            return file.read(8)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(
            f"cannot be opened ({reason})", where=str(path), advice="check the path"
        ) from None
