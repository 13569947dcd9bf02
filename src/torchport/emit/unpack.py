"""Tuples that modules give, taken apart in statements of their own: `x, (h, c) = self.lstm(x)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torchport.program import Apply, Call, Index, Item, Step, Unpack, Var, rewrite, walk

#: Between a tensor's name and the item of a tuple that it is made of.
ITEM = ".item:"


def unpacked(steps: Sequence[Step], result: Any) -> list[Step]:
    """The steps, with one for each tuple that a module gives, `x, (h, c) = self.lstm(x)`, and each output.

    Of the outputs of a step that picks items out of tuples, those that are not read are left out.
    """
    read = {name for step in steps for name in step.inputs}
    read |= {node.tensor for node in walk(result) if isinstance(node, Var)}
    found: list[Step] = []
    for step in steps:
        if not any(isinstance(node, Item) for node in walk(step.value)):
            found.append(step)
            continue
        whole: Any = step.value
        values = whole if isinstance(whole, tuple) else (whole,)
        pairs = zip(step.outputs, values, strict=True)
        kept: dict[str, Any] = {it: value for it, value in pairs if it in read}
        number = 0
        while items := _innermost(kept.values()):
            call = [item for item in items if item.value == items[0].value]
            stem = f"{step.outputs[0]}{ITEM}{number}"
            names = {item.name: _alone(item, kept) or f"{stem}.{item.name}" for item in call}
            order = [name for name in _leaves(call[0].pattern) if name in names]
            tuple_ = Unpack(call[0].value, _numbered(call[0].pattern, order))
            outputs = tuple(names[name] for name in order)
            found.append(Step(f"{outputs[0]} unpacked", step.layer, step.kind, outputs, tuple_))
            known = [(item, Var(names[item.name])) for item in call]
            for output, value in kept.items():
                kept[output] = rewrite(value, partial(_replaced, known))
            number += 1
        found += [
            Step(output, step.layer, step.kind, (output,), value)
            for output, value in kept.items()
            if value != Var(output)
        ]
    return _pass_states(found, result)


#: Modules whose last state is all that `h[-1]` holds, if they have one layer and go one way.
RECURRENT = ("nn.LSTM", "nn.GRU", "nn.RNN")
SEVERAL = frozenset({"bidirectional", "num_layers"})


def _is_of_one_layer(value: Any) -> bool:
    made = value.module if isinstance(value, Apply) else None
    return made is not None and made.cls in RECURRENT and SEVERAL.isdisjoint(made.kwargs)


def _pass_states(steps: list[Step], result: Any) -> list[Step]:
    """The steps, the last states of one recurrent module as the first ones of another: `(h, c)` again."""
    given = {
        name for step in steps for name in step.outputs
        if isinstance(step.value, Unpack) and _is_of_one_layer(step.value.value) and ITEM in name
    }  # fmt: skip
    lasts = {
        step.outputs[0]: step.value.value
        for step in steps
        if isinstance(step.value, Index) and step.value.index == (-1,)
        and isinstance(step.value.value, Var) and step.value.value.tensor in given
    }  # fmt: skip

    def whole(node: Any) -> Any:
        is_first = isinstance(node, Call) and node.function == ".unsqueeze" and node.args[1:] == (0,)
        last = node.args[0] if is_first else None
        return lasts.get(last.tensor, node) if isinstance(last, Var) else node

    steps = [replace(step, value=rewrite(step.value, whole)) for step in steps] if lasts else steps
    read = {name for step in steps for name in step.inputs}
    read |= {node.tensor for node in walk(result) if isinstance(node, Var)}
    return [step for step in steps if step.outputs[0] not in lasts or step.outputs[0] in read]


def _innermost(values: Iterable[Any]) -> list[Item]:
    """Items of tuples that are made of no other items, each once, in order."""
    found: list[Item] = []
    for node in walk(tuple(values)):
        inner = isinstance(node, Item) and not any(isinstance(it, Item) for it in walk(node.value))
        if inner and node not in found:
            found.append(node)
    return found


def _alone(item: Item, kept: Mapping[str, Any]) -> str:
    """The output that an item is, if it is one of them and no other."""
    outputs = [output for output, value in kept.items() if value == item]
    return outputs[0] if len(outputs) == 1 else ""


def _replaced(known: Sequence[tuple[Item, Var]], node: Any) -> Any:
    return next((var for item, var in known if item == node), node)


def _leaves(pattern: Any) -> list[str]:
    return [pattern] if isinstance(pattern, str) else [it for part in pattern for it in _leaves(part)]


def _numbered(pattern: Any, order: Sequence[str]) -> Any:
    """The pattern with the number of each name that is kept; None for one, or a tuple, of which none is."""
    if isinstance(pattern, str):
        return order.index(pattern) if pattern in order else None
    parts = tuple(_numbered(part, order) for part in pattern)
    return None if all(part is None for part in parts) else parts
