"""A definition as the idioms see it: which step gives a tensor, and how often it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from torchport.graph import Shape
from torchport.program import Apply, Call, Definition, Step, Var, walk


class View:
    """The steps of a definition by what they give; `reads` counts the model's outputs as well."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.steps: dict[str, Step] = {it.outputs[0]: it for it in definition.steps if len(it.outputs) == 1}
        self.reads = Counter(name for step in definition.steps for name in step.inputs)
        self.reads.update(spec.name for spec in definition.outputs)
        #: Tensors that are several others laid end to end, those of most first.
        self.cats = sorted(
            (name for name, it in self.steps.items() if getattr(it.value, "function", "") == "torch.cat"),
            key=lambda name: -len(self.steps[name].inputs),
        )
        self.calls = Counter(
            (node.owner, node.module.role)
            for step in definition.steps
            for node in walk(step.value)
            if isinstance(node, Apply)
        )

    def value(self, expr: Any, alone: bool = True) -> Any:
        """What an expression is made of: of a tensor, what its step gives, if it is read nowhere else.

        A step that calls a module is none to be written a second time: it stays, whoever reads it.
        """
        while isinstance(expr, Var) and expr.tensor in self.steps:
            inner = self.steps[expr.tensor].value
            if alone and self.reads[expr.tensor] > 1 and not isinstance(inner, Var):
                return expr
            if any(isinstance(node, Apply) for node in walk(inner)):
                return expr
            expr = inner
        return expr

    def source(self, expr: Any) -> Any:
        """What gives a tensor, to be looked at only: the value of its step, a module's as well."""
        while isinstance(expr, Var) and expr.tensor in self.steps:
            expr = self.steps[expr.tensor].value
        return expr

    def call(self, expr: Any, *functions: str, alone: bool = True) -> Call | None:
        """The value, if it is a call of one of the functions."""
        found = self.value(expr, alone)
        return found if isinstance(found, Call) and found.function in functions else None

    def same(self, one: Any, other: Any) -> bool:
        """Whether two expressions are one tensor."""
        return isinstance(one, Var) and self.origin(one) == self.origin(other)

    def origin(self, expr: Any) -> Any:
        """A tensor that another one only names, itself otherwise."""
        while isinstance(expr, Var) and expr.tensor in self.steps:
            inner = self.steps[expr.tensor].value
            if not isinstance(inner, Var):
                break
            expr = inner
        return expr

    def shape(self, expr: Any) -> Shape | None:
        """The sizes of a tensor as PyTorch holds it, where they are known."""
        spec = self.definition.specs.get(expr.tensor) if isinstance(expr, Var) else None
        return None if spec is None else spec.shape

    def numbers(self, expr: Any) -> str | None:
        """What the numbers of a tensor are, `int` or `bool`; "" for fractions, None where it is no tensor."""
        spec = self.definition.specs.get(expr.tensor) if isinstance(expr, Var) else None
        return None if spec is None else spec.numbers

    def producers(self, expr: Any) -> Iterator[Step]:
        """The step that gives a tensor."""
        if isinstance(expr, Var) and expr.tensor in self.steps:
            yield self.steps[expr.tensor]
