"""A PyTorch program before it is text: expressions over tensors, and the classes they stand in.

Rules return expressions. A `Module` is a constructor call; calling it applies it: `Module("nn.Conv2d", 3,
8, 3)(x)`. Everything is frozen and compares by value, so that repeated structure can be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torchport import nest
from torchport.axes import Order, Turn, to_order
from torchport.axis import Axis
from torchport.callees import callee
from torchport.graph import Shape, Tensor, Text, Weight


class Expr:
    """Something that has a value in `forward`. Supports `+ - * /` and indexing, as a tensor does."""

    def __add__(self, other: Any) -> Infix:
        return Infix("+", self, other)

    def __radd__(self, other: Any) -> Infix:
        return Infix("+", other, self)

    def __sub__(self, other: Any) -> Infix:
        return Infix("-", self, other)

    def __rsub__(self, other: Any) -> Infix:
        return Infix("-", other, self)

    def __mul__(self, other: Any) -> Infix:
        return Infix("*", self, other)

    def __rmul__(self, other: Any) -> Infix:
        return Infix("*", other, self)

    def __truediv__(self, other: Any) -> Infix:
        return Infix("/", self, other)

    def __rtruediv__(self, other: Any) -> Infix:
        return Infix("/", other, self)

    #: Python would take `[0]`, `[1]`, … for an endless sequence.
    __iter__ = None

    def __getitem__(self, index: Any) -> Index:
        return Index(self, index if isinstance(index, tuple) else (index,))


@dataclass(frozen=True)
class Var(Expr):
    """A tensor by its name in the graph."""

    tensor: str


@dataclass(frozen=True)
class Code(Expr):
    """A constant written as it stands, from this package only: `torch.float32`."""

    text: str


@dataclass(frozen=True)
class Call(Expr):
    """A function call, `F.relu(x)`; a name that starts with a dot is a method of the first argument."""

    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Infix(Expr):
    """`left symbol right`."""

    symbol: str
    left: Any
    right: Any


@dataclass(frozen=True)
class Index(Expr):
    """`value[index, ...]`: integers, slices, None, Ellipsis."""

    value: Any
    index: tuple[Any, ...]


@dataclass(frozen=True)
class Attribute(Expr):
    """`value.name`: a tensor's device."""

    value: Any
    name: str


@dataclass(frozen=True)
class Item(Expr):
    """What stands at `path` in the nested tuple that `value` gives: `h` of `_, (h, _) = self.lstm(x)`.

    `pattern` is that whole tuple, names as its leaves: Item(lstm, ("x", ("h", "c")), "h").
    """

    value: Any
    pattern: tuple[Any, ...]
    name: str


@dataclass(frozen=True)
class Unpack(Expr):
    """A value unpacked into the outputs of its step; `pattern` nests their numbers, None is left out."""

    value: Any
    pattern: tuple[Any, ...]


@dataclass(frozen=True)
class Load:
    """A tensor of the state_dict: the rule's name of the source weight, how it is turned, and the weight."""

    weight: str
    turn: Turn
    source: Weight | None = None

    @classmethod
    def of(cls, weight: str, pattern: str, *regroup: tuple[int, Any], **sizes: int) -> Load:
        """`regroup` and `sizes` as in `Turn`."""
        turn = Turn(pattern, tuple(entry for entry in regroup if entry[1]), tuple(sizes.items()))
        return cls(weight, turn)

    @classmethod
    def blocks(
        cls, weight: str, pattern: str, *blocks: tuple[int, int, tuple[int, ...]],
        view: tuple[int, ...] = (), **sizes: int,
    ) -> Load:  # fmt: skip
        """`blocks`, `view` and `sizes` as in `Turn`."""
        return cls(weight, Turn(pattern, (), tuple(sizes.items()), blocks, view))


