"""The rule of a custom class, all but what it computes: lines to paste."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.graph import Op, Ref, refs
from torchport.names import identifier, short_name, unique
from torchport.rules.guard import UNFINISHED, stored_shapes
from torchport.rules.table import IGNORED, RESERVED

#: What a stub is written with.
WORDS = ("SOURCE", "Load", "State", "Value", "call", "rule")
#: A value of a config that is longer is not shown, nor are more values than so many.
LONGEST, MOST = 60, 4


def options(op: Op) -> dict[str, Any]:
    """The options of a layer that may matter to what it computes."""
    return {key: value for key, value in {**op.config, **op.kwargs}.items() if key not in IGNORED}


def shown(ops: Sequence[Op]) -> Iterator[str]:
    """Options and weights of the layers of a class, with the values that they have."""
    values: dict[str, list[str]] = {}
    shapes: dict[str, list[str]] = {}
    for op in ops:
        for key, value in options(op).items():
            values.setdefault(key, []).append(brief(value))
        for name, shape in stored_shapes(op).items():
            shapes.setdefault(name, []).append(str(shape))
    if values:
        yield f"options {', '.join(f'{key}={distinct(it)}' for key, it in values.items())}"
    if shapes:
        yield f"weights {', '.join(f'{name} {distinct(it)}' for name, it in shapes.items())}"


def distinct(texts: Sequence[str]) -> str:
    """Texts, each once: `2 or 3`."""
    once = list(dict.fromkeys(texts))
    return " or ".join(once[:MOST]) + (" or others" if len(once) > MOST else "")


def brief(value: Any) -> str:
    """A value of a config; a tensor is its name."""
    text = value.tensor if isinstance(value, Ref) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def skeleton(ops: Sequence[Op], name: str) -> str:
    """The rule for the layers of a class: it says all that their files say, whatever their sizes."""
    own = list(dict.fromkeys(key for op in ops for key in options(op)))
    given = [key for key in own if key.isidentifier() and not keyword.iskeyword(key) and key not in RESERVED]
    names = Names({*given, *RESERVED})
    words = {it: names.new(it) for it in WORDS}
    tensors = positional(ops, names)
    ranks = {key: len(shape) for op in ops for key, shape in stored_shapes(op).items()}
    weights = {key: names.new(identifier(key.replace("/", "_"))) for key in ranks}
    keywords = [f"{key}=None" if any(key not in options(op) for op in ops) else key for key in given]
    keywords = [*(["weight_shapes"] if weights else []), *keywords]
    arguments = [it + annotated.replace("Value", words["Value"]) for it, annotated in tensors.items()]
    arguments += ["*", *keywords] if keywords else []
    ignored = " ".join(key for key in own if key not in given)
    head = f"{name!r}, wants={words['SOURCE']}" + (f", ignores={ignored!r}" if ignored else "")
    class_ = identifier(short_name(ops[0].kind))
    brought = ", ".join(it if it == to else f"{it} as {to}" for it, to in words.items())
    lines = [
        f"from torchport.rules import {brought}",
        "",
        "",
        f"@{words['rule']}({head})",
        f"def {names.new(class_)}({', '.join(arguments)}):",
        f'    """What {class_} computes, in PyTorch."""',
    ]
    for key, to in weights.items():
        load = f"{words['Load']}.of({key!r}, {same(ranks[key])!r})"
        lines.append(f"    {to} = {words['State']}({to!r}, {load}, weight_shapes[{key!r}])")
    inside = ", ".join([repr(UNFINISHED), *tensors, *weights.values()])
    return "\n".join([*lines, f"    return {words['call']}({inside})"])


@dataclass(frozen=True)
class Names:
    """Names that are taken in a function."""

    taken: set[str]

    def new(self, wanted: str) -> str:
        """The name, or one like it that is free; taken from now on."""
        name = unique(wanted, self.taken)
        self.taken.add(name)
        return name


def positional(ops: Sequence[Op], names: Names) -> dict[str, str]:
    """The parameters for what the calls are given by place, each with its annotation and default."""
    longest, fewest = max(ops, key=lambda op: len(op.args)).args, min(len(op.args) for op in ops)
    found = {}
    for at, argument in enumerate(longest):
        kind = "x" if isinstance(argument, Ref) else "xs" if any(refs(argument)) else "argument"
        default = " = None" if at >= fewest else ""
        found[names.new(kind)] = f"{': Value' if kind == 'x' else ''}{default}"
    return found


def same(rank: int) -> str:
    """The pattern that leaves a weight of so many axes as it is."""
    axes = " ".join(f"a{at}" for at in range(rank)) if rank > 8 else " ".join("abcdefgh"[:rank])
    return f"{axes} -> {axes}"
