"""One graph in TensorFlow and in its ports, both in float64: outputs and gradients."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.graphs.script import Script, floats

import torchport
from torchport.axes import Order, dims
from torchport.errors import BadFile
from torchport.port import Port
from torchport.program import Fill, Load
from torchport.verify.variables import variables

WITHIN = 1e-10
#: Layers that draw random numbers in training mode.
RANDOM = ("Dropout", "dropout", "Noise")


def in_order(module: torch.nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Batch norm on tensors in the order of memory alone.

    In evaluation mode torch 2.13 on the CPU has wrong gradients of its weights for a permuted tensor with an
    axis of one: BatchNorm2d(2).double().eval() of randn(11, 2, 2, 1).permute(0, 2, 3, 1), its output times
    anything. README.md says so.
    """
    return (args[0].contiguous(),)


@dataclass(frozen=True)
class Results:
    """What a model computes: its outputs, and the gradients of its inputs and its trained weights."""

    outputs: list[np.ndarray]
    inputs: list[np.ndarray]
    weights: dict[str, np.ndarray]

    @property
    def named(self) -> dict[str, np.ndarray]:
        return {
            **{f"output {at}": it for at, it in enumerate(self.outputs)},
            **{f"gradient of input {at}": it for at, it in enumerate(self.inputs)},
            **{f"gradient of {name}": it for name, it in self.weights.items()},
        }


