"""Names of the attributes that hold modules and parameters."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torchport.names import identifier, is_automatic, unique
from torchport.rules.nouns import noun_of

#: What lists of branches are called before they are numbered.
LISTS = re.compile(r"(convs|layers|branches|blocks)_\d+")


def attribute_names(
    layers: list[tuple[str, str, str]],
    model: str = "",
    told: Mapping[str, str] | None = None,
    constants: Collection[tuple[str, str]] = (),
    models: Mapping[str, str] | None = None,
    own: Mapping[str, str] | None = None,
) -> dict[tuple[str, str], str]:
    """An attribute for each (layer, role), given (layer, role, kind) in the order of use.

    Names that Keras made up become short nouns, numbered in this order; others lose the model's name where
    they begin with it. `told`: what nested models are called, by their layers. `constants` of operations
    without a name are called by what they are for: `offset`. `models`: nouns for nested models and the like.
    `own`: what the user's class calls layers.
    """
    told, models, own = {**(told or {}), **(own or {})}, models or {}, own or {}
    nouns = [
        ""
        if layer in own
        else plural[1]
        if (plural := LISTS.fullmatch(layer))
        else models[layer]
        if layer in models and is_automatic(layer, kind)
        else noun_of(kind)
        if is_automatic(layer, kind)
        else ""
        for layer, _, kind in layers
    ]
    owners: dict[str, dict[str, int]] = {}
    for (layer, _, _), noun in zip(layers, nouns, strict=True):
        numbers = owners.setdefault(noun, {})
        numbers.setdefault(layer, len(numbers) + 1)
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for (layer, role, kind), noun in zip(layers, nouns, strict=True):
        if (layer, role) in names:
            continue
        told_name = told.get(layer, layer)
        base = told_name.removeprefix(f"{model}_") if model else told_name
        if noun:
            number = f"{'_' if noun[-1].isdigit() else ''}{owners[noun][layer]}"
            base = noun if len(owners[noun]) == 1 else f"{noun}{number}"
        called = role if noun and (layer, role) in constants else base
        said = role not in ("", layer) and kind != "tf.constant"
        called = f"{base}_{role}" if called is base and said else called
        name = unique(identifier(called), taken)
        taken.add(name)
        names[layer, role] = name
    return names
