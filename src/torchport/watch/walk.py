"""The graph of one run of a user's `call`: from its results back to its arguments.

For each tensor stands the outermost call that gives it and that our tables have: a layer, a function of
TensorFlow or of keras.ops as it was written. Where there is none, the operation of TensorFlow's graph does.

before:  def call(self, x): return tf.nn.relu(tf.matmul(x, self.w)) * 2
after:   w = tf.Variable();  matmul = TFOpLambda(x, b=w);  relu = TFOpLambda(matmul);  mul = Mul(relu, 2.0)
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from torchport.errors import Refusal, Refused
from torchport.graph import Graph, Op, Ref, Tensor, refs
from torchport.names import numbered
from torchport.nest import leaves
from torchport.normalise.nodes import MASKS, NODES, index_of
from torchport.read import dialect, live
from torchport.watch.parts import is_variable, parts, variable_of
from torchport.watch.spy import Event, is_theirs

#: Nodes of a graph that draw random numbers, and the function that draws the same.
DRAWS = {
    "RandomStandardNormal": "random.normal", "StatelessRandomNormal": "random.normal",
    "StatelessRandomNormalV2": "random.normal", "RandomUniform": "random.uniform",
    "StatelessRandomUniform": "random.uniform", "StatelessRandomUniformV2": "random.uniform",
    "TruncatedNormal": "random.truncated_normal", "StatelessTruncatedNormal": "random.truncated_normal",
    "StatelessTruncatedNormalV2": "random.truncated_normal",
}  # fmt: skip
#: The same of whole numbers: the inputs that are the bounds.
WHOLE_DRAWS = {"RandomUniformInt": 1, "StatelessRandomUniformInt": 2, "StatelessRandomUniformIntV2": 4}
#: Nodes that hand on what they read.
SAME = frozenset({"Identity", "ReadVariableOp", "StopGradient_"})


def refused(layer: Any, why: str, advice: str, where: str = "") -> Refused:
    """The refusal of a user's layer, with its line."""
    at = f"{where}: " if where else ""
    return Refused((Refusal(str(layer.name), type(layer).__name__, f"{at}{why}", advice),))


