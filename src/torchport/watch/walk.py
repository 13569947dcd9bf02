"""The graph of one run of a user's `call`: from its results back to its arguments.

For each tensor stands the outermost call that gives it and that our tables have: a layer, a function of
TensorFlow or of keras.ops as it was written. Where there is none, the operation of TensorFlow's graph does.

before:  def call(self, x): return tf.nn.relu(tf.matmul(x, self.w)) * 2
after:   w = tf.Variable();  matmul = TFOpLambda(x, b=w);  relu = TFOpLambda(matmul);  mul = Mul(relu, 2.0)
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from torchport.graph import Graph, Op, Ref, Tensor, refs
from torchport.names import is_automatic, numbered, snake
from torchport.nest import leaves
from torchport.normalise.nodes import MASKS, NODES, index_of
from torchport.read import live
from torchport.rules import find
from torchport.watch import loops
from torchport.watch.arguments import by_name, given, implied, nested, parameters, placed
from torchport.watch.constants import DRAWS, WHOLE_DRAWS, constant, exactly, sizes_of, varying
from torchport.watch.nodes import handle_of, is_tensor, layers_in, line_of, number_of, refused
from torchport.watch.operations import operation, options
from torchport.watch.parts import is_at_every_step, is_layer, is_variable, members, one_of, parts, variable_of
from torchport.watch.spy import Event, is_loop
from torchport.watch.steps import folded
from torchport.watch.writes import ASSIGNS, WRITES, WRITTEN, Write, draws, measured


@dataclass
class Walk:
    """One run on its way back. `opened`: gives the graph of a layer that is called in it."""

    keras: Any
    event: Event
    graph: Any
    trained: frozenset[int]
    version: str
    #: Numbers of Python by the nodes that hold them: a node has them in its dtype.
    exact: Mapping[str, float]
    inner: Any
    #: Gives the weight of a variable, by the name that it has here.
    weight: Any
    names: dict[int, str] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    ops: list[tuple[int, Op]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    bodies: dict[str, Graph] = field(default_factory=dict)
    givers: dict[int, Event] = field(default_factory=dict)
    done: dict[int, tuple[str, ...]] = field(default_factory=dict)
    constants: dict[int, Any] = field(default_factory=dict)
    layers: dict[tuple[int, ...], str] = field(default_factory=dict)
    #: The numbers of the writes that are entered.
    after: set[int] = field(default_factory=set)
    #: The number of the operation before which arguments are read.
    now: int = 0

    @property
    def layer(self) -> Any:
        return self.event.target

    def run(self) -> Graph:
        assert self.event.called is not None
        args, kwargs = self.event.called
        own = members(self.layer)
        self.parts = {id(variable_of(it)): name for name, it in own.items()}
        self.alike: dict[tuple[int, ...], str] = {}
        for name, it in own.items():
            if is_layer(it):
                self.alike.setdefault(one_of(it), name)
        self.objects = {id(variable_of(it)): it for it in own.values()}
        self.taken = {name for name, it in own.items() if is_variable(it)}
        self.captured = {id(inner): outer for outer, inner in self.graph.captures}
        tensors: dict[str, Tensor] = {}
        self.writes = list(self.find_writes())
        own_masks = {key: kwargs[key] for key in implied(self.event)}
        kwargs = {key: it for key, it in kwargs.items() if key not in own_masks}
        called = parameters(self.layer)
        for path, tensor in given(self.layer, args, kwargs):
            # those of a list are called as they are unpacked: `mean, variance = inputs`
            name = self.free(path if path in called else self.event.names.get(id(tensor), path))
            self.names[id(tensor)] = name
            shape = (None, *(size for size in tensor.shape[1:])) if tensor.shape.rank else ()
            tensors[name] = Tensor(name, shape, dtype=tensor.dtype.name)
        self.inputs = frozenset(tensors)
        self.varying = varying(self.graph, {id(it) for _, it in given(self.layer, args, kwargs)})
        for event in self.event.inside:
            self.register(event)
        self.note_masks(args, kwargs, own_masks)
        result = [it for it in leaves(self.event.result) if hasattr(it, "dtype")]  # others are sizes
        if not result:
            raise refused(self.layer, "it gives no tensor", "give one", self.event.where)
        outputs = tuple(self.output(it) for it in result)
        for write in self.writes:
            self.written(write)
        written = [op for _, op in sorted(self.ops, key=lambda pair: pair[0])]
        ops = tuple(replace(op, turn=at) for at, op in enumerate(written))
        structure = nested(self.event.result, iter(outputs))
        return Graph(
            type(self.layer).__name__, tuple(tensors), outputs, ops, tensors, self.version, structure,
            self.bodies, cls=type(self.layer).__name__, masks=tuple(self.masks(result)),
        )  # fmt: skip

    def find_writes(self) -> Iterator[Write]:
        """What `call` gives variables of the layer. Raises Refused for those that train, or are of others."""
        spans = [(it.first, it.last) for it in layers_in(self.event)]
        for at, op in enumerate(self.graph.get_operations()[self.event.first : self.event.last]):
            number = at + self.event.first
            if not op.type.startswith(ASSIGNS) or any(first <= number < last for first, last in spans):
                continue
            handle = self.captured.get(id(op.inputs[0]))
            if draws(op) or any(handle_of(it) is handle for it in measured(self.layer)):
                continue
            own = next((it for it in self.readable() if handle_of(it) is handle), None)
            if own is None:
                others = (
                    it for it in self.layer.weights if getattr(variable_of(it), "handle", None) is handle
                )
                name = next((live.short(it) for it in others), "a variable")
                raise refused(
                    self.layer, f"its `call` assigns to {name}, of a layer in it", WRITES, line_of(op)
                )
            if op.type not in WRITTEN:
                raise refused(self.layer, "its `call` assigns to a part of a variable", WRITES, line_of(op))
            if own.trainable and self.is_read_before(own, op, number):
                why = "its `call` reads a weight that trains, and assigns to it before that is used"
                raise refused(self.layer, why, WRITES, line_of(op))
            yield Write(number, own, op)

    def is_read_before(self, variable: Any, write: Any, number: int) -> bool:
        """Whether what a variable was is used after it was given another value."""
        before = self.graph.get_operations()[self.event.first : number]
        reads = [
            it for it in before
            if it.type == "ReadVariableOp" and self.captured.get(id(it.inputs[0])) is variable.handle
        ]  # fmt: skip
        stack, seen = [user for it in reads for user in it.outputs[0].consumers()], {write.name}
        while stack:
            op = stack.pop()
            if op.name in seen:
                continue
            if number_of(self.graph, op) > number:
                return True
            seen.add(op.name)
            users = [user for it in op.outputs for user in it.consumers()]
            if not users:  # it is a result
                return True
            stack += users
        return False

    def written(self, write: Write) -> None:
        """Enters what gives a variable another value."""
        if write.number in self.after:
            return
        self.after.add(write.number)
        variable, given = self.variable(write.variable), self.tree(write.op.inputs[1])
        if function := WRITTEN[write.op.type]:
            before, name = self.state(write.variable, write.number), self.free(f"{variable.tensor}_next")
            op = Op(name, "TFOpLambda", (before,), (name,), {"function": function}, {"y": given}, layer=name,
                    where=line_of(write.op))  # fmt: skip
            self.ops.append((write.number, op))
            given = Ref(name)
        elif not isinstance(given, Ref):
            given = self.operand(write.op.inputs[1])
        name = self.free(f"{variable.tensor}_after")
        op = Op(name, "state:assign", (variable, given), (name,), layer=name, where=line_of(write.op))
        self.ops.append((write.number, op))

    def state(self, variable: Any, at: int) -> Ref:
        """A variable as it is before an operation of that number: behind what assigns to it."""
        for write in self.writes:
            if write.variable is variable and write.number < at:
                self.written(write)
        return self.variable(variable)

    def note_masks(self, args: Any, kwargs: Any, masks: Mapping[str, Any]) -> None:
        """The masks that Keras hands to `call` are those of its arguments."""
        values = placed(self.layer, args, kwargs)
        for key, mask in masks.items():
            of = key.removesuffix("_mask") if key != "mask" else next(iter(values))
            for tensor, it in zip(leaves(values.get(of)), leaves(mask), strict=False):
                if is_tensor(it) and id(it) not in self.names:
                    self.mask_of(tensor, it, key)

    def mask_of(self, tensor: Any, mask: Any, wanted: str) -> None:
        """Enters the mask of an argument."""
        name = self.free(wanted)
        self.ops.append((-1, Op(name, "mask:of", (self.tree(tensor),), (name,), layer=name)))
        self.names[id(mask)] = name
        self.keep.append(mask)

    def masks(self, result: Sequence[Any]) -> Iterator[str]:
        """What becomes of the mask of the first argument, for each result."""
        args, kwargs = self.event.called or ((), {})
        first = next((it for it in leaves((list(args), kwargs)) if is_tensor(it)), None)
        own = getattr(first, "_keras_mask", None)
        for it in result:
            mask = getattr(it, "_keras_mask", None)
            yield "drops" if mask is None else "passes" if mask is own else self.how_made(mask, first)

    def how_made(self, mask: Any, first: Any) -> str:
        """ "unlike 0" for a mask of the numbers of the first argument that are not 0; else "makes"."""
        if mask.op.type == "NotEqual" and mask.op.inputs[1].op.name not in self.varying:
            tensor = mask.op.inputs[0]
            while tensor.op.type in ("Identity", "Cast") and tensor is not first:
                tensor = tensor.op.inputs[0]
            if tensor is first and first.dtype.is_integer:
                return f"unlike {int(self.fold(mask.op.inputs[1]))}"
        return "makes"

    def register(self, event: Event) -> None:
        """Who gives each tensor: the outermost calls that can stand in the program."""
        tensors = [it for it in leaves(event.result) if is_tensor(it)]
        if event.is_layer or is_loop(event) or self.is_known(event, tensors):
            for it in tensors:
                self.givers.setdefault(id(it), event)
            self.keep += tensors
            return
        for it in event.inside:
            self.register(it)

    def is_known(self, event: Event, tensors: Sequence[Any]) -> bool:
        """Whether a function can stand in the program as it was called."""
        reads = [it for it in leaves((event.args, event.kwargs)) if is_tensor(it) or is_variable(it)]
        if "random." in event.name:
            return bool(tensors)
        if not reads or not tensors or any(it is read for it in tensors for read in reads):
            return False
        if not event.name.startswith("keras.ops."):
            return True
        return operation(event) is not None

    def free(self, wanted: str) -> str:
        """A name for an op: what was wanted, with a number where it is taken."""
        name = numbered(wanted, self.taken)
        self.taken.add(name)
        return name

    def output(self, value: Any) -> str:
        """The tensor that the layer gives; one that it was given, or a constant, by an op of its own."""
        found = self.tree(value)
        name = found.tensor if isinstance(found, Ref) else ""
        if name and name not in self.inputs:
            return name
        if not name:
            raise refused(self.layer, "it gives a constant", "leave it out of its results", self.event.where)
        made = self.free(f"{name}_out")
        self.ops.append((self.graph_count(), Op(made, "Identity", (found,), (made,), layer=made)))
        return made

    def graph_count(self) -> int:
        return len(self.graph.get_operations())

    # Arguments

    def tree(self, value: Any) -> Any:
        """An argument of a call with tensors as Refs, and all else as a file would have it."""
        import tensorflow as tf

        if is_variable(value):
            return self.state(variable_of(value), self.now)
        if is_tensor(value):
            return self.tensor(value)
        if isinstance(value, (np.ndarray, tf.Tensor)):  # one that runs at once is a constant
            array = np.asarray(value)
            is_table = array.ndim and array.dtype.kind == "f" and self.attribute_of(value)
            return self.operand(value) if is_table else constant(array)
        if isinstance(value, tf.TensorShape):
            return value.as_list() if value.rank is not None else None
        if isinstance(value, Mapping):
            return {key: self.tree(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.tree(item) for item in value]
        if isinstance(value, slice):
            return slice(*(self.tree(it) for it in (value.start, value.stop, value.step)))
        if value is ...:
            return value
        return live.as_saved(value)

    def tensor(self, value: Any) -> Any:
        """The tensor by its name, or a constant."""
        if id(value) in self.names:
            return Ref(self.names[id(value)])
        if id(value) in self.event.masked:  # it was asked of the argument itself
            self.mask_of(self.event.masked[id(value)], value, "mask")
            return Ref(self.names[id(value)])
        if not self.depends(value):
            return constant(self.fold(value))
        event = self.givers.get(id(value))
        if event is not None:
            self.called(event)
            return Ref(self.names[id(value)])
        self.node(value.op)
        return Ref(self.names[id(value)])

    def depends(self, value: Any) -> bool:
        """Whether a tensor is made of the layer's arguments, of variables or of random numbers."""
        return id(value) in self.names or value.op.name in self.varying

    def fold(self, value: Any) -> np.ndarray:
        """The value of a tensor that depends on nothing."""
        import tensorflow as tf

        if value.dtype.is_floating and (number := exactly(value, self.exact)) is not None:
            return np.asarray(number, np.float64)
        found = tf.get_static_value(value)
        if found is not None:
            return np.asarray(found)
        if id(value) in self.captured:
            return np.asarray(self.captured[id(value)])
        taken = {it.name: np.asarray(outer) for it, outer in self.captured_tensors()}
        definition = tf.compat.v1.graph_util.extract_sub_graph(
            self.graph.as_graph_def(add_shapes=False), [value.op.name]
        )
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(definition, name="")
            feeds = {
                name: array for name, array in taken.items() if name.partition(":")[0] in
                {node.name for node in definition.node}
            }  # fmt: skip
            with tf.compat.v1.Session(graph=graph) as session:
                return np.asarray(session.run(value.name, feeds))

    def captured_tensors(self) -> Iterator[tuple[Any, Any]]:
        for outer, inner in self.graph.captures:
            if inner.dtype.name != "resource":
                yield inner, outer

    # What stands in the program

    def variable(self, value: Any) -> Ref:
        """A weight as an operand."""
        if id(value) in self.names:
            return Ref(self.names[id(value)])
        attribute, own = self.parts.get(id(value)), self.objects.get(id(value), value)
        stored = attribute
        if attribute is None and (found := self.of_layer(value)) is not None:
            layer, own = found
            stored = f"{self.named(layer)}/{live.short(own)}"
            attribute = stored.replace("/", "_")
        if attribute is None:
            advice = "make it an attribute of the layer, with add_weight"
            raise refused(self.layer, f"it uses a variable, {value.name}, that is none of its attributes",
                          advice, self.event.where)  # fmt: skip
        name = attribute if stored == attribute else self.free(attribute)
        trainable = any(it is own for it in trainables(self.layer)) or id(own) in self.trained
        weight = self.weight(own, name if stored == attribute else stored)
        dtype = getattr(own.dtype, "name", own.dtype)
        config = {
            "attribute": name, "shape": list(weight.shape), "trainable_": trainable, "dtype_": str(dtype),
            "of_": "" if stored == attribute else stored,
        }  # fmt: skip
        op = Op(name, "tf.Variable", (), (name,), config, layer=name, stored={"0": weight},
                frozen=id(own) not in self.trained)  # fmt: skip
        self.ops.append((-1, op))
        self.names[id(value)] = name
        self.keep.append(value)
        return Ref(name)

    def of_layer(self, value: Any) -> tuple[Any, Any] | None:
        """The layer that is called in this one, and is Keras's own, and its variable."""
        for event in layers_in(self.event):
            layer = event.target
            if type(layer).__module__.startswith(("keras.", "tf_keras.")) and not hasattr(layer, "layers"):
                for it in layer.weights:
                    if variable_of(it) is value:
                        return layer, it
        return None

    def readable(self) -> Iterator[Any]:
        """The variables of the layer, and those of Keras's layers that it calls."""
        yield from self.variables()
        for event in layers_in(self.event):
            for it in event.target.weights:
                if self.of_layer(variable_of(it)) is not None:
                    yield variable_of(it)

    def called(self, event: Event) -> None:
        """A layer or a function as it was called."""
        if id(event) in self.done:
            return
        tensors = [it for it in leaves(event.result) if is_tensor(it)]
        before, self.now = self.now, event.first
        if is_loop(event):
            loops.enter(self, event)
        elif event.is_layer:
            self.layer_op(event, tensors)
        elif event.name.startswith("keras.ops."):
            self.operation_op(event, tensors)
        else:
            self.function_op(event, tensors)
        self.now = before
        self.done[id(event)] = ()

    def called_as(self, tensors: Sequence[Any], base: str) -> str:
        """What the author calls a result, else `base`."""
        found = (self.event.names[id(it)] for it in tensors if id(it) in self.event.names)
        return next(found, base) or base

    def give(self, op: Op, at: int, tensors: Sequence[Any], base: str) -> None:
        """Enter an op that gives these tensors."""
        name = self.free(self.called_as(tensors, base))
        outputs = (name, *(f"{name}:{number}" for number in range(1, len(tensors))))
        if not op.layer and all(id(it) in self.event.names for it in tensors[1:]):  # q, k, v = tf.unstack(x)
            outputs = (name, *(self.free(self.event.names[id(it)]) for it in tensors[1:]))
        layer = op.layer or (f"{name}.value" if name in self.parts.values() else name)
        made = replace(op, name=name, outputs=outputs, layer=layer, turn=at)
        self.names.update(zip(map(id, tensors), outputs, strict=True))
        self.keep += tensors
        self.ops.append((at, made))

    def function_op(self, event: Event, tensors: Sequence[Any]) -> None:
        """A function of TensorFlow's as Keras 2 saves it: its first argument, and the others by name."""
        bound = inspect.signature(event.target).bind(*event.args, **event.kwargs)
        items = {name: it for name, it in bound.arguments.items() if name != "name"}
        short = event.name.rpartition(".")[2]
        if short == "einsum":
            given = {"inputs": [self.tree(it) for it in items["inputs"]]}
            args: tuple[Any, ...] = (items["equation"],)
        elif short == "meshgrid":
            args, given = (), {"inputs": [self.operand(it) for it in items.pop("args")]}
            given |= {key: self.tree(it) for key, it in items.pop("kwargs", {}).items()}
            given |= items
        else:
            (_, first), *rest = items.items()
            takes_list = short in LISTS or "random." in event.name
            args, given = (self.tree(first) if takes_list else self.packed(first),), {}
            for name, it in rest:
                if name == "kwargs":
                    given |= {key: self.tree(item) for key, item in it.items()}
                else:
                    given[name] = sizes_of(self.tree(it)) if name in SIZES else self.tree(it)
        name = event.name.removeprefix("keras.")
        op = Op("", "TFOpLambda", args, (), {"function": name}, given, where=event.where)
        self.give(op, event.first, tensors, "noise" if name.startswith("random.") else short)

    def packed(self, value: Any) -> Any:
        """An argument of a function of one tensor, which TensorFlow makes of a list of them."""
        found = self.tree(value)
        if not isinstance(found, list) or not any(refs(found)):
            return found
        name = self.free("stacked")
        op = Op(name, "TFOpLambda", ([self.packed(it) for it in value],), (name,), {"function": "stack"},
                {"axis": 0}, layer=name)  # fmt: skip
        self.ops.append((self.now, op))
        return Ref(name)

    def operation_op(self, event: Event, tensors: Sequence[Any]) -> None:
        """A function of keras.ops as the operation that a functional model has for it."""
        made = operation(event)
        assert made is not None
        target, args, kwargs = made
        given = {key: self.tree(it) for key, it in options(target).items()}
        config = {key: it for key, it in given.items() if not any(refs(it))}
        named = {key: it for key, it in given.items() if key not in config}
        kind = f"{type(target).__module__}.{type(target).__name__}"
        op = Op("", kind, tuple(map(self.tree, args)), (), config,
                named | {key: self.tree(it) for key, it in kwargs.items()}, where=event.where)  # fmt: skip
        self.give(op, event.first, tensors, event.name.rpartition(".")[2])

    def layer_op(self, event: Event, tensors: Sequence[Any]) -> None:
        """A layer that is called: one of Keras's as a file would have it, others as nested graphs."""
        name = self.layer_name(event)
        given, named = by_name(event)
        args = tuple(map(self.operands, given))
        kwargs = {key: self.tree(it) for key, it in named.items() if key != "training"}
        said = named.get("training")
        op, body = self.inner(event, name, args, kwargs)
        if (body is not None or op.stored) and id(event.target) not in self.parts:
            raise refused(self.layer, f"it calls a layer, {name}, that is none of its attributes",
                          "make it an attribute of the class: self.layer = layer", event.where)  # fmt: skip
        if id(event.target) not in map(id, parts(self.layer).values()) and differs_in_training(event.target):
            raise refused(
                self.layer,
                f"{name}, a layer of the module's, does something else in training",
                f"make it an attribute of the class: self.{name} = {name}",
                event.where,
            )
        if body is not None:
            self.bodies[name] = body
        mode = event.mode if said is None else said
        op = replace(op, outputs=(), layer=name, training=bool(mode), where=event.where)
        if body is None or not is_at_every_step(event.target):
            self.give(op, event.first, tensors, name)
            return
        output = self.free(self.called_as(tensors, name))
        op = replace(op, name=output, outputs=(output,))
        self.ops += [(event.first, it) for it in folded(op, event.target)]
        self.names[id(tensors[0])] = output
        self.keep += tensors

    def layer_name(self, event: Event) -> str:
        """What the class calls a layer: by its attribute, else by the layer's own name."""
        return self.named(event.target)

    def named(self, layer: Any) -> str:
        """The name of a layer; of chains of the very same layers that of the first."""
        known = one_of(layer)
        if known not in self.layers:
            made = snake(type(layer).__name__)  # one that `call` makes has another number each time
            own = made if is_automatic(str(layer.name), type(layer).__name__) else str(layer.name)
            wanted = self.alike.get(known) or own
            name, at = wanted, 1
            while name in self.layers.values():
                at += 1
                name = f"{wanted}_{at}"
            self.layers[known] = name
            self.keep.append(layer)
        return self.layers[known]

    def node(self, op: Any) -> None:
        """An operation of TensorFlow's graph, as TensorFlow 2.0 to 2.3 save it."""
        if op.type == "ReadVariableOp":
            handle = self.captured.get(id(op.inputs[0]))
            found = next((it for it in self.readable() if handle_of(it) is handle), None)
            if found is None:
                raise refused(self.layer, "it reads a variable that is none of its attributes",
                              "make it an attribute of the layer, with add_weight", line_of(op))  # fmt: skip
            self.names[id(op.outputs[0])] = self.state(found, number_of(self.graph, op)).tensor
            self.keep += op.outputs
            return
        if op.type == "Placeholder" or number_of(self.graph, op) < self.event.first:
            raise refused(self.layer, "it uses a tensor that is none of its arguments",
                          "hand it over as an argument of `call`", line_of(op))  # fmt: skip
        where = line_of(op)
        if op.type in DRAWS or op.type in WHOLE_DRAWS:
            self.draw(op, where)
            return
        if (same := self.same(op)) is not None:
            found = self.tree(same)
            if isinstance(found, Ref):
                self.names[id(op.outputs[0])] = found.tensor
                self.keep += op.outputs
                return
        if op.type not in NODES and op.type != "StridedSlice":
            raise refused(self.layer, f"tf.raw_ops.{op.type} is not ported", ADVICE, where)
        from google.protobuf import json_format  # type: ignore[import-untyped]

        if op.type == "StridedSlice":
            self.slice(op, where)
            return
        inputs = [self.tree(it) for it in op.inputs]
        constants = {str(at): it for at, it in enumerate(inputs) if not any(refs(it))}
        tensors = [it for it in inputs if any(refs(it))]
        node = json_format.MessageToDict(op.node_def)
        config = {"node_def": {"op": node["op"], "attr": node.get("attr", {})}, "constants": constants}
        made = Op("", "TensorFlowOpLayer", (tensors,), (), config, where=where)
        # TensorFlow counts the operations of a name, in the second call of a layer too
        self.give(
            made, number_of(self.graph, op), op.outputs, COUNTED.sub("", str(op.name).rpartition("/")[2])
        )

    def same(self, op: Any) -> Any:
        """What an operation hands on unchanged: of `x * 1` and `x + 0` too; None if it does not."""
        if op.type == "Identity":
            return op.inputs[0]
        if op.type not in ("Mul", "AddV2"):
            return None
        for value, other in (op.inputs, reversed(op.inputs)):
            if other.shape.rank == 0 and value.dtype.is_floating and not self.depends(other):
                if float(self.fold(other)) == (1.0 if op.type == "Mul" else 0.0):
                    return value
        return None

    def slice(self, op: Any, where: str) -> None:
        """An index of Python, whose ends may be sizes that only the run time knows."""
        x, begin, end, strides = op.inputs
        masks = {name: int(op.get_attr(f"{name}_mask")) for name in MASKS}
        ends = [found for it in (begin, end, strides) if (found := self.entries(it)) is not None]
        if len(ends) < 3:
            raise refused(self.layer, "an index that is a tensor", "use tf.gather", where)
        key = index_of(ends[0], ends[1], ends[2], masks)
        made = Op("", "keras.ops.GetItem", (self.operand(x), key), (), where=where)
        self.give(made, number_of(self.graph, op), op.outputs, "item")

    def operands(self, value: Any) -> Any:
        """What a layer is given, constants as tensors."""
        if isinstance(value, Mapping):
            return {key: self.operands(value[key]) for key in sorted(value)}  # the order of a model's inputs
        if isinstance(value, (list, tuple)):
            return [self.operands(it) for it in value]
        is_array = isinstance(value, np.ndarray) or hasattr(value, "numpy") and not is_variable(value)
        return self.operand(value) if is_tensor(value) or is_array else self.tree(value)

    def entries(self, value: Any) -> list[Any] | None:
        """The entries of a vector, each a number or a tensor; None where they are not told apart."""
        if not self.depends(value):
            return [int(it) for it in self.fold(value)]
        return [self.tree(it) for it in value.op.inputs] if value.op.type == "Pack" else None

    def operand(self, value: Any) -> Ref:
        """A tensor; a constant as an op of its own."""
        if id(value) in self.constants:
            return Ref(self.constants[id(value)])
        found = self.tree(value) if is_tensor(value) else None
        if isinstance(found, Ref):
            return found
        name = self.free(self.name_of(value) or "constant")
        dtype = str(getattr(value.dtype, "name", value.dtype))
        values = constant(np.asarray(self.fold(value) if is_tensor(value) else value), dtype)
        self.ops.append((-1, Op(name, "tf.constant", (values,), (name,), layer=name)))
        (self.names if is_tensor(value) else self.constants)[id(value)] = name
        self.keep.append(value)
        return Ref(name)

    def name_of(self, value: Any) -> str:
        """What the author calls a constant: by the attribute that holds it, else by the variable."""
        return self.attribute_of(value) or self.event.names.get(id(value), "")

    def attribute_of(self, value: Any) -> str:
        """The attribute of the layer that holds a constant."""
        outer = self.captured.get(id(value), value)
        attribute = next((name for name, it in vars(self.layer).items() if it is outer), "")
        return attribute.strip("_")

    def draw(self, op: Any, where: str) -> None:
        """Random numbers between 0 and 1, or normal ones."""
        shape = self.tree(op.inputs[0])
        if op.type in DRAWS:
            given: dict[str, Any] = {}
            name = DRAWS[op.type]
        else:
            at, name = WHOLE_DRAWS[op.type], "random.uniform"
            given = {"minval": self.tree(op.inputs[at]), "maxval": self.tree(op.inputs[at + 1])}
        given["dtype"] = op.outputs[0].dtype.name
        made = Op("", "TFOpLambda", (shape,), (), {"function": name}, given, where=where)
        self.give(made, number_of(self.graph, op), op.outputs[:1], "noise")

    def variables(self) -> Iterator[Any]:
        for it in parts(self.layer).values():
            if is_variable(it):
                yield variable_of(it)


#: What TensorFlow puts behind a name that it has already.
COUNTED = re.compile(r"_\d+$")
#: Arguments that are whole numbers, never tensors that are computed with.
SIZES = frozenset("paddings perm multiples shape axis begin size num_or_size_splits".split())
#: Functions whose first argument is a list of tensors, or sizes.
LISTS = frozenset(
    {"concat", "stack", "add_n", "accumulate_n", "fill", "zeros", "ones", "broadcast_dynamic_shape"}
)
ADVICE = "write it with functions that `torchport rules` lists, or give a rule for the class with --rules"


def differs_in_training(layer: Any) -> bool:
    """Whether a model has layers in it that draw random numbers, or keep statistics, in training."""
    found = (find(type(it).__name__) for it in layer._flatten_layers()) if hasattr(layer, "layers") else ()
    return any(it is not None and it.training is not None for it in found)


def trainables(layer: Any) -> list[Any]:
    """The variables that a layer would train if it were not frozen."""
    for name in ("_trainable_variables", "_trainable_weights"):
        if (found := getattr(layer, name, None)) is not None:
            return list(found)
    return []
