"""Python files that the user hands over and that are run: rules, an architecture, classes of Keras layers.

An error in such a file is the user's, and is told by file and line, wherever it shows.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torchport.errors import TorchportError

#: Folders whose files are never the user's.
NOT_THEIRS = (Path(__file__).parent, Path(traceback.__file__).parent)
#: What a script may raise: sys.exit() too, but not the user's Ctrl-C.
RAISED = (Exception, SystemExit)


def run(path: str | Path, advice: str) -> ModuleType:
    """The module that a Python file is. It can import what lies beside it, as scripts can.

    Raises TorchportError, with the line, for whatever the file raises; `advice` is for a file that is none.
    """
    path = Path(path)
    where = str(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise TorchportError(f"cannot be read ({error.strerror})", where=where, advice=advice) from error
    name = f"torchport_{path.stem}_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TorchportError("is not a Python file", where=where, advice="its name should end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with beside(path), blame(path):
            exec(compile(source, path.resolve(), "exec"), vars(module))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def prepare_tensorflow() -> None:
    """What TensorFlow reads when it is imported, which a user's file may do first: few messages, no oneDNN.

    oneDNN's kernels round otherwise from run to run, and some end the process (verify/patches/kernels.py).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


@contextmanager
def beside(path: str | Path) -> Iterator[None]:
    """What lies in a file's folder can be imported, and TensorFlow as the reference."""
    prepare_tensorflow()
    folder = str(Path(path).resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


#: What to do with code that Keras 3 does not run.
OLDER = "run it with Keras 2, if it was written for that: set TF_USE_LEGACY_KERAS=1 (pip install tf-keras)"


@contextmanager
def blame(*paths: str | Path | None) -> Iterator[None]:
    """What goes wrong in these files, or in what lies beside them, becomes a TorchportError with the line."""
    try:
        yield
    except TorchportError:
        raise
    except RAISED as error:
        where = line_of(error, [Path(path) for path in paths if path is not None])
        if not where:
            raise
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # a function of TensorFlow on a tensor of Keras 3, and methods that it had in Keras 2
        is_older = "KerasTensor" in what and os.environ.get("TF_USE_LEGACY_KERAS") != "1"
        advice = f"correct it there, or {OLDER}" if is_older else "correct it there"
        raise TorchportError(f"fails with {what}", where=where, advice=advice) from error


def line_of(error: BaseException, paths: Sequence[Path]) -> str:
    """Where the innermost line of one of the files, or of a file beside one, stands: `rules.py, line 3`.

    Empty if none of them had a part in it.
    """
    found = ""
    if isinstance(error, SyntaxError) and error.filename and any(owns(it, error.filename) for it in paths):
        return f"{shown(error.filename)}, line {error.lineno}"
    for frame in traceback.extract_tb(error.__traceback__):
        if any(owns(path, frame.filename) for path in paths):
            inside = "" if frame.name == "<module>" else f", in {frame.name}"
            found = f"{shown(frame.filename)}, line {frame.lineno}{inside}"
    return found


def owns(path: Path, filename: str) -> bool:
    """Whether a file is this one, or lies beside or below it and is the user's: no package, and not ours."""
    file, folder = Path(filename), path.resolve().parent
    if file in (path, path.resolve()):
        return True
    is_installed = "site-packages" in file.parts or any(it in file.parents for it in NOT_THEIRS)
    return folder in file.parents and not is_installed


def shown(filename: str) -> str:
    """A file as a person here calls it: from the current folder, if it lies there."""
    file = Path(filename)
    return str(file.relative_to(Path.cwd())) if Path.cwd() in file.parents else filename
