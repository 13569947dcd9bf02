"""The user's own Python beside a file: it is run, and stands for the classes and functions that are named."""

from __future__ import annotations

import importlib
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torchport import scripts
from torchport.errors import BadFile, TorchportError, Unsupported
from torchport.read import ZIP, WithConfig, first_bytes, separate
from torchport.read.archive import CONFIG_LIMIT
from torchport.read.members import Archive
from torchport.read.variables import Variables
from torchport.watch.frameworks import fresh_names, keras_of

#: Packages whose classes and functions Keras finds by itself.
FOUND = frozenset({"keras", "tf_keras"})
#: The module of the classes that Keras 2 makes up.
REVIVED = "saving.legacy.saved_model.load"
ADVICE = "--code takes the Python file, or the module, that has your classes and functions"


@dataclass(frozen=True)
class WithCode:
    """A model's file and the Python files or modules that have its own classes and functions.

    `path`: the file; or weights and the JSON file of their architecture. The code is run; Keras loads the
    file with it; nothing that is in the file is run.
    """

    path: Path | WithConfig
    code: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path} with {', '.join(self.code)}"

    @property
    def model(self) -> Any:
        """The live model, loaded once for each state of the files."""
        path = self.path
        files = (path.weights, Path(path.config)) if isinstance(path, WithConfig) else (path,)
        return loaded(self, tuple(map(changed, files)))

    @property
    def known(self) -> Any:
        """The live model; the file where its own code was read, for want of the user's."""
        try:
            return self.model
        except InFile:
            return self.path


@cache
def loaded(source: WithCode, states: tuple[int, ...]) -> Any:
    """A file as Keras loads it with the user's code. Raises TorchportError where it does not.

    A layer whose class hands its name on to nobody has one that Keras makes up: the same each time.
    """
    version, names = about(source.path)
    keras = keras_of(version)
    custom = custom_objects(source.code, version)
    named = {name: custom[short] for name in names if (short := name.rpartition(">")[2]) in custom}
    try:
        scope = keras.utils.custom_object_scope({**custom, **named})
        told = scripts.blame(*source.code)
        with scope, told, own_lambdas(keras, version, custom), fresh_names(keras):
            model = by_keras(keras, source.path)
    except TorchportError:
        raise
    except Exception as error:  # whatever Keras raises: there is no list of it
        for cause in causes(error):
            if isinstance(cause, Unsupported):
                raise InFile(cause, source) from error
        raise unloaded(error, source, keras) from error
    check_own(model, source, custom)
    return model


def by_keras(keras: Any, path: Path | WithConfig) -> Any:
    """The live model of a file, or of weights and the JSON file of their architecture."""
    if not isinstance(path, WithConfig):
        return keras.models.load_model(str(path), compile=False, safe_mode=True)
    architecture = Path(path.config).read_text(encoding="utf-8")
    return separate.loaded(keras.models.model_from_json(architecture), path.weights)


def changed(path: Path) -> int:
    """When a file was written; 0 for none."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those while which it was raised, the last first."""
    while error is not None:
        yield error
        error = error.__context__


def check_own(model: Any, source: WithCode, custom: Mapping[str, Any]) -> None:
    """Raises TorchportError where Keras 2 made a class up: the user's is not made of options, or not given.

    Source: `revive_custom_object` in tf_keras/src/saving/legacy/saved_model/load.py.
    """
    kinds = {type(it).__name__ for it in model._flatten_layers() if type(it).__module__.endswith(REVIVED)}
    if not kinds:
        return
    missing = ", ".join(sorted(kinds - custom.keys()))
    if missing:
        what = f"{', '.join(source.code)} has no class {missing}, which the model is made of"
        advice = "add --code FILE.py, the file that has it"
        raise TorchportError(what, where=str(source.path), advice=advice)
    own = type(model).__name__ if type(model).__name__ in kinds else "build"
    raise TorchportError(
        f"has not the options of {', '.join(sorted(kinds))}, from get_config of the class",
        where=str(source.path),
        advice=f"give what makes the model, a class or a function, as SOURCE: {source.code[0]}:{own} --call "
        f'"{own}(...)" --weights {source.path}, with --input-shape where it was never called',
    )


class InFile(TorchportError):
    """A file has the function of a Lambda as bytes that cannot be read, and the user's code has none."""

    def __init__(self, error: Unsupported, source: WithCode) -> None:
        what = f"{error.why}; {', '.join(source.code)} has no function of its name"
        advice = "add --code FILE.py, the file that has it; or build the model in Python and convert that"
        super().__init__(what, where=str(source.path), advice=advice)


@contextmanager
def own_lambdas(keras: Any, dialect: str, custom: Mapping[str, Any]) -> Iterator[None]:
    """Code that a file holds, for a Lambda, is not run: the user's function of that name stands for it.

    Where the user's code has none, the layer computes what was read from the bytes.
    """
    from torchport.lambdas import stored
    from torchport.watch.lambdas import KEPT, lambdas_by, layer_of

    def make(config: Mapping[str, Any]) -> Any:
        held = stored.of(config)
        if isinstance(held, stored.Named):
            return None
        names = {it.code.name for it in held.functions()}
        if len(names) == 1 and (known := custom.get(*names)) is not None:
            kept = {key: config[key] for key in KEPT if key in config}
            return keras.layers.Lambda(known, arguments=dict(held.arguments), **kept)
        return layer_of(keras, config, dialect)

    with lambdas_by(keras, make):
        yield