def line_of(op: Any) -> str:
    """The user's line that made an operation of TensorFlow's graph."""
    from torchport import scripts

    for frame in reversed(op.traceback or ()):
        if is_theirs(frame.filename):
            return f"{scripts.shown(frame.filename)}:{frame.lineno}"
    return ""


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
    names: dict[int, str] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    ops: list[tuple[int, Op]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    bodies: dict[str, Graph] = field(default_factory=dict)
    givers: dict[int, Event] = field(default_factory=dict)
    done: dict[int, tuple[str, ...]] = field(default_factory=dict)
    constants: dict[int, Any] = field(default_factory=dict)
    layers: dict[int, str] = field(default_factory=dict)

    @property
    def layer(self) -> Any:
        return self.event.target

    def run(self) -> Graph:
        assert self.event.called is not None
        args, kwargs = self.event.called
        self.parts = {id(variable_of(it)): name for name, it in parts(self.layer).items()}
        self.objects = {id(variable_of(it)): it for it in parts(self.layer).values()}
        self.captured = {id(inner): outer for outer, inner in self.graph.captures}
        for event in self.event.inside:
            self.register(event)
        tensors: dict[str, Tensor] = {}
        self.check_assigned()
        own_masks = {key: kwargs[key] for key in implied(self.event)}
        kwargs = {key: it for key, it in kwargs.items() if key not in own_masks}
        for path, tensor in given(self.layer, args, kwargs):
            name = self.free(path)
            self.names[id(tensor)] = name
            shape = (None, *(size for size in tensor.shape[1:])) if tensor.shape.rank else ()
            tensors[name] = Tensor(name, shape, dtype=tensor.dtype.name)
        self.inputs = frozenset(tensors)
        self.note_masks(args, kwargs, own_masks)
        result = [it for it in leaves(self.event.result) if it is not None]
        outputs = tuple(self.output(it) for it in result)
        written = [op for _, op in sorted(self.ops, key=lambda pair: pair[0])]
        ops = tuple(replace(op, turn=at) for at, op in enumerate(written))
        structure = nested(self.event.result, iter(outputs))
        return Graph(
            type(self.layer).__name__, tuple(tensors), outputs, ops, tensors, self.version, structure,
            self.bodies, cls=type(self.layer).__name__, masks=tuple(self.masks(result)),
        )  # fmt: skip

    def check_assigned(self) -> None:
        """Raises Refused where `call` gives a variable of the layer another value."""
        handles = {id(it.handle): it for it in self.variables() if hasattr(it, "handle")}
        spans = [(it.first, it.last) for it in layers_in(self.event)]
        for at, op in enumerate(self.graph.get_operations()[self.event.first : self.event.last]):
            number = at + self.event.first
            if not op.type.startswith(ASSIGNS) or any(first <= number < last for first, last in spans):
                continue
            variable = handles.get(id(self.captured.get(id(op.inputs[0]))))
            if variable is not None:
                name = self.parts[id(variable)]
                raise refused(self.layer, f"its `call` assigns to {name}", ADVICE, line_of(op))

    def note_masks(self, args: Any, kwargs: Any, masks: Mapping[str, Any]) -> None:
        """The masks that Keras hands to `call` are those of its arguments."""
        values = placed(self.layer, args, kwargs)
        for key, mask in masks.items():
            of = key.removesuffix("_mask") if key != "mask" else next(iter(values))
            for tensor, it in zip(leaves(values.get(of)), leaves(mask), strict=False):
                if is_tensor(it) and id(it) not in self.names:
                    name = self.free(key)
                    self.ops.append((-1, Op(name, "mask:of", (self.tree(tensor),), (name,), layer=name)))
                    self.names[id(it)] = name
                    self.keep.append(it)

    def masks(self, result: Sequence[Any]) -> Iterator[str]:
        """What becomes of the mask of the first argument, for each result."""
        args, kwargs = self.event.called or ((), {})
        first = next((it for it in leaves((list(args), kwargs)) if is_tensor(it)), None)
        own = getattr(first, "_keras_mask", None)
        for it in result:
            mask = getattr(it, "_keras_mask", None)
            yield "drops" if mask is None else "passes" if mask is own else "makes"

    def register(self, event: Event) -> None:
        """Who gives each tensor: the outermost calls that can stand in the program."""
        tensors = [it for it in leaves(event.result) if is_tensor(it)]
        if event.is_layer or self.is_known(event, tensors):
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
            return self.variable(variable_of(value))
        if is_tensor(value):
            return self.tensor(value)
        if isinstance(value, (np.ndarray, tf.Tensor)):  # one that runs at once is a constant
            return constant(np.asarray(value))
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
        event = self.givers.get(id(value))
        if event is not None:
            self.called(event)
            return Ref(self.names[id(value)])
        if not self.depends(value):
            return constant(self.fold(value))
        self.node(value.op)
        return Ref(self.names[id(value)])

    def depends(self, value: Any) -> bool:
        """Whether a tensor is made of the layer's arguments, of variables or of random numbers."""
        stack, seen = [value], set[int]()
        while stack:
            it = stack.pop()
            if id(it) in self.names or id(it) in self.givers:
                return True
            if id(it) in seen:
                continue
            seen.add(id(it))
            kind = it.op.type
            if kind == "ReadVariableOp" or kind in DRAWS or kind in WHOLE_DRAWS:
                return True
            if kind == "Placeholder" and id(it) not in self.captured:
                return True
            stack += list(it.op.inputs)
        return False

    def fold(self, value: Any) -> np.ndarray:
        """The value of a tensor that depends on nothing."""
        import tensorflow as tf

        if value.op.name in self.exact:
            return np.asarray(self.exact[value.op.name])
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
        attribute = self.parts.get(id(value))
        if attribute is None:
            advice = "make it an attribute of the layer, with add_weight"
            raise refused(self.layer, f"it uses a variable, {value.name}, that is none of its attributes",
                          advice, self.event.where)  # fmt: skip
        name = self.free(attribute)
        own = self.objects[id(value)]
        trainable = any(it is own for it in trainables(self.layer)) or id(own) in self.trained
        weight = replace(live.reference(own, name), trains=id(own) in self.trained)
        dtype = getattr(own.dtype, "name", own.dtype)
        config = {
            "attribute": name, "shape": list(weight.shape), "trainable_": trainable, "dtype_": str(dtype),
        }  # fmt: skip
        op = Op(name, "tf.Variable", (), (name,), config, layer=name, stored={"0": weight},
                frozen=id(own) not in self.trained)  # fmt: skip
        self.ops.append((-1, op))
        self.names[id(value)] = name
        self.keep.append(value)
        return Ref(name)

    def called(self, event: Event) -> None:
        """A layer or a function as it was called."""
        if id(event) in self.done:
            return
        tensors = [it for it in leaves(event.result) if is_tensor(it)]
        if event.is_layer:
            self.layer_op(event, tensors)
        elif event.name.startswith("keras.ops."):
            self.operation_op(event, tensors)
        else:
            self.function_op(event, tensors)
        self.done[id(event)] = ()

    def give(self, op: Op, at: int, tensors: Sequence[Any], base: str) -> None:
        """Enter an op that gives these tensors."""
        wanted = next((self.event.names[id(it)] for it in tensors if id(it) in self.event.names), base)
        name = self.free(wanted or base)
        outputs = (name, *(f"{name}:{number}" for number in range(1, len(tensors))))
        made = replace(op, name=name, outputs=outputs, layer=op.layer or name, turn=at)
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
            args, given = (self.tree(first),), {}
            for name, it in rest:
                if name == "kwargs":
                    given |= {key: self.tree(item) for key, item in it.items()}
                else:
                    given[name] = self.tree(it)
        name = event.name.removeprefix("keras.")
        op = Op("", "TFOpLambda", args, (), {"function": name}, given, where=event.where)
        self.give(op, event.first, tensors, "noise" if name.startswith("random.") else short)

    def operation_op(self, event: Event, tensors: Sequence[Any]) -> None:
        """A function of keras.ops as the operation that a functional model has for it."""
        made = operation(event)
        assert made is not None
        target, args, kwargs = made
        config = live.as_saved({key: it for key, it in target.get_config().items() if key != "name"})
        kind = f"{type(target).__module__}.{type(target).__name__}"
        op = Op("", kind, tuple(map(self.tree, args)), (), config,
                {key: self.tree(it) for key, it in kwargs.items()}, where=event.where)  # fmt: skip
        self.give(op, event.first, tensors, event.name.rpartition(".")[2])

    def layer_op(self, event: Event, tensors: Sequence[Any]) -> None:
        """A layer that is called: one of Keras's as a file would have it, others as nested graphs."""
        name = self.layer_name(event)
        args = tuple(map(self.operands, event.args))
        kwargs = {key: self.tree(it) for key, it in event.kwargs.items() if key != "training"}
        said = event.kwargs.get("training")
        op, body = self.inner(event, name, args, kwargs)
        if body is not None:
            self.bodies[name] = body
        mode = event.mode if said is None else said
        op = replace(op, outputs=(), layer=name, training=bool(mode), where=event.where)
        self.give(op, event.first, tensors, name)

    def layer_name(self, event: Event) -> str:
        """What the class calls a layer: by its attribute, else by the layer's own name."""
        layer = event.target
        if id(layer) not in self.layers:
            wanted = self.parts.get(id(layer), str(layer.name))
            name, at = wanted, 1
            while name in self.layers.values():
                at += 1
                name = f"{wanted}_{at}"
            self.layers[id(layer)] = name
            self.keep.append(layer)
        return self.layers[id(layer)]

    def node(self, op: Any) -> None:
        """An operation of TensorFlow's graph, as TensorFlow 2.0 to 2.3 save it."""
        if op.type == "ReadVariableOp":
            handle = self.captured.get(id(op.inputs[0]))
            found = next((it for it in self.variables() if getattr(it, "handle", None) is handle), None)
            if found is None:
                raise refused(self.layer, "it reads a variable that is none of its attributes",
                              "make it an attribute of the layer, with add_weight", line_of(op))  # fmt: skip
            self.names[id(op.outputs[0])] = self.variable(found).tensor
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
        self.give(made, number_of(self.graph, op), op.outputs, str(op.name).rpartition("/")[2])

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
            return {key: self.operands(it) for key, it in value.items()}
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
        found = self.tree(value)
        if isinstance(found, Ref):
            return found
        name = self.free("constant")
        dtype = str(getattr(value.dtype, "name", value.dtype))
        values = constant(np.asarray(self.fold(value) if is_tensor(value) else value), dtype)
        self.ops.append((-1, Op(name, "tf.constant", (values,), (name,), layer=name)))
        if is_tensor(value):
            self.names[id(value)] = name
            self.keep.append(value)
        return Ref(name)

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


#: Operations that give a variable another value.
ASSIGNS = ("Assign", "ResourceScatter", "ResourceStridedSliceAssign")
ADVICE = "write it with functions that `torchport rules` lists, or give a rule for the class with --rules"


def nested(result: Any, names: Iterator[str]) -> Any:
    """What a layer gave, with the names of its tensors."""
    if isinstance(result, Mapping):
        found = {key: nested(result[key], names) for key in sorted(result)}
        return {key: found[key] for key in result}
    if isinstance(result, (list, tuple)):
        items = [nested(it, names) for it in result if it is not None]
        return items[0] if len(items) == 1 else items
    return Ref(next(names))


def layers_in(event: Event) -> Iterator[Event]:
    """The calls of layers in a call, each the outermost."""
    for it in event.inside:
        yield from [it] if it.is_layer else layers_in(it)


def implied(event: Event) -> list[str]:
    """The masks that Keras handed to a layer's `call` by itself."""
    _, kwargs = event.called or ((), {})
    return [
        key for key in kwargs if (key == "mask" or key.endswith("_mask")) and event.kwargs.get(key) is None
    ]


def is_tensor(value: Any) -> bool:
    """A tensor of the graph that is built."""
    return hasattr(value, "op") and hasattr(value, "graph") and hasattr(value, "dtype")


def number_of(graph: Any, op: Any) -> int:
    """The number of an operation in its graph."""
    known: dict[str, int] | None = getattr(graph, "_torchport_numbers", None)
    if known is None or op.name not in known:
        known = {it.name: at for at, it in enumerate(graph.get_operations())}
        graph._torchport_numbers = known
    return known[op.name]


def constant(array: np.ndarray, dtype: str = "") -> Any:
    """A constant: a number of Python where it is one number, else its values with their dtype.

    `dtype`: that of a tensor that it stands for, where it has to be one.
    """
    if dtype and array.ndim == 0:
        return {"class_name": "__numpy__", "config": {"value": array.item(), "dtype": dtype}}
    if array.dtype.kind not in "fiub":
        array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    if array.ndim == 0:
        return dialect.shortest(array) if array.dtype.kind == "f" else array.item()
    if array.dtype.kind in "iu" and array.ndim == 1 and not dtype:
        return array.tolist()
    return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": str(array.dtype)}}


def trainables(layer: Any) -> list[Any]:
    """The variables that a layer would train if it were not frozen."""
    for name in ("_trainable_variables", "_trainable_weights"):
        if (found := getattr(layer, name, None)) is not None:
            return list(found)
    return []


def given(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tensors that a layer's `call` got, by the names of its parameters, modes left out."""
    seen: set[int] = set()

    def below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if is_tensor(value):
            if id(value) in seen:
                return
            seen.add(id(value))
            yield path, value
        elif isinstance(value, Mapping):
            for key in sorted(value):
                yield from below(str(key), value[key])
        elif isinstance(value, (list, tuple)):
            for at, item in enumerate(value):
                yield from below(f"{path}_{at}", item)

    for name, value in placed(layer, args, kwargs).items():
        yield from below(name, value)


def placed(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a layer's `call` by the names of its parameters, in their order, modes left out."""
    names = parameters(layer)
    found = {names[at] if at < len(names) else f"x{at}": value for at, value in enumerate(args)}
    order = {name: at for at, name in enumerate(names)}
    for key in sorted(kwargs, key=lambda key: (order.get(key, len(order)), key)):
        found[key] = kwargs[key]
    return {key: value for key, value in found.items() if key != "training"}


def parameters(layer: Any) -> list[str]:
    """What a layer's `call` calls its arguments."""
    call = layer.function if type(layer).__name__ == "Lambda" else type(layer).call
    found = inspect.signature(call).parameters.values()
    names = [it.name for it in found if it.kind not in (it.VAR_POSITIONAL, it.VAR_KEYWORD)]
    return names if type(layer).__name__ == "Lambda" else names[1:]


class Seen(Exception):
    """Stops a function of keras.ops where it has the operation that it stands for."""


def operation(event: Event) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """The operation of keras.ops that a call makes on symbols, and what that is called with."""
    from keras.src.ops.operation import Operation

    held: list[Any] = []
    space = getattr(inspect.unwrap(event.target), "__globals__", {})
    test, own = space.get("any_symbolic_tensors"), Operation.symbolic_call

    def symbolic_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        held.append((self, args, kwargs))
        raise Seen

    if test is None:
        return None
    space["any_symbolic_tensors"] = lambda *args, **kwargs: True
    Operation.symbolic_call = symbolic_call
    try:
        event.target(*event.args, **event.kwargs)
    except Seen:
        pass
    except Exception:  # what it does before is for symbols alone
        held.clear()
    finally:
        space["any_symbolic_tensors"] = test
        Operation.symbolic_call = own
    return held[0] if held else None
