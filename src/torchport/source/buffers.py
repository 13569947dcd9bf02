"""Arrays of numbers that a unit holds: buffers of the class, or tensors that are made where they are read.

self.mask = np.tri(n)    ->    self.register_buffer("mask", torch.tensor(np.tri(n), dtype=torch.float32))
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.names import unique
from torchport.source.fragment import Call
from torchport.source.lines import Line, reads
from torchport.source.observe import Seen
from torchport.source.sites import NotPorted
from torchport.source.values import Flow, Items, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator
    from torchport.source.scope import Scope


def with_buffers(
    at: Evaluator, made: Call, seen: Sequence[Seen], lists: bool = False
) -> tuple[Call, list[Seen]]:
    """A call of a function in which arrays are tensors that the port holds. `lists`: lists of numbers too."""
    args, given = zipped(at, list(made.args), [list(it.args) for it in seen], lists)
    pairs = {key: turned(at, it, [one.kwargs[key] for one in seen], lists) for key, it in made.kwargs.items()}
    kwargs = {key: it for key, (it, _) in pairs.items()}
    if args == list(made.args) and kwargs == dict(made.kwargs):
        return made, list(seen)
    again = []
    for number, (it, held) in enumerate(zip(seen, given, strict=True)):
        named = {key: them[number] for key, (_, them) in pairs.items()}
        again.append(replace(it, args=tuple(held), kwargs={**it.kwargs, **named}))
    return replace(made, args=args, kwargs=kwargs), again


def zipped(
    at: Evaluator, values: list[Any], given: list[list[Any]], lists: bool
) -> tuple[list[Any], list[list[Any]]]:
    """Each of several values turned, and what they were in each run."""
    if any(len(it) != len(values) for it in given):
        return values, given
    pairs = [turned(at, it, [one[number] for one in given], lists) for number, it in enumerate(values)]
    return [it for it, _ in pairs], [[held[number] for _, held in pairs] for number in range(len(given))]


def turned(at: Evaluator, value: Any, given: list[Any], lists: bool) -> tuple[Any, list[Any]]:
    """A value, and what it was in each run: arrays as tensors."""
    if isinstance(value, Items) and all(isinstance(it, (list, tuple)) for it in given):
        items, held = zipped(at, list(value.items), list(map(list, given)), lists)
        if items == list(value.items):
            return value, given
        return Items(tuple(items), at.listed(tuple(items), value.is_tuple), value.is_tuple), held
    if isinstance(value, Static) and lists and all(isinstance(it, (list, tuple)) for it in given):
        given = [np.asarray(it, "float32" if is_float(it) else None) for it in given]
    if not isinstance(value, Static) or not given or not all(map(is_array, given)):
        return value, given
    if len({it.ndim for it in given}) > 1:
        return value, given
    import tensorflow as tf

    kind = "float32" if given[0].dtype.kind == "f" else given[0].dtype.name
    return tensor_of(at, value, given[0]), [tf.constant(it, kind) for it in given]


def is_float(value: Any) -> bool:
    """Whether nested lists have a fraction among their numbers."""
    if isinstance(value, (list, tuple)):
        return any(map(is_float, value))
    return isinstance(value, float)


def is_array(value: Any) -> bool:
    """Whether a value is an array of numbers of NumPy's."""
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype.kind in "fiub"


def tensor_of(at: Evaluator, value: Static, array: np.ndarray) -> Flow:
    """The tensor that stands for an array: a buffer of the class; of a function, one that is made there."""
    scope, is_float = at.scope, array.dtype.kind == "f"
    if scope.is_function or scope.in_init:
        return Flow(tensor_text(value.text, is_float), array.ndim, is_weight=True)
    if any(reads(value.text) & it.targets for it in scope.loops):
        raise NotPorted(
            ast.Name(value.text), "is an array that differs from turn to turn", "make one array of them"
        )
    node = ast.parse(value.text, mode="eval").body
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
        # a part of what the class holds
        whole = ast.unparse(node.value)
        index = scope.forward_text(value.text).removeprefix(whole)
        return Flow(f"{buffer(scope, whole, is_float)}{index}", array.ndim, is_weight=True)
    text = buffer(scope, value.text, is_float)
    sizes = tuple(f"{text}.shape[{axis}]" for axis in range(array.ndim))
    return Flow(text, array.ndim, sizes[-1], is_weight=True, sizes=sizes)


def buffer(scope: Scope, text: str, is_float: bool) -> str:
    """The buffer that holds an array, as text; `__init__` makes it, once."""
    if text not in scope.buffers:
        name = re.sub(r"\W+", " ", text).split()[-1].lower()
        if text == f"self.{name}":
            register(scope, name, is_float)
        else:
            others = (key for key, it in scope.env.items() if getattr(it, "text", "") != text)
            taken = {it.removeprefix("self.") for it in (*others, *scope.buffers.values(), *scope.kept)}
            name = unique(name if name.isidentifier() else "numbers", taken)
            scope.foundation.append(Line(0, registered(name, tensor_text(text, is_float))))
        scope.buffers[text] = f"self.{name}"
    return scope.buffers[text]


def tensor_text(text: str, is_float: bool, *options: str) -> str:
    """An array, or nested lists, as a tensor; one of floats is as wide as the weights."""
    kind = ["dtype=torch.float32"] if is_float else []
    return f"torch.tensor({', '.join(filter(None, [text, *kind, *options]))})"


def registered(name: str, text: str) -> str:
    return f'self.register_buffer("{name}", {text}, persistent=False)'


def register(scope: Scope, name: str, is_float: bool) -> None:
    """The lines of `__init__` that make an array of that name: what they make becomes a buffer."""
    held, lines = re.compile(rf"\bself\.{name}\b"), scope.foundation
    places = [at for at, it in enumerate(lines) if held.search(it.text)]
    if not places:
        return
    start = f"self.{name} = "
    if len(places) == 1 and (line := lines[places[0]]).text.startswith(start):
        value, mark, comment = line.text.removeprefix(start).partition("  #")
        line.text = registered(name, tensor_text(value, is_float)) + mark + comment
        return
    local = unique(name, {*scope.assigned, *scope.env})
    for at in places:
        lines[at].text = held.sub(local, lines[at].text)
    depth, end = lines[places[0]].depth, places[-1] + 1
    while end < len(lines) and lines[end].depth > depth:
        end += 1
    lines.insert(end, Line(depth, registered(name, tensor_text(local, is_float))))


__all__ = ["registered", "tensor_text", "with_buffers"]