@dataclass(frozen=True)
class Fill:
    """A tensor of the state_dict that the source does not have: constant, and not trained.

    `value` is a number, or nested tuples of them in the shape itself.
    """

    value: Any
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Module:
    """A submodule: its class, constructor arguments, and where its state comes from.

    `loads` maps every name of its state_dict to a source weight or a constant. `role` tells several modules
    of one layer apart. `when` is a condition without which nn.Identity stands in its place. `inside` is what
    this use of a block is made of. `gives`, for a module in a row: the nested model whose graph its
    output is in, if it is another than that of what holds it, and the output's name there.
    """

    cls: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    loads: Mapping[str, Load | Fill] = field(default_factory=dict)
    role: str = ""
    when: str = ""
    inside: Inside | None = None
    gives: tuple[str, str] = ("", "")

    def __call__(self, *args: Any, **kwargs: Any) -> Apply:
        return Apply(self, args, kwargs)


@dataclass(frozen=True)
class Inside:
    """One use of a block.

    Its modules by the (owner, role) they have in the block's class, None where it lacks one; and the tensors
    of the source's graph by the names they have there. `model`: the nested model whose graph that is, if the
    block stands in its place.
    """

    modules: Mapping[tuple[str, str], Module | State | None]
    tensors: Mapping[str, str]
    model: str = ""


@dataclass(frozen=True)
class Apply(Expr):
    """A submodule called: `self.conv1(x)`. `owner` is the layer that keeps it.

    `called=False`: the submodule itself, handed to a function.
    """

    module: Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    called: bool = True


@dataclass(frozen=True)
class State(Expr):
    """A parameter or buffer of the class itself: `self.alpha`, empty until its weights are loaded.

    `shape` is as PyTorch holds it.
    """

    role: str
    load: Load | Fill
    shape: tuple[int, ...]
    trainable: bool = True
    owner: str = ""


@dataclass(frozen=True)
class IfElse(Expr):
    """`value if test else other`; the test is a flag of the class: `self.residual`."""

    test: Code
    value: Any
    other: Any


@dataclass(frozen=True)
class Assign(Expr):
    """A statement, `self.mean = value.detach()`; its step's output is read by nobody.

    `state`: a State or the weight of a module, once it stands in place. `test`: without it, it is not run.
    """

    state: Any
    value: Any
    test: str = ""


@dataclass(frozen=True)
class Each(Expr):
    """A list: `value` for each module of a list, which it calls: `F.relu(conv(x)) for conv in self.convs`."""

    value: Any


@dataclass(frozen=True)
class Mark(Expr):
    """An expression whose value is a tensor of the source's graph: writes as the expression alone."""

    value: Any
    tensor: str


@dataclass(frozen=True)
class Collect(Expr):
    """A loop over modules in a row, each of which gives two tensors: one that goes on, one that is listed.

    `goes_on`: the place of the one that goes on. The outputs of its step are what went on last, and the list.
    """

    loop: Apply
    goes_on: int


#: Ends the name of a tensor that the source's graph has not, or has in an order of its own.
APART = ".apart"


def apart(tensor: str) -> str:
    """A tensor's name where the source's graph has no tensor of that order of values."""
    return f"{tensor}{APART}"


#: Modules that hold others in a row: called as one, or each in a loop over them.
IN_A_ROW = ("nn.Sequential", "nn.ModuleList")


def reads_state(value: Any, assigned: Assign) -> bool:
    """Whether a value reads what is assigned to."""
    target = _keeper(assigned.state)
    return any(_keeper(node) == target for node in walk(value) if isinstance(node, (State, Apply)))


def _keeper(node: Any) -> tuple[str, str] | None:
    """Whose a buffer or a module is, or the module that has a weight: owner and role."""
    node = node.value if isinstance(node, Attribute) else node
    if isinstance(node, State):
        return node.owner, node.role
    return (node.owner, node.module.role) if isinstance(node, Apply) else None


#: The mode that a module is in.
TRAINING = Code("self.training")


def is_choice(value: Any) -> bool:
    """Whether a value is one thing in training and another in inference."""
    return isinstance(value, IfElse) and value.test == TRAINING


