"""Where each tensor, layer and block is in model.py: lines, columns, and paths of modules."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchport.axes import Order
from torchport.expressions import expressions, forwards
from torchport.geometry.network import Span
from torchport.record import Standing, orders_of

#: The endings of a tensor's permuted twins, `x.channels_first`.
TWINS = tuple(f".{it.name.lower()}" for it in Order)


def span_of(node: ast.expr | ast.stmt) -> Span:
    """Where a piece of model.py stands; columns in bytes of UTF-8, as ast counts them."""
    return Span(node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0)


@dataclass(frozen=True)
class Block:
    """A class of model.py where it stands: the path of its module, "" for the model itself."""

    path: str
    cls: str
    line: int
    end_line: int
    #: The nested model that it stands for, if any: the path of its graph.
    graph: str


@dataclass(frozen=True)
class Spot:
    """Where a tensor is made: in which module, by which expression of its class's `forward`."""

    module: str
    span: Span | None
    text: str = ""


@dataclass(frozen=True)
class Places:
    """All places of a port, of "trace" and "graph" of port.json and the text of model.py."""

    spots: Mapping[tuple[str, str], Spot]
    blocks: tuple[Block, ...]
    #: The modules that each layer became.
    layers: Mapping[str, tuple[str, ...]]
    orders: Mapping[tuple[str, str], Order]
    made: Mapping[str, tuple[Span, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any], code: str) -> Places:
        tree = ast.parse(code)
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        methods = {name: [node for node, _ in expressions(method)] for name, method in forwards(code).items()}
        standings = {path: Standing.of_record(it) for path, it in record["trace"]["modules"].items()}
        bodies = {name: unpacked(method) for name, method in forwards(code).items()}
        spots: dict[tuple[str, str], Spot] = {}
        made = dict(_made(standings, classes))
        for path, it in standings.items():
            if it.gives:
                parent = path.rpartition(".")[0].rpartition(".")[0]
                span, text = made.get(path, (None, ""))
                spots.setdefault((it.graph, it.gives), Spot(parent, span, text))
                continue
            for number, names in sorted(it.tensors.items()):
                node = source_of(methods[it.cls][number], bodies[it.cls])
                spot = Spot(path, span_of(node), ast.unparse(node))
                for name in names:
                    spots.setdefault((it.graph, name), spot)
                    base, dot, _ = name.rpartition(".")
                    if dot and name.endswith(TWINS):
                        spots.setdefault((it.graph, base), spot)
        blocks = tuple(
            Block(path, it.cls, classes[it.cls].lineno, classes[it.cls].end_lineno or 0, it.graph)
            for path, it in standings.items() if it.cls
        )  # fmt: skip
        layers = {layer: tuple(it) for layer, it in record["trace"]["layers"].items()}
        return cls(spots, blocks, layers, dict(orders_of(record["graph"])), made)

    def order(self, path: str, name: str) -> Order:
        """The order in which the port holds a tensor."""
        return self.orders.get((path, name), Order.SOURCE)

    def class_of(self, module: str) -> str:
        """`nn.Conv2d`, of what a module is made by; empty where no single line says it."""
        found = self.made.get(module)
        return found[1].partition("(")[0] if found else ""


def unpacked(method: ast.AST) -> list[ast.Assign]:
    """The lines that take a result apart, `x, state = self.lstm(x)`, in order."""
    lines = (node for node in ast.walk(method) if isinstance(node, ast.Assign))
    found = [node for node in lines if isinstance(node.targets[0], (ast.Tuple, ast.List))]
    return sorted(found, key=lambda it: it.lineno)


def source_of(node: ast.expr, lines: Sequence[ast.Assign]) -> ast.expr:
    """The expression that makes what a name stands for, where a line above took it out of a result.

    Other expressions are where they are: a name of what is assigned as it is has its own expression.
    """
    if not isinstance(node, ast.Name):
        return node
    before = [
        it for it in lines if it.lineno < node.lineno
        and any(isinstance(name, ast.Name) and name.id == node.id for name in ast.walk(it.targets[0]))
    ]  # fmt: skip
    return before[-1].value if before else node


def _made(standings: Mapping[str, Standing], classes: Mapping[str, ast.ClassDef]) -> Any:
    """For each module that a constructor makes the expression that does: path, and its span and text."""
    for path, it in standings.items():
        if not it.cls:
            continue
        init = next(
            (node for node in classes[it.cls].body
             if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None,
        )  # fmt: skip
        for line in ast.walk(init) if init else ():
            if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Attribute):
                continue
            name, value = line.targets[0].attr, line.value
            own = f"{path}.{name}" if path else name
            yield own, (span_of(value), ast.unparse(value))
            if isinstance(value, ast.Call):
                inner = value.args
                if len(inner) == 1 and isinstance(inner[0], (ast.List, ast.Tuple)):
                    inner = inner[0].elts
                for at, one in enumerate(inner):
                    if isinstance(one, (ast.Starred, ast.GeneratorExp, ast.ListComp)):
                        element = one.value if isinstance(one, ast.Starred) else one
                        if isinstance(element, (ast.GeneratorExp, ast.ListComp)):
                            element = element.elt
                        for number in range(at, at + 1000):
                            if f"{own}.{number}" not in standings:
                                break
                            yield f"{own}.{number}", (span_of(element), ast.unparse(element))
                    elif isinstance(one, ast.Call):
                        yield f"{own}.{at}", (span_of(one), ast.unparse(one))
