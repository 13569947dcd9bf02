"""What a file's functions and classes are run with: by its own script, by others, and as losses."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torchport import scripts
from torchport.errors import TorchportError
from torchport.read.subclass import keras_of
from torchport.source.chains import is_row, shape_of
from torchport.source.observe import Watched, told
from torchport.source.sites import SourceFile
from torchport.source.vary import TRIED, choices_of, has_defaults, variations

#: Shapes on which losses are tried that no call runs.
LOSS_SHAPES = ((4, 8, 6, 3), (3, 10, 4, 2))


def calls_that_run(source: SourceFile, watched: Watched) -> Iterator[str]:
    """Those that nobody asked for, run: what fails by itself is left out. Raises what all fail with."""
    failed: list[TorchportError] = []
    found = 0
    for call in calls_in(source, watched):
        try:
            watched.evaluate(call)
        except TorchportError as error:
            failed.append(error)
            continue
        found += 1
        yield call
    if failed and not found:
        raise failed[0]


def calls_in(source: SourceFile, watched: Watched) -> Iterator[str]:
    """Calls of the file's own functions: those of its script, else those that need no arguments."""
    functions = set(source.functions())
    found = []
    for node in source.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for it in ast.walk(node):
            if isinstance(it, ast.Call) and isinstance(it.func, ast.Name) and it.func.id in functions:
                read = {one.id for one in ast.walk(it) if isinstance(one, ast.Name)}
                if all(one in vars(watched.module) for one in read):
                    found.append(ast.unparse(it))
    called = {it.partition("(")[0] for it in found}
    for name in functions - called:
        if has_defaults(getattr(watched.module, name)) and makes_model(source.functions()[name]):
            found.append(f"{name}()")
    yield from dict.fromkeys(found)


def makes_model(node: ast.FunctionDef) -> bool:
    """Whether a function looks as if it made a model: only such is called without being asked to."""
    text = ast.unparse(node)
    return "Model(" in text or "Sequential(" in text


