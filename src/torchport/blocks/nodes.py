"""Steps without their numbers: what makes two steps the same, and what may differ between them.

A `Node` is a step, or a use of a block. Its `key` says what it is and how its inputs enter; its `values` are
the numbers (channels, strides, rates) that stand in it, in a fixed order, defaults filled in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torchport import callees
from torchport.program import (
    Apply,
    Attribute,
    Call,
    Code,
    Definition,
    Each,
    Expr,
    Fill,
    Index,
    Infix,
    Item,
    Load,
    Mark,
    Module,
    Spec,
    State,
    Step,
    Var,
    is_heavy,
    is_loop,
    walk,
)


class Absent:
    """The value of a number that an instance does not have, since it lacks that part: fits any other."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass(frozen=True)
class Same:
    """The padding of a convolution that keeps the size: a number, and the same for any kernel as "same"."""

    padding: Any

    def __repr__(self) -> str:
        return "same"


def keeps_size(callee: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a convolution has numbers for a padding that padding="same" says as well."""
    found = re.fullmatch(r"nn\.Conv(\d)d", callee)
    padding = kwargs.get("padding", 0)
    if found is None or len(args) < 3 or isinstance(padding, (str, Expr)):
        return False
    rank = int(found[1])
    columns = [_each(it, rank) for it in (args[2], kwargs.get("dilation", 1), padding)]
    if any(it is None for it in columns) or _each(kwargs.get("stride", 1), rank) != (1,) * rank:
        return False
    return all(2 * p == d * (k - 1) for k, d, p in zip(*map(tuple, columns), strict=True))  # type: ignore[arg-type]


def _each(value: Any, rank: int) -> tuple[int, ...] | None:
    """A number for each axis; None where some are not known."""
    sizes = value if isinstance(value, tuple) else (value,) * rank
    return sizes if len(sizes) == rank and all(type(it) is int for it in sizes) else None


@dataclass(eq=False)
class Node:
    """A step, or a use of a block (`inside`), in a sequence."""

    key: Hashable
    values: tuple[Any, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    step: Step
    #: A use of a block: for each of its slots the node that stands there, or None where it is left out.
    inside: tuple[Node | None, ...] | None = None
    heavy: bool = False
    weighted: bool = False
    light: bool = False
    modules: int = 0
    #: Whether its layer holds modules and is called elsewhere too, where it has to find the same ones.
    shared: bool = False
    #: Whether it can stand in nn.Sequential: a module of one tensor, or an activation that is one.
    modular: bool = False
    #: The tensors that it reads and writes, by name.
    specs: Mapping[str, Spec] = field(default_factory=dict)
    #: The nested model whose tensors those inside are.
    model: str = ""
    #: Whether its weights do not train.
    frozen: bool = False
    #: For convolutions: whether the kernel is one pixel. A person takes such a one for another thing.
    pointwise: tuple[bool, ...] = ()

    @property
    def merges(self) -> bool:
        return len(set(self.reads)) > 1


#: Lines that a list of modules takes.
LIST = 3


def node(step: Step, definition: Definition) -> Node:
    """The node of a step of a definition."""
    values: list[Any] = []

    def empty(callee: str, name: str, value: Any) -> Any:
        values.append(value)
        return HOLE

    frozen = step.layer in definition.frozen
    key = (_structure(numbers(step.value, empty)), frozen)
    owned = [it for it in walk(step.value) if isinstance(it, (Apply, State))]
    return Node(
        key=key,
        values=tuple(values),
        reads=step.inputs,
        writes=step.outputs,
        step=step,
        heavy=any(is_heavy(it) for it in owned),
        weighted=any(map(is_weighted, owned)),
        light=_is_light(step.value),
        modules=sum(LIST if is_loop(it) else 1 for it in owned),
        specs={name: definition.specs[name] for name in (*step.inputs, *step.outputs)},
        frozen=frozen,
        modular=_is_modular(step.value) and not frozen and not _has_constants(step.value),
        pointwise=tuple(it.module.args[2] == 1 for it in owned if isinstance(it, Apply) and _is_conv(it)),
    )


def is_weighted(it: Any) -> bool:
    """Whether it has weights: a parameter, a module with some."""
    return isinstance(it, State) or (isinstance(it, Apply) and bool(it.module.loads))


def _is_conv(value: Apply) -> bool:
    return value.module.cls.startswith("nn.Conv") and len(value.module.args) > 2


def nodes_of(definition: Definition) -> list[Node]:
    """The nodes of a definition's steps."""
    found = [node(step, definition) for step in definition.steps]
    calls = Counter(it.step.layer for it in found if it.modules)
    last: dict[str, int] = {}
    for at, it in enumerate(found):
        it.shared = it.modules > 0 and calls[it.step.layer] > 1
        if it.shared:  # a block that has all its calls knows by how far ago which module is called again
            it.key, it.modular = (it.key, at - last.get(it.step.layer, at)), False
            last[it.step.layer] = at
    return found


def is_activation(value: Any) -> bool:
    """Whether the expression is an activation function of one tensor."""
    value = value.value if isinstance(value, Mark) else value
    return isinstance(value, Call) and bool(callees.callee(value.function).module)


def _has_constants(value: Any) -> bool:
    """Whether a parameter of its module does not train: there has to be a name to say so with."""
    loads = value.module.loads.values() if isinstance(value, Apply) else ()
    return any(isinstance(it, Fill) and it.shape for it in loads)


def _is_modular(value: Any) -> bool:
    if isinstance(value, Apply):
        return len(value.args) == 1 and isinstance(value.args[0], Var) and not value.kwargs
    return is_activation(value) and not isinstance(value, Mark)


def _is_light(value: Any) -> bool:
    """Whether it goes with the step before it: an activation, a norm, dropout."""
    if isinstance(value, Apply):
        return not is_heavy(value) and isinstance(value.args[0], Var)
    return is_activation(value)


def filled(step: Step, values: Sequence[Any]) -> Step:
    """The step with other numbers, in the order in which `node` listed them."""
    rest = iter(values)
    return replace(step, value=numbers(step.value, lambda callee, name, value: next(rest)))


def holes(step: Step) -> list[tuple[str, str]]:
    """What each number of the step is: (of what call, called what)."""
    found: list[tuple[str, str]] = []
    numbers(step.value, lambda callee, name, value: found.append((callee, name)))
    return found


#: Stands where a number was.
HOLE = Code("_")

Change = Callable[[str, str, Any], Any]


def numbers(value: Any, change: Change, callee: str = "", name: str = "") -> Any:
    """The expression with every number in it changed; numbers left to torch's defaults are there too.

    `change` gets what call the number belongs to, what it is called there, and the number.
    """

    def inside(it: Any, called: str = name) -> Any:
        return numbers(it, change, callee, called)

    if isinstance(value, (Mark, Item, Each)):
        return replace(value, value=inside(value.value))
    if isinstance(value, Module):
        args, kwargs = _arguments(value.cls, value.args, value.kwargs, change)
        return replace(value, args=args, kwargs=kwargs)
    if isinstance(value, Apply):
        if value.module.cls == "Model":
            return value
        args, kwargs = _arguments(value.module.cls, value.module.args, value.module.kwargs, change)
        return replace(
            value,
            module=replace(value.module, args=args, kwargs=kwargs),
            args=tuple(inside(it, "input") for it in value.args),
            kwargs={key: inside(it, key) for key, it in value.kwargs.items()},
        )
    if isinstance(value, State):
        return replace(value, shape=tuple(change("state", "channels", size) for size in value.shape))
    if isinstance(value, Call) and value.function == ".unflatten":
        x, dim, sizes = value.args
        each = tuple(numbers(it, change, value.function, "size") for it in sizes)
        return replace(value, args=(inside(x, "input"), dim, each))
    if isinstance(value, Call):
        args, kwargs = _arguments(value.function, value.args, value.kwargs, change)
        return replace(value, args=args, kwargs=kwargs)
    if isinstance(value, Infix):
        return Infix(value.symbol, inside(value.left, "left"), inside(value.right, "right"))
    if isinstance(value, Index):
        return Index(inside(value.value), value.index)
    if isinstance(value, Attribute):
        return Attribute(inside(value.value), value.name)
    if isinstance(value, (list, tuple)) and any(isinstance(it, (Expr, list, tuple)) for it in value):
        return type(value)(inside(it) for it in value)
    return value if isinstance(value, (Expr, str)) else change(callee, name, value)


def _arguments(callee: str, args: Sequence[Any], kwargs: Mapping[str, Any], change: Change) -> Any:
    known = callees.callee(callee)
    names, defaults = known.positional, known.defaults
    if keeps_size(callee, args, kwargs):
        kwargs = {**kwargs, "padding": Same(kwargs.get("padding", 0))}
    given = tuple(
        numbers(it, change, callee, names[at] if at < len(names) else "size") for at, it in enumerate(args)
    )
    made = {key: numbers(it, change, callee, key) for key, it in {**defaults, **kwargs}.items()}
    kept = {
        key: it for key, it in made.items()
        if key not in defaults or isinstance(it, Expr) or it != defaults[key]
    }  # fmt: skip
    return given, kept


def _structure(value: Any) -> Hashable:
    """An expression without its numbers and names, to compare and to hash."""
    if isinstance(value, Var):
        return "tensor"
    if isinstance(value, Mark):
        return _structure(value.value)
    if isinstance(value, Each):
        return ("each", _structure(value.value))
    if isinstance(value, Item):
        return ("item", value.name, _structure(value.value))
    if isinstance(value, Module):
        return ("module", value.cls, _structure(value.args), _structure(value.kwargs))
    if isinstance(value, Code):
        return value.text
    if isinstance(value, State):
        pattern = value.load.turn.pattern if isinstance(value.load, Load) else ""
        return ("state", value.role, pattern, value.trainable)
    if isinstance(value, Apply):
        made = value.module
        if made.cls == "Model":
            return ("Model", value.owner)
        loads = tuple(
            (name, load.turn.pattern) if isinstance(load, Load) else (name, load.value)
            for name, load in made.loads.items()
            if name != "bias"
        )
        called = (made.role, made.cls, _structure(made.args), _structure(made.kwargs))
        return ("apply", called, loads, _structure(value.args), _structure(value.kwargs))
    if isinstance(value, Call):
        return ("call", value.function, _structure(value.args), _structure(value.kwargs))
    if isinstance(value, Infix):
        return ("infix", value.symbol, _structure(value.left), _structure(value.right))
    if isinstance(value, Attribute):
        return ("attribute", _structure(value.value), value.name)
    if isinstance(value, Index):
        return ("index", _structure(value.value), str(value.index))
    if isinstance(value, Mapping):
        return tuple(sorted((key, _structure(it)) for key, it in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_structure(it) for it in value)
    return str(value)
