"""Keras archives, HDF5 files, TensorFlow.js folders, live models as Graphs. Nothing of them is executed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from torchport import scripts
from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph

__all__ = ["WithConfig", "read"]

#: An HDF5 file starts with this, or has it at 512, 1024, 2048… bytes.
HDF5 = b"\x89HDF\r\n\x1a\n"
#: What `config` is.
CONFIG = "--config takes model.json, or FILE.py:FUNCTION where FUNCTION() returns the Keras model"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class WithConfig:
    """A file of weights, and its model's architecture: a JSON file, or `module.py:build`.

    `build` is called without arguments and returns a Keras model, of which only the configuration is used:
    the one case in which code is run, and it is the user's own.
    """

    weights: Path
    config: str

    def __str__(self) -> str:
        return f"weights in {self.weights}, architecture in {self.config}"

    def __post_init__(self) -> None:
        if self.config.endswith(".py"):
            raise TorchportError("names no function in that file", where=self.config, advice=CONFIG)

    @property
    def function(self) -> tuple[Path, str] | None:
        """The Python file and the name of its function; None for JSON."""
        path, colon, name = self.config.rpartition(":")
        return (Path(path), name) if colon and path.endswith(".py") else None

    @cached_property
    def model(self) -> Any:
        """What the function returns; None for JSON."""
        if self.function is None:
            return None
        path, name = self.function
        return called(path, name, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def called(path: Path, name: str, changed: int) -> Any:
    """The model that a function of a Python file returns. Raises TorchportError.

    Called once for each state of the file: a second model would give its layers other names.
    """
    where = f"{path}:{name}"
    module = scripts.run(path, CONFIG)
    build = getattr(module, name, None)
    if not callable(build):
        raise TorchportError(f"cannot be run: there is no function {name}", where=str(path), advice=CONFIG)
    with scripts.beside(path), scripts.blame(path):
        model = build()
    from torchport.read import live

    if not live.is_model(model):
        raise TorchportError(f"returned {type(model).__name__}, not a Keras model", where=where)
    return model


def read(source: Any) -> Graph:
    """The graph of a model: a path to a file, weights `WithConfig`, or a live `keras.Model`.

    What a file is shows in its first bytes, not in its name. Raises BadFile for one that is damaged
    or hostile, and Refused for a model whose computation is Python code.
    """
    from torchport.read import live

    if isinstance(source, WithConfig):
        from torchport.read import separate

        return separate.read(source.weights, source.config, source.model).check()
    if not isinstance(source, (str, Path)):
        if live.is_model(source):
            return live.read(source).check()
        raise TorchportError(
            f"cannot read a model from {type(source).__name__}",
            advice="give the path of a .keras or .h5 file, or a built keras.Model",
        )
    return from_path(Path(source)).check()


def from_path(path: Path) -> Graph:
    """The graph of a file or folder."""
    from torchport.read import checkpoint, formats

    if exists(path / "model.json"):
        path = path / "model.json"
    folder = path.parent if path.name == "saved_model.pb" else path
    if exists(folder / "saved_model.pb"):
        from torchport.read import saved_model

        return saved_model.read(folder)
    if exists(path) and path.is_dir():
        raise formats.folder(path)
    if not exists(path) or path.suffix == ".index" or checkpoint.SHARD.search(path.name):
        if "\0" not in str(path) and checkpoint.prefix(path):
            what, advice = formats.CHECKPOINT
            raise BadFile(what, where=str(path), advice=advice)
    if str(path).startswith(("http:", "https:")):
        raise BadFile("is an address, no file", where=str(path), advice="download it, and give the file")
    start = first_bytes(path)
    if start.startswith(ZIP):
        from torchport.read import archive

        formats.check_archive(path)
        return archive.read(path)
    if is_hdf5(path, start):
        from torchport.read import hdf5

        return hdf5.read(path)
    if start.lstrip().startswith(b"{"):
        from torchport.read import tfjs

        return tfjs.read(path)
    raise formats.unknown(path, start)


def exists(path: Path) -> bool:
    """Whether there is a file or folder of that name, which may be no name at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_hdf5(path: Path, start: bytes) -> bool:
    """Whether a file is HDF5, which may follow a block of the user's own."""
    if start.startswith(HDF5):
        return True
    with path.open("rb") as file:
        for at in (512, 1024, 2048):
            file.seek(at)
            if file.read(len(HDF5)) == HDF5 and not start.startswith(b"MATLAB"):
                return True
    return False


def first_bytes(path: Path) -> bytes:
    """The start of a file. Raises BadFile if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(f"cannot be opened ({reason})", where=str(path), advice="check the path") from None
