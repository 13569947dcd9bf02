"""One function or class while it is staged: what its names are, and its lines so far."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torchport.axes import Order, dims, position
from torchport.named import ATOM, binds_of
from torchport.source.fragment import Call
from torchport.source.lines import Line, Names, index_text, reads
from torchport.source.observe import Seen
from torchport.source.sites import NotPorted, Site, site
from torchport.source.values import Flow, Items, Maker, Shape, Size, Stack, Static

if TYPE_CHECKING:
    from torchport.source.project import Project


@dataclass
class Loop:
    """A loop that is being staged: the names that it counts with, and the modules that are made in it."""

    targets: frozenset[str]
    marks: list[str] = field(default_factory=list)
    #: What it goes through, as text.
    over: str = ""
    #: The names that its body gives something to.
    stored: frozenset[str] = frozenset()
    #: Whether `forward` asks for what it counts.
    counts: bool = False
    #: Those of the modules that are made in loops inside of it.
    nested: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Method:
    """A method that `forward` calls, as text; what it was given, and what it gives."""

    given: Any
    lines: tuple[str, ...]
    result: Any


@dataclass
class Scope:
    """`is_function`: nothing of it is kept, so that there is no `__init__`."""

    project: Project
    name: str
    is_function: bool = False
    env: dict[str, Any] = field(default_factory=dict)
    init: list[Line] = field(default_factory=list)
    forward: list[Line] = field(default_factory=list)
    #: Lines of `__init__` around the branch or loop that is being staged.
    outside: list[list[Line]] = field(default_factory=list)
    depth: int = 0
    loops: list[Loop] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    #: Names of numbers that `forward` asks for.
    kept: dict[str, None] = field(default_factory=dict)
    #: Calls by their place; those of a layer also by the places of the call and of where it is made.
    applied: dict[tuple[int, ...], Call] = field(default_factory=dict)
    #: The layers of Sequential, by the place where it is applied, or made and returned.
    rows: dict[Site, tuple[Call, ...]] = field(default_factory=dict)
    #: Where Sequential is made that the function gives back, its layers applied as they are put in.
    chains: set[Site] = field(default_factory=set)
    #: Layers by the place where they are made: their mark and constructor, and the line that waits for it.
    made: dict[Site, tuple[str, str]] = field(default_factory=dict)
    waiting: dict[Site, Line] = field(default_factory=dict)
    #: The loops in which layers are made that are applied further below.
    turns: dict[Site, tuple[int, ...]] = field(default_factory=dict)
    #: Names whose values were the same in all runs that were asked for, and are written as numbers.
    fixed: set[str] = field(default_factory=set)
    assigned: dict[str, int] = field(default_factory=dict)
    #: Those that got another value than they had first.
    changed: set[str] = field(default_factory=set)
    #: The parameters of the function or class; those that are activations, with the module of each value.
    parameters: frozenset[str] = frozenset()
    modules: dict[str, dict[str, str]] = field(default_factory=dict)
    #: The parameters that are texts, and options of layers: what is written is right for what they were.
    texts: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    #: Whether `__init__` of a class is being staged, where tensors are not yet known.
    in_init: bool = False
    #: The class that is staged, its weights, and those of its methods that `forward` calls.
    cls: ast.ClassDef | None = None
    weights: list[str] = field(default_factory=list)
    methods: dict[str, Method] = field(default_factory=dict)
    #: Parameters with the sizes of a tensor that a class takes, by that with its last one and by axis.
    extents: dict[str, Mapping[int, str]] = field(default_factory=dict)
    #: Arrays that the class holds as buffers, by the text of the array.
    buffers: dict[str, str] = field(default_factory=dict)
    #: The names of `__init__`, where its end is reached.
    first: frozenset[str] = frozenset()
    #: Of a loss: how Keras makes one number of what `call` gives.
    reduction: str = ""
    #: The calls of the function that are staged, by their numbers; None: all.
    owners: frozenset[int] | None = None
    #: Whether a method that `forward` calls is being staged: what it gives keeps its order.
    in_method: bool = False

    def is_argument(self, name: str, value: Static) -> bool:
        """Whether a value is the argument of that name of `__init__`, which is never given another."""
        if self.cls is None or value.text != name:
            return False
        stored = (
            it for it in ast.walk(self.cls) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)
        )
        return name in self.assigned and all(it.id != name for it in stored)

    @property
    def foundation(self) -> list[Line]:
        """The lines of `__init__` that stand in no loop or condition that is being staged."""
        return self.outside[0] if self.outside else self.init

    def seen(self, node: ast.AST) -> list[Seen]:
        found = self.project.watched.recorder.sites.get(site(node), [])
        return found if self.owners is None else [it for it in found if it.owner in self.owners]

    def say(self, text: str, shadow: str = "") -> None:
        """A line of `__init__`."""
        self.init.append(Line(self.depth, text, shadow))

    def do(self, text: str) -> None:
        """A line of `forward`; of what happens to tensors that `__init__` makes, one of it."""
        (self.init if self.in_init else self.forward).append(Line(self.depth, text))

    # Texts

    def static_text(self, node: ast.expr) -> str:
        """The source's own text, as it stands in `__init__`. Raises NotPorted where it needs a tensor."""
        scope = self

        class Sizes(ast.NodeTransformer):
            changed = False

            def visit(self, it: ast.AST) -> Any:
                if isinstance(it, ast.expr) and (size := scope.size_of(it)) is not None:
                    self.changed = True
                    return ast.parse(size, mode="eval").body
                if isinstance(it, ast.Call) and (known := scope.setting(it)) is not None:
                    self.changed = True
                    return ast.Constant(known)
                return super().visit(it)

            def visit_IfExp(self, it: ast.IfExp) -> ast.AST:
                self.generic_visit(it)
                try:
                    return it.body if ast.literal_eval(it.test) else it.orelse
                except ValueError:
                    pass
                if isinstance(it.test, ast.Compare) and not reads(ast.unparse(it.test)):
                    # it is about settings of Keras
                    return it.body if eval(ast.unparse(it.test)) else it.orelse
                return it

            def visit_Attribute(self, it: ast.Attribute) -> ast.AST:
                value = scope.env.get(ast.unparse(it))
                if isinstance(value, Static) and value.text != ast.unparse(it):
                    self.changed = True
                    return ast.parse(value.text, mode="eval").body
                return self.generic_visit(it)

            def visit_Name(self, it: ast.Name) -> ast.AST:
                value = scope.env.get(it.id)
                if isinstance(value, Size) and value.known is not None:
                    self.changed = True
                    return ast.parse(value.known, mode="eval").body
                if value is not None and not isinstance(value, Static):
                    raise NotPorted(node, f"needs {it.id}, a tensor, where the model is built")
                if isinstance(value, Static) and value.text != it.id:
                    self.changed = True
                    return ast.parse(value.text, mode="eval").body
                return it

        change = Sizes()
        made = change.visit(copy.deepcopy(node))
        return index_text(made) if change.changed else self.project.source.segment(node)

    def setting(self, node: ast.Call) -> Any:
        """What a call of Keras gives that says a setting, `K.epsilon()`; None for other calls."""
        root = next((it.id for it in ast.walk(node.func) if isinstance(it, ast.Name)), "")
        if node.args or node.keywords or root in self.env:
            return None
        held = vars(self.project.watched.module).get(root)
        module = str(getattr(held, "__module__", None) or getattr(held, "__name__", ""))
        seen = self.seen(node)
        values = {repr(it.result) for it in seen}
        plain = len(values) == 1 and isinstance(seen[0].result, (bool, int, float, str))
        return seen[0].result if plain and any(it in module for it in ("keras", "tensorflow")) else None

    def size_of(self, node: ast.expr) -> str | None:
        """The text of the size of a tensor's last axis, where an expression asks for it."""
        if not isinstance(node, ast.Subscript):
            return None
        flow = self.shape_of(node.value)
        if flow is None:
            return None
        at = self.index_of(node)
        if at not in (-1, flow.rank - 1):
            return self.extent(flow, at)
        if self.is_function:
            text = flow.text if binds_of(flow.text) == ATOM else f"({flow.text})"
            return f"{text}.shape[{position(flow.rank - 1, flow.rank, flow.order)}]"
        if flow.channels is None:
            raise NotPorted(node, "is a size that is not known where the model is built")
        return flow.channels

    def extent(self, flow: Flow, axis: Any) -> str | None:
        """The parameter with another size of a tensor than its last, where `build` asks for it."""
        if not self.in_init or not isinstance(axis, int):
            return None
        return self.extents.get(flow.channels or "", {}).get(axis % flow.rank)

    def index_of(self, node: ast.Subscript) -> int | None:
        """The number that an index is: a literal, or what a name of numbers was each time."""
        try:
            found = ast.literal_eval(node.slice)
            return found if isinstance(found, int) else None
        except (ValueError, SyntaxError):
            values = {it.args[1] for it in self.seen(node) if len(it.args) == 2 and type(it.args[1]) is int}
        return values.pop() if len(values) == 1 and isinstance(node.slice, ast.Name) else None

    def shape_of(self, node: ast.expr) -> Flow | None:
        """The tensor of which an expression is the shape: `x.shape`, `K.int_shape(x)`."""
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("list", "tuple") and isinstance(node.func, ast.Name) and len(node.args) == 1:
                return self.shape_of(node.args[0])
            if called in ("int_shape", "shape") and len(node.args) == 1:
                return self.flow_of(node.args[0])
            if called in ("get_shape",) and isinstance(node.func, ast.Attribute):
                return self.flow_of(node.func.value)
            if called == "as_list" and isinstance(node.func, ast.Attribute):
                return self.shape_of(node.func.value)
            return None
        if isinstance(node, ast.Attribute) and node.attr in ("shape", "_keras_shape"):
            return self.flow_of(node.value)
        value = self.env.get(ast.unparse(node)) if isinstance(node, ast.Name) else None
        if isinstance(node, ast.Subscript) and isinstance(
            held := self.env.get(ast.unparse(node.value)), Items
        ):
            try:
                value = held.items[ast.literal_eval(node.slice)]
            except (ValueError, TypeError, IndexError, SyntaxError):
                return None
        return value.flow if isinstance(value, Shape) else None

    def flow_of(self, node: ast.expr) -> Flow | None:
        found = self.env.get(ast.unparse(node))
        return found if isinstance(found, Flow) else None

    def is_static(self, node: ast.expr) -> bool:
        """Whether an expression is known when the model is built."""
        if self.size_of(node) is not None:
            return True
        if isinstance(node, (ast.Name, ast.Attribute)):
            value = self.env.get(ast.unparse(node))
            if isinstance(value, Size):
                return value.known is not None
            if value is not None:
                return isinstance(value, Static)
            return isinstance(node, ast.Name) or self.is_static(node.value)
        if isinstance(node, ast.Call):
            from torchport.source.fragment import is_layer
            from torchport.source.observe import tensors

            for it in self.seen(node):
                if is_layer(it.result) or any(True for _ in tensors(it.result)) or is_local(it.result):
                    return False
        return all(
            self.is_static(it) for it in ast.iter_child_nodes(node) if isinstance(it, ast.expr)
        ) and all(
            self.is_static(it.value) for it in ast.iter_child_nodes(node) if isinstance(it, ast.keyword)
        )

    def is_static_index(self, node: ast.expr) -> bool:
        """Whether an index, slices among it, is known when the model is built."""
        parts = [it for it in ast.walk(node) if isinstance(it, ast.expr)]
        return all(isinstance(it, (ast.Slice, ast.Tuple)) or self.is_static(it) for it in parts)

    def static_index(self, node: ast.expr) -> Static:
        text = self.static_text(node)
        tree = ast.parse(f"_[{text}]", mode="eval").body
        return Static(text, tree.slice if isinstance(tree, ast.Subscript) else None)

    def forward_text(self, text: str) -> str:
        """A text of `__init__` as `forward` has it: what the class keeps is an attribute."""
        if self.is_function or self.in_init:
            return text
        names = {it.id for it in ast.walk(ast.parse(text, mode="eval")) if isinstance(it, ast.Name)}
        for name in sorted(names):
            loop = next((it for it in self.loops if name in it.targets), None)
            if loop is not None:
                loop.counts = True
                continue
            if not isinstance(self.env.get(name, Static(name)), Static):
                continue
            is_kept = self.in_method and name in self.first
            if name in self.env or is_kept or name.endswith("_channels"):
                if self.assigned.get(name, 0) > 1 or any(name in it.stored for it in self.loops):
                    raise NotPorted(
                        ast.Name(name), f"{name} changes, and is needed where tensors flow",
                        "give each of its values a name of its own",
                    )  # fmt: skip
                self.kept[name] = None
                text = re.sub(rf"(?<![\w.]){name}\b(?!\s*=[^=])", f"self.{name}", text)
        return text

    # Tensors

    def ordered(self, flow: Flow, order: Order) -> Flow:
        """The tensor in that order: permuted, where it is in the other."""
        if flow.order is order or flow.rank < 3:
            return flow
        turn = ", ".join(map(str, dims(flow.order, order, flow.rank)))
        text = flow.text if binds_of(flow.text) == ATOM else f"({flow.text})"
        return Flow(f"{text}.permute({turn})", flow.rank, flow.channels, order)

    def module(
        self, base: str, constructor: str, is_given: bool = False, key: Site | None = None,
        listed: str = "",
    ) -> str:  # fmt: skip
        """Keeps a module; what `forward` calls it. `key`: the place where it is made, if apart from here."""
        if key is not None and key in self.made:
            mark, known = self.made[key]
            if listed and (not self.loops or mark not in self.loops[-1].marks):
                raise NotPorted(ast.Constant(base), "is gone through twice", "use one loop, or two lists")
            if known != constructor:
                raise NotPorted(ast.Constant(base), f"is {known} and {constructor} at once")
            return self.callee(mark)
        if listed and not self.loops:
            raise NotPorted(ast.Constant(base), "is a layer of a list by itself", "loop over the list")
        mark = self.names.add(base, is_given, listed)
        text = self.holding(mark, constructor)
        if key is not None:
            self.made[key] = mark, constructor
        if key is not None and key in self.waiting:
            line = self.waiting[key]
            if reads(constructor) & self.sizes_since(line):
                # a size that it takes was not known where the layer is made
                self.say(text)
            else:
                line.text = text
            for at in [at for at, it in self.waiting.items() if it is line]:
                del self.waiting[at]
        else:
            self.say(text)
        for loop in self.loops:
            loop.marks.append(mark)
        return self.callee(mark)

    def sizes_since(self, line: Line) -> set[str]:
        """The sizes that `__init__` has given names to behind a line."""
        lines = [it for held in (*self.outside, self.init) for it in held]
        at = next((at for at, it in enumerate(lines) if it is line), len(lines))
        return {it.shadow for it in lines[at:] if it.shadow}

    def holding(self, mark: str, constructor: str) -> str:
        if len(self.loops) > 2:
            raise NotPorted(ast.Constant(mark), "loops in loops in loops", "make the inner one a function")
        if self.loops:
            return f"{'self.' if len(self.loops) == 1 else ''}{mark}s.append({constructor})"
        return f"self.{mark} = {constructor}"

    def callee(self, mark: str) -> str:
        return mark if any(mark in it.marks for it in self.loops) else f"self.{mark}"

    def last(self, callee: str) -> str:
        """In `__init__`, the module that was made last under that name."""
        if callee.startswith("self."):
            return callee
        return f"{'self.' if len(self.loops) == 1 else ''}{callee}s[-1]"

    @contextmanager
    def apart(self) -> Iterator[tuple[list[Line], list[Line]]]:
        """Lines that are written one level deeper, and kept apart."""
        init, forward = self.init, self.forward
        self.init, self.forward = [], []
        self.outside.append(init)
        self.depth += 1
        try:
            yield self.init, self.forward
        finally:
            self.depth -= 1
            self.outside.pop()
            self.init, self.forward = init, forward


def is_local(function: Any) -> bool:
    """Whether a function was defined in another."""
    return "<locals>" in str(getattr(function, "__qualname__", ""))


def values_in(env: Mapping[str, Any]) -> Iterator[tuple[str, Flow]]:
    for name, value in env.items():
        if isinstance(value, Flow):
            yield name, value


__all__ = ["Items", "Loop", "Maker", "Scope", "Stack", "values_in"]
