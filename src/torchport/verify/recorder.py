"""What every layer of a Keras model gives, recorded as the model runs.

A tensor's name is that of the graph: the layer's, `dense@1` for its second call in the model,
`lstm:1` for a second output, `conv.linear` before the activation inside a layer. Nested models make
a chain: the names of the calls that lead into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.graph import Graph
from torchport.nest import leaves
from torchport.watch import is_own
from torchport.watch.parts import members

#: Names of the calls of nested models, outermost first, and the tensor's name inside.
Key = tuple[tuple[str, ...], str]


@dataclass
class Frame:
    """A model that is running: the calls still to come, in the order in which Keras makes them."""

    chain: tuple[str, ...]
    coming: list[tuple[Any, str]]
    inside: bool = True
    #: Its graph; and of a layer of the user's own the names of the calls to come, by the called layer's id.
    graph: Graph | None = None
    named: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    #: The layers that lead to it: `encoder/block/`.
    path: str = ""

    def take(self, layer: Any) -> tuple[str, str] | None:
        """The name of this call of a layer, and the layer's; None where it is none that was to come."""
        if self.named.get(id(layer)):
            return self.named[id(layer)].pop(0)
        if not self.inside or not self.coming or self.coming[0][0] is not layer:
            return None
        return self.coming.pop(0)[1], str(layer.name)

    def below(self, layer: Any, name: str, known: str) -> Frame:
        """What runs inside of that call."""
        body = self.graph.bodies.get(known) if self.graph else None
        chain, path = (*self.chain, name), f"{self.path}{known}/"
        if is_own(layer) and body is not None:
            return Frame(chain, [], True, body, calls_of(layer, body), path)
        nested = sequence(layer)
        return Frame(chain, nested, True, body, {}, path) if nested else Frame((), [], inside=False)


@dataclass
class Recorder:
    """Sees every call of every layer of one model; `tensor` and `call` are told."""

    tensor: Callable[[Key, Any], None]
    #: Told of a layer before it runs.
    call: Callable[[Any, Any], None] = lambda layer, args: None
    graph: Graph | None = None
    model: Any = None
    frames: list[Frame] = field(default_factory=list)
    before_activation: list[Any] = field(default_factory=list)

    def around(self, layer: Any, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        frame = self.frames[-1]
        if layer is self.model:
            return run(layer, *args, **kwargs)
        if (taken := frame.take(layer)) is None:
            return run(layer, *args, **kwargs)
        name, known = taken
        inner = frame.below(layer, name, known)
        self.frames.append(inner)
        self.before_activation.clear()
        self.call(layer, args)
        out = run(layer, *args, **kwargs)
        self.frames.pop()
        if len(self.before_activation) == 1 and not inner.inside:
            self.tensor((frame.chain, f"{name}.linear"), unfolded(self.before_activation[0], out))
        self.before_activation.clear()
        for index, value in enumerate(leaves(out)):
            self.tensor((frame.chain, f"{name}:{index}" if index else name), value)
        return out

    @contextmanager
    def watching(self, keras: Any, model: Any) -> Iterator[None]:
        """Every call of a layer passes through `around`."""
        named = calls_of(model, self.graph) if self.graph and is_own(model) else {}
        self.frames = [Frame((), sequence(model), True, self.graph, named)]
        classes = [keras.layers.Layer]
        if hasattr(keras, "Operation"):
            classes.append(keras.Operation)
        originals = [(cls, cls.__call__) for cls in classes]
        activations = [
            (layer, layer.activation) for layer in model._flatten_layers() if has_activation(layer)
        ]
        self.model = model
        for cls, original in originals:
            cls.__call__ = self._wrapped(original)
        for layer, function in activations:
            layer.activation = self._activation(function)
        try:
            yield
        finally:
            for cls, original in originals:
                cls.__call__ = original
            for layer, function in activations:
                layer.activation = function

    def _wrapped(self, original: Any) -> Any:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return self.around(layer, original, args, kwargs)

        return call

    def _activation(self, function: Any) -> Any:
        def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
            self.before_activation.append(x)
            return function(x, *args, **kwargs)

        return activation


def calls_of(layer: Any, body: Graph) -> dict[int, list[tuple[str, str]]]:
    """The calls that a layer of the user's own makes of its layers, in order, by the graph's names."""
    made = {name: id(part) for name, part in members(layer).items()}
    found: dict[int, list[tuple[str, str]]] = {}
    for op in body.ops:
        if op.layer in made and op.kind != "tf.Variable":
            found.setdefault(made[op.layer], []).append((op.name, op.layer))
    return found


def unfolded(before: Any, after: Any) -> Any:
    """A tensor before the activation, in the shape of the one after it.

    TimeDistributed of Keras 2 folds the steps into the batch, and what is inside of it sees that.
    Source: tf_keras/src/layers/rnn/time_distributed.py, call.
    """
    shape = getattr(after, "shape", None)
    if shape is None or tuple(before.shape) == tuple(shape) or np.prod(before.shape) != np.prod(shape):
        return before
    return array(before).reshape(tuple(shape))


def has_activation(layer: Any) -> bool:
    """Whether a layer applies a function of its own at the end."""
    function = getattr(layer, "activation", None)
    return callable(function) and hasattr(layer, "kernel") and not hasattr(layer, "layers")


def sequence(model: Any) -> list[tuple[Any, str]]:
    """The calls that a model makes, in its order, each with the graph's name; empty for a layer.

    Source: `Function._run_through_graph` in keras/src/ops/function.py,
    `Functional._run_internal_graph` in tf_keras/src/engine/functional.py. A Sequential model of
    Keras 3 runs a Functional one that it keeps.
    """
    graph = getattr(model, "_functional", None) or model
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if not by_depth:
        if hasattr(model, "layers") and hasattr(model, "add"):
            return [(it, str(it.name)) for it in model.layers if type(it).__name__ != "InputLayer"]
        return []
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    nodes = [node for node in nodes if not node.is_input and owner(node) is not None]
    numbers, mine = {}, {id(node) for node in nodes}
    for layer in {id(owner(node)): owner(node) for node in nodes}.values():
        for number, node in enumerate(it for it in layer._inbound_nodes if id(it) in mine):
            numbers[id(node)] = number
    return [
        (
            owner(node),
            f"{owner(node).name}@{numbers[id(node)]}" if numbers[id(node)] else str(owner(node).name),
        )
        for node in nodes
    ]


def owner(node: Any) -> Any:
    return getattr(node, "operation", None) or getattr(node, "layer", None)


def array(value: Any) -> np.ndarray:
    """A tensor of TensorFlow as numpy has it: the same memory, which TensorFlow writes to no more."""
    made = np.asarray(value)
    return made.astype(np.float32) if made.dtype.kind not in "fciubO" else made