def is_heavy(expr: Any) -> bool:
    """Whether the expression is a call of a module that does the work of a line."""
    return isinstance(expr, Apply) and not callee(expr.module.cls).is_light


def loop_of(expr: Any) -> Apply | None:
    """The modules that a statement calls one after the other, each with what the one before it gave."""
    loop = expr.loop if isinstance(expr, Collect) else expr
    return loop if is_loop(loop) else None


def is_loop(expr: Any) -> bool:
    """Whether the expression calls modules one after the other, in a loop."""
    return isinstance(expr, Apply) and expr.module.cls == "nn.ModuleList"


def module(cls: str, *args: Any, role: str = "", loads: Mapping[str, Load | Fill], **kwargs: Any) -> Module:
    """`Module`, its constructor arguments as one writes them; arguments that are None are left out."""
    kept = {key: value for key, value in kwargs.items() if value is not None}
    return Module(cls, args, kept, dict(loads), role)


def call(function: str, *args: Any, **kwargs: Any) -> Call:
    """`Call`, its arguments as one writes them; keyword arguments that are None are left out."""
    return Call(function, args, {key: value for key, value in kwargs.items() if value is not None})


#: What has nothing inside: most of what a walk comes to.
LEAVES = frozenset({int, str, Var, float, bool, type(None), Code, State})


def children(expr: Any) -> Iterator[Any]:
    """What stands directly inside an expression or a tuple of them."""
    if type(expr) in LEAVES:
        return
    if isinstance(expr, (Call, Apply)):
        yield from expr.args
        yield from expr.kwargs.values()
    elif isinstance(expr, Infix):
        yield from (expr.left, expr.right)
    elif isinstance(expr, (Attribute, Mark, Item, Unpack, Each)):
        yield expr.value
    elif isinstance(expr, Collect):
        yield expr.loop
    elif isinstance(expr, IfElse):
        yield from (expr.value, expr.other)
    elif isinstance(expr, Assign):
        yield from (expr.state, expr.value)
    elif isinstance(expr, Index):
        yield expr.value
        yield from expr.index
    elif isinstance(expr, slice):
        yield from (expr.start, expr.stop, expr.step)
    elif isinstance(expr, (tuple, list)):
        yield from expr
    elif isinstance(expr, Mapping):
        yield from expr.values()


def walk(expr: Any) -> Iterator[Any]:
    """The expression and everything in it, in the order in which it is evaluated (operands first)."""
    for child in children(expr):
        yield from walk(child)
    yield expr


def rewrite(expr: Any, change: Callable[[Any], Any]) -> Any:
    """The expression with every node replaced by what `change` makes of it, operands first."""
    if isinstance(expr, (Call, Apply)):
        expr = replace(
            expr,
            args=tuple(rewrite(arg, change) for arg in expr.args),
            kwargs={key: rewrite(value, change) for key, value in expr.kwargs.items()},
        )
    elif isinstance(expr, Infix):
        expr = Infix(expr.symbol, rewrite(expr.left, change), rewrite(expr.right, change))
    elif isinstance(expr, Collect):
        expr = replace(expr, loop=rewrite(expr.loop, change))
    elif isinstance(expr, IfElse):
        expr = IfElse(expr.test, rewrite(expr.value, change), rewrite(expr.other, change))
    elif isinstance(expr, Assign):
        expr = Assign(rewrite(expr.state, change), rewrite(expr.value, change), expr.test)
    elif isinstance(expr, (Attribute, Mark, Item, Unpack, Each)):
        expr = replace(expr, value=rewrite(expr.value, change))
    elif isinstance(expr, Index):
        expr = Index(rewrite(expr.value, change), tuple(rewrite(at, change) for at in expr.index))
    elif isinstance(expr, slice):
        expr = slice(*(rewrite(item, change) for item in (expr.start, expr.stop, expr.step)))
    elif isinstance(expr, (tuple, list)):
        return type(expr)(rewrite(item, change) for item in expr)
    elif isinstance(expr, Mapping):
        return {key: rewrite(value, change) for key, value in expr.items()}
    return change(expr)


