"""The table: one line a tensor under its block, both shapes by named axes, what it sees, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchport.geometry.network import Network, Op, Side, Tensor
from torchport.report.terminal import counted, plain

if TYPE_CHECKING:
    from rich.text import Text

#: Colours of axes, the same on the page; the letter always stands beside them.
COLOURS = {"h": "red", "w": "blue", "c": "green", "t": "yellow", "d": "magenta", "n": "dim"}
#: Columns that are left out where there is no room, in this order.
DROPPED = ("multiply-adds", "weights", "sees", "kind")

#: Pieces of text, each with its style.
Line = list[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    """One line of the table: a tensor, or the name of a block."""

    depth: int
    name: str
    kind: str = ""
    keras: Side | None = None
    torch: Side | None = None
    sees: str = ""
    weights: str = ""
    multiplies: str = ""


def rows(network: Network) -> Iterator[Row]:
    """The lines of the table, the names of blocks among them."""
    ops = {it.id: it for it in network.ops}
    layers = {it.id: it for it in network.layers}
    classes = {it.path: it.cls for it in network.blocks}
    shown: tuple[str, ...] = ()
    counted_layers: set[str] = set()
    for it in network.tensors:
        path = tuple(it.module.split(".")) if it.module else ()
        for depth in range(len(path)):
            if path[: depth + 1] != shown[: depth + 1]:
                own = ".".join(path[: depth + 1])
                if own in classes:
                    yield Row(depth, f"{own}: {classes[own]}")
        shown = path
        op = ops.get(it.op or "")
        first = op is not None and op.outputs[0] == it.id
        layer = layers[op.layer] if op and first else None
        weights = ""
        if layer and layer.id not in counted_layers and layer.parameters + layer.statistics:
            counted_layers.add(layer.id)
            weights = f"{layer.parameters + layer.statistics:,}"
        depth = sum(".".join(path[: at + 1]) in classes for at in range(len(path)))
        yield Row(
            depth, it.id, op.kind if op else "input", it.keras, it.torch, sees(it, network), weights,
            products(op) if op and first else "",
        )  # fmt: skip


def products(op: Op) -> str:
    """Multiply-adds in few letters; "?" where they are not counted."""
    return "?" if op.multiplies is None else amount(op.multiplies)


def amount(count: int) -> str:
    """A large number as a person says it.

    >>> [amount(it) for it in (0, 950, 1_180_000, 2_320_000_000)]
    ['', '950', '1.18 M', '2.32 G']
    """
    if count < 1000:
        return str(count) if count else ""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            value = count / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return str(count)


def features_of(side: Side) -> int:
    """The number of the axis of features: `c`, else the last unless it is one of steps; 0 where none is."""
    if "c" in side.axes:
        return side.axes.index("c")
    return 0 if side.axes[-1:] in ((), ("t",)) else len(side.axes) - 1


def sees(it: Tensor, network: Network) -> str:
    """How much of the input it depends on, along all axes but the features: `24×24`; "all": all of it."""
    shapes = {tensor.id: tensor.keras.sizes for tensor in network.tensors}
    features = {tensor.id: features_of(tensor.keras) for tensor in network.tensors}
    by_input: dict[str, list[tuple[int, bool]]] = {}
    for one in it.sees:
        size = shapes[one.input][one.axis]
        if one.axis != features[one.input]:
            by_input.setdefault(one.input, []).append((one.most, one.most == size))
    found = [it for it in by_input.values() if it]
    if not found:
        return ""
    if any(all(whole for _, whole in axes) for axes in found) and it.op:
        return "all"
    return "×".join(str(most) for most, _ in max(found))


def lines(network: Network, width: int) -> Iterator[Line]:
    """The table in that many columns. Names are shortened in the middle, never broken."""
    found = list(rows(network))
    sides = [it for it in found if it.keras]
    cell = (
        max(
            (
                len(shown(size))
                for it in sides
                for side in (it.keras, it.torch)
                if side
                for size in side.sizes
            ),
            default=1,
        )
        + 2
    )
    rank = max((len(it.keras.sizes) for it in sides if it.keras), default=1)
    block = max(cell * max(rank - 1, 1), 9)
    widths = {
        "kind": min(max((len(it.kind) for it in sides), default=4), 18 if width >= 95 else 9) + 2,
        "sees": max(*(len(it.sees) for it in sides), 4) + 2,
        "weights": max(*(len(it.weights) for it in sides), 7) + 2,
        "multiply-adds": max(*(len(it.multiplies) for it in sides), 5) + 2,
    }
    longest = max(2 * it.depth + len(plain(it.name)) for it in sides) + 2
    columns = [*widths]
    for name in DROPPED:
        if 2 + min(longest, 20) + 2 * block + sum(widths[it] for it in columns) <= width:
            break
        columns.remove(name)
    room = width - 2 - 2 * block - sum(widths[it] for it in columns)
    first = max(min(longest, room), 8)
    yield header(columns, widths, first, block)
    letters: tuple[tuple[str, ...], ...] = ()
    for it in found:
        if it.keras is None or it.torch is None:
            yield [("  " + "  " * it.depth + shortened(plain(it.name), width - 2 - 2 * it.depth), "bold")]
            continue
        axes = (it.keras.axes[1:], it.torch.axes[1:])
        if axes != letters and any(axes):
            letters = axes
            skip = 2 + first + widths.get("kind", 0) * ("kind" in columns)
            yield [
                (" " * skip, ""),
                *cells(axes[0], axes[0], cell, block),
                *cells(axes[1], axes[1], cell, block),
            ]
        name = shortened(plain(it.name), first - 2 * it.depth - 1)
        line: Line = [(f"  {'  ' * it.depth}{name}".ljust(2 + first), "")]
        if "kind" in columns:
            line.append((shortened(it.kind, widths["kind"] - 2).ljust(widths["kind"]), "dim"))
        line += cells(it.keras.axes[1:], [shown(size) for size in it.keras.sizes[1:]], cell, block)
        line += cells(it.torch.axes[1:], [shown(size) for size in it.torch.sizes[1:]], cell, block)
        texts = {"sees": it.sees, "weights": it.weights, "multiply-adds": it.multiplies}
        line += [(texts[name].rjust(widths[name]), "") for name in columns if name in texts]
        yield line


def header(columns: Sequence[str], widths: dict[str, int], first: int, block: int) -> Line:
    titles = {"sees": "sees", "weights": "weights", "multiply-adds": "MACs"}
    skip = 2 + first + (widths["kind"] if "kind" in columns else 0)
    text = " " * skip + "Keras".rjust(block) + "PyTorch".rjust(block)
    return [(text + "".join(titles[it].rjust(widths[it]) for it in columns if it in titles), "dim")]


def cells(axes: Sequence[str], texts: Sequence[str], cell: int, block: int) -> Line:
    """Sizes, or letters, each in the colour of its axis, set to the right."""
    width = max(cell, *(len(it) + 1 for it in texts)) if texts else cell
    taken = sum(max(cell if len(it) < cell else 0, len(it) + 1) for it in texts)
    line: Line = [(" " * max(block - taken, 0), "")]
    for axis, text in zip(axes, texts, strict=True):
        own = cell if len(text) < cell else len(text) + 1
        line.append((text.rjust(min(own, width)), COLOURS.get(axis, "")))
    return line


def shown(size: int | None) -> str:
    return "n" if size is None else str(size)


def shortened(text: str, width: int) -> str:
    """A name that is too long, without its middle."""
    if len(text) <= width:
        return text
    half = max(width - 1, 1)
    return f"{text[: half - half // 2]}…{text[len(text) - half // 2 :]}" if half // 2 else text[:width]


def heading(network: Network) -> Line:
    """What the network is, in one line."""
    totals = network.totals
    size = "×".join(map(str, network.size.values()))
    of = f" at {size}" if size else ""
    missing = f" (and {counted(totals.not_counted, 'operation')} not counted)" if totals.not_counted else ""
    source = f"from {plain(network.source)} " if network.source else ""
    permutes = counted(len(network.permutes), "permute")
    return [
        (f"  {network.cls}  ", "bold green"),
        (f"{source}(Keras {network.keras}): {counted(totals.parameters, 'parameter')}, ", ""),
        (f"{amount(totals.multiplies) or '0'} multiply-adds a sample{of}{missing}, {permutes} left", ""),
    ]


def text(line: Line) -> Text:
    """A line for the terminal."""
    from rich.text import Text

    return Text.assemble(*((plain(piece), style) for piece, style in line))
