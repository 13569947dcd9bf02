"""The user's own layers: their `call` runs once under TensorFlow, watched, and becomes a graph in the graph.

before:  y = Attention(x)
after:   y = Model attention(x);  attention: w = tf.Variable();  s = Matmul(x, w);  ...

Nothing of this happens for models of Keras's own layers alone, and no framework is imported for them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from torchport import scripts
from torchport.errors import Refusal, Refused
from torchport.graph import Graph, Op, Ref, Weight, is_keras_2, map_refs, refs
from torchport.nest import leaves
from torchport.read import config, dialect, live
from torchport.read.document import bounded
from torchport.read.inherited import as_keras, keras_base
from torchport.read.layers import Layer
from torchport.read.nodes import Call, settle
from torchport.read.subclass import ends, functional, inputs_of, keras_of, name_of, package_behind
from torchport.rules import find
from torchport.training import compiled
from torchport.watch import loops
from torchport.watch.arguments import placed
from torchport.watch.modes import joined
from torchport.watch.nodes import refused
from torchport.watch.parts import innermost, is_at_every_step, is_layer, parts
from torchport.watch.spy import Event, Spy, is_theirs
from torchport.watch.steps import check_apart, folded
from torchport.watch.walk import Walk

#: Packages whose layers are known by the table.
KERAS = ("keras", "tf_keras")


def read(model: Any) -> Graph:
    """The graph of a live model; of one whose `call` is not made of layers alone, that of its `call`."""
    check_built(model)
    try:
        return watch(live.read(model), model).replace(attributes=attributes(model))
    except Refused as error:
        if not is_own(model) or not getattr(model, "built", False):
            raise
        try:
            return whole(model)
        except Refused as other:
            raise other from error


def attributes(model: Any) -> dict[str, str]:
    """What a model's class calls its layers, by their names; of Keras's own classes nothing."""
    if not is_own(model):
        return {}
    return {str(it.name): name for name, it in parts(model).items() if is_layer(it)}


def check_built(model: Any) -> None:
    """Raises Refused for a model with a part that was never called: it has no weights yet."""
    try:
        list(model.weights)
    except ValueError as error:
        why = f"a layer in it was never called: {str(error).strip().splitlines()[0][:200]}"
        advice = "call the model on data, all of its layers, before it is converted; or leave the layer out"
        raise Refused((Refusal(str(model.name), type(model).__name__, why, advice),)) from error


def whole(model: Any) -> Graph:
    """The graph of the `call` of a model of the user's own class."""
    keras = keras_of(model)
    version = str(keras.__version__)
    start = inputs_of(model, keras)
    runs = [Run.of(model, start, version, training) for training in (True, False)]
    made = body_of([[next(layer_calls(run.root))] for run in runs], runs)
    compiled_as = compiled(bounded(live.as_saved(live.compile_config(model)), str(model.name)))
    return made.replace(
        name=name_of(model), cls="", masks=(), compiled=compiled_as, notes=tuple(notes(runs[0].losses))
    )


def watch(graph: Graph, model: Any) -> Graph:
    """The graph of a live model with the graphs of its own layers in it. Raises Refused, with the lines."""
    if not any(is_own(it) for it in model._flatten_layers(include_self=False)):
        return graph
    twin = functional(model)
    start = ends(twin, "inputs")
    start = start[0] if isinstance(start, (list, tuple)) and len(start) == 1 else start
    runs = [Run.of(twin, start, graph.dialect, training) for training in (True, False)]
    made = opened(graph, [run.root for run in runs], runs)
    return made.replace(notes=(*made.notes, *notes(runs[0].losses)))


def notes(losses: Mapping[str, str]) -> Iterator[str]:
    """What a person should know of losses that layers add."""
    if losses:
        where = ", ".join(f"{name} ({line})" for name, line in losses.items())
        yield f"add_loss of {where}: left out; compute it in your training loop."