def try_others(watched: Watched, call: str) -> None:
    """Runs a call with other arguments: what is written must hold for them too."""
    node = ast.parse(call, mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    done = watched.recorder.units.get(node.func.id, [])
    if not done:
        return
    first = done[0].arguments
    run_others(watched, node.func.id, {}, first)


def try_blocks(watched: Watched) -> None:
    """Runs each function of tensors, or that gives a Sequential, with other arguments than were given."""
    from torchport.source.observe import is_tensor

    for name in watched.source.functions():
        calls = watched.recorder.units.get(name, [])
        if not calls or not (is_row(calls[0].result) or any(map(is_tensor, calls[0].arguments.values()))):
            continue
        plain = {key: it for key, it in calls[0].arguments.items() if not is_tensor(it)}
        tensors = {key: it for key, it in calls[0].arguments.items() if is_tensor(it)}
        run_others(watched, name, tensors, plain)


def try_layers(watched: Watched) -> None:
    """Runs each layer class in training too, and made with other arguments."""
    keras = keras_of(watched.module)
    for name, node in watched.source.classes().items():
        calls = watched.recorder.units.get(f"{name}.call", [])
        if not calls:
            continue
        given = {key: it for key, it in calls[0].arguments.items() if key not in ("self", "training")}
        layer, cls = calls[0].arguments["self"], getattr(watched.module, name)
        known = {it.arg for one in ast.walk(node) if isinstance(one, ast.FunctionDef) for it in one.args.args
                 if one.name == "call"}  # fmt: skip
        mode = {"training": True} if "training" in known else {}

        def run(layer: Any, given: Any = given, mode: Any = mode) -> None:
            (first, *_), others = given.values(), dict(list(given.items())[1:])
            try:
                layer(
                    symbols(keras, first), **{key: symbols(keras, it) for key, it in others.items()}, **mode
                )
            except scripts.RAISED:
                # code that asks a tensor for more than its symbol knows
                layer(examples(first), **{key: examples(it) for key, it in others.items()}, **mode)

        if not given:
            continue
        if mode:
            watched.attempt(functools.partial(run, layer), name, {})
        made = watched.recorder.units.get(f"{name}.__init__", [])
        plain = next((it.arguments for it in made if it.arguments.get("self") is layer), {})
        plain = {key: it for key, it in plain.items() if key not in ("self", "kwargs", "args", "name")}
        for arguments in itertools.islice(variations(plain, choices_of(node)), TRIED):
            if (
                not watched.recorder.is_endless(name)
                and told(arguments) not in watched.recorder.stopped[name]
            ):
                watched.attempt(functools.partial(made_and_run, run, cls, arguments), name, arguments)


def made_and_run(run: Callable[[Any], None], cls: Any, arguments: Mapping[str, Any]) -> None:
    """Makes an object with these arguments, and runs it."""
    run(cls(**arguments))


def try_rows(watched: Watched) -> None:
    """Calls each Sequential that a function gives and nobody calls, as others of that function were."""
    keras = keras_of(watched.module)
    for name in watched.source.functions():
        rows = [it.result for it in watched.recorder.units.get(name, []) if is_row(it.result)]
        shapes = [shape for it in rows if (shape := shape_of(it))]
        for row in rows:
            if shape_of(row) is None and row.layers:
                shape = shapes[0][1:] if shapes else ROW_SHAPES[rank_of(row)]
                watched.attempt(functools.partial(row, keras.Input(shape)), name, {})


def rank_of(row: Any) -> int:
    """How many axes a Sequential wants, as the first of its layers says that asks for a number of them."""
    for it in row.layers:
        found = getattr(it, "input_spec", None)
        rank = getattr(found, "ndim", None) or getattr(found, "min_ndim", None)
        if rank:
            return int(rank)
    return 2


#: What a Sequential is tried with that nobody calls, by how many axes it wants.
ROW_SHAPES = {2: (8,), 3: (12, 8), 4: (16, 16, 8), 5: (8, 8, 8, 4)}


def symbols(keras: Any, value: Any) -> Any:
    """Tensors of these shapes, to call a layer on."""
    from torchport.source.observe import is_tensor

    if is_tensor(value):
        return keras.Input(tuple(value.shape)[1:], dtype=str(getattr(value.dtype, "name", value.dtype)))
    if isinstance(value, (list, tuple)):
        return [symbols(keras, it) for it in value]
    return value


def examples(value: Any) -> Any:
    """Tensors of ones of these shapes; sizes that are open are small."""
    import tensorflow as tf

    from torchport.source.observe import is_tensor

    if is_tensor(value):
        dtype = str(getattr(value.dtype, "name", value.dtype))
        return tf.ones([2, *(size or 4 for size in tuple(value.shape)[1:])], dtype)
    return [examples(it) for it in value] if isinstance(value, (list, tuple)) else value


def run_others(watched: Watched, name: str, tensors: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """Runs a function with other arguments, as long as they end."""
    function, recorder = getattr(watched.module, name), watched.recorder
    choices = choices_of(watched.source.functions()[name])
    for arguments in itertools.islice(variations(plain, choices), TRIED):
        if not recorder.is_endless(name) and told(arguments) not in recorder.stopped.get(name, ()):
            watched.attempt(functools.partial(function, **tensors, **arguments), name, arguments)


def losses(source: SourceFile, watched: Watched, names: Sequence[str]) -> None:
    """Runs functions with the signature of Keras's losses, (y_true, y_pred), that nothing else runs."""
    import numpy as np
    import tensorflow as tf

    numbers = np.random.default_rng(3)

    def run(function: Any, name: str) -> None:
        for shape in LOSS_SHAPES:
            tensors = [tf.constant(numbers.uniform(0.05, 0.95, shape), tf.float32) for _ in range(2)]
            watched.attempt(functools.partial(function, *tensors), name, {})

    for name in source.classes():
        cls = getattr(watched.module, name, None)
        kinds = [it.__name__ for it in getattr(cls, "__mro__", ())]
        if "Loss" in kinds[1:] and name in names and f"{name}.call" not in watched.recorder.units:
            if has_defaults(cls):
                watched.attempt(
                    functools.partial(made_and_run, functools.partial(run, name=name), cls, {}), name, {}
                )
    for name, node in source.functions().items():
        given = [it.arg for it in node.args.args][:2]
        if name not in names or given not in (["y_true", "y_pred"], ["true", "pred"]):
            continue
        if name in watched.recorder.units:
            continue
        run(getattr(watched.module, name), name)
