"""One of several layers, by a condition where the model is built: one attribute, one call.

if norm == "batch":
    self.norm = layers.BatchNormalization()        if norm == "batch":
else:                                          ->      self.norm = nn.BatchNorm1d(width)
    self.norm = layers.LayerNormalization()        else:
                                                       self.norm = nn.LayerNorm(width, eps=1e-3)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.activations import module_text
from torchport.source.layers import apply_layer
from torchport.source.observe import Seen
from torchport.source.sites import RUN, NotPorted, site
from torchport.source.values import Choice, Flow, Maker

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator

#: A module that is called, as the text of what it gives.
MARK = re.compile(r"self\.(__m\d+__)\(")


def mark_of(value: Flow) -> str:
    """The module that gives a tensor; "" where a function does."""
    found = MARK.match(value.text)
    return found[1] if found else ""


def makers(choice: Any) -> Iterator[Maker]:
    """The layers that are chosen from."""
    if isinstance(choice, Choice):
        yield from makers(choice.first)
        yield from makers(choice.second)
    else:
        yield choice


def applied(at: Evaluator, node: ast.Call, choice: Choice, seen: list[Seen]) -> Flow:
    """What the layer gives that was chosen. Raises NotPorted where the calls are not alike."""
    scope, found, mark = at.scope, list[tuple[Maker, Flow]](), ""
    lines = len(scope.forward)
    for maker in makers(choice):
        made = {id(it.result) for it in scope.seen(maker.node)}
        runs = [it for it in seen if id(it.function) in made]
        if not runs:
            raise NotPorted(maker.node, "never ran", RUN)
        value = apply_layer(at, node, maker, runs)
        if not isinstance(value, Flow) or len(scope.forward) > lines:
            raise NotPorted(node, "is a choice of layers that give several tensors", "call each in a branch")
        found.append((maker, value))
        mark = mark or mark_of(value)
    if not mark:
        return chosen_functions(at, node, found, seen)
    texts = set[str]()
    for number, (maker, value) in enumerate(found):
        own = mark_of(value)
        if not own:
            value = as_module(at, node, maker, value, mark, seen)
        elif own != mark:
            rename(at, own, mark)
            value = replace(value, text=value.text.replace(own, mark))
        texts.add(value.text)
        found[number] = maker, value
    values = [it for _, it in found]
    if len(texts) > 1 or len({(it.rank, it.order) for it in values}) > 1:
        raise NotPorted(
            node, f"is {' in one branch and '.join(sorted(texts))} in another", "call each in a branch"
        )
    sizes = list(dict.fromkeys(it.channels for it in values))
    if len(sizes) == 2 and len(values) == 2 and None not in sizes:
        return replace(values[0], channels=f"({sizes[0]} if {choice.test} else {sizes[1]})")
    return replace(values[0], channels=sizes[0] if len(sizes) == 1 else None)


def chosen_functions(
    at: Evaluator, node: ast.Call, found: list[tuple[Maker, Flow]], seen: list[Seen]
) -> Flow:  # fmt: skip
    """A choice of layers none of which has weights: modules all the same."""
    (maker, value), *_ = found
    mark = at.scope.names.add(maker.name, True)
    values = [as_module(at, node, one, it, mark, seen) for one, it in found]
    return values[0]


def as_module(
    at: Evaluator, node: ast.Call, maker: Maker, value: Flow, mark: str, seen: list[Seen]
) -> Flow:  # fmt: skip
    """A layer that is written as a function, as a module."""
    scope, flow = at.scope, at.value(node.args[0])
    (first, *_) = [it.result for it in scope.seen(maker.node)]
    text = module_text(scope, first, flow, seen[0].args[0]) if isinstance(flow, Flow) else None
    line = scope.waiting.pop(site(maker.node), None)
    if text is None or line is None:
        raise NotPorted(node, "is a choice of layers that are no modules", "call each in a branch")
    line.text = f"self.{mark} = {text}"
    for place in [it for it, one in scope.waiting.items() if one is line]:
        del scope.waiting[place]
    return replace(value, text=f"self.{mark}({flow.text})", channels=flow.channels)


def rename(at: Evaluator, own: str, mark: str) -> None:
    """Two modules of one name."""
    scope = at.scope
    for line in (it for held in (*scope.outside, scope.init) for it in held):
        line.text = line.text.replace(own, mark)
    scope.names.bases[own] = (own, False)
    scope.made = {key: (mark if it == own else it, text) for key, (it, text) in scope.made.items()}


__all__ = ["applied"]