def kind_of(layer: Any) -> str:
    """The kind of a layer's op, as a file of the model has it."""
    cls = keras_base(layer) or type(layer)
    keras = package_behind(cls)
    registered = keras.saving.get_registered_name(cls) if keras is not None else ""
    entry = {"module": cls.__module__, "class_name": cls.__name__, "registered_name": registered}
    if cls.__module__.split(".")[0] in KERAS:
        entry = {"class_name": cls.__name__}
    return dialect.kind(entry, cls.__name__)


def is_own(layer: Any) -> bool:
    """Whether what a layer computes is known from its `call` alone."""
    kind = kind_of(layer)
    if kind == "Lambda":
        from torchport.watch.lambdas import is_read

        return not is_read(layer)
    if loops.is_around_own(layer, is_own):
        return True
    is_keras = (keras_base(layer) or type(layer)).__module__.split(".")[0] in KERAS
    return not is_keras and not hasattr(layer, "_nodes_by_depth") and find(kind) is None


def is_open(layer: Any) -> bool:
    """Whether to look into a call of a layer."""
    inner = innermost(layer)
    return is_own(inner) or is_model(inner)


def is_model(layer: Any) -> bool:
    """Whether a layer is a model that is described by its layers."""
    return hasattr(layer, "layers") and hasattr(layer, "compile")


@dataclass
class Run:
    """One run of a model: TensorFlow's graph, and the calls."""

    keras: Any
    graph: Any
    root: Event
    trained: frozenset[int]
    version: str
    exact: Mapping[str, float]
    losses: Mapping[str, str]
    #: The weights by the ids of their variables: one that is used in two places is one.
    weights: dict[int, Weight] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, start: Any, version: str, training: bool) -> Run:
        """Run a model on symbols in one mode. Raises Refused for what the user's code raises.

        `start`: Keras's symbols for its inputs, nested as they are. `version`: Keras's.
        """
        import tensorflow as tf
        from tensorflow.python.autograph.core.ag_ctx import ControlStatusCtx, Status
        from tensorflow.python.framework.func_graph import FuncGraph

        keras = sys.modules["tf_keras" if is_keras_2(version) else "keras"]
        made = FuncGraph("watched")
        spy = Spy(keras, made, is_open)
        eager = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        layers = [it for it in model._flatten_layers() if is_own(it)]
        try:
            with ExitStack() as stack:
                stack.enter_context(made.as_default())
                stack.enter_context(ControlStatusCtx(Status.DISABLED))
                given = placeholders(tf, start)
                for it in leaves(given):
                    spy.keep(it)
                stack.enter_context(spy.watching(modules_of(layers)))
                stack.enter_context(loops.watching(spy))
                model(given, training=training)
        except Refused:
            raise
        except Exception as error:  # the code is the user's: it may raise anything
            raise failed(error, spy) from error
        finally:
            tf.config.run_functions_eagerly(eager)
        trained = frozenset(id(it) for it in model.trainable_variables)
        return cls(keras, made, spy.root, trained, version, spy.exact, spy.losses)

    def body(self, event: Event) -> Graph:
        """The graph of one call of a layer of the user's own."""
        walk = Walk(
            self.keras, event, self.graph, self.trained, self.version, self.exact, self.inner, self.weight
        )
        return walk.run()

    def weight(self, variable: Any, name: str) -> Weight:
        """A variable by the name that it has in a layer, and whether it trains."""
        known = self.weights.setdefault(id(variable), live.reference(variable, name))
        return replace(known, name=name, trains=id(variable) in self.trained)

    def each_step(self, event: Event) -> Event:
        """The call of what TimeDistributed applies at every step; of another layer its own."""
        inner = event
        while is_at_every_step(inner.target) and inner.inside:
            inner = inner.inside[0]
        if inner is not event and is_own(inner.target):
            check_apart(inner.target, inner.args[0], event.where)
        return inner

    def inner(
        self, event: Event, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Op, Graph | None]:
        """The op of a layer that is called in another one, and its graph, where it has one."""
        event = self.each_step(event)
        layer = event.target
        if is_own(layer):
            given = placed(layer, args, {key: it for key, it in kwargs.items() if any(refs(it))})
            return Op(name, "Model", tuple(given.values()), (), {"name": name}), self.body(event)
        if is_model(layer):
            body = opened(live.read(layer), [event], [self])
            if not any(id(it) in self.trained for it in layer.trainable_variables):  # of another model's
                body = config.frozen(body)
            return Op(name, "Model", args, (), {"name": name}, kwargs), body
        where = f"the layer {layer.name!r}"
        entry = bounded(entry_of(self.keras, layer), where)
        kind = dialect.kind(entry, where)
        call = settle(Call(args, kwargs), kind, self.version)
        found = Layer(name, kind, {**entry, "name": name}, (call,), False)
        stored = {
            str(at): self.weight(it, f"{name}/{live.short(it)}")
            for at, it in enumerate(live.variables(layer))
        }
        return config.op(found, name, call, (), stored, self.version, where), None


