"""A model that Python code of the user's own makes: `model.py:build`, `model.py:Class`, `package.net:Class`.

The file is run, as the help says. Random weights are the same in each process: what draws numbers is seeded
before the file is run, and again before it makes the model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from torchport import scripts
from torchport.errors import Refused, TorchportError
from torchport.read import live
from torchport.read.separate import loaded
from torchport.read.subclass import inputs_of, keras_of
from torchport.watch.code import changed, module_of
from torchport.watch.frameworks import tensorflow

#: `model.py:build`, `package.module:Class`, `model.py`.
NAMED = re.compile(r"(?P<code>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)|(?P<file>.+\.py)")
#: `224,224,3`, `12:int32`; the sizes that are open are `?`.
SHAPE = re.compile(r"(?P<sizes>(\d+|\?)?(,(\d+|\?))*):?(?P<dtype>(?<=:)(int32|int64|float32|bool|string))?")
ADVICE = 'give FILE.py:FUNCTION or FILE.py:CLASS, and with what to call it: --call "build(256)" (call=...)'
INPUT = (
    "add --input-shape, one input's sizes without the batch, such as 224,224,3 or 12:int32, once for each "
    "(input_shape=...); or give a function that makes the model and calls it once on data"
)


@dataclass(frozen=True)
class Recipe:
    """A model as a file of the user's makes it.

    `code`: the file, or a module's name. `call`: an expression of the names there; of `name` alone, without
    arguments, if empty. `weights`: a file of weights; random ones without. `shapes`: of the inputs, for a
    model that has not seen any.
    """

    code: str
    name: str = ""
    call: str = ""
    weights: str = ""
    shapes: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: Any, **options: Any) -> Recipe | None:
        """What `source` names, if it is a name in Python code and no file of a model."""
        found = NAMED.fullmatch(str(source)) if isinstance(source, (str, Path)) else None
        if found is None or ":" in str(source) and Path(source).exists():
            return None
        return cls(found["code"] or found["file"], found["name"] or "", **options)

    def __str__(self) -> str:
        return f"{self.code}:{self.name}" if self.name else self.code

    @property
    def model(self) -> Any:
        """The live model, made once for each state of the files. Raises TorchportError."""
        return made(self, tuple(changed(Path(it)) for it in (self.code, self.weights)))


@cache
def made(recipe: Recipe, state: tuple[int, ...]) -> Any:
    """The model: made, called where it has seen no input, given its weights."""
    if not recipe.name and not recipe.call:
        raise TorchportError("names no function or class in that file", where=str(recipe), advice=ADVICE)
    seed()
    module = module_of(recipe.code)
    seed()
    model = evaluated(recipe, vars(module))
    if not live.is_model(model):
        what = f"made {type(model).__name__}, not a Keras model"
        raise TorchportError(what, where=str(recipe), advice=ADVICE)
    with scripts.blame(recipe.code):
        model = shown(model, recipe.shapes, str(recipe))
    return loaded(model, Path(recipe.weights)) if recipe.weights else model


def seed() -> None:
    """Seeds what Keras 2 and 3 draw the seeds of their initialisers from, TensorFlow and numpy."""
    random.seed(0)
    np.random.seed(0)
    tensorflow().random.set_seed(0)


def evaluated(recipe: Recipe, names: dict[str, Any]) -> Any:
    """What the call makes of a file's names. Raises TorchportError."""
    if recipe.name and recipe.name not in names:
        raise TorchportError(f"there is no {recipe.name}", where=recipe.code, advice=ADVICE)
    found = names.get(recipe.name)
    if not recipe.call and live.is_model(found) and not isinstance(found, type):
        return found
    call = recipe.call or f"{recipe.name}()"
    with scripts.beside(recipe.code), scripts.blame(recipe.code):
        try:
            return eval(compile(call, "--call", "eval"), dict(names))
        except scripts.RAISED as error:
            if scripts.line_of(error, [Path(recipe.code)]):
                raise
            what = f"{call} fails with {type(error).__name__}: {error}"
            raise TorchportError(what, where=recipe.code, advice=ADVICE) from error


def shown(model: Any, shapes: Sequence[str], name: str) -> Any:
    """A model that has seen inputs of these shapes; as it is where it knows its own.

    Raises TorchportError for a shape that is none, and where none is known.
    """
    if not shapes:
        if not (model.built and has_inputs(model)):
            raise TorchportError("has seen no input: its shapes are not known", where=name, advice=INPUT)
        return model
    tf = tensorflow()
    values = []
    for text in shapes:
        found = SHAPE.fullmatch(text)
        if found is None:
            raise TorchportError(f"{text!r} is no shape of an input", advice=INPUT)
        sizes = [7 if it == "?" else int(it) for it in found["sizes"].split(",") if it]
        values.append(tf.zeros((2, *sizes), found["dtype"] or "float32"))
    model(values[0] if len(values) == 1 else values)
    return model


def has_inputs(model: Any) -> bool:
    """Whether a model knows what it is called with: where its class is not Keras's, by having been called."""
    try:
        inputs_of(model, keras_of(model))
    except Refused as error:
        return not any("never called" in it.why for it in error.refusals)
    return True