def with_code(model: Any, code: str | Path | Sequence[str | Path]) -> Any:
    """A model's file with the user's code; what is no file has it already.

    Of weights and the function that builds their model, that model with the weights.
    """
    if isinstance(model, WithConfig) and model.model is not None:
        return separate.loaded(model.model, model.weights)
    files = tuple(map(str, [code] if isinstance(code, (str, Path)) else code))
    if isinstance(model, (str, Path)):
        return WithCode(Path(model), files)
    return WithCode(model, files) if isinstance(model, WithConfig) else model


def unloaded(error: Exception, source: WithCode, keras: Any) -> TorchportError:
    """What to say where Keras does not load a file with the user's code."""
    if unknown := re.search(r"(?:locate class|Unknown \w+:?)\s+'?([\w>]+)", str(error)):
        return TorchportError(
            f"{', '.join(source.code)} has no class or function {unknown[1]}, which the model is made of",
            where=str(source.path), advice="add --code FILE.py, the file that has it",
        )  # fmt: skip
    first = str(error).strip().split("\n")[0][:300]
    return TorchportError(
        f"{keras.__name__} {keras.__version__} does not load this file with {', '.join(source.code)} "
        f"({type(error).__name__}: {first})",
        where=str(source.path),
        advice="load it in Python with the Keras version that wrote it, and convert the live model",
    )


def about(path: Path | WithConfig) -> tuple[str, tuple[str, ...]]:
    """The Keras version that wrote a file, and the names that it has for registered classes."""
    if isinstance(path, WithConfig):
        entry, version = separate.saved(Path(path.config))
        return version, registered(json.dumps(entry))
    if path.is_dir() or path.name == "saved_model.pb":
        return "2", ()
    if first_bytes(path).startswith(ZIP):
        zipped = Archive(path)
        text = zipped.read("config.json", CONFIG_LIMIT)
        found = re.search(rb'"keras_version"\s*:\s*"([\w.]+)"', zipped.read("metadata.json", CONFIG_LIMIT))
        return (found[1].decode() if found else "3"), registered(text.decode("utf-8", "replace"))
    file = Variables.open(path, path.stat().st_size, str(path))
    root = next((it for it in ("", "model_weights") if file.text(it, "keras_version")), None)
    if root is None or (saved := file.text("", "model_config")) is None:
        advice = "give its architecture too, --config FILE.py:FUNCTION or --config model.json"
        raise BadFile("holds no model that --code could be for", where=str(path), advice=advice)
    return str(file.text(root, "keras_version")), registered(saved)


def registered(config: str) -> tuple[str, ...]:
    """The names with a package in a configuration, each once."""
    return tuple(dict.fromkeys(re.findall(r'"(\w+>[\w.]+)"', config)))


def custom_objects(custom: Any, dialect: str) -> dict[str, Any]:
    """By every name that a file may have for it, what `custom` gives.

    `custom`: a mapping, a Python file or the name of a module, which is run, or several of these. `dialect`:
    the Keras version that wrote the model, which is what `tf.keras` stands for in the user's files.
    """
    if custom is None:
        return {}
    if isinstance(custom, Mapping):
        return {key: it for name, value in custom.items() for key, it in spelled(str(name), value)}
    if isinstance(custom, Sequence) and not isinstance(custom, str):
        return {key: it for part in custom for key, it in custom_objects(part, dialect).items()}
    keras_of(dialect)
    module = module_of(str(custom))
    own = [(name, it) for name, it in vars(module).items() if is_own(it)]
    return {key: it for name, value in own for key, it in spelled(name, value)}


def module_of(code: str) -> types.ModuleType:
    """The module of a file, or of that name; run. Raises TorchportError, with the line that fails."""
    if Path(code).suffix == ".py" or Path(code).is_file():
        path = Path(code)
        return module_at(path.resolve(), path.stat().st_mtime_ns if path.is_file() else 0, code)
    try:
        return importlib.import_module(code)
    except Exception as error:  # the module is the user's: it may raise anything
        what = f"cannot be run ({type(error).__name__}: {error})"
        raise TorchportError(what, where=code, advice=ADVICE) from error


@cache
def module_at(path: Path, changed: int, shown: str) -> types.ModuleType:
    """The module of a file, run once for each state of it: a class that is made twice is two."""
    return scripts.run(shown, ADVICE)


def is_own(value: Any) -> bool:
    """Whether it is a class that Keras makes from a configuration, or a function."""
    is_class = isinstance(value, type) and hasattr(value, "from_config")
    return (is_class or isinstance(value, types.FunctionType)) and package(value) not in FOUND


def package(value: Any) -> str:
    return str(getattr(value, "__module__", "")).partition(".")[0]


def spelled(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """An object by the name that it was given, by its own, and as Keras registers it."""
    own = getattr(value, "__name__", name)  # of a function without a name it is "<lambda>"
    for key in dict.fromkeys((name, own)):
        yield key, value
        yield f"Custom>{key}", value
