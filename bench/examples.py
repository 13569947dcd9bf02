"""Layers and models of the keras-io examples, run statement by statement, ported and verified: make examples

    python bench/examples.py CHECKOUT [PATTERN ...] [--seconds N] [--json]

CHECKOUT is a clone of github.com/keras-team/keras-io of 2023 (github.com/LukeWood/keras-io has one). Its code
is run, nothing of it is kept here. Nothing is downloaded: a statement that wants data that is not there is
left out; `bench/theirs/examples.toml` has small random data and sizes for some. `fit` calls the model once.
Every class with a `call` that is called on the way is put into a model of its own, with random weights,
converted, and verified in float64 in both modes.

Examples of 2023 are written for Keras 2: tf_keras stands for `keras` and `tensorflow.keras`.
Exit status 1 where one differs.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import signal
import sys
import tomllib
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import MagicMock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")

#: What is imported and not installed: anything may be asked of it, and nothing comes of it.
ABSENT = (
    "IPython annoy cv2 datasets gym imageio imgaug jiwer keras_cv keras_nlp librosa networkx nltk pandas "
    "rdkit rouge_score scipy seaborn sklearn tensorflow_addons tensorflow_datasets "
    "tensorflow_decision_forests tensorflow_docs tensorflow_hub tensorflow_io tensorflow_probability "
    "tensorflow_text tokenizers tqdm transformers wget xmltodict"
).split()
#: By file, what stands for what is not downloaded.
DATA = tomllib.loads((Path(__file__).parent / "theirs" / "examples.toml").read_text(encoding="utf-8"))
SAME, REFUSED, DIFFERENT, UNDECIDED, CRASH = "same", "refused", "different", "undecided", "crash"
NOT_EXERCISED = "not exercised"


@dataclass
class Row:
    """What came of one class. `why`: of a refusal its lines; of one that was not called, what failed."""

    file: str
    name: str
    base: str
    verdict: str = NOT_EXERCISED
    why: str = ""
    seconds: float = 0.0


@dataclass
class Seen:
    """The first call of a class: the layer, and what it was called with."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Late(BaseException):
    """A statement took too long."""


