"""Random networks of random blocks: the factored program, the flat one and Keras agree.

How many, and from which seed: tests/examples.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from keras import layers
from tests.examples import examples

import torchport

ACTIVATIONS = ("relu", "silu", "tanh", "sigmoid")


@dataclass(frozen=True)
class Unit:
    """A convolution and what goes with it."""

    kernel: int
    norm: bool
    activation: str | None
    depthwise: bool

    def __call__(self, x: Any, width: int, stride: int = 1) -> Any:
        if self.depthwise:
            x = layers.DepthwiseConv2D(self.kernel, padding="same", use_bias=False)(x)
        # TensorFlow's 'same' with a stride beyond the kernel reads outside of its input.
        padding = "valid" if self.kernel == 1 else "same"
        x = layers.Conv2D(width, self.kernel, strides=stride, padding=padding)(x)
        if self.norm:
            x = layers.BatchNormalization()(x)
        return layers.Activation(self.activation)(x) if self.activation else x


@dataclass(frozen=True)
class Plan:
    """A block: its units, how its branches meet, and whether each use may lack its first unit."""

    units: tuple[Unit, ...]
    merge: str
    squeeze: bool

    def __call__(self, x: Any, width: int, stride: int, short: bool) -> Any:
        y = x
        for at, unit in enumerate(self.units[1:] if short and len(self.units) > 1 else self.units):
            y = unit(y, width, stride if at == 0 else 1)
        if self.squeeze:
            s = layers.GlobalAveragePooling2D(keepdims=True)(y)
            s = layers.Conv2D(width, 1, activation="sigmoid")(layers.Conv2D(2, 1)(s))
            y = layers.Multiply()([y, s])
        if self.merge == "add":
            if stride != 1 or x.shape[-1] != width:
                x = layers.Conv2D(width, 1, strides=stride)(x)
            return layers.Add()([x, y])
        if self.merge == "concat" and stride == 1:
            return layers.Concatenate()([x, y])
        return y


units = st.builds(
    Unit, st.sampled_from((1, 3)), st.booleans(), st.sampled_from((None, *ACTIVATIONS)), st.booleans()
)
merges = st.sampled_from(("", "add", "concat"))
plans = st.builds(Plan, st.lists(units, min_size=1, max_size=3).map(tuple), merges, st.booleans())
widths, strides = st.sampled_from((2, 3, 5)), st.sampled_from((1, 1, 1, 2))
uses = st.tuples(st.integers(0, 1), widths, strides, st.booleans(), st.integers(1, 3))


def network(kinds: list[Plan], order: list[tuple[int, int, int, bool, int]], skip: bool) -> keras.Model:
    """The blocks one after the other, some several times; perhaps with a skip across all of them."""
    image = keras.Input((16, 16, 3))
    x = first = layers.Conv2D(3, 3, padding="same")(image)
    for kind, width, stride, short, repeats in order:
        stride = stride if x.shape[1] > 4 else 1
        for repeat in range(repeats):
            x = kinds[kind % len(kinds)](x, width, stride if repeat == 0 else 1, short)
    if skip and x.shape[1] == first.shape[1]:
        x = layers.Concatenate()([first, x])
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        spread = rng.uniform(0.5, 1.5, weight.shape) if "variance" in weight.path else None
        weight.assign(rng.normal(0, 0.5, weight.shape) if spread is None else spread)
    return model


#: A part that some uses lack, before one that others lack.
BOTH_PARTS = Plan((Unit(1, False, None, False), Unit(1, False, None, True)), "concat", True)


@examples(8)
@example([BOTH_PARTS], [(0, 2, 2, False, 3), (0, 2, 1, True, 2)], False)
@given(st.lists(plans, min_size=1, max_size=2), st.lists(uses, min_size=2, max_size=4), st.booleans())
def test_agree(kinds: list[Plan], order: list[tuple[int, int, int, bool, int]], skip: bool) -> None:
    model = network(kinds, order, skip)
    factored, flat = torchport.convert(model), torchport.convert(model, flat=True)
    assert {it.source for it in factored.program.entries} == {it.source for it in flat.program.entries}
    assert len(factored.program.entries) == len(flat.program.entries)
    image = np.random.default_rng(1).normal(size=(2, 16, 16, 3))
    ours, theirs = results(factored.module(), image), results(flat.module(), image)
    assert all(map(torch.equal, ours, theirs))
    with numbers("float64"):
        exact = keras.models.model_from_json(model.to_json().replace('"float32"', '"float64"'))
        exact.set_weights([weight.astype("float64") for weight in model.get_weights()])
        expected = np.asarray(exact(image, training=False))
    assert np.abs(ours[0].numpy() - expected).max() <= 1e-10 * np.abs(expected).max()


@contextmanager
def numbers(dtype: str) -> Iterator[None]:
    """Keras computes in this type."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def results(module: torch.nn.Module, image: np.ndarray) -> list[torch.Tensor]:
    """In float64: the output in inference, and in training mode the output and all gradients."""
    module = module.double()
    x = torch.from_numpy(image).permute(0, 3, 1, 2).requires_grad_()
    with torch.no_grad():
        found = [module.eval()(x)]
    trained = module.train()(x)
    trained.square().sum().backward()
    grads = [value.grad for value in module.parameters() if value.grad is not None]
    return [*found, trained.detach(), x.grad, *sorted(grads, key=lambda it: (it.shape, float(it.sum())))]
