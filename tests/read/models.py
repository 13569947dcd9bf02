"""Small models of every structure that is read, built with Keras 3 or tf_keras alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from torchport.graph import Graph, Op, map_refs

BUILDERS: dict[str, Callable[[Any], Any]] = {}


def builder(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    BUILDERS[build.__name__] = build
    return build


@builder
def sequential(keras: Any) -> Any:
    L = keras.layers
    return keras.Sequential(
        [
            keras.Input((11, 7, 3)),
            L.Conv2D(5, 3, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.Dropout(0.3),
            L.LeakyReLU(),
            L.Flatten(),
            L.Dense(2),
        ],
        name="chain",
    )


@builder
def deferred(keras: Any) -> Any:
    model = keras.Sequential([keras.layers.Dense(5), keras.layers.Dense(2)], name="late")
    model.build((None, 7))
    return model


@builder
def shared_layer(keras: Any) -> Any:
    L = keras.layers
    a, b = keras.Input((7, 5), name="a"), keras.Input((7, 5), name="b")
    dense = L.Dense(5, name="twin")
    left, right = dense(a), dense(b)
    both = L.Subtract(name="minus")([left, right])
    again = dense(both)
    return keras.Model([a, b], {"z": both, "y": [again, left]}, name="twins")


@builder
def nested(keras: Any) -> Any:
    """A model in a model in a model; the inner ones called several times, one with two outputs."""
    L = keras.layers
    p = keras.Input((5,), name="p")
    core = keras.Model(p, {"v": L.Dense(5)(p), "u": L.Dense(3)(p)}, name="core")
    q = keras.Input((5,), name="q")
    found = core(q)
    again = core(found["v"])
    middle = keras.Model(q, [L.Add()([found["v"], again["v"]]), again["u"]], name="middle")
    x = keras.Input((5,), name="x")
    one, two = middle(x)
    three, four = middle(one)
    tail = keras.Sequential([keras.Input((5,)), L.Dense(3), L.BatchNormalization()], name="tail")
    return keras.Model(x, [tail(three), L.Concatenate()([two, four]), tail(one)], name="outer")


@builder
def shared_across(keras: Any) -> Any:
    """Layers that are part of the model and of a model in it, stored in the archive only once."""
    L = keras.layers
    shared, own = L.Dense(5, name="shared"), L.Dense(5, name="own")
    p = keras.Input((5,), name="p")
    core = keras.Model(p, own(shared(p)), name="core")
    x = keras.Input((5,), name="x")
    y = L.Dense(5, name="after")(core(shared(L.Dense(5, name="before")(x))))
    return keras.Model(x, y, name="outer")


@builder
def shared_without_weights(keras: Any) -> Any:
    """A layer without weights that is part of the model and of a model in it: the archive has it once."""
    L = keras.layers
    shared = L.ReLU(name="shared")
    p = keras.Input((5,), name="p")
    core = keras.Model(p, L.Dense(5, name="own")(shared(p)), name="core")
    x = keras.Input((5,), name="x")
    return keras.Model(x, shared(core(L.Dense(5, name="before")(x))), name="outer")


@builder
def nested_output(keras: Any) -> Any:
    """A nested model whose calls are the outputs: there they are numbered differently."""
    p = keras.Input((5,), name="p")
    core = keras.Model(p, keras.layers.Dense(5, activation="tanh")(p), name="core")
    x = keras.Input((5,), name="x")
    return keras.Model(x, [core(core(x)), core(x)], name="ends")


@builder
def recurrent(keras: Any) -> Any:
    L = keras.layers
    x = keras.Input((7, 3), name="x")
    forward, h, c = L.LSTM(5, return_state=True, return_sequences=True, name="enc")(x)
    decoded = L.LSTM(5, return_sequences=True, name="dec")(forward, initial_state=[h, c])
    both = L.Bidirectional(L.GRU(3, return_sequences=True), name="both")(decoded)
    each = L.TimeDistributed(L.Dense(2), name="each")(both)
    return keras.Model(x, [each, h], name="sequences")


@builder
def attention(keras: Any) -> Any:
    L = keras.layers
    x, y = keras.Input((7, 5), name="x"), keras.Input((11, 5), name="y")
    seen = L.MultiHeadAttention(2, 3, name="look")(x, value=y)
    seen = L.LayerNormalization(name="norm")(L.Add(name="skip")([x, seen]))
    return keras.Model([x, y], seen, name="attends")


@builder
def unet(keras: Any) -> Any:
    """More than ten layers of a class, unknown sizes, layer names in an order of their own."""
    L = keras.layers
    image = keras.Input((None, None, 3), name="image")
    x, skips = image, []
    for depth, name in enumerate("zyxw"):
        x = L.Conv2D(3 + depth, 3, padding="same", name=f"{name}1")(x)
        x = L.BatchNormalization(name=f"{name}_bn")(x)
        x = L.Conv2D(3 + depth, 3, padding="same", activation="relu", name=f"{name}2")(x)
        skips.append(x)
        x = L.MaxPooling2D(name=f"{name}_pool")(x)
    for depth, skip in reversed(list(enumerate(skips))):
        x = L.Conv2DTranspose(3 + depth, 2, strides=2, name=f"up{depth}")(x)
        x = L.Concatenate(name=f"join{depth}")([x, skip])
        x = L.Conv2D(3 + depth, 3, padding="same", name=f"a{depth}")(x)
    return keras.Model(image, L.Conv2D(1, 1, name="head")(x), name="unet")


@builder
def frozen(keras: Any) -> Any:
    L = keras.layers
    base = keras.Sequential([keras.Input((7,)), L.Dense(5), L.BatchNormalization(), L.Dense(3)], name="base")
    base.trainable = False
    x = keras.Input((7,), name="x")
    return keras.Model(x, L.Dense(2, name="top")(base(x)), name="tuned")


def randomise(model: Any) -> Any:
    """The model with weights that are all different from each other."""
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.1, 1.0, w.shape).astype("float32") for w in model.get_weights()])
    return model


def sample(graph: Graph) -> dict[str, np.ndarray]:
    """An input for a graph; unknown sizes are 2 (batch) and 16."""
    rng = np.random.default_rng(11)
    shapes = {n: (2, *(s or 16 for s in graph.tensors[n].shape[1:])) for n in graph.inputs}
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def run(graph: Graph, model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """All tensors of a graph, by calling the live model's own layers as the graph says."""
    known = dict(values)
    layers = {layer.name: layer for layer in model.layers}
    for op in graph.ops:
        layer = layers[op.layer]
        args, kwargs = map_refs((op.args, dict(op.kwargs)), known.__getitem__)
        if op.kind == "Model":
            body = graph.bodies[op.layer]
            inner = run(body, layer, dict(zip(body.inputs, list(flat(args)), strict=True)))
            out = [inner[name] for name in body.outputs]
        else:
            out = layer(*args, **kwargs)
            out = list(out) if isinstance(out, (list, tuple)) else [out]
        known.update(zip(op.outputs, out, strict=False))
    return known


def flat(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from flat(tree[key])
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from flat(item)
    else:
        yield tree


def all_ops(graph: Graph, model: Any) -> Iterator[tuple[Op, Any]]:
    """Every op of a graph and of its bodies, with the live layer that it calls."""
    layers = {layer.name: layer for layer in model.layers}
    for op in graph.ops:
        yield op, layers.get(op.layer)
        if op.kind == "Model":
            yield from all_ops(graph.bodies[op.layer], layers[op.layer])


def contents(arrays: Any) -> list[tuple[tuple[int, ...], bytes]]:
    """Arrays in a form that can be compared and sorted."""
    return [(tuple(np.shape(a)), np.asarray(a).tobytes()) for a in arrays]
