"""One layer, in every order that its neighbours can force on it, against TensorFlow in float64."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch

from torchport.axes import Order, dims
from torchport.emit.source import name_classes, source, state
from torchport.emit.weights import Entry
from torchport.errors import Refusal, Refused
from torchport.graph import Graph, Op, Ref, map_refs
from torchport.infer import infer
from torchport.layout import choose_orders, write
from torchport.normalise import normalise
from torchport.program import Definition, Fill
from torchport.read import read
from torchport.read.live import variables
from torchport.rules import book
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, SOURCE, rule

#: Layers whose training mode is another function than their inference mode, and not a random one.
TRAINS = frozenset({"BatchNormalization", "SpectralNormalization"})
#: Weights that no tensor of the port comes from.
UNUSED = ("count",)


@dataclass(frozen=True)
class Case:
    """One layer, its options, the shapes of what it reads, and what is special about it.

    `then`: layers that follow it. `sizes`: what the model declares, where it leaves sizes open,
    "? ? ? 3". `within`: the relative error allowed, and `why` it is not 1e-10. `compiled`:
    TensorFlow has the kernel only when XLA compiles it; `dtype` is another where it has none for
    float64. `of`: the package that has the layer, or "nodes" of a graph. `below`: what it reads are
    integers below this.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    x: str | tuple[str, ...] = "2 5 7 3"
    then: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    sizes: str = ""
    within: float = 1e-10
    why: str = ""
    compiled: bool = False
    dtype: str = "float64"
    of: str = "keras"
    below: int = 0
    #: Instead of a layer: what is called, of inputs x, y, z, with `ops` or `tf`.
    call: str = ""

    def __str__(self) -> str:
        layers = ((self.kind, self.options), *self.then)
        calls = [
            f"{kind}({','.join(f'{key}={value}' for key, value in options.items())})"
            for kind, options in layers
        ]
        shapes = self.sizes or "+".join(self.shapes_text)
        package = "" if self.of == "keras" else f"{self.of}:"
        what = self.call or "-".join(calls)
        below = f"<{self.below}" if self.below else ""
        return f"{package}{what}[{shapes.replace(' ', ',')}{below}]".replace(" ", "")

    @property
    def kinds(self) -> set[str]:
        """Of its layer, those that follow it, and those inside it."""
        layers = ((self.kind, self.options), *self.then)
        return {kind for it in layers for kind in inner_kinds(Inner(*it))}

    @property
    def shapes_text(self) -> tuple[str, ...]:
        return (self.x,) if isinstance(self.x, str) else self.x

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, text.split())) for text in self.shapes_text]