class Graph:
    """The model of a script: in float32 to be ported, and in float64 with the same numbers."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.rng = np.random.default_rng(zlib.crc32(str(script).encode()))
        with floats("float32"):
            self.model = script.build()
        with floats("float64"):
            self.exact = script.build()
        for ours, theirs in zip(self.model.weights, self.exact.weights, strict=True):
            value = self._number(ours)
            ours.assign(value)
            theirs.assign(value.astype(theirs.dtype))
        self.x = [self._input(name, shape) for name, shape in script.inputs.items()]

    def _number(self, variable: Any) -> np.ndarray:
        """Away from what initialisers give, variances positive, the same in float32 and float64."""
        if "float" not in str(variable.dtype):
            return variable.numpy()
        if "variance" in variable.path:
            return self.rng.uniform(0.5, 1.5, variable.shape).astype("float32")
        return self.rng.normal(0, 0.5, variable.shape).astype("float32")

    def _input(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 2 and f"{name} = keras.Input({shape[1:]}, name='{name}', dtype" in str(self.script):
            return self.rng.integers(0, 7, shape)
        return self.rng.normal(size=shape)

    @property
    def trains(self) -> bool:
        """Whether training mode is compared: not where it is random."""
        return not any(it in str(self.script) for it in RANDOM)

    def is_ill_conditioned(self, training: bool, theirs: Results, found: dict[str, float]) -> bool:
        """Whether TensorFlow's own results move as much where its inputs move in their last bits."""
        moved = apart(self.reference(training, moved=1e-15), theirs)
        return bool(moved) and max(found.values()) < 10 * max(moved.values())

    def reference(self, training: bool, moved: float = 0.0) -> Results:
        """What TensorFlow computes, with each input moved by so much of itself, up or down."""
        signs = np.random.default_rng(2)
        given = [
            tf.constant(it, "int32")
            if it.dtype.kind == "i"
            else tf.constant(it * (1 + moved * signs.choice([-1, 1], it.shape)), "float64")
            for it in self.x
        ]
        floating = [it for it in given if it.dtype.is_floating]
        trainable = self.exact.trainable_variables
        before = self.exact.get_weights()
        with tf.GradientTape() as tape:
            for it in floating:
                tape.watch(it)
            packed = given if len(given) > 1 else given[0]
            outputs = tf.nest.flatten(self.exact(packed, training=training))
            loss = tf.add_n([tf.reduce_sum(y * self.cotangent(y.shape)) for y in outputs])
        zero = tf.UnconnectedGradients.ZERO
        sources = [floating, [it.value for it in trainable]]
        inputs, grads = tape.gradient(loss, sources, unconnected_gradients=zero)
        self.exact.set_weights(before)
        by_place = {id(it): str(at) for at, it in enumerate(self.exact.weights)}
        weights = {by_place[id(it)]: dense(grad) for it, grad in zip(trainable, grads, strict=True)}
        return Results([it.numpy() for it in outputs], [it.numpy() for it in inputs], weights)

    def cotangent(self, shape: Any) -> np.ndarray:
        """What the outputs are weighted with; the same for the same shape."""
        return np.random.default_rng(1).normal(size=tuple(shape))

    def ports(self) -> list[Port]:
        """Converted from a file: with repeated structure as classes, and flat."""
        with tempfile.TemporaryDirectory() as folder, floats("float32"):
            path = Path(folder) / "model.keras"
            self.model.save(path)
            source: Any = path
            try:
                torchport.convert(path)
            except BadFile:
                # A layer that is shared with a nested model: the file does not say which it is.
                with pytest.raises(ValueError):
                    keras.models.load_model(path)
                source = self.model
            made = [torchport.convert(source, flat=flat) for flat in (False, True)]
            for port in made:
                port._module  # noqa: B018  reads the weights while the file is there
            return made

    def computed(self, port: Port, training: bool) -> Results:
        """What a port computes; the gradients of its parameters as the variables that they come from."""
        torch.set_default_dtype(torch.float64)
        try:
            return self._computed(port, port._module.double().train(training))
        finally:
            torch.set_default_dtype(torch.float32)

    def _computed(self, port: Port, module: torch.nn.Module) -> Results:
        module.zero_grad()
        for it in module.modules():
            if isinstance(it, torch.nn.modules.batchnorm._BatchNorm):
                it.register_forward_pre_hook(in_order)
        given = [
            torch.from_numpy(x).permute(dims(Order.SOURCE, spec.order, x.ndim)).contiguous()
            for spec, x in zip(port.inputs, self.x, strict=True)
        ]
        floating = [it.requires_grad_() for it in given if it.is_floating_point()]
        results = flat(module(*given))
        outputs = [
            y.permute(dims(spec.order, Order.SOURCE, y.dim()))
            for spec, y in zip(port.outputs, results, strict=True)
        ]
        loss = torch.stack([(y * torch.from_numpy(self.cotangent(y.shape))).sum() for y in outputs]).sum()
        if loss.requires_grad:
            loss.backward()
        orders = [(spec.order, Order.SOURCE) for spec in port.inputs if "int" not in spec.dtype]
        inputs = [
            grad_of(x).permute(dims(*order, x.dim())).numpy()
            for x, order in zip(floating, orders, strict=True)
        ]
        return Results([it.detach().numpy() for it in outputs], inputs, self._weights(port, module))

    def _weights(self, port: Port, module: torch.nn.Module) -> dict[str, np.ndarray]:
        parameters = dict(module.named_parameters())
        for entry in port.program.entries:
            if isinstance(entry.load, Fill) and entry.name in parameters:
                assert not parameters[entry.name].requires_grad, f"{entry.name} is constant but trains"
        return {
            entry.name: entry.load.turn.undo(grad_of(parameters[entry.name]).numpy())
            for entry in port.program.entries
            if isinstance(entry.load, Load)
            and entry.name in parameters
            and parameters[entry.name].requires_grad
        }

    def as_ported(self, port: Port, theirs: Results) -> Results:
        """What TensorFlow computes, the gradients of variables under the names of the port's parameters."""
        places = {id(it): str(at) for at, it in enumerate(self.model.weights)}
        place = {name: places[id(it)] for name, it in variables(self.model, port.program.graph)}
        weights = {
            entry.name: entry.load.turn.part(theirs.weights[place[entry.source]])
            for entry in port.program.entries
            if isinstance(entry.load, Load) and place[entry.source] in theirs.weights
        }
        return replace(theirs, weights=weights)


def flat(value: Any) -> list[torch.Tensor]:
    """The tensors that a module gives, in order."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    return [it for part in value for it in flat(part)] if isinstance(value, (list, tuple)) else [value]


def grad_of(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad


def dense(grad: Any) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(grad))


def apart(ours: Results, theirs: Results) -> dict[str, float]:
    """What differs by more than rounding, and by how much, relative to the largest value.

    A gradient of zero is rounding on both sides: one far below the largest gradient is compared
    with that.
    """
    found: dict[str, float] = {}
    assert len(ours.outputs) == len(theirs.outputs) and len(ours.inputs) == len(theirs.inputs)
    largest = max([np.abs(it).max() for it in (*theirs.inputs, *theirs.weights.values())], default=0)
    if ours.weights.keys() != theirs.weights.keys():
        found[f"{sorted(ours.weights)} train, {sorted(theirs.weights)} should"] = np.inf
        return found
    for name, own in ours.named.items():
        other = theirs.named[name]
        if own.shape != other.shape:
            found[f"{name}: {own.shape} for {other.shape}"] = np.inf
            continue
        scale = max(np.abs(other).max(), 1e-3 * largest if "gradient" in name else 1e-3)
        error = np.abs(own - other).max() / max(scale, 1e-6)
        if not error <= WITHIN:
            found[name] = float(error)
    return found