@dataclass(frozen=True)
class Step:
    """One op, written: the expression that gives its outputs, one or a tuple of several. `turn` as in Op."""

    name: str
    layer: str
    kind: str
    outputs: tuple[str, ...]
    value: Expr
    turn: int = 0

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The tensors it reads, in order, each as often as it is read."""
        return tuple(node.tensor for node in walk(self.value) if isinstance(node, Var))


@dataclass(frozen=True)
class Spec:
    """An input or output of a program: its tensor, and the order in which PyTorch holds it."""

    name: str
    tensor: Tensor
    order: Order

    @property
    def dtype(self) -> str:
        return self.tensor.dtype

    @property
    def source_axes(self) -> str:
        """Axis names in the source's order: `n h w c`."""
        return " ".join(map(str, self.tensor.axes))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Its axes in PyTorch's order."""
        return to_order(self.tensor.axes, self.order)

    @property
    def torch_axes(self) -> str:
        """Axis names in PyTorch's order: `n c h w`."""
        return " ".join(map(str, self.axes))

    @property
    def shape(self) -> Shape:
        """Sizes in PyTorch's order; None is known only at run time."""
        return to_order(self.tensor.shape, self.order)

    @property
    def probe(self) -> Shape:
        """The same, open sizes as large numbers where they are followed through the model."""
        return to_order(self.tensor.probe or self.tensor.shape, self.order)

    @property
    def numbers(self) -> str:
        """What its numbers are, if they are not fractions: `int`, `bool`."""
        if self.dtype.startswith(("float", "bfloat")):
            return ""
        return "int" if self.dtype in ("int32", "int64") else self.dtype


@dataclass(frozen=True)
class Permute:
    """A permute that is left in `forward`: of which tensor, before which ops, and why."""

    tensor: str
    readers: tuple[str, ...]
    source: str
    target: str
    why: str


#: Stands where a parameter has no default.
REQUIRED = Code("...")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a class's constructor: `stride`, `int`, 1."""

    name: str
    annotation: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class Definition:
    """A class to be written: its inputs, steps and results.

    `flags` are conditions that `forward` asks for: attribute and text; `locals` what the constructor has a
    name for. `shapes` is what a block's docstring
    says. `specs` are all its tensors. `structure` nests the outputs as the model returns them, with `Var`
    leaves; None: one, or a tuple. `parts`
    are the classes of nested models by layer. `frozen` are the layers that do not train. `texts` as in Graph.
    """

    name: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    steps: tuple[Step, ...]
    structure: Any = None
    parts: Mapping[str, Definition] = field(default_factory=dict)
    permutes: tuple[Permute, ...] = ()
    frozen: frozenset[str] = frozenset()
    specs: Mapping[str, Spec] = field(default_factory=dict)
    texts: Mapping[str, Text] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    locals: tuple[tuple[str, str], ...] = ()
    shapes: str = ""
    #: The keys of the inputs, where the model takes a dict.
    keys: Mapping[str, str] = field(default_factory=dict)
    #: What the user's class of a model calls its layers.
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: The class of the user's own whose `call` it is.
    cls: str = ""

    @property
    def result(self) -> Any:
        """What the model returns: one `Var`, a tuple, or as the source nests them: dicts with its keys."""
        names = [Var(spec.name) for spec in self.outputs]
        if self.structure is not None:
            return nest.packed(names, self.structure)
        return names[0] if len(names) == 1 else tuple(names)


__all__ = [
    "Apply", "Assign", "Attribute", "Call", "Code", "Collect", "Definition", "Each", "Expr", "Fill",
    "IfElse", "Index", "Infix", "Inside", "Item", "Load", "Mark", "Module", "Parameter", "Permute",
    "REQUIRED", "Spec",
    "State", "Step", "Unpack", "Var", "call", "children", "is_heavy", "module", "rewrite", "walk",
]  # fmt: skip