@contextmanager
def limit(seconds: int) -> Iterator[None]:
    """Raises Late after these seconds of CPU, whatever else runs on the machine."""

    def late(*_: Any) -> None:
        raise Late(f"took more than {seconds} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def classes(source: str) -> dict[str, str]:
    """The classes of an example that have a `call`, with their first base; losses and metrics are none."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.bases:
            base = ast.unparse(node.bases[0]).rpartition(".")[2]
            has_call = any(isinstance(it, ast.FunctionDef) and it.name == "call" for it in node.body)
            if has_call and base not in ("Loss", "Metric"):
                found[node.name] = base
    return found


def noise(*shape: int) -> Any:
    """Random floats."""
    import tensorflow as tf

    return tf.random.normal(shape)


def whole(limit: int, *shape: int) -> Any:
    """Random whole numbers below a limit."""
    import tensorflow as tf

    return tf.random.uniform(shape, 0, limit, tf.int32)


@dataclass
class Example:
    """One file, while it runs."""

    path: Path
    seconds: int
    data: dict[str, Any]
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    depth: int = 0

    def run(self) -> None:
        """All statements, each by itself; what the table has for the file before, instead and after."""
        source = self.path.read_text(encoding="utf-8")
        module = types.ModuleType(f"example_{self.path.stem.replace('-', '_')}")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module
        self.module = module.__name__
        space = vars(module)
        numbers: dict[str, Any] = {}
        exec(self.data.get("numbers", ""), {}, numbers)
        for node in ast.parse(source).body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            names = [it.id for it in getattr(node, "targets", []) if isinstance(it, ast.Name)]
            if names and names[0] in numbers:
                space[names[0]] = numbers[names[0]]
                continue
            self.statement(compile(ast.Module([node], []), str(self.path), "exec"), space, node.lineno)
        if after := self.data.get("after"):
            space["noise"], space["whole"] = noise, whole
            for node in ast.parse(after).body:
                self.statement(compile(ast.Module([node], []), "<after>", "exec"), space, -node.lineno)

    def statement(self, code: Any, space: dict[str, Any], line: int) -> None:
        self.depth = 0
        try:
            with limit(self.seconds):
                exec(code, space)
        except (Exception, Late, SystemExit) as error:
            self.failed.append(f"{line}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}"[:200])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Calls of the example's own layers are seen."""
        import tf_keras

        base = tf_keras.layers.Layer
        own = base.__call__

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            result = own(layer, *args, **kwargs)
            kind = type(layer)
            if kind.__module__ == self.module:
                found = self.seen.setdefault(kind.__name__, [])
                if len(found) < 40 and not any(it.layer is layer for it in found):
                    found.append(Seen(layer, args, kwargs))
            return result

        base.__call__ = call
        try:
            yield
        finally:
            base.__call__ = own


def addons() -> Any:
    """What examples use of the layers of TensorFlow Addons, from its documentation."""
    import tensorflow as tf

    class InstanceNormalization(tf.keras.layers.GroupNormalization):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(groups=-1, **options)

    def gelu(approximate: bool = True) -> Any:
        return tf.keras.layers.Activation(tf.keras.activations.gelu)

    module = MagicMock(name="tensorflow_addons.layers", __spec__=None)
    module.GELU, module.InstanceNormalization = gelu, InstanceNormalization
    return module


@contextmanager
def stands_in() -> Iterator[None]:
    """Packages that are not installed can be imported."""
    absent = []
    for name in ABSENT:
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = MagicMock(name=name, __spec__=None)
            absent.append(name)
    if "tensorflow_addons" in absent:
        sys.modules["tensorflow_addons.layers"] = sys.modules["tensorflow_addons"].layers = addons()
        absent.append("tensorflow_addons.layers")
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def prepare() -> None:
    """No download, small random data in its place, and one call in place of training that takes hours."""
    import numpy as np
    import tensorflow as tf

    tf_keras = tf.keras
    sys.modules["keras"] = tf_keras

    def no_download(*args: Any, **kwargs: Any) -> Any:
        raise OSError("nothing is downloaded")

    tf_keras.utils.get_file = no_download
    os.system = no_download  # type: ignore[assignment]
    rng = np.random.default_rng(0)

    def images(*shape: int, classes: int) -> Any:
        def load_data(*args: Any, **kwargs: Any) -> Any:
            def part(count: int) -> Any:
                labels = rng.integers(0, classes, size=(count, 1))
                return rng.integers(0, 255, size=(count, *shape)).astype("uint8"), labels

            return part(64), part(32)

        return load_data

    sets = tf_keras.datasets
    sets.mnist.load_data = sets.fashion_mnist.load_data = images(28, 28, classes=10)
    sets.cifar10.load_data, sets.cifar100.load_data = (
        images(32, 32, 3, classes=10),
        images(32, 32, 3, classes=100),
    )

    def load_text(*args: Any, num_words: int = 1000, **kwargs: Any) -> Any:
        def part() -> Any:
            return np.array([list(rng.integers(1, 50, size=9)) for _ in range(32)], object), rng.integers(
                0, 2, 32
            )

        return part(), part()

    sets.imdb.load_data = load_text

    def fit(model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        first = next(iter(x)) if isinstance(x, tf.data.Dataset) else x
        first = first[0] if isinstance(first, tuple) and len(first) in (2, 3) else first
        model(tf.nest.map_structure(lambda it: it[:2], first))
        return MagicMock()

    tf_keras.Model.fit = fit
    tf_keras.Model.evaluate = fit
    tf_keras.Model.predict = lambda model, x, *args, **kwargs: model(x).numpy()
    application = tf_keras.applications
    for name in [it for it in vars(application) if it[0].isupper()]:
        setattr(application, name, without_weights(getattr(application, name)))


def without_weights(build: Any) -> Any:
    """A network of keras.applications with random weights."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return build(*args, **{**kwargs, "weights": None})

    return make


def leaves(tree: Any) -> Iterator[Any]:
    """What stands in nested arguments."""
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    for it in items:
        yield from leaves(it)
    if not isinstance(tree, (dict, list, tuple)):
        yield tree


def functional(seen: Seen, is_fixed: bool = False) -> tuple[Any, Any]:
    """A model of one layer of the example's as it was called; and the arrays, where it was called on some.

    `is_fixed`: the size of its batches is that of the call.
    """
    import numpy as np
    import tensorflow as tf
    import tf_keras

    inputs: list[Any] = []
    arrays: list[Any] = []

    def is_flow(value: Any) -> bool:
        return (
            isinstance(value, (np.ndarray, tf.Tensor, tf.Variable)) or type(value).__name__ == "KerasTensor"
        )

    def one(value: Any) -> Any:
        if not is_flow(value):
            return value
        if value.shape == () and hasattr(value, "item" if isinstance(value, np.ndarray) else "numpy"):
            return value.item() if isinstance(value, np.ndarray) else value.numpy().item()
        name = f"x{len(inputs)}"
        is_open = (hasattr(value, "numpy") or isinstance(value, np.ndarray)) and not is_fixed
        batch = None if is_open else value.shape[0]
        made = tf_keras.Input(tuple(value.shape[1:]), batch, dtype=value.dtype, name=name)
        inputs.append(made)
        masked = getattr(value, "_keras_mask", None) is not None and made.shape.rank == 3
        made = tf_keras.layers.Masking(0.0)(made) if masked else made
        arrays.append(np.asarray(value) if hasattr(value, "numpy") or isinstance(value, np.ndarray) else None)
        return made

    args, kwargs = tf.nest.map_structure(one, (seen.args, dict(seen.kwargs)))
    if (
        not is_fixed and len({len(it) for it in arrays if it is not None}) == 1
    ):  # others are parts of one graph
        arrays = [None if it is None else it[:4] for it in arrays]
    kwargs.pop("training", None)
    result = seen.layer(*args, **kwargs)
    if isinstance(result, (list, tuple)):  # sizes are handed on to other layers
        result = [it for it in result if not isinstance(it, int) and it.shape.rank]
    model = tf_keras.Model(inputs, result, name="one")
    return model, arrays if all(it is not None for it in arrays) else None


def randomise(model: Any) -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if variable.dtype.is_floating:
            values = variable.numpy()
            variable.assign(values + rng.normal(size=values.shape) * 0.1)


def said(result: Any) -> str:
    """What a verification says of the first thing that differs, with its numbers."""
    row = next((it for it in result.rows if not it.passed), None)
    if row is None:
        return str(result)
    numbers = f"error64 {row.error64} of {row.limit}, {row.note}"
    return f"{result.first or row.tensor}: {numbers}; {'; '.join(result.notes)}"


def examine(row: Row, seen: list[Seen]) -> None:
    """Converts and verifies a class, as the first of its instances; one that was called on data, if any."""
    import torchport
    from torchport.errors import Refused, TorchportError

    start = perf_counter()
    call = next((it for it in seen if any(hasattr(leaf, "numpy") for leaf in leaves(it.args))), seen[0])
    try:
        model, arrays = alone(call)
    except Exception as error:
        row.why = f"no model of its own: {type(error).__name__}: {str(error)[:200]}"
        return
    try:
        with suppress(ValueError):  # a part that was never called has no weights: convert says so
            randomise(model)
        try:
            port = torchport.convert(model)
        except Refused:
            if hasattr(call.layer, "compile"):
                raise
            model, arrays = functional(call, True)  # one that asks for the number of samples
            port = torchport.convert(model)
        if folder := os.environ.get("EXAMPLES_PORTS"):
            (Path(folder) / f"{row.file.replace('/', '_')}-{row.name}.txt").write_text(port.code)
        result = torchport.verify(model, port, precision="float64", steps=1, inputs=arrays)
        row.verdict = SAME if result.passed else DIFFERENT if result.differs else UNDECIDED
        row.why = said(result)
        if result.passed:
            row.why = next((it for it in result.notes if "float32 only" in it), "")[:60]
    except Refused as error:
        row.verdict = REFUSED
        row.why = " | ".join(f"{it.layer} ({it.kind}): {it.why}" for it in error.refusals)
    except TorchportError as error:
        row.verdict, row.why = REFUSED, f"TorchportError: {error}"
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        row.verdict = CRASH
        row.why = f"{type(error).__name__}: {str(error)[:300]} at {frame.filename}:{frame.lineno}"
    row.seconds = round(perf_counter() - start, 1)


def alone(call: Seen) -> tuple[Any, Any]:
    """A model with one layer, or the model that it is; and the arrays that it was called on."""
    if not hasattr(call.layer, "compile"):
        return functional(call)
    arrays = [leaf.numpy() for leaf in leaves(call.args) if hasattr(leaf, "numpy")]
    if len({len(it) for it in arrays}) == 1:  # others are parts of one graph
        arrays = [it[:4] for it in arrays]
    return call.layer, arrays or None


def asked(path: Path, patterns: list[str]) -> dict[str, str]:
    """The classes of an example that the patterns mean, with their first base: all without patterns."""
    found = classes(path.read_text(encoding="utf-8"))
    means = {it for it in found if any(pattern in f"{path}:{it}" for pattern in patterns or [""])}
    return {name: base for name, base in found.items() if name in means}


def rows_of(path: Path, root: Path, seconds: int, patterns: list[str]) -> list[Row]:
    """The rows of one example."""
    short = str(path.relative_to(root / "examples"))
    rows = [Row(short, name, base) for name, base in asked(path, patterns).items()]
    data = DATA.get(short, {})
    example = Example(path, seconds, data)
    try:
        with stands_in(), example.watched():
            example.run()
    except BaseException as error:
        example.failed.append(f"{type(error).__name__}: {error}")
    for row in rows:
        if found := example.seen.get(row.name):
            with limit_row(row, 300):
                examine(row, found)
        else:
            ours = [it for it in example.failed if it.startswith("-")]
            row.why = " / ".join((ours or example.failed)[:4])
    return rows


@contextmanager
def limit_row(row: Row, seconds: int) -> Iterator[None]:
    try:
        with limit(seconds):
            yield
    except Late:
        row.verdict, row.why = CRASH, f"took more than {seconds} s"


def forked(path: Path, root: Path, seconds: int, patterns: list[str]) -> list[Row]:
    """The rows of one example, run in a process of its own: of TensorFlow only the import is shared."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            os.chdir(os.environ.get("TMPDIR", "/tmp"))
            sys.stdout = open(os.devnull, "w")
            prepare()
            json.dump([asdict(it) for it in rows_of(path, root, seconds, patterns)], out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as got:
        text = got.read()
    os.waitpid(child, 0)
    if not text:
        return [Row(path.name, "?", "?", CRASH, "the process ended")]
    return [Row(**it) for it in json.loads(text)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("patterns", nargs="*", help="parts of FILE:CLASS")
    parser.add_argument("--seconds", type=int, default=60, help="for one statement")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import tensorflow  # noqa: F401
    import tf_keras  # noqa: F401
    import torch  # noqa: F401

    rows: list[Row] = []
    for path in sorted(arguments.checkout.glob("examples/**/*.py")):
        if not asked(path, arguments.patterns):
            continue
        for row in forked(
            path.resolve(), arguments.checkout.resolve(), arguments.seconds, arguments.patterns
        ):
            rows.append(row)
            print(
                f"{row.verdict:14} {row.seconds:6} s  {row.file}:{row.name} ({row.base})  {row.why}",
                flush=True,
            )
    if arguments.json:
        print(json.dumps([asdict(it) for it in rows]))
    counts = {it: sum(row.verdict == it for row in rows) for it in dict.fromkeys(row.verdict for row in rows)}
    exercised = sum(row.verdict != NOT_EXERCISED for row in rows)
    print(
        f"{len(rows)} classes, {exercised} exercised: " + ", ".join(f"{n} {it}" for it, n in counts.items())
    )
    return int(any(it.verdict in (DIFFERENT, CRASH) for it in rows))


if __name__ == "__main__":
    sys.exit(main())