def entry_of(keras: Any, layer: Any) -> dict[str, Any]:
    """A layer as a file has it."""
    if keras.__version__.startswith("3"):
        saved = as_keras(layer, keras.saving.serialize_keras_object(layer))
        return {**live.as_saved(saved), "config": live.as_saved(saved["config"])}
    saved = as_keras(layer, {"class_name": type(layer).__name__, "config": layer.get_config()})
    return {**saved, "config": live.as_saved(saved["config"])}


def opened(graph: Graph, events: list[Event], runs: list[Run]) -> Graph:
    """The graph of a model with its own layers as nested graphs. `events`: its call in each run."""
    calls = [list(layer_calls(event)) for event in events]
    bodies, ops = dict(graph.bodies), list[Op]()
    sizes: dict[str, Event] = {}
    for op in graph.ops:
        found = [[it for it in those if it.target.name == op.layer] for those in calls]
        outer = found[0][0].target if all(found) else None
        found = [[run.each_step(it) for it in those] for run, those in zip(runs, found, strict=True)]
        if op.kind == "Model" and all(found):
            bodies[op.layer] = opened(graph.bodies[op.layer], [it[0] for it in found], runs)
        elif all(found) and is_own(found[0][0].target):
            body, layer = body_of(found, runs), found[0][0].target
            if is_at_every_step(outer):
                bodies[op.layer] = body
                ops += folded(replace(op, kind="Model", config={"name": op.layer}, stored={}), outer)
                continue
            sizes |= {name: found[0][0] for name, it in results(op, found[0][0]) if not hasattr(it, "dtype")}
            op = as_model(op, layer, body, found[0][0])
            op = replace(op, kwargs={}) if follows(those[0] for those in found) else op
            if kind_of(layer) == "Lambda":
                ops += inlined(op, body)
                bodies |= {f"{op.layer}/{name}": it for name, it in body.bodies.items()}
                continue
            bodies[op.layer] = body
        ops.append(op)
    for name in (*graph.outputs, *(name for op in ops for name in op.inputs)):
        if (event := sizes.get(name)) is not None:
            advice = "ask for it where it is needed: tf.shape(x)"
            raise refused(event.target, "it gives the size of a tensor", advice, event.where)
    return graph.replace(ops=tuple(ops), bodies=bodies)


def results(op: Op, event: Event) -> Iterator[tuple[str, Any]]:
    """What a layer gave, by the names that a model has for it: tensors, and sizes of them."""
    for at, it in enumerate(leaves(event.result)):
        yield f"{op.outputs[0]}:{at}" if at else op.outputs[0], it


def layer_calls(event: Event) -> Iterator[Event]:
    """The calls of layers that a model makes itself."""
    for it in event.inside:
        if not it.is_layer or type(it.target).__name__ == "Functional" and it.target is event.target:
            yield from layer_calls(it)
        else:
            is_whole = event.target is None and is_model(it.target) and not is_own(it.target)
            yield from layer_calls(it) if is_whole else (it,)  # a layer may have the model's name


def body_of(found: list[list[Event]], runs: list[Run]) -> Graph:
    """The graph of a layer of the user's own, from its calls in training and in inference."""
    layer = found[0][0].target
    graphs = [[run.body(event) for event in those] for those, run in zip(found, runs, strict=True)]
    for those in graphs:
        if any(it.ops != those[0].ops for it in those):
            why = "its `call` does something else at each call"
            raise refused(layer, why, "make it a layer for each of them", found[0][0].where)
    return joined(layer, *(those[0] for those in graphs)) if len(graphs) == 2 else graphs[0][0]


