"""A block whose name another class has taken is made, and called, by the name that it has instead."""

from __future__ import annotations

import re
from pathlib import Path

import torchport
from torchport.emit.source import name_classes, source

MODEL = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"


def test_a_block_of_a_name_that_is_taken() -> None:
    """So it was with `ReflectionPadding2D`, a class of the user's in one model and a block in the next."""
    definition = torchport.convert(MODEL).program.definition
    block = next(name for name, part in definition.parts.items() if part.shapes)
    name = definition.parts[block].name
    text = source(name_classes(definition, name))
    assert re.findall(rf"class ({name}\w*)\(", text) == [f"{name}2", name]
    assert not re.search(rf"= {name}\(", text)
    assert re.search(rf"= {name}2\(", text)
