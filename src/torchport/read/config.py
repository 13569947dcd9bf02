"""A Keras model's configuration, Functional or Sequential, as a Graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.errors import BadFile, Refusal, Refused, TorchportError
from torchport.graph import Graph, Op, Ref, Tensor, Weight, is_keras_2
from torchport.read import dialect
from torchport.read.document import mapping, shape, text, wrong
from torchport.read.layers import Claims, Layer, is_model, layers, model_kind
from torchport.read.nodes import Call, Source
from torchport.read.packages import guessed
from torchport.read.topology import (
    check_source,
    flatten,
    from_zero,
    in_order,
    layer_order,
    map_sources,
    output_counts,
    references,
    turns,
)
from torchport.read.trains import PARTLY, flags

#: Models in models in models, and the model itself.
DEPTH = 101
#: What a nested model's config holds beside the settings of its op: its body, read already.
BODY = frozenset({"name", "layers", "input_layers", "output_layers", "build_input_shape"})


def graph(entry: Any, version: str, claims: Claims, where: str, depth: int = 0) -> Graph:
    """The graph of a serialized model, `{"class_name": ..., "config": ...}`.

    Raises BadFile for a configuration that is not sound, and Refused for a model whose computation
    is not in its configuration.
    """
    if depth > DEPTH:
        raise BadFile(
            f"models are nested in each other more than {DEPTH} deep",
            where=where,
            advice="no real model is: the file is damaged or made to do harm",
        )
    entry = mapping(entry, "a model", where)
    if not depth:
        found = graph(entry, version, claims, where, 1)
        policies, models, packages = simplified(entry, where)
        found = frozen(found) if _is_frozen(entry, version, where) else found
        return found.replace(notes=tuple(notes(policies, models, packages)), own_models=models)
    config = entry.get("config")
    own = dialect.kind(entry, where)
    kind = model_kind(own, config)
    if not is_model(kind, config):
        name = config.get("name") if isinstance(config, Mapping) else None
        raise subclassed(name if isinstance(name, str) else kind, kind)
    if kind == "Sequential":
        return sequential(config, version, claims, where, depth).replace(entry=entry)
    config = mapping(config, "the model's config", where)
    return functional(config, version, claims, where, depth).replace(entry=entry)


def layer_names(entry: Any) -> Iterator[str]:
    """The names that a serialized model gives to its layers, as far as it is sound."""
    config = entry.get("config") if isinstance(entry, Mapping) else None
    found = config.get("layers") if isinstance(config, Mapping) else config
    for item in found if isinstance(found, list) else ():
        inner = item.get("config") if isinstance(item, Mapping) else None
        name = item.get("name", inner.get("name")) if isinstance(inner, Mapping) else None
        if isinstance(name, str):
            yield name


def simplified(entry: Mapping[str, Any], where: str) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """What a serialized model has that is read as something simpler, or as one of a package.

    How many layers have each mixed policy; the models of somebody's own classes, each with what it is
    read as; and the classes that were taken to be of a package, each with that.
    """
    policies: dict[str, int] = {}
    packages: dict[str, str] = {}
    own: dict[str, str] = {}
    stack: list[Any] = [entry]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, Mapping):
            inner = value.get("config")
            if isinstance(inner, Mapping) and isinstance(value.get("class_name"), str):
                policy = dialect.policy_name(inner.get("dtype"))
                if isinstance(policy, str) and policy in dialect.MIXED:
                    policies[policy] = policies.get(policy, 0) + 1
                kind = dialect.kind(value, where) if "layers" in inner else ""
                if model_kind(kind, inner) != kind:
                    own[str(value["class_name"])] = model_kind(kind, inner)
                if package := guessed(value):
                    packages[str(value["class_name"])] = package
            stack += value.values()
    return policies, own, packages


def notes(policies: Mapping[str, int], own: Mapping[str, str], packages: Mapping[str, str]) -> Iterator[str]:
    """The same for a person."""
    for policy, count in policies.items():
        autocast = f'torch.autocast("cuda", dtype=torch.{dialect.MIXED[policy]})'
        layers = f"{count} layer{'s' if count > 1 else ''}"
        what = "the port's weights are float32, and so is what it computes"
        yield f"{policy} ({layers}): {what}, unless it runs in {autocast}."
    for name in own:
        yield (
            f"{name.rpartition('>')[2]} is a class of its own: ported is the graph of its layers, all that "
            "the file has; if the class has a `call` of its own, convert the live model instead."
        )

    for name, package in packages.items():
        yield (
            f"{name} was taken for that of {package}: the file does not say whose class it is, and its "
            "options are those of that one. If it is your own, give --code or a rule."
        )


def subclassed(name: str, kind: str) -> Refused:
    """The refusal of a model whose layers are called by Python code."""
    why = "a model class of its own: what it computes is Python code, not part of its configuration"
    advice = (
        "add --code FILE.py, the Python file that has the class, which is run; or load it in Python with "
        "its class, and give the model itself, torchport.convert(model); or rebuild "
        "it with the functional API, keras.Model(inputs, outputs), and convert that"
    )
    return Refused((Refusal(name, kind, why, advice),))


def functional(config: Mapping[str, Any], version: str, claims: Claims, where: str, depth: int) -> Graph:
    """A model of the functional API: layers, and the calls that join them."""
    name = text(config.get("name", "model"), "the model's name", where)
    found = layers(config, version, where)
    by_name = {layer.name: layer for layer in found}
    inputs, outputs = (references(config.get(key), key, where) for key in ("input_layers", "output_layers"))
    if is_keras_2(version):
        found, outputs = from_zero(found, outputs)
    else:
        outputs = map_sources(outputs, lambda at: keras_3_output(at, by_name.get(at.layer)))
    ordered = layer_order(found, list(flatten(inputs)), outputs)
    claims = claims.among([layer.name for layer in ordered if not layer.is_operation])
    bodies: dict[str, Graph] = {}
    stored: dict[str, Mapping[str, Weight]] = {}
    for layer in [*ordered, *(it for it in found if it not in ordered)]:
        if not layer.is_input:
            claim(layer, bodies, stored, version, claims, where, depth)
    found = [adapted(layer, claims) for layer in found]

    tensors = {}
    for at in flatten(inputs):
        start = by_name.get(at.layer)
        if start is None or not start.is_input:
            raise BadFile(f"the model's input {at.layer!r} is not an InputLayer", where=where)
        if start.name in tensors:
            raise BadFile(f"{start.name!r} is an input twice", where=where)
        tensors[start.name] = input_tensor(start, where)
    names = {Source(name, 0, 0): name for name in tensors}
    counts = output_counts(found, outputs, bodies, where)
    for layer in found:
        for number in range(len(layer.calls)):
            for index, tensor in enumerate(output_names(layer, number, counts[layer.name])):
                names[Source(layer.name, number, index)] = tensor
    once = set(tensors)
    for at, tensor in names.items():
        if at.layer in tensors:
            continue
        if tensor in once:
            advice = "rename the layer"
            raise BadFile(f"two tensors would be called {tensor!r}", where=where, advice=advice)
        once.add(tensor)

    keys = {layer.name: place for place, layer in enumerate(found)}
    order = in_order(found, names.keys(), [Source(name, 0, 0) for name in tensors], where)
    for at in flatten(outputs):
        check_source(at, found, keys, names.keys(), f"{where}, output_layers")
        if at not in names:
            raise BadFile(f"the output {at.layer!r} is an InputLayer that is not an input", where=where)
    turn = turns(found, outputs)
    ops = [
        made
        for layer, number in order
        for made in ops_of(
            layer,
            call_name(layer, number),
            layer.calls[number].renamed(names),
            output_names(layer, number, counts[layer.name]),
            stored[layer.name],
            version,
            where,
            turn.get((layer.name, number), len(order)),
        )
    ]
    structure = map_sources(outputs, lambda at: Ref(names[at]))
    if isinstance(structure, list) and len(structure) == 1:
        structure = structure[0]  # a list of one is returned as its item, by Keras 2 and 3 alike
    by_key = inputs if isinstance(inputs, Mapping) else {}
    return Graph(
        name=name,
        inputs=tuple(tensors),
        keys={at.layer: key for key, at in by_key.items() if isinstance(at, Source)},
        outputs=tuple(names[at] for at in flatten(outputs)),
        ops=tuple(ops),
        tensors=tensors,
        dialect=version,
        structure=structure,
        bodies=bodies,
        layers=trained(ordered, version),
    )


def _is_frozen(entry: Mapping[str, Any], version: str, where: str) -> bool:
    """Whether the model that a file is of trains nothing, whatever its layers say, once it is loaded.

    Keras 3 asks the model that is trained, not those in it, and forgets the flag of a Sequential one. Keras 2
    asks no model that it has loaded.
    """
    config = entry.get("config")
    if is_keras_2(version) or not isinstance(config, Mapping):
        return False
    is_chain = model_kind(dialect.kind(entry, where), config) == "Sequential"
    return not is_chain and config.get("trainable") is False


def frozen(graph: Graph) -> Graph:
    """The same model with none of its weights trained."""
    ops = tuple(replace(op, frozen=True) for op in graph.ops)
    return graph.replace(ops=ops, bodies={name: frozen(body) for name, body in graph.bodies.items()})


def sequential(config: Any, version: str, claims: Claims, where: str, depth: int) -> Graph:
    """A chain of layers, with or without an InputLayer before them."""
    config = {"layers": config} if isinstance(config, list) else config  # Keras 2.0
    config = mapping(config, "the model's config", where)
    name = text(config.get("name", "sequential"), "the model's name", where)
    found = layers(config, version, where)
    if not found:
        raise BadFile("a Sequential model without layers", where=where)
    rest = found[1:] if found[0].is_input else found
    claims = claims.among([layer.name for layer in rest])
    bodies: dict[str, Graph] = {}
    stored: dict[str, Mapping[str, Weight]] = {}
    for layer in rest:
        if layer.is_input:
            raise BadFile("a Sequential model with an InputLayer in its midst", where=where)
        claim(layer, bodies, stored, version, claims, where, depth)
        if layer.is_model and len(bodies[layer.name].outputs) != 1:
            raise BadFile(f"{layer.name!r} in a Sequential model has several outputs", where=where)
    rest = [adapted(layer, claims) for layer in rest]
    if found[0].is_input:
        tensor = input_tensor(found[0], where)
    else:
        tensor = undeclared_input(config, found[0], bodies, where)
    ops: list[Op] = []
    last = tensor.name
    for layer in rest:
        if layer.name == tensor.name:
            raise BadFile(f"two tensors would be called {layer.name!r}", where=where)
        call = Call((Ref(last),), {})
        ops += ops_of(layer, layer.name, call, (layer.name,), stored[layer.name], version, where)
        last = layer.name
    return Graph(
        name=name,
        inputs=(tensor.name,),
        outputs=(last,),
        ops=tuple(ops),
        tensors={tensor.name: tensor},
        dialect=version,
        structure=Ref(last),
        bodies=bodies,
        layers=trained(rest, version),
    )


#: Layers that learn a vocabulary from data, which is not part of their configuration.
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})


def adapted(layer: Layer, claims: Claims) -> Layer:
    """The layer with what it was adapted to among its options."""
    if layer.kind not in LOOKUPS or layer.config.get("vocabulary") is not None:
        return layer
    return replace(layer, entry={**layer.entry, "config": {**layer.config, **claims.adapted(layer)}})


def claim(
    layer: Layer,
    bodies: dict[str, Graph],
    stored: dict[str, Mapping[str, Weight]],
    version: str,
    claims: Claims,
    where: str,
    depth: int,
) -> None:
    """Fetches what a layer owns: its variables and, of a nested model, its graph."""
    if layer.has_body:
        at = f"{where}, model {layer.name!r}"
        body = graph(layer.stepwise or layer.entry, version, claims.inside(layer), at, depth + 1)
        stays = layer.stepwise and is_keras_2(version) and layer.config.get("trainable") is False
        bodies[layer.name] = frozen(body) if stays else body
    stored[layer.name] = claims.stored(layer)


def trained(layers: Iterable[Layer], version: str) -> tuple[tuple[str, bool], ...]:
    """The layers that can have variables, each with whether it says that it trains them."""

    def trains(layer: Layer) -> bool:
        if layer.is_model:
            return layer.kind == "Sequential" or layer.config.get("trainable") is not False
        return all(flags(layer.kind, layer.config, version))

    return tuple((it.name, trains(it)) for it in layers if not it.is_operation and not it.is_input)


def keras_3_output(at: Source, layer: Layer | None) -> Source:
    """An entry of Keras 3's `output_layers`, with calls numbered from 0.

    There, and only there, the calls of a nested Functional model count from 1 (`get_tensor` in
    keras/src/models/functional.py takes one off).
    """
    if layer is None or not layer.is_model or layer.kind == "Sequential" or at.node == 0:
        return at
    return replace(at, node=at.node - 1)


def call_name(layer: Layer, number: int) -> str:
    return f"{layer.name}@{number}" if number else layer.name


def output_names(layer: Layer, number: int, count: int) -> tuple[str, ...]:
    call = call_name(layer, number)
    return (call, *(f"{call}:{index}" for index in range(1, count)))


def op(
    layer: Layer,
    name: str,
    call: Call,
    outputs: tuple[str, ...],
    stored: Mapping[str, Weight],
    version: str,
    where: str,
    turn: int = 0,
) -> Op:
    """One call of a layer as an op of the graph."""
    config = layer.config
    if layer.has_body:
        config = {key: value for key, value in config.items() if key not in (*BODY, "layer")}
    implied = dialect.IMPLIED.get(layer.class_name, {})
    config = dialect.modernise({**implied, **config}, layer.kind, version, f"{where}, layer {layer.name!r}")
    is_trained, refused = training_of(flags(layer.kind, config, version), stored)
    return Op(
        name=name,
        kind="Model" if layer.has_body else layer.kind,
        args=call.args,
        outputs=outputs,
        config=config,
        kwargs=call.kwargs,
        layer=layer.name,
        stored=stored,
        turn=turn,
        frozen=not is_trained,
        refused=refused,
    )


def training_of(said: tuple[bool, ...], stored: Mapping[str, Weight]) -> tuple[bool, tuple[str, str] | None]:
    """Whether a layer trains, by what the file says of its parts or a live model of its variables."""
    known = [weight.trains for weight in stored.values() if weight.trains is not None]
    if known:
        return any(known), None
    return any(said), PARTLY if len(set(said)) > 1 else None


def ops_of(layer: Layer, *details: Any) -> tuple[Op, ...]:
    """The ops of one call of a layer: a model at every step is folded steps, the model, and unfolded steps.

    Keras 2 folds the batch as well. Source: tf_keras/src/layers/rnn/time_distributed.py, call.
    """
    made = op(layer, *details)
    if layer.stepwise is None:
        return (made,)
    (x,), output, steps = made.args, made.outputs[0], f"{made.name}.steps"
    each = Ref(f"{output}.each")
    unfold = Op(f"{made.name}.unfold", "time:unfold", (each, x), (output,), layer=f"{made.layer}.unfold")
    return (
        Op(f"{made.name}.fold", "time:fold", (x,), (steps,), layer=f"{made.layer}.fold", turn=made.turn),
        replace(made, args=(Ref(steps),), outputs=(each.tensor,)),
        replace(unfold, turn=made.turn),
    )


def input_tensor(layer: Layer, where: str) -> Tensor:
    """The graph input that an InputLayer stands for."""
    at = f"{where}, input {layer.name!r}"
    for flag, why in (
        ("sparse", "a sparse input"),
        ("ragged", "a ragged input"),
        ("optional", "an optional input, which may be None"),
    ):
        if layer.config.get(flag):
            advice = "convert the model with a dense, required input in its place"
            raise Refused((Refusal(layer.name, "InputLayer", f"{why} has no twin in PyTorch", advice),))
    declared, dtype = dialect.input_config(layer.entry, at)
    if declared is None:
        raise wrong("batch_shape", "a shape", declared, at)
    return Tensor(layer.name, with_batch(declared, at), dtype=dtype)


def undeclared_input(
    config: Mapping[str, Any], first: Layer, bodies: Mapping[str, Graph], where: str
) -> Tensor:
    """The input of a Sequential model without an InputLayer: what its first layer was built for."""
    name = f"{first.name}_input"
    if first.is_model:
        body = bodies[first.name]
        if len(body.inputs) != 1:
            raise BadFile(f"{first.name!r} in a Sequential model has several inputs", where=where)
        return replace(body.tensors[body.inputs[0]], name=name)
    declared, dtype = dialect.input_config(first.entry, where)
    build = first.entry.get("build_config")
    for shape_of in (
        declared,
        config.get("build_input_shape"),
        build.get("input_shape") if isinstance(build, Mapping) else None,
    ):
        if shape_of is not None:
            return Tensor(name, with_batch(shape_of, where), dtype=dtype)
    raise TorchportError(
        "the model has no input shape: it was saved before it was built",
        where=where,
        advice="call it on data or start it with keras.Input(...), and save it again",
    )


def with_batch(declared: Any, where: str) -> tuple[int | None, ...]:
    """A declared shape with its batch size forgotten."""
    sizes = shape(declared, "an input's shape", where)
    if not sizes:
        raise wrong("an input's shape", "a shape with a batch axis", declared, where)
    return (None, *sizes[1:])
