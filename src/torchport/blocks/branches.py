"""Branches side by side that differ in numbers only, over a list of modules.

torch.cat([self.conv1(x), self.conv2(x), self.conv3(x)], dim=1)
torch.cat([conv(x) for conv in self.convs], dim=1)
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torchport.blocks.nodes import Node, keeps_size, nodes_of
from torchport.blocks.steps import as_module
from torchport.program import (
    Apply,
    Call,
    Definition,
    Each,
    Infix,
    Mark,
    Module,
    Step,
    Var,
    is_heavy,
    rewrite,
)

#: So many branches are a list.
LEAST = 3
#: How branches meet two by two, and how a stack of them does.
STACKED = {"+": ".sum", "torch.maximum": ".amax", "torch.minimum": ".amin"}


def branches_joined(definition: Definition) -> Definition:
    """The definition with branches side by side as lists, where at least three differ in numbers only."""
    joined = _Join(definition)
    steps = [joined.step(step) for step in definition.steps]
    return replace(definition, steps=tuple(it for it in steps if it.name not in joined.gone))


@dataclass(frozen=True)
class Branch:
    """A chain of steps from a tensor that others read too: modules, then functions of what they give."""

    source: str
    nodes: tuple[Node, ...]

    @property
    def output(self) -> str:
        """The tensor that it gives."""
        return self.nodes[-1].writes[0]

    @property
    def convolutions(self) -> list[Module]:
        values = (_unmarked(it.step.value) for it in self.nodes)
        return [it.module for it in values if isinstance(it, Apply) and it.module.cls.startswith("nn.Conv")]

    @property
    def modules(self) -> list[Node]:
        """The steps up to the last one that holds a module."""
        last = max(at for at, it in enumerate(self.nodes) if it.modules)
        return list(self.nodes[: last + 1])

    @property
    def after(self) -> Any:
        """The functions behind the modules, of a tensor that has no name."""
        value: Any = Var("")
        for it in self.nodes[len(self.modules) :]:
            value = rewrite(_unmarked(it.step.value), partial(_instead, value))
        return value

    @property
    def key(self) -> Any:
        """What two branches of one list have in common."""
        modules = [it.key if it.inside or not _is_padded(it) else _key(it) for it in self.modules]
        return self.source, tuple(modules), repr(self.after)


class _Join:
    def __init__(self, definition: Definition) -> None:
        self.nodes = {it.step.name: it for it in nodes_of(definition)}
        self.producer = {name: it for it in self.nodes.values() for name in it.writes}
        self.readers = Counter(name for it in self.nodes.values() for name in it.reads)
        self.readers.update(spec.name for spec in definition.outputs)
        self.gone: set[str] = set()
        self.number = itertools.count(1)

    def step(self, step: Step) -> Step:
        """A step in which branches meet, with them as lists; any other as it is."""

        def listed(it: Any) -> Any:
            return replace(it, args=tuple(map(self._listed, it.args))) if isinstance(it, Call) else it

        value = rewrite(self._stacked(step.value), listed)
        return step if value == step.value else replace(step, value=value)

    def _stacked(self, value: Any) -> Any:
        """A sum, a maximum of branches two by two as that of a stack of all."""
        inner = value.value if isinstance(value, Mark) else value
        symbol, terms = _terms(inner)
        if len(terms) < LEAST or not all(isinstance(it, Var) for it in terms):
            return value
        each = self._listed(terms)
        if len(each) > 1:
            return value
        made = Call(STACKED[symbol], (Call("torch.stack", (each,)),), {"dim": 0})
        return replace(value, value=made) if isinstance(value, Mark) else made

    def _listed(self, value: Any) -> Any:
        """A list of tensors with those that are branches of one kind as one entry."""
        if not isinstance(value, list) or len(value) < LEAST:
            return value
        branches = [self._branch(it) for it in value]
        found: list[Any] = []
        for _, group in itertools.groupby(range(len(value)), lambda at: _group(branches, at)):
            places = list(group)
            chosen = [it for at in places if (it := branches[at]) is not None]
            if len(chosen) < LEAST or len(places) != len(chosen):
                found += [value[at] for at in places]
                continue
            for run in _runs(chosen):
                if len(run) < LEAST:
                    found += [Var(branch.output) for branch in run]
                    continue
                found.append(self._each(run))
                self.gone |= {it.step.name for branch in run for it in branch.nodes}
        return found

    def _branch(self, value: Any) -> Branch | None:
        """The chain that gives a tensor which nothing else reads."""
        nodes: list[Node] = []
        name = value.tensor if isinstance(value, Var) else ""
        while name in self.producer and self.readers[name] == 1:
            it = self.producer[name]
            if len(it.writes) != 1 or len(it.reads) != 1 or it.shared or it.frozen or it.step.kind == "Model":
                break
            nodes.insert(0, it)
            name = it.reads[0]
        first = next((at for at, it in enumerate(nodes) if it.modules), None)
        if first is None:
            return None
        branch = Branch(nodes[first].reads[0], tuple(nodes[first:]))
        if first or self.readers[branch.source] < LEAST or not all(it.modular for it in branch.modules):
            return None
        return branch if is_heavy(_unmarked(branch.nodes[0].step.value)) else None

    def _each(self, branches: Sequence[Branch]) -> Each:
        rows = [[as_module(it.step) for it in branch.modules] for branch in branches]
        rows = [list(row) for row in zip(*map(_alike, zip(*rows, strict=True)), strict=True)]
        single = len(rows[0]) == 1
        modules = tuple(row[0] if single else Module("nn.Sequential", tuple(row)) for row in rows)
        noun = ("convs" if ".Conv" in modules[0].cls else "layers") if single else "branches"
        owner = f"{noun}_{next(self.number)}"
        call = Apply(Module("nn.ModuleList", modules), (Var(branches[0].source),), owner=owner)
        return Each(rewrite(branches[0].after, partial(_instead, call)))


def _runs(branches: Sequence[Branch]) -> list[list[Branch]]:
    """Branches of one list: those that differ in dilation alone are one, where there are others beside them.

    Of a pyramid's four branches one is of a single pixel: the others are `for dilation in (6, 12, 18)`.
    """
    sizes = itertools.groupby(branches, lambda it: [made.args for made in it.convolutions])
    runs = [list(run) for _, run in sizes]
    for run in runs:
        rates = {repr([made.kwargs.get("dilation", 1) for made in it.convolutions]) for it in run}
        if len(runs) > 1 and len(run) >= LEAST and len(rates) > 1:
            return runs
    return [list(branches)]


def _group(branches: Sequence[Branch | None], at: int) -> Any:
    branch = branches[at]
    return at if branch is None else branch.key


def meeting(value: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """What is laid end to end, added up or compared, and how a list of it all is."""
    first = value.args[0] if isinstance(value, Call) and value.args else None
    if isinstance(first, list) and value.function in ("torch.cat", "torch.stack"):
        return first, lambda listed: replace(value, args=(listed, *value.args[1:]))
    if isinstance(first, Call) and first.function == "torch.stack":
        terms, stack = meeting(first)
        return terms, lambda listed: replace(value, args=(stack(listed), *value.args[1:]))
    symbol, terms = _terms(value)
    return terms, lambda listed: Call(STACKED[symbol], (Call("torch.stack", (listed,)),), {"dim": 0})


def _terms(value: Any) -> tuple[str, list[Any]]:
    """What is added up, or compared, two by two, and how."""
    symbol = value.symbol if isinstance(value, Infix) else value.function if isinstance(value, Call) else ""
    if symbol not in STACKED:
        return "", []
    terms: list[Any] = []
    while isinstance(value, (Infix, Call)) and symbol in (
        value.symbol if isinstance(value, Infix) else value.function,
    ):
        left, right = (value.left, value.right) if isinstance(value, Infix) else value.args
        terms.insert(0, right)
        value = left
    return symbol, [value, *terms]


def _instead(value: Any, it: Any) -> Any:
    return value if isinstance(it, Var) else it


def _unmarked(value: Any) -> Any:
    return rewrite(value, lambda it: it.value if isinstance(it, Mark) else it)


def _is_padded(it: Node) -> bool:
    """Whether a step is a convolution, whose padding may be written in two ways."""
    value = _unmarked(it.step.value)
    return isinstance(value, Apply) and value.module.cls.startswith("nn.Conv")


def _key(it: Node) -> Any:
    """What a convolution is, its padding left out where that keeps the size."""
    value = _unmarked(it.step.value)
    return (value.module.cls, sorted(value.module.loads), _same(value.module).kwargs.get("padding") == "same")


def _alike(column: Sequence[Module]) -> Sequence[Module]:
    """Modules of one place, written alike: all paddings as `same` where they differ, all dilations given."""
    paddings = {repr(it.kwargs.get("padding", 0)) for it in column}
    whole = [_same(it) for it in column]
    if len(paddings) > 1 and all(it.kwargs.get("padding") == "same" for it in whole):
        column = whole
    if not any("dilation" in it.kwargs for it in column):
        return column
    names = list(dict.fromkeys(name for it in column for name in it.kwargs))
    return [
        replace(it, kwargs={name: it.kwargs.get(name, DEFAULTS.get(name)) for name in names}) for it in column
    ]


#: What is given to one convolution of a list and not to another.
DEFAULTS = {"dilation": 1, "stride": 1, "padding": 0, "groups": 1, "bias": True}


def _same(it: Module) -> Module:
    """A convolution that keeps the size with padding="same", if its numbers say no more than that."""
    return (
        replace(it, kwargs={**it.kwargs, "padding": "same"}) if keeps_size(it.cls, it.args, it.kwargs) else it
    )
