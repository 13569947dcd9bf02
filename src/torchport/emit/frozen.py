"""What does not train is frozen from outside, in as few lines as say it: `self.base.requires_grad_(False)`.

A class of which nothing trains says nothing of it: whoever holds it does, and at last the model itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torchport.program import IN_A_ROW, Fill, Module, State

if TYPE_CHECKING:
    from torchport.emit.source import Class

Owned = tuple[tuple[str, str], Any]
#: So many modules are frozen in a loop over them.
LOOP = 3
#: What fits on a line of a constructor.
WIDTH = 92


def frozen_lines(item: Class, owned: list[Owned], is_model: bool) -> list[str]:
    """The lines at the end of a constructor; `owned`: what the class holds, each once."""
    if is_frozen(item, owned):
        return ["self.requires_grad_(False)"] if is_model else []
    names: list[str] = []
    fixed: dict[tuple[str, str], list[str]] = {}
    for key, node in owned:
        made = None if isinstance(node, State) else node.module
        if made is None:
            continue
        name = f"self.{item.attributes[key]}"
        if _is_still(item, key[0], made):
            names.append(name)
        else:
            constants = [it for it, load in made.loads.items() if isinstance(load, Fill) and load.shape]
            for it in constants:
                fixed.setdefault((made.cls, f".{it}"), []).append(name)
    together: dict[tuple[str, ...], list[str]] = {}
    for (_, parameter), held in fixed.items():
        together.setdefault(tuple(held), []).append(parameter)
    lines = [line for held, several in together.items() for line in _each(held, several, WIDTH)]
    ((cls, parameter), held), *others = fixed.items() or [(("", ""), [])]
    alike = [node for _, node in owned if not isinstance(node, State) and node.module.cls == cls]
    if not others and len(held) > LOOP == len(lines) - 1 and len(alike) == len(held) and not item.parts:
        lines = [
            "for module in self.modules():",
            f"    if isinstance(module, {cls}):",
            f"        module{parameter}.requires_grad_(False)",
        ]
    return [*_each(names), *lines]


def _each(names: Sequence[str], parameters: Sequence[str] = ("",), width: float = math.inf) -> list[str]:
    """What freezes modules, or parameters of each: in a loop where that is shorter, and it fits its width."""
    loop = f"for module in ({', '.join(names)}):"
    if 1 + len(parameters) < len(names) * len(parameters) and len(loop) <= width:
        return [loop, *(f"    module{it}.requires_grad_(False)" for it in parameters)]
    return [f"{name}{it}.requires_grad_(False)" for it in parameters for name in names]


def is_frozen(item: Class, owned: list[Owned]) -> bool:
    """Whether a class has weights, and none of them trains."""
    still = []
    for (owner, _), node in owned:
        if isinstance(node, State):
            still += [owner in item.definition.frozen] if node.trainable else []
        elif any(_is_weighted(item, it) for it in _opened(node.module)):
            still.append(_is_still(item, owner, node.module))
    return bool(still) and all(still)


def _is_still(item: Class, owner: str, made: Module) -> bool:
    """Whether nothing in a module trains: as its layer says, or the classes that it is made of."""
    from torchport.emit.source import owned  # which imports this file

    inside = [it for it in _opened(made) if _is_weighted(item, it)]
    if owner in item.definition.frozen or not inside:
        return bool(inside)
    parts = [item.parts[owner] if it.cls == "Model" else _classes(item).get(it.cls) for it in inside]
    return all(part is not None and is_frozen(part, list(owned(part.definition))) for part in parts)


def _classes(item: Class) -> dict[str, Class]:
    """The classes of which a class is made, by the names that its modules call them."""
    return {part.definition.name: part for part in item.parts.values()}


def _opened(made: Module) -> Iterator[Module]:
    """A module, or those in a row of them."""
    if made.cls not in IN_A_ROW:
        yield made
    for it in made.args if made.cls in IN_A_ROW else ():
        yield from _opened(it)


def _is_weighted(item: Class, made: Module) -> bool:
    """Whether a module has weights, or is of a class, which has some."""
    return bool(made.loads) or made.cls == "Model" or made.cls in _classes(item)
