"""The graph a model is read into: tensors, ops, and references to weights. Everything is frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torchport.axis import Axis
from torchport.errors import TorchportError

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int | None, ...]


def is_keras_2(dialect: str) -> bool:
    """Whether models of this Keras version follow Keras 2 where the two differ."""
    return not dialect.startswith("3")


@dataclass(frozen=True)
class Ref:
    """An argument that is a tensor of the graph, by its name."""

    tensor: str


@dataclass(frozen=True)
class Tensor:
    """A tensor: its shape and axes in the source's order. None is a size known only at run time."""

    name: str
    shape: Shape
    axes: tuple[Axis, ...] = ()
    dtype: str = "float32"
    #: What a flattened feature axis is made of: one shape for each piece, e.g. ((7, 7, 64),).
    parts: tuple[tuple[int, ...], ...] = ()
    #: Its shape where the sizes that the inputs leave open are large numbers; (): that is not known.
    probe: Shape = field(default=(), compare=False)

    def __str__(self) -> str:
        sizes = " ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}[{' '.join(map(str, self.axes))}: {sizes}]"


@dataclass(frozen=True)
class Weight:
    """A variable of the source, not yet read. `load` reads it from its file when it is written.

    `name` is the user's name for it, `encoder/conv1/kernel`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray] = field(compare=False, repr=False)
    #: Whether the model trains it; None where a file does not say so of each variable.
    trains: bool | None = None


@dataclass(frozen=True)
class Group:
    """The variables of one layer in a legacy HDF5 file that was saved without its model.

    Which layer they are of is not said by `name`: layers take the groups in turn, as Keras does it. `version`
    and `backend` are who wrote them.
    """

    name: str
    weights: tuple[Weight, ...]
    version: str
    backend: str


@dataclass(frozen=True)
class Text:
    """How the text that an input is in the source becomes the numbers that stand in its place.

    `layer` does it there, and `output` is its tensor; `shape` is that of the text. A text is put in a plain
    form (`standardize`: "lower", "strip_punctuation", both), `split` ("whitespace", "character" or "") and
    joined to `ngrams` of those lengths. The first of `tokens` has the number `start`; before it are
    `unknown` numbers for what is no token, chosen by a hash with `salt`; `mask` is no token. `mode` says
    what becomes of numbers: themselves, if it `pads` cut or filled to `length`, or vectors of `depth`, with
    `weights` for each number.
    """

    layer: str
    output: str
    shape: Shape
    tokens: tuple[str, ...]
    start: int
    unknown: int
    mask: str | None
    mode: str
    depth: int
    salt: tuple[int, int] | None = None
    weights: tuple[float, ...] = ()
    standardize: str = ""
    split: str = ""
    ngrams: tuple[int, ...] = ()
    pads: bool = False
    length: int | None = None


@dataclass(frozen=True)
class Op:
    """One call of a layer or an operation.

    `args` and `kwargs` are the call's arguments, nested as the source had them, with `Ref` leaves; `config`
    is the layer's configuration. Ops with the same `layer` share their weights. `stored` is the layer's
    variables as the file has them, keyed by their place in it; `weights` are the same by the names of the
    rule, once bound. A nested model is an op of kind "Model", whose graph is `graph.bodies[op.layer]`.
    `frozen`: its weights do not train. `training` is the mode that the call is in whatever the model's, if
    its author said so. `turn` is its place in the order in which Keras runs the calls. `refused`: why it is
    not ported, and what to do, where an earlier stage knows. `where`: the line of the user's own source that
    makes the call, `layers.py:12`.
    """

    name: str
    kind: str
    args: tuple[Any, ...]
    outputs: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    stored: Mapping[str, Weight] = field(default_factory=dict)
    weights: Mapping[str, Weight] = field(default_factory=dict)
    turn: int = 0
    frozen: bool = False
    training: bool | None = None
    refused: tuple[str, str] | None = None
    where: str = ""
    #: Its rule, bound to its options.
    bound: Any = field(default=None, compare=False, repr=False)

    def at_line(self, why: str) -> str:
        """Why it is refused, behind the line of the user's own source, where one makes the call."""
        return f"{self.where}: {why}" if self.where else why

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads, in order, each as often as it is read."""
        return tuple(refs((self.args, self.kwargs)))

    @property
    def is_in_training(self) -> bool:
        """Whether it ever acts as in training: BatchNormalization that is not trainable does not."""
        return self.training is not False and bool(self.config.get("trainable", True))


def refs(tree: Any) -> Iterator[str]:
    """The tensors named in a tree of arguments, in order; of a mapping, by its sorted keys, as Keras does."""
    if isinstance(tree, Ref):
        yield tree.tensor
    elif isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from refs(tree[key])
    elif isinstance(tree, (tuple, list)):
        for value in tree:
            yield from refs(value)
    elif isinstance(tree, slice):
        yield from refs((tree.start, tree.stop, tree.step))


def map_refs(tree: Any, change: Callable[[str], Any]) -> Any:
    """The same tree with every `Ref` replaced by what `change` makes of its tensor's name."""
    if isinstance(tree, Ref):
        return change(tree.tensor)
    if isinstance(tree, Mapping):
        return {key: map_refs(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map_refs(value, change) for value in tree)
    if isinstance(tree, list):
        return [map_refs(value, change) for value in tree]
    if isinstance(tree, slice):
        return slice(*(map_refs(value, change) for value in (tree.start, tree.stop, tree.step)))
    return tree


@dataclass(frozen=True)
class Graph:
    """A model or a nested model: ops in an order in which each can be run.

    `inputs` and `outputs` are names of tensors. `structure` is how the outputs are nested, with `Ref`
    leaves (a list, a dict, one tensor). `keys` are those of the inputs, where the model takes a dict.
    `dialect` is the Keras version that wrote the model.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    dialect: str = "3"
    structure: Any = None
    #: Graphs of the nested models by layer name: one for all calls of it.
    bodies: Mapping[str, Graph] = field(default_factory=dict)
    #: Keras's `model.layers`: each name, and whether the layer says that it trains, whatever it is part of.
    layers: tuple[tuple[str, bool], ...] = ()
    #: Model classes of somebody's own, and what they are read as: "Functional" or "Sequential".
    own_models: Mapping[str, str] = field(default_factory=dict)
    #: What a person should know of how the model was read.
    notes: tuple[str, ...] = ()
    #: Variables that no layer has been given yet, in the file's order.
    groups: tuple[Group, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    #: What the user's class of a model calls its layers, by their names.
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: What `compile` was given, as the source has it; {} if it was not compiled.
    compiled: Mapping[str, Any] = field(default_factory=dict)
    #: For inputs that are text in the source: how their numbers are made.
    texts: Mapping[str, Text] = field(default_factory=dict)
    #: Whether it is a part of the model that was read: `read/cut.py`.
    is_part: bool = False
    #: The configuration that it was read from, in the terms of Keras 2 or 3: Keras can build it.
    entry: Any = field(default=None, compare=False, repr=False)
    #: The class of the user's own whose `call` it is.
    cls: str = ""
    #: Of such a class, for each output what becomes of the mask of the first input: "passes", "drops";
    #: "unlike 0" where it makes one, of the numbers of that input that are not 0; "makes" for another.
    masks: tuple[str, ...] = ()
    #: Of a layer of a package: where it has what stands here as a layer, attributes such as `blocks.0.conv`.
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def replace(self, **changes: Any) -> Graph:
        return replace(self, **changes)

    def __str__(self) -> str:
        def tensor(name: str) -> str:
            return str(self.tensors.get(name, name))

        lines = [f"{self.name}({', '.join(map(tensor, self.inputs))})"]
        for op in self.ops:
            outs = ", ".join(map(tensor, op.outputs))
            kind = f"{op.kind} {op.layer}" if op.layer in self.bodies else op.kind
            lines.append(f"  {outs} = {kind}({', '.join(op.inputs)})")
        lines.append(f"  -> {', '.join(self.outputs)}")
        return "\n\n".join(["\n".join(lines), *map(str, self.bodies.values())])

    def check(self) -> Graph:
        """Itself, if every tensor is written once and before it is read. Raises TorchportError."""
        written = set(self.inputs)
        for op in self.ops:
            for name in op.inputs:
                if name not in written:
                    raise TorchportError(
                        f"reads {name!r} before anything writes it",
                        where=f"{self.name}/{op.name}",
                        advice="the model's graph has a cycle or names a layer that is not there",
                    )
            for name in op.outputs:
                if name in written:
                    raise TorchportError(f"writes {name!r} a second time", where=f"{self.name}/{op.name}")
                written.add(name)
        for name in self.outputs:
            if name not in written:
                raise TorchportError(f"the output {name!r} is never written", where=self.name)
        for body in self.bodies.values():
            body.check()
        return self
