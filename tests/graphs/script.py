"""A random model as a script: the lines that build it, run one after the other while they are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

#: What Keras and TensorFlow raise for a call that they do not take.
NOT_TAKEN = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    NotImplementedError,
    ZeroDivisionError,
    tf.errors.OpError,
)
#: Of another size than all axes: Keras takes (n, 1) for a bias where n is the last size.
#: Source: keras/src/backend/tensorflow/numpy.py, add.
BATCH = 11


@contextmanager
def floats(dtype: str) -> Iterator[None]:
    """Keras computes in this type, and counts the names of layers from 1."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    names = global_state.get_global_attribute("object_name_uids")
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        global_state.set_global_attribute("object_name_uids", names)


@dataclass(repr=False)
class Script:
    """The lines of a model. `inputs`: the names of the model's inputs, and the shapes they are given."""

    lines: list[str] = field(default_factory=list)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    space: dict[str, Any] = field(default_factory=lambda: names())

    def __str__(self) -> str:
        return "\n".join(self.lines)

    __repr__ = __str__

    def fresh(self, letter: str) -> str:
        """A name that is not taken."""
        return next(it for at in range(1, 1000) if (it := f"{letter}{at}") not in self.space)

    @property
    def state(self) -> tuple[dict[str, Any], list[str]]:
        """What to come back to if what follows is not taken."""
        return dict(self.space), list(self.lines)

    @state.setter
    def state(self, kept: tuple[dict[str, Any], list[str]]) -> None:
        self.space, self.lines = kept

    def value(self, expression: str) -> Any:
        return eval(expression, self.space)

    def run(self, line: str) -> bool:
        """Add a line, unless Keras does not take it."""
        before = self.state
        try:
            exec(line, self.space)
        except NOT_TAKEN:
            self.state = before
            return False
        self.lines.append(line)
        return True

    def build(self) -> Any:
        """The model again, its names counted from 1."""
        space = names()
        exec(str(self), space)
        return space["model"]


def names() -> dict[str, Any]:
    return {"keras": keras, "layers": keras.layers, "ops": keras.ops}
