"""What does not train is frozen from outside, in as few lines as say it: `self.base.requires_grad_(False)`.

A class of which nothing trains says nothing of it: whoever holds it does, and at last the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torchport.program import IN_A_ROW, Fill, Module, State

if TYPE_CHECKING:
    from torchport.emit.source import Class

Owned = tuple[tuple[str, str], Any]
#: So many modules are frozen in a loop over them.
LOOP = 3


def frozen_lines(item: Class, owned: list[Owned], is_model: bool) -> list[str]:
    """The lines at the end of a constructor; `owned`: what the class holds, each once."""
    if is_frozen(item, owned):
        return ["self.requires_grad_(False)"] if is_model else []
    names, fixed = [], []
    for key, node in owned:
        made = None if isinstance(node, State) else node.module
        if made is None:
            continue
        name = f"self.{item.attributes[key]}"
        if _is_still(item, key[0], made):
            names.append(name)
        else:
            constants = [it for it, load in made.loads.items() if isinstance(load, Fill) and load.shape]
            fixed += [f"{name}.{it}.requires_grad_(False)" for it in constants]
    if len(names) >= LOOP:
        loop = f"for module in ({', '.join(names)}):"
        return [loop, "    module.requires_grad_(False)", *fixed]
    return [*(f"{name}.requires_grad_(False)" for name in names), *fixed]


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
