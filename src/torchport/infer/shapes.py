"""Shapes and axis names of every tensor, by the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

from torchport.errors import BadFile, Refusal, Unsupported
from torchport.graph import Graph, Op, Shape, Tensor, map_refs, refs
from torchport.infer.alone import with_batch
from torchport.infer.axes import channels_first, input_axes, output_axes
from torchport.infer.constants import lift
from torchport.infer.sizes import Sizes
from torchport.rules import find, rule_for
from torchport.rules.dtypes import is_complex
from torchport.rules.table import Bound


def infer_shapes(graph: Graph, refusals: list[Refusal], given: Sequence[Shape] | None = None) -> Graph:
    """The graph with a tensor for every name; what is not ported is added to `refusals`.

    `given`: shapes of the inputs where a nested model is called with other sizes than it declares.
    """
    first = channels_first(graph)
    walk = Walk(graph, refusals, first)
    words = {it for op in graph.ops if (entry := find(op.kind)) and entry.indexes for it in op.inputs}
    for name, shape in zip(
        graph.inputs, given or [graph.tensors[it].shape for it in graph.inputs], strict=True
    ):
        axes = input_axes(name, shape, name in first, len(shape) == 2 and name in words)
        walk.tensors[name] = replace(graph.tensors[name], shape=shape, axes=axes)
    walk.bodies = {layer: infer_shapes(body, refusals) for layer, body in graph.bodies.items()}
    for op in graph.ops:
        walk.go(op)
    try:
        walk.sizes.check(graph)
    except Unsupported as error:
        walk.refuse(Op("outputs", "tf.shape", (), ()), error)
    inside = (it for body in walk.bodies.values() for it in body.notes)
    notes = tuple(dict.fromkeys((*graph.notes, *inside, *walk.notes)))
    return graph.replace(ops=tuple(walk.ops), tensors=walk.tensors, bodies=walk.bodies, notes=notes)


@dataclass
class Walk:
    """The way through a graph: the ops and tensors so far."""

    graph: Graph
    refusals: list[Refusal]
    #: The tensors that are read as channels first.
    first: frozenset[str]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    bodies: Mapping[str, Graph] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    sizes: Sizes = field(init=False)
    #: What a person should know of how an op was read.
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes = Sizes(self.graph.inputs, self.graph.bodies)

    def refuse(self, op: Op, error: Unsupported) -> None:
        path = f"{self.graph.name}/{op.name}"
        self.refusals.append(Refusal(path, op.kind, op.at_line(error.why), error.advice))

    def go(self, op: Op) -> None:
        """Adds an op; what is not ported is refused."""
        try:
            for part in self.parts(op):
                part = part if part.where == op.where else replace(part, where=part.where or op.where)
                try:
                    self.take(part)
                except Unsupported as error:
                    self.ops.append(part)
                    self.refuse(part, error)
        except Unsupported as error:
            self.refuse(op, error)
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            self.refuse(op, Unsupported(f"its arguments do not fit: {error}"))

    def parts(self, op: Op) -> Iterator[Op]:
        """What stands for an op."""
        if op.kind != "Model" and not op.refused and find(op.kind) is None:
            from torchport.infer import lambdas  # which few models need, and takes a while to import

            if op.kind in lambdas.EXPANDED:
                yield from lambdas.expand(op, self)
                return
        for known in self.sizes.rewrite(op, self.tensors):
            for one in with_batch(known, self.tensors):
                yield from lift(one)

    def take(self, op: Op) -> Op:
        """Adds an op as it is, and its outputs, once all that it reads is known. Raises Unsupported."""
        if op.refused:
            raise Unsupported(*op.refused)
        if not all(name in self.tensors for name in op.inputs):
            self.ops.append(_checked(op, self.bodies))
            return op
        op, outputs = _outputs(op, self.tensors, self.bodies, self.graph.dialect, self.first)
        self.ops.append(op)
        self.tensors.update({it.name: it for it in outputs})
        return op

    def trial(self) -> Walk:
        """The same way, to be gone on from here without a trace."""
        made = replace(self, tensors=dict(self.tensors), ops=list(self.ops), notes=list(self.notes))
        made.sizes = self.sizes.copy()
        return made

    def adopt(self, trial: Walk) -> None:
        """Goes on where a trial has come."""
        self.tensors, self.ops, self.sizes, self.notes = trial.tensors, trial.ops, trial.sizes, trial.notes


def _checked(op: Op, bodies: Mapping[str, Graph]) -> Op:
    """The op, if it and its options are known; of what it reads nothing is known."""
    if op.layer not in bodies:
        rule_for(op.kind).accept({**op.config, **op.kwargs})
    return op


def _outputs(
    op: Op, tensors: Mapping[str, Tensor], bodies: Mapping[str, Graph], dialect: str, first: frozenset[str]
) -> tuple[Op, Sequence[Tensor]]:
    """The tensors that an op writes. `first`: those that are read as channels first."""
    if op.kind == "Model":
        return op, _called(op, tensors, bodies[op.layer])
    args, entry = map_refs(op.args, tensors.__getitem__), bind(op, tensors, dialect=dialect)
    inputs = [tensors[name] for name in op.inputs]
    check_dtypes(op.kind, inputs)
    try:
        found = entry.shape(*args)
        result = inputs[0].shape if found is None else found
        kinds = dtypes(entry.dtype(*args), inputs)
        shape = result[0] if isinstance(result, list) else result
        # raises for weights that are not ported
        weights = entry.sizes(*args, y=Tensor(op.outputs[0], shape))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise Unsupported(f"its options do not fit its input {inputs}: {error}") from error
    shapes = result if isinstance(result, list) else [result]
    outputs = op.outputs
    if len(outputs) < len(shapes):
        outputs = (*outputs, *(f"{outputs[0]}:{at}" for at in range(len(outputs), len(shapes))))

    def sizes(tagged: Mapping[str, Tensor]) -> Any:
        return bind(op, tagged, dialect=dialect).shape(*map_refs(op.args, tagged.__getitem__))

    bare = [Tensor(*it) for it in zip(outputs, shapes, repeat(()), kinds)]
    has_kernel = any(name.endswith("kernel") for name in weights)
    axes = output_axes(op, inputs, bare, None if found is None else sizes, has_kernel, first)
    bound = None if any(refs((op.config, op.kwargs))) else Binding(op.kind, op.config, entry)
    return replace(op, outputs=outputs, bound=bound), [
        replace(it, axes=own) for it, own in zip(bare, axes, strict=True)
    ]


#: Operations that move values, or make others of them, for which torch has a kernel of every dtype.
MOVING = frozenset(
    f"keras.ops.{name}" for name in
    "Cast Copy ConvertToTensor Reshape Transpose Swapaxes Moveaxis ExpandDims Squeeze GetItem Concatenate "
    "Stack Split Unstack ZerosLike OnesLike StopGradient BroadcastTo Tile Slice".split()
)  # fmt: skip


def check_dtypes(kind: str, inputs: Sequence[Tensor]) -> None:
    """Raises Unsupported for whole numbers that torch has no arithmetic for."""
    found = {it.dtype for it in inputs} & {"uint16", "uint32", "uint64"}
    if found and kind.startswith(("keras.ops.", "tf.")) and kind not in MOVING:
        raise Unsupported(
            f"of {min(found)} values, which torch only holds", "cast them to int32 or int64 first"
        )
    own = kind.startswith("tf.") and not kind.startswith(COMPLEX)
    if own and any(is_complex(it.dtype) for it in inputs):
        raise Unsupported("of complex values", "take their real and imaginary parts apart")


#: Operations of TensorFlow's own that take complex numbers.
COMPLEX = ("tf.signal.", "tf.raw_ops.Div", "tf.gather_nd", "tf.boolean_mask")


def dtypes(found: Any, inputs: Sequence[Tensor]) -> Iterator[str]:
    """The dtype of each output: the rule's, or one of its list; where it has none the first input's."""
    found = found or (inputs[0].dtype if inputs else "float32")
    return iter(found) if isinstance(found, list) else repeat(found)


@dataclass(frozen=True)
class Binding:
    """An entry that was bound to options in which no tensor is: it is the same wherever it is asked."""

    kind: str
    config: Mapping[str, Any]
    entry: Bound


def bind(op: Op, tensors: Mapping[str, Any], dialect: str = "") -> Bound:
    """The entry of an op with its options; tensors among them are looked up."""
    known = op.bound
    if known is not None and known.kind == op.kind and known.config is op.config:
        return known.entry  # type: ignore[no-any-return]
    options = {**op.config, **op.kwargs}
    return rule_for(op.kind).bind(options, tensors.__getitem__, dialect=dialect)


def _called(op: Op, tensors: Mapping[str, Tensor], body: Graph) -> Sequence[Tensor]:
    """The outputs of a nested model for the shapes it is called with."""
    given = [tensors[name].shape for name in op.inputs]
    if len(given) != len(body.inputs):
        raise BadFile(
            f"the nested model {body.name!r} takes {len(body.inputs)} inputs, is given {len(given)}"
        )
    declared = [body.tensors[name].shape for name in body.inputs]
    if any(len(ours) != len(theirs) for ours, theirs in zip(given, declared, strict=True)):
        raise BadFile(f"the nested model {body.name!r} takes {declared}, is given {given}")
    if given != declared:
        body = infer_shapes(body, [], given)
    if any(name not in body.tensors for name in body.outputs):
        return ()
    made = [body.tensors[name] for name in body.outputs]
    return [replace(it, name=name) for name, it in zip(op.outputs, made, strict=True)]