def follows(events: Iterable[Event]) -> bool:
    """Whether a layer's `call` is told the mode that its model is in, in training and in inference.

    Keras 3 writes the default of `call` beside a layer, training=True, and gives it the model's own all the
    same. Source: keras/src/models/functional.py, operation_fn.
    """
    return [it.called and it.called[1].get("training") for it in events] == [True, False]


def as_model(op: Op, layer: Any, body: Graph, event: Event) -> Op:
    """The op of a layer as one of a nested model; of the sizes that it gives there is no tensor."""
    given = placed(layer, op.args, {key: it for key, it in op.kwargs.items() if any(refs(it))})
    kwargs = {key: op.kwargs[key] for key in ("training",) if key in op.kwargs}
    outputs = tuple(name for name, it in results(op, event) if hasattr(it, "dtype"))
    return replace(
        op, kind="Model", args=tuple(given.values()), config={"name": op.layer}, kwargs=kwargs, stored={},
        outputs=outputs,
    )  # fmt: skip


def inlined(op: Op, body: Graph) -> Iterator[Op]:
    """The ops of a function in the place of its call: they have its name before theirs."""
    outer = dict(zip(body.inputs, op.inputs, strict=True))
    outer |= dict(zip(body.outputs, op.outputs, strict=True))
    prefix = f"{op.name}/"

    def name(inner: str) -> str:
        return outer.get(inner, f"{prefix}{inner}")

    for it in body.ops:
        args, kwargs = map_refs((it.args, dict(it.kwargs)), lambda inner: Ref(name(inner)))
        outputs = tuple(map(name, it.outputs))
        layer = op.layer if set(outputs) & set(op.outputs) else f"{prefix}{it.layer}"
        yield replace(
            it, name=outputs[0], args=args, kwargs=kwargs, outputs=outputs, layer=layer, turn=op.turn
        )


def placeholders(tf: Any, start: Any) -> Any:
    """TensorFlow's symbols for Keras's, nested as they are."""

    def one(it: Any) -> Any:
        return tf.compat.v1.placeholder(getattr(it.dtype, "name", it.dtype), tuple(it.shape))

    return mapped_inputs(start, one)


def mapped_inputs(tree: Any, change: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: mapped_inputs(it, change) for key, it in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [mapped_inputs(it, change) for it in tree]
    return change(tree)


def modules_of(layers: list[Any]) -> list[types.ModuleType]:
    """The user's modules: those of their classes and functions, and what is beside them."""
    classes = (cls for layer in layers for cls in type(layer).__mro__)
    found = {cls.__module__ for cls in classes if cls.__module__.split(".")[0] not in KERAS}
    found |= {
        name
        for name, module in list(sys.modules.items())
        if isinstance(getattr(module, "__file__", None), str) and is_theirs(str(module.__file__))
        and not name.startswith("torchport.")
    }  # fmt: skip
    return [
        sys.modules[name] for name in sorted(found) if isinstance(sys.modules.get(name), types.ModuleType)
    ]


def failed(error: Exception, spy: Spy) -> Refused:
    """The refusal of a layer whose `call` raises, with the line."""
    import traceback

    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if is_theirs(frame.filename):
            where = f"{scripts.shown(frame.filename)}:{frame.lineno}"
    layers = [it.target for it in spy.broken if it.is_layer]
    inner = layers[-1] if layers else None
    name, kind = (str(inner.name), type(inner).__name__) if inner is not None else ("model", "Model")
    first = str(error).strip().split("\n")[0][:200]
    why = f"{where}: {type(error).__name__}: {first}" if where else f"{type(error).__name__}: {first}"
    advice = ""
    if type(error).__name__ == "OperatorNotAllowedInGraphError":
        why = f"{where}: a condition or a loop on the values of a tensor"
        advice = "write it with tf.where, or as arithmetic"
    return Refused((Refusal(name, kind, why, advice),))
