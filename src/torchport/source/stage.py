"""A function's statements, split into what is known when the model is built and what happens to tensors."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Any

from torchport.source import chains, courses
from torchport.source.assign import assign
from torchport.source.conditions import ends, stage_condition, without_choice
from torchport.source.evaluate import Evaluator
from torchport.source.interface import give_result
from torchport.source.lines import Line
from torchport.source.lists import append_to
from torchport.source.loops import stage_loop
from torchport.source.rows import maker_of
from torchport.source.scope import Scope
from torchport.source.sites import NotPorted
from torchport.source.unit import Input
from torchport.source.values import (
    Chain,
    Course,
    Flow,
    Group,
    Items,
    Row,
    Stack,
    leaves,
)

#: Methods of models and functions that show something, or that belong to training.
SHOWN = frozenset({"summary", "compile", "print", "build", "plot_model"})
#: Methods of layers that tell training something, beside what they compute.
TOLD = frozenset({"add_loss", "add_metric"})


@dataclass
class Stage:
    """The walk through one function."""

    scope: Scope
    inputs: list[Input] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    is_network: bool = False
    #: What the inputs of the model are called, where it has a dictionary of them.
    keys: tuple[str, ...] = ()
    #: The Sequential that the function gives back: the names of it and of its list, the call that makes it.
    returned: dict[str, ast.Call] = field(default_factory=dict)
    chain: Chain | None = None

    #: The loops of `__init__` that are being staged.
    fors: list[ast.For] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = Evaluator(self.scope)

    def body(self, nodes: list[ast.stmt]) -> None:
        for at, node in enumerate(nodes):
            if isinstance(node, ast.If) and not node.orelse and ends(node.body) and nodes[at + 1 :]:
                # what follows a return in a condition is its other branch
                rest = ast.If(node.test, node.body, list(nodes[at + 1 :]))
                self.statement(ast.copy_location(rest, node))
                return
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        """One statement, with the comments that belong to it."""
        scope = self.scope
        init, forward = len(scope.init), len(scope.forward)
        before, behind = scope.project.source.before(node), scope.project.source.behind(node)
        try:
            self.split(node)
        except NotPorted as error:
            if hasattr(error.node, "lineno"):
                raise
            # what is refused is no text of the source: the statement stands for it
            raise NotPorted(node, error.why, error.advice) from error
        except ValueError as error:
            if "unknown rank" not in str(error):
                raise
            # TensorFlow's words for what tf.squeeze makes of open sizes
            why = "makes a tensor of which TensorFlow does not know how many axes it has"
            raise NotPorted(node, why, "say which axes: tf.squeeze(x, axis=...)") from error
        lines, start = (scope.forward, forward) if len(scope.forward) > forward else (scope.init, init)
        if len(lines) == start:
            return
        if behind and not lines[start].text.startswith("#"):
            lines[start].text += f"  {behind}"
        lines[start:start] = [Line(scope.depth, it) for it in before]

    def split(self, node: ast.stmt) -> None:
        node = without_choice(self.scope, node)
        if isinstance(node, ast.Expr):
            self.expression(node)
        elif isinstance(node, ast.Assign):
            first, *others = node.targets
            assign(self, first, node.value, node)
            for target in others:
                assign(self, target, first, node)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            assign(self, node.target, node.value, node)
        elif isinstance(node, ast.AugAssign) and isinstance(
            self.scope.env.get(ast.unparse(node.target)), Chain
        ):
            chains.extend(self, node.value)
        elif isinstance(node, ast.AugAssign):
            load = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node.target)
            value = ast.copy_location(ast.BinOp(load, node.op, node.value), node)
            assign(self, node.target, value, node)
        elif isinstance(node, ast.For):
            stage_loop(self, node)
        elif isinstance(node, ast.If):
            stage_condition(self, node)
        elif isinstance(node, ast.Return):
            give_result(self, node)
        elif isinstance(node, (ast.Raise, ast.Assert)):
            self.scope.say(self.scope.project.source.segment(node))
        elif isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom)):
            return
        else:
            raise NotPorted(
                node, f"{type(node).__name__.lower()} is not ported", "write it as a for loop or with if"
            )

    @property
    def result(self) -> Any:
        """What the function gives; of several returns, what is the same in all."""
        if len(self.results) < 2:
            return self.results[0] if self.results else None
        first, *others = self.results
        for other in others:
            flows = list(zip(leaves(first), leaves(other), strict=True))
            alike = type(first) is type(other) and all(a.rank == b.rank for a, b in flows)
            if not alike:
                raise NotPorted(self.scope.project.node_of(self.scope.name), "returns tensors of other ranks")
            is_named = isinstance(first, Flow) and None not in (first.channels, other.channels)
            size = "out_channels" if is_named and not self.scope.is_function else None
            merged = [a if a.channels == b.channels else replace(a, channels=size) for a, b in flows]
            first = replace(first, items=tuple(merged)) if isinstance(first, Items) else merged[0]
        return first

    def expression(self, node: ast.Expr) -> None:
        value, scope = node.value, self.scope
        if isinstance(value, ast.Constant):
            return
        if isinstance(value, ast.Tuple) and len(value.elts) == 1:
            # a comma that was left behind
            value = value.elts[0]
        if isinstance(value, ast.Call):
            called = (
                value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
            )
            if called in SHOWN | TOLD:
                why = ": compute it in your training loop" if called in TOLD else ""
                scope.notes.append(f"line {node.lineno}: {called}() is left out{why}")
                return
            target = value.func.value if isinstance(value.func, ast.Attribute) else value.func
            held = scope.env.get(ast.unparse(target))
            if isinstance(held, Chain) and called in chains.ADDING:
                if called == "extend":
                    chains.extend(self, value.args[0])
                else:
                    chains.add(self, held, value.args[0])
                return
            if called in ("add", "append") and isinstance(held, (Group, Course)) and scope.in_init:
                courses.put(self, ast.unparse(target), held, value.args[0])
                return
            if called == "add" and isinstance(held, Row):
                if scope.depth:
                    raise NotPorted(
                        value, "adds to a Sequential in a loop or condition",
                        "call the layers on a tensor one after the other",
                    )  # fmt: skip
                made = maker_of(self.at, value.args[0])
                if made is not None:
                    scope.env[ast.unparse(target)] = replace(held, makers=(*held.makers, made))
                return
            if isinstance(held, Stack) and called == "reverse":
                scope.do(f"{held.text}.reverse()")
                scope.say(f"{held.shadow}.reverse()", held.shadow)
                return
            if called == "append" and isinstance(value.func, ast.Attribute):
                append_to(self, value.func.value, value.args[0])
                return
        if scope.is_static(value):
            scope.say(scope.static_text(value))
            return
        raise NotPorted(value, "does something that is not used", "assign what it gives to a name")
