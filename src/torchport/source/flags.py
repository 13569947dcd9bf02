"""Two ways of writing a layer as one, where all that differs is what a flag of the source says.

before:  nn.Conv2d(3, 8, 1) with use_bias, nn.Conv2d(3, 8, 1, bias=False) without
after:   nn.Conv2d(3, 8, 1, bias=use_bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torchport.program import Apply, Code, Module, rewrite
from torchport.source.fragment import Call, Fragment
from torchport.source.observe import Seen
from torchport.source.values import Static


def flagged(found: Mapping[Any, tuple[Fragment, list[Seen]]], made: Call) -> Fragment | None:
    """One fragment for two, told apart by an option that is a flag; None where that is not all."""
    if len(found) != 2 or len({(it[0], it[2]) for it in found}) != 1:
        return None
    for name, value in made.options.items():
        if not isinstance(value, Static):
            continue
        by_flag: dict[Any, Fragment] = {}
        for fragment, seen in found.values():
            flags = [it.function.get_config().get(name) for it in seen]
            if not all(isinstance(it, bool) for it in flags):
                by_flag = {}
                break
            by_flag |= dict.fromkeys(flags, fragment)
        if set(by_flag) == {True, False} and by_flag[True] is not by_flag[False]:
            return merged(by_flag[True], by_flag[False], Code(value.text))
    return None


def merged(one: Fragment, other: Fragment, flag: Code) -> Fragment | None:
    """The fragment of which the modules say `flag` where `other` says False and `one` nothing."""
    texts: dict[tuple[str, str], Module] = {}
    for full, bare in zip(one.modules, other.modules, strict=True):
        made = combined(full.module, bare.module, flag)
        if made is None:
            return None
        texts[bare.owner, bare.module.role] = made

    def placed(node: Any) -> Any:
        is_module = isinstance(node, Apply)
        return replace(node, module=texts[node.owner, node.module.role]) if is_module else node

    steps = tuple(replace(it, value=rewrite(it.value, placed)) for it in other.definition.steps)
    return replace(other, definition=replace(other.definition, steps=steps))


def combined(full: Module, bare: Module, flag: Code) -> Module | None:
    """One constructor for two; None where more differs than what is False in one."""
    changed = {key for key, it in bare.kwargs.items() if full.kwargs.get(key, True) is not it and it is False}
    same = {key: it for key, it in bare.kwargs.items() if key not in changed}
    if repr((full.cls, full.args, same)) != repr((bare.cls, bare.args, dict(full.kwargs))):
        return None
    return replace(bare, kwargs={**bare.kwargs, **dict.fromkeys(changed, flag)})
