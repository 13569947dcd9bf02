"""What docstrings say of arguments, for the site: a line `name: text` is an item of a list there."""

from __future__ import annotations

import re

import griffe

#: An argument, or several of one kind: `size: numbers for …`, `call, weights: …`. Further lines are indented.
LINE = re.compile(r"^(\w+(?:, \w+)*): (?=\S)", re.M)


class Arguments(griffe.Extension):
    """Writes the docstrings of functions anew before they are shown."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring is not None and obj.is_function:
            text = LINE.sub(r"- `\1`: ", obj.docstring.value)
            obj.docstring.value = re.sub(r"\n(?!- )([^\n]*)\n- ", r"\n\1\n\n- ", text, count=1)
