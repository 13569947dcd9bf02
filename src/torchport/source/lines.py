"""The lines of `__init__` and of `forward` while they are written, and the names of what a class holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from torchport.named import ATOM, binds_of

INDENT = "    "


@dataclass
class Line:
    """A line. `shadow`: the variable that it is there for alone, and that may be left out with it."""

    depth: int
    text: str
    shadow: str = ""

    def __str__(self) -> str:
        return INDENT * self.depth + self.text if self.text else ""


def reads(text: str) -> set[str]:
    """The names in a line of code."""
    if re.search(r"\bf[\"']", text):
        # a text with names in it
        return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", text)))


def prune(lines: list[Line], wanted: Iterable[str]) -> list[Line]:
    """The lines without sizes that nobody reads, and without loops and conditions that are then empty."""
    kept, wanted = list(lines), set(wanted)
    while True:
        shadows = {it.shadow for it in kept if it.shadow}
        for name in shadows:
            others = (it for it in kept if it.shadow != name)
            if name not in wanted and not any(name in reads(it.text) for it in others):
                kept = without(kept, name)
                break
        else:
            shorter = without_empty(kept)
            if len(shorter) == len(kept):
                return kept
            kept = shorter


def without(lines: list[Line], shadow: str) -> list[Line]:
    """The lines without those that are there for one variable, and without the comments above these."""
    found = list[Line]()
    for line in lines:
        if line.shadow != shadow:
            found.append(line)
            continue
        while found and found[-1].depth == line.depth and found[-1].text.startswith("#"):
            found.pop()
    return found


def without_empty(lines: list[Line]) -> list[Line]:
    """The lines without headers of blocks that have none."""
    kept, dropped = list[Line](), set[int]()
    for at, line in enumerate(lines):
        if id(line) in dropped:
            continue
        code = [it for it in lines[at + 1 :] if it.text and not it.text.startswith("#")]
        if line.text.endswith(":") and not line.text.startswith("#"):
            if not code or code[0].depth <= line.depth:
                if not code or not code[0].text.startswith("else:") or code[0].depth != line.depth:
                    continue
                # the other branch alone is left
                dropped.add(id(code[0]))
                line = Line(line.depth, f"if not ({line.text.removeprefix('if ')[:-1]}):", line.shadow)
        kept.append(line)
    return kept


def with_elif(lines: list[Line]) -> list[Line]:
    """The lines with `elif` where an `else` holds nothing but a condition."""
    found = [replace(it) for it in lines]
    at = 0
    while at < len(found):
        line = found[at]
        end = next((to for to in range(at + 1, len(found)) if found[to].depth <= line.depth), len(found))
        inside = [it for it in found[at + 1 : end] if it.depth == line.depth + 1]
        alone = inside and inside[0] is found[at + 1] and inside[0].text.startswith("if ")
        if (
            line.text == "else:"
            and alone
            and all(it.text.startswith(("else:", "elif ")) for it in inside[1:])
        ):
            for it in found[at + 1 : end]:
                it.depth -= 1
            found[at + 1].text = f"el{found[at + 1].text}"
            del found[at]
            continue
        at += 1
    return found


@dataclass
class Names:
    """Attributes of a class: each has a base, `conv`, and a mark, `__m3__`, until all are known."""

    bases: dict[str, tuple[str, bool]] = field(default_factory=dict)
    #: What lists are called that the source has a name for.
    lists: dict[str, str] = field(default_factory=dict)

    def add(self, base: str, is_given: bool = False, listed: str = "") -> str:
        """A mark for a module. `is_given`: by the source; `listed`: what its list is called."""
        mark = f"__m{len(self.bases)}__"
        self.bases[mark] = (base, is_given)
        if listed:
            self.lists[f"{mark}s"] = listed
        return mark

    def settled(self, taken: Iterable[str] = ()) -> dict[str, str]:
        """The names for the marks: those that share one are numbered. `taken`: other attributes."""
        counts: dict[str, int] = {}
        for base, _ in self.bases.values():
            counts[base] = counts.get(base, 0) + 1
        taken, numbers, found = set(taken), dict[str, int](), dict[str, str]()
        for mark, (base, _) in self.bases.items():
            if counts[base] == 1 and base not in taken:
                name = base
            else:
                while True:
                    numbers[base] = numbers.get(base, 0) + 1
                    name = f"{base}{'_' if base[-1:].isdigit() else ''}{numbers[base]}"
                    if name not in taken and name not in counts:
                        break
            taken.add(name)
            found[mark] = name
        return {**found, **self.lists}


MARK = re.compile(r"__m\d+__(s?)")


def plural(name: str) -> str:
    """What a list of them is called."""
    if number := re.search(r"(?<=[a-z])\d+$", name):
        return f"{plural(name[: number.start()])}{number[0]}"
    return f"{name}es" if name.endswith(("s", "x", "sh", "ch")) else f"{name}s"


def singular(name: str) -> str:
    """What one of a list is called."""
    return name[:-1] if name.endswith("s") and len(name) > 2 else name


def named(text: str, names: dict[str, str]) -> str:
    """A text with names for its marks."""

    def one(found: re.Match[str]) -> str:
        if found[0] in names:
            return names[found[0]]
        mark = found[0].removesuffix("s") if found[1] else found[0]
        return plural(names[mark]) if found[1] else names[mark]

    return MARK.sub(one, text)


def tidy(text: str) -> str:
    """A statement without brackets that it does not need."""
    if "((" not in text and not re.search(r"(= |return )\(", text):
        return text
    try:
        return ast.unparse(ast.parse(text))
    except SyntaxError:
        return text


def bare(text: str) -> str:
    """A tuple without its brackets."""
    return text[1:-1] if text.startswith("(") and "(" not in text[1:] else text


def atom(text: str) -> str:
    """A text that an attribute may follow."""
    return text if binds_of(text) == ATOM else f"({text})"


def index_text(node: ast.expr) -> str:
    """The text of an expression, or of an index: slices are text in their brackets alone."""
    whole = ast.Subscript(ast.Name("_", ast.Load()), node, ast.Load())
    has_slices = isinstance(node, ast.Slice) or any(
        isinstance(it, ast.Slice) for it in ast.iter_child_nodes(node)
    )
    return ast.unparse(whole)[2:-1] if has_slices else ast.unparse(node)
