"""The proof: TensorFlow and torch side by side, in float64 and float32, forward, backward and in training.

Training mode is compared with dropout off on both sides. That each dropout layer is there, with its
rate, and drops that share of values is a check of its own. What else a model draws, such as the noise
of a variational autoencoder, is the same on both sides: it is compared.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
import types
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from torchport import scripts
from torchport.errors import TorchportError
from torchport.rules import user
from torchport.verify.result import CHECKS, MEASURE, Divergence, Row, Verification
from torchport.watch.recipe import Recipe
from torchport.watch.sources import file_of
from torchport.watch.sources import source as source_of

__all__ = ["CHECKS", "MEASURE", "Divergence", "Row", "Verification", "record", "verify"]

T = TypeVar("T")


def with_files(function: Callable[..., T]) -> Callable[..., T]:
    """The function, where a file of rules holds, and errors in the user's files have their lines."""

    @wraps(function)
    def called(*args: Any, **options: Any) -> T:
        config = str(options.get("config") or "").partition(".py:")
        custom = options.get("custom")
        several = list(custom) if isinstance(custom, (list, tuple)) else [custom]
        code = options.get("code")
        several += code if isinstance(code, (list, tuple)) else [code]
        several.append(file_of(args[0]) if args else None)
        files = [options.get("rules"), *several, f"{config[0]}.py" if config[1] else None]
        with user.rules(files[0]), scripts.blame(*(it for it in files if isinstance(it, (str, Path)))):
            return function(*args, **options)

    return called


@with_files
def verify(
    source: Any, port: Any, *, inputs: Any = None, seed: int = 0, steps: int = 3,
    progress: Callable[[str], None] | None = None, custom: Any = None,
    rules: str | Path | None = None, config: str | Path | None = None, code: Any = None,
    call: str | None = None, weights: str | Path | None = None, input_shape: Any = None,
    precision: str = "both",
) -> Verification:  # fmt: skip
    """Compare a model with its port: the very files in the port's folder, as they are now.

    source: a `.keras` or `.h5` file, a live model, or a folder that `record` wrote, which needs no
    TensorFlow: inputs, seed, steps and precision are then those that were recorded. port: a folder that
    torchport wrote, or a Port. inputs: arrays in the source's axes, in order or by name; random ones by
    `seed` otherwise. steps: how many steps of SGD are taken. progress: told what is being done. custom:
    classes and functions of the user's own by name, or the Python file or module that has them, which is
    run, or several of these; a live model has its own. rules, config, code,
    call, weights, input_shape: as `torchport.convert` was given.
    precision: "both", or "float64" or "float32" alone, which takes less time, and float32 half of the
    memory; the result says what was left out.

    If all agrees, and a folder was given, its port.json says so under "verified"; else that is
    cleared. Raises TorchportError where there is nothing to compare: no TensorFlow, no reference, a
    wrong input.
    """
    from torchport.verify.folder import folder_of, write_record
    from torchport.verify.session import Session

    if precision not in ("both", "float64", "float32"):
        raise TorchportError(f"precision is {precision!r}", advice='give "both", "float64" or "float32"')
    tell = progress or (lambda text: None)
    source = source_of(source, config, code, call, weights, input_shape)
    how = (inputs, seed, steps, tell, custom, precision)
    with tempfile.TemporaryDirectory(prefix="torchport-") as name:
        scratch = Path(name)
        if not isinstance(port, (str, Path)):
            folder = port.save(scratch / "port")
            return checked(Session.start(source, folder, scratch, *how).run(), source)
        folder = folder_of(port)
        result = checked(Session.start(source, folder, scratch, *how).run(), source)
        write_record(folder, result)
        return result


def checked(result: Verification, source: Any) -> Verification:
    """The result. Raises TorchportError where random weights came out otherwise than at the conversion."""
    is_random = isinstance(source, Recipe) and not source.weights
    if is_random and any(row.check == "state" and row.tensor and row.differs for row in result.rows):
        what = "has other random weights than the port: it draws them without a seed, or either was changed"
        advice = "save its weights, model.save_weights, and give both commands --weights FILE (weights=...)"
        raise TorchportError(what, where=str(source), advice=advice)
    return result


@with_files
def record(
    source: Any, folder: str | Path, *, inputs: Any = None, seed: int = 0, steps: int = 3,
    progress: Callable[[str], None] | None = None, custom: Any = None, dequantise: bool = False,
    rules: str | Path | None = None, config: str | Path | None = None, code: Any = None,
    call: str | None = None, weights: str | Path | None = None, input_shape: Any = None,
    precision: str = "both",
) -> Path:  # fmt: skip
    """Run a model in TensorFlow, and keep in a new folder all that `verify` compares a port of it with.

    A port is then verified where there is no TensorFlow: on a machine with a GPU, in CI, by somebody who was
    handed the folder. Arguments as `verify` and `torchport.convert` take them. Raises TorchportError.
    """
    from torchport.options import Options
    from torchport.verify.folder import source_graph
    from torchport.verify.recording import keep
    from torchport.verify.truth import Truth

    tell = progress or (lambda text: None)
    source = source_of(source, config, code, call, weights, input_shape)
    graph = source_graph(source, Options(dequantise=dequantise))
    with tempfile.TemporaryDirectory(prefix="torchport-") as scratch:
        truth = Truth.load(source, graph, custom, Path(scratch), tell)
        keep(truth, Path(folder), inputs, seed, steps, precision)
    return Path(folder)


class _Room(types.ModuleType):
    """Importing this package hides the function `torchport.verify`: the package can be called too."""

    def __call__(self, *args: Any, **options: Any) -> Verification:
        return verify(*args, **options)


sys.modules[__name__].__class__ = _Room
#: That of the function, for whoever asks for `inspect.signature(torchport.verify)`.
__signature__ = inspect.signature(verify)
