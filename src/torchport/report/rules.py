"""What is ported: the table of rules for people, for machines, and for docs/rules.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchport.report.terminal import styled
from torchport.rules import TABLE, Rule
from torchport.rules.families import FAMILIES
from torchport.rules.refused import REFUSED
from torchport.rules.refused_operations import REFUSED_OPERATIONS
from torchport.rules.table import named

if TYPE_CHECKING:
    from rich.console import Console

#: A kind with this prefix is a function, what `activation="relu"` names.
FUNCTION = "activation:"
#: A kind with this prefix is an operation in a graph.
OPERATION = "keras.ops."


def rows() -> list[dict[str, Any]]:
    """A dict for each rule: family, kinds, how it is written, options with the source's defaults.

    An option without a default is required: its default is missing.
    """
    order = {it.__name__.removeprefix("torchport.rules."): at for at, it in enumerate(FAMILIES)}
    rules = {it.kinds: it for it in TABLE.values()}.values()
    return [
        {
            "family": it.family,
            "kinds": list(it.kinds),
            "written": (it.write.__doc__ or "").partition("\n")[0],
            "options": _options(it),
        }
        for it in sorted(rules, key=lambda it: order.get(it.family, len(order)))
    ]


def is_layer(name: str) -> bool:
    """Whether a kind is a class of Keras's layers, no function or operation, nothing that a stage made up."""
    return not any(sign in name for sign in ".:>")


def _options(rule: Rule) -> dict[str, dict[str, Any]]:
    defaults = rule.defaults
    order = {name: at for at, name in enumerate(named(rule.write))}
    options: dict[str, dict[str, Any]] = {
        name: {"default": defaults[name]} if name in defaults else {}
        for name in sorted(rule.options, key=lambda it: (order.get(it, len(order)), it))
    }
    if rule.splits_activation:
        options["activation"] = {"default": None}
    return options


def refused() -> list[tuple[str, tuple[str, str]]]:
    """What is refused: layers, then operations, with the reason and the alternative."""
    operations = {f"keras.ops.{name}": it for name, it in REFUSED_OPERATIONS.items()}
    return [*sorted(REFUSED.items()), *sorted(operations.items())]


def option(name: str, entry: dict[str, Any]) -> str:
    """`strides=1`; a required one is its name alone."""
    return f"{name}={entry['default']!r}" if "default" in entry else name


def kind(name: str) -> str:
    """A layer's name; a function in quotes, as in `activation="relu"`."""
    return f'"{name.removeprefix(FUNCTION)}"' if name.startswith(FUNCTION) else name


def markdown() -> str:
    """The table as a page."""
    found = rows()
    names = [name for it in found for name in it["kinds"]]
    layers, functions = sum(map(is_layer, names)), sum(name.startswith(FUNCTION) for name in names)
    operations = sum(name.startswith(OPERATION) for name in names)
    lines = [
        "# What torchport ports",
        "",
        f"{layers} layers, {functions} activation functions and {operations} operations. "
        "An option that is not listed is refused by name.",
        "This page is generated: `torchport rules --markdown > docs/rules.md`.",
    ]
    family = ""
    for it in found:
        if it["family"] != family:
            family = it["family"]
            lines += [
                "",
                f"## {family}",
                "",
                "| Keras | PyTorch | options |",
                "| --- | --- | --- |",
            ]
        kinds = ", ".join(f"`{kind(name)}`" for name in it["kinds"])
        options = ", ".join(f"`{option(*pair)}`" for pair in it["options"].items())
        lines.append(f"| {kinds} | {it['written'].replace('|', chr(92) + '|')} | {options} |")
    lines += ["", "## Refused", "", "| Keras | why | instead |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {why} | {advice} |" for name, (why, advice) in refused()]
    return "\n".join(lines) + "\n"


def show(console: Console) -> None:
    """The table for a person, a section for each family."""
    from rich.table import Table

    families: dict[str, list[dict[str, Any]]] = {}
    for it in rows():
        families.setdefault(it["family"], []).append(it)
    width = min(console.width, 140)
    for family, members in families.items():
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, width=width)
        table.add_column(
            width=max(28, *(len(kind(name)) for it in members for name in it["kinds"])), style="bold"
        )
        table.add_column(ratio=1)
        table.add_column(ratio=1, style="dim")
        for it in members:
            table.add_row(
                styled(" ".join(map(kind, it["kinds"]))), styled(it["written"]),
                styled(" ".join(option(*pair) for pair in it["options"].items())),
            )  # fmt: skip
        console.print(styled(f"\n{family}", "bold green"))
        console.print(table)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, width=width)
    table.add_column(width=max(len(name) for name, _ in refused()), style="bold")
    table.add_column(ratio=1)
    table.add_column(ratio=1, style="dim")
    for name, (why, advice) in refused():
        table.add_row(styled(name), styled(why), styled(advice))
    console.print(styled("\nrefused", "bold green"))
    console.print(table)


#: README's table stands between these.
MARKS = ("<!-- generated: torchport.report.rules.families -->", "<!-- end of generated -->")


def families() -> str:
    """The layers by family in few lines, for the README; operations of keras.ops are counted."""
    found: dict[str, list[str]] = {}
    operations = 0
    for it in rows():
        for name in it["kinds"]:
            operations += name.startswith(OPERATION)
            if is_layer(name):
                found.setdefault(it["family"], []).append(f"`{name}`")
    lines = ["| family | layers |", "| --- | --- |"]
    lines += [f"| {family} | {', '.join(names)} |" for family, names in found.items()]
    names = ", ".join(f"`{name}`" for name in REFUSED)
    return "\n".join([
        *lines, f"| operations | {operations} operations of `keras.ops`, and those of Keras 2 files |",
        "", f"Refused, each with a reason and what to do instead: {names}; and "
        f"{len(REFUSED_OPERATIONS)} operations.",
    ])  # fmt: skip