@dataclass(frozen=True)
class Inner:
    """A layer inside a layer's options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.kind}({','.join(f'{key}={value}' for key, value in self.options.items())})"


def inner_kinds(value: Any) -> Iterator[str]:
    """The kinds of a layer and of those in its options."""
    if isinstance(value, Inner):
        yield value.kind
        value = list(value.options.values())
    if isinstance(value, list):
        for it in value:
            yield from inner_kinds(it)


def made(value: Any, dtype: str, package: Any) -> Any:
    """A value of an option, layers inside it made."""
    if isinstance(value, Inner):
        return make(value.kind, {"dtype": dtype, **value.options}, package)
    return [made(it, dtype, package) for it in value] if isinstance(value, list) else value


def make(kind: str, options: Mapping[str, Any], package: Any) -> Any:
    """A layer of that kind; the kind `activation:f` is the layer Activation with that function."""
    options = {key: made(value, str(options.get("dtype")), package) for key, value in options.items()}
    if kind.startswith("activation:"):
        name = kind.removeprefix("activation:").removeprefix("keras2>")
        return package.layers.Activation(name, **options)
    if kind == "Pipeline":  # which takes none
        del options["dtype"]
    place = package.layers if hasattr(package.layers, kind) else package.layers.experimental
    return getattr(place, kind)(**options)


class Nodes:
    """A function of tensors, and the HDF5 file in which TensorFlow 2.0 to 2.3 kept it: node by node.

    Keras still makes these layers of what TensorFlow does to its inputs in a graph of old.
    Source: tf_keras/src/engine/base_layer_utils.py, create_keras_history.
    """

    layers = trainable_variables = ()

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.file = tempfile.NamedTemporaryFile(suffix=".h5")

    def trace(self, shapes: Sequence[tuple[int | None, ...]], dtype: str) -> None:
        import h5py
        import tf_keras

        with tf.Graph().as_default():
            inputs = [tf_keras.Input(shape, dtype=dtype) for shape in shapes]
            model = tf_keras.Model(inputs, self.function(*inputs))
            config, names = model.to_json(), [layer.name for layer in model.layers]
        with h5py.File(self.file.name, "w") as file:
            file.attrs.update({"model_config": config, "keras_version": "2.4.0", "backend": "tensorflow"})
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = [name.encode() for name in names]
            for name in names:
                weights.require_group(name).attrs["weight_names"] = np.zeros(0, "S1")

    def __call__(self, x: Any, training: bool = False) -> Any:
        return self.function(*(x if isinstance(x, list) else [x]))

    def get_weights(self) -> list[Any]:
        return []

    def set_weights(self, weights: list[Any]) -> None:
        pass


class Reference:
    """The Keras model of a case, with random weights and inputs, and what TensorFlow computes."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rng = np.random.default_rng(zlib.crc32(str(case).encode()))
        self.drawn: np.ndarray | None = None
        package = keras
        if case.of in ("tf_keras", "nodes"):
            import tf_keras as package
        declared = [shape[1:] for shape in case.shapes]
        if case.sizes:
            declared = [tuple(None if it == "?" else int(it) for it in case.sizes.split()[1:])]
        dtype = "int32" if case.below else case.dtype
        inputs = [package.Input(shape, dtype=dtype) for shape in declared]
        wanted = (() if case.call else ((case.kind, case.options),)) + tuple(case.then)
        layers = [make(kind, {"dtype": case.dtype, **it}, package) for kind, it in wanted]
        self.x = [
            self.rng.integers(case.below, size=shape).astype(dtype)
            if case.below
            else self.rng.normal(size=shape).astype(dtype)
            for shape in case.shapes
        ]
        result = inputs if len(inputs) > 1 else inputs[0]
        names = {"ops": keras.ops, "tf": tf, "np": np, "keras": package, "layers": package.layers}
        names["flat"] = tf.nest.flatten
        if case.of == "nodes":
            self.model: Any = Nodes(
                lambda *x: eval(case.call, {**names, **dict(zip("xyz", x, strict=False))})
            )
            self.model.trace(declared, dtype)
            return
        if case.call:
            result = eval(case.call, {**names, **dict(zip("xyz", inputs, strict=False))})
        for layer in layers:
            result = layer(result)
        self.model = package.Model(inputs, result)
        for variable in (it for layer in self.model.layers for it in variables(layer)):
            self._randomise(variable)
        for layer in self.model._flatten_layers():
            if hasattr(layer, "finalize_state"):  # Normalization keeps tensors made of its variables
                layer.finalize_state()

    def _randomise(self, variable: Any) -> None:
        """Away from what initialisers give, variances positive."""
        if "int" in str(variable.dtype):
            return
        value = self.rng.normal(size=variable.shape)
        if "variance" in variable.name or "stddev" in variable.name:
            value = 0.5 + self.rng.random(size=variable.shape)
        variable.assign(value)

    @cached_property
    def trains(self) -> bool:
        is_random = re.search("dropout|Noise", str(self.case), re.IGNORECASE)
        kinds = (self.case.kind, *(kind for kind, _ in self.case.then))
        return not is_random and not TRAINS.isdisjoint(kinds)

    def weights(self, graph: Graph) -> dict[str, Any]:
        """The Keras variable of every bound weight, by the weight's name."""
        found = {}
        for op in graph.ops:
            if op.weights:
                layer = next(it for it in self.model._flatten_layers() if it.name == op.layer)
                for weight, variable in zip(op.weights.values(), variables(layer), strict=True):
                    found[weight.name] = variable
        return found

    def call(self, *x: Any, training: bool) -> Any:
        given = list(x) if len(x) > 1 else x[0]
        return self.model(given, training=training)

    @cached_property
    def output(self) -> np.ndarray:
        """Inference: what the gradients were taken of, where training mode is no other function."""
        if not self.trains:
            return self.gradients[0]
        run = partial(self.call, training=False)
        run = tf.function(run, jit_compile=True) if self.case.compiled else run
        return run(*map(tf.constant, self.x)).numpy()

    def cotangent(self, shape: Sequence[int | None]) -> np.ndarray:
        """What the gradients are weighted with: drawn once, when the shape of the output is known."""
        if self.drawn is None:
            whole = (self.case.shapes[0][0], *self.model.output_shape[1:]) if None in shape else shape
            self.drawn = self.rng.normal(size=tuple(whole)).astype(self.case.dtype)
        return self.drawn

    @cached_property
    def gradients(self) -> tuple[np.ndarray, list[np.ndarray], dict[int, np.ndarray]]:
        """The output (in training mode where that differs); the gradients of the inputs, and those
        of the variables by id.
        """
        trainable = self.model.trainable_variables

        def run(*x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([it for it in x if it.dtype.is_floating])
                output = self.call(*x, training=self.trains)
                loss = tf.reduce_sum(output * self.cotangent(output.shape))
            zero = tf.UnconnectedGradients.ZERO
            wanted = [[it for it in x if it.dtype.is_floating], [as_tensor(it) for it in trainable]]
            return output, tape.gradient(loss, wanted, unconnected_gradients=zero)

        if self.case.compiled:
            run = tf.function(run, jit_compile=True)
        before = self.model.get_weights()
        output, (inputs, weights) = run(*map(tf.constant, self.x))
        self.model.set_weights(before)
        dense = [tf.convert_to_tensor(grad).numpy() for grad in weights]
        by_id = {id(it): grad for it, grad in zip(trainable, dense, strict=True)}
        return output.numpy(), [it.numpy() for it in inputs], by_id


def as_tensor(variable: Any) -> Any:
    """The tf.Variable in a Keras variable."""
    return getattr(variable, "value", variable) if not isinstance(variable, tf.Variable) else variable


@contextmanager
def pins() -> Iterator[None]:
    """Two kinds that only tests have: the identity in channels-first and in source order."""
    for kind, wants in (("pin:first", CHANNELS_FIRST), ("pin:source", SOURCE)):
        rule(kind, wants=lambda x, wants=wants: wants if len(x.shape) > 2 else FOLLOWS)(lambda x: x)
    try:
        yield
    finally:
        del book.PROCESS.rules["pin:first"], book.PROCESS.rules["pin:source"]


def pinned(graph: Graph, before: str, after: str) -> Graph:
    """The graph with its inputs and outputs read and written in a given order."""
    start = {name: f"{name}.pin" for name in graph.inputs}
    first = [Op(f"{name}.in", before, (Ref(name),), (pin,)) for name, pin in start.items()]
    last = [Op(f"{name}.out", after, (Ref(name),), (f"{name}.pinned",)) for name in graph.outputs]

    def renamed(tree: Any) -> Any:
        return map_refs(tree, lambda name: Ref(start.get(name, name)))

    ops = [replace(op, args=renamed(op.args), kwargs=renamed(op.kwargs)) for op in graph.ops]
    last = [replace(op, args=renamed(op.args)) for op in last]
    outputs = tuple(f"{name}.pinned" for name in graph.outputs)
    structure = Ref(outputs[0]) if len(outputs) == 1 else tuple(map(Ref, outputs))
    return graph.replace(ops=(*first, *ops, *last), outputs=outputs, structure=structure)


@dataclass(frozen=True)
class Ported:
    """A port of a case in one layout."""

    layout: str
    graph: Graph
    definition: Definition
    code: str
    name: str
    entries: tuple[Entry, ...]

    def module(self) -> torch.nn.Module:
        """The module in float64 with its weights, in evaluation mode."""
        space: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
        exec(compile(self.code, "model.py", "exec"), space)
        torch.set_default_dtype(torch.float64)
        try:
            module = space[self.name]()
        finally:
            torch.set_default_dtype(torch.float32)
        arrays = {entry.name: torch.from_numpy(np.array(entry.array())) for entry in self.entries}
        module.load_state_dict(arrays)
        return module.eval()

    def turned(self, x: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [
            torch.tensor(array, dtype=torch.float64 if array.dtype.kind == "f" else torch.int64)
            .permute(dims(Order.SOURCE, spec.order, array.ndim))
            .contiguous()
            for spec, array in zip(self.definition.inputs, x, strict=True)
        ]

    def turned_back(self, x: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """The gradients of the inputs as the source has their axes."""
        return [
            (torch.zeros_like(it) if it.grad is None else it.grad)
            .permute(dims(spec.order, Order.SOURCE, it.dim()))
            .numpy()
            for spec, it in zip(self.definition.inputs, x, strict=True)
            if it.is_floating_point()
        ]

    def back(self, y: torch.Tensor) -> torch.Tensor:
        return y.permute(dims(self.definition.outputs[0].order, Order.SOURCE, y.dim()))


LAYOUTS = ("free", "keep_io", "first first", "first source", "source first", "source source")


def ports(model: Any, layouts: Sequence[str] = LAYOUTS, *, exact: bool = False) -> list[Ported]:
    """The different ports of a model: free, with its inputs and outputs kept, and between pins."""
    start = normalise(read(Path(model.file.name) if isinstance(model, Nodes) else model))
    found: dict[str, Ported] = {}
    for layout in layouts:
        graph = start
        if " " in layout:
            before, after = (f"pin:{side}" for side in layout.split())
            graph = pinned(start, before, after)
        refusals: list[Refusal] = []
        graph = infer(graph, refusals)
        if refusals:
            raise Refused(tuple(refusals))
        definition = write(graph, choose_orders(graph, layout == "keep_io"), exact)
        classes = name_classes(definition)
        code = source(classes)
        if code not in found:
            entries = tuple(Entry(name, load) for name, load in state(classes))
            found[code] = Ported(layout, graph, definition, code, classes.name, entries)
    return list(found.values())


def error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value; infinite for NaN, another shape."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not theirs.size:
        return 0.0
    # Below 1e-3 only differences count: a gradient of zero is rounding on both sides.
    found = float(np.max(np.abs(ours - theirs)) / max(float(np.max(np.abs(theirs))), 1e-3))
    return found if np.isfinite(found) else float("inf")


def problems(case: Case, reference: Reference, port: Ported) -> list[str]:
    """What a port computes differently from TensorFlow: forward, training, gradients, weights."""
    found: list[str] = []

    def same(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        apart = error(ours, theirs)
        if not apart <= case.within:
            shapes = "" if ours.shape == theirs.shape else f", {ours.shape} for {theirs.shape}"
            found.append(f"{what}: {apart:.1e}{shapes}")

    inferred = port.graph.tensors[port.graph.outputs[0]].shape
    if [size or real for size, real in zip(inferred, reference.output.shape, strict=False)] != list(
        reference.output.shape
    ):
        found.append(f"inferred {inferred}, it is {reference.output.shape}")
    module = port.module()
    x = [it.requires_grad_(it.is_floating_point()) for it in port.turned(reference.x)]
    y = port.back(module(*x))
    same("forward", y.detach().numpy(), reference.output)
    output, x_grads, weight_grads = reference.gradients
    if reference.trains:
        y = port.back(module.train()(*x))
        same("training", y.detach().numpy(), output)
    if y.requires_grad:
        (y * torch.from_numpy(reference.cotangent(y.shape))).sum().backward()
    for at, (ours, theirs) in enumerate(zip(port.turned_back(x), x_grads, strict=True)):
        same(f"gradient of input {at}", ours, theirs)
    of = reference.weights(port.graph)
    parameters = dict(module.named_parameters())
    used = set()
    for entry in port.entries:
        if isinstance(entry.load, Fill):
            if entry.name in parameters and parameters[entry.name].requires_grad:
                found.append(f"{entry.name} is constant but trains")
            continue
        variable = of[entry.source]
        used.add(entry.source)
        array = entry.array()
        if array.shape != entry.shape or not np.array_equal(
            entry.load.turn.undo(array), entry.load.turn.part(variable.numpy())
        ):
            found.append(f"{entry.name} does not turn back into {entry.source}")
        if id(variable) in weight_grads:
            grad = parameters[entry.name].grad
            ours = np.zeros(entry.shape) if grad is None else grad.numpy()
            theirs = entry.load.turn.part(weight_grads[id(variable)])
            same(f"gradient of {entry.name}", entry.load.turn.undo(ours), theirs)
        elif entry.name in parameters and parameters[entry.name].requires_grad:
            found.append(f"{entry.name} trains, {entry.source} does not")
    for name in of.keys() - used:
        if name.rpartition("/")[2] not in UNUSED:
            found.append(f"{name} is in no tensor of the port")
    return found
