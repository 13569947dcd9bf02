"""What a conversion gave: the class, its tensors on both sides, what is left, what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport import training
from torchport.axes import parse
from torchport.graph import Graph
from torchport.port import Port
from torchport.port.summary import parameters
from torchport.program import Definition, Spec
from torchport.report.terminal import counted, grid, size, styled
from torchport.rules.norm import keeps_biased
from torchport.rules.sizes import axis_of

if TYPE_CHECKING:
    from rich.console import Console


def facts(port: Port, folder: Path) -> dict[str, Any]:
    """The conversion as data. Shapes are in PyTorch's order; null is known only at run time."""
    graph = port.program.graph
    return {
        "class": port.class_name,
        "source": {"path": str(port.source), "model": graph.name, "keras": graph.dialect},
        "folder": str(folder),
        "inputs": [_spec(it) for it in port.inputs],
        "outputs": [_spec(it) for it in port.outputs],
        "parameters": parameters(port),
        "permutes": [vars(it) for it in port.permutes],
        "training": port.program.training,
        "files": [
            {"path": str(it), "bytes": it.stat().st_size} for it in sorted(folder.iterdir()) if it.is_file()
        ],
        "notes": list(notes(port)),
        "returns": port.returns,
    }


def _spec(spec: Spec) -> dict[str, Any]:
    return {
        "name": spec.name, "dtype": spec.dtype, "source_axes": spec.source_axes,
        "torch_axes": spec.torch_axes, "shape": list(spec.shape),
    }  # fmt: skip


def notes(port: Port) -> Iterator[str]:
    """What a person should know who trains the port further."""
    biased = 0 if port.options.exact else len(set(biased_batch_norms(port.program.graph)))
    if biased:
        yield (
            f"BatchNormalization ({counted(biased, 'layer')}): in training torch updates "
            "running_var with n/(n-1) of the batch's variance, Keras with the variance itself. "
            "Inference is the same; --exact matches Keras to the last bit."
        )
    synchronized = len(set(synchronized_batch_norms(port.program.graph)))
    if synchronized:
        yield (
            f"synchronized=True ({counted(synchronized, 'layer')}): on several devices wrap the module with "
            "nn.SyncBatchNorm.convert_sync_batchnorm(model); on one nothing differs."
        )
    frozen = len(set(frozen_layers(port.program.graph)))
    if frozen:
        yield f"trainable=False ({counted(frozen, 'layer')}): requires_grad is off."
    yield from training.notes(port.program.training)
    yield from port.program.notes


def frozen_layers(graph: Graph, path: str = "") -> Iterator[str]:
    """Layers with weights that do not train, those of nested models included."""
    yield from (f"{path}{op.layer}" for op in graph.ops if op.stored and op.frozen)
    for layer, body in graph.bodies.items():
        yield from frozen_layers(body, f"{path}{layer}/")


def synchronized_batch_norms(graph: Graph) -> Iterator[str]:
    """Layers whose statistics are those of the batch of all devices."""
    for op in graph.ops:
        if op.kind == "BatchNormalization" and op.config.get("synchronized"):
            yield f"{graph.name}/{op.layer}"
    for body in graph.bodies.values():
        yield from synchronized_batch_norms(body)


def biased_batch_norms(graph: Graph) -> Iterator[str]:
    """Layers whose running variance Keras keeps biased and torch does not."""
    for op in graph.ops:
        if op.kind == "BatchNormalization" and op.is_in_training and not op.config.get("renorm"):
            rank = len(graph.tensors[op.outputs[0]].shape)
            axis, synchronized = axis_of(op.config.get("axis", -1), rank), bool(op.config.get("synchronized"))
            if keeps_biased(graph.dialect, axis, rank, synchronized):
                yield f"{graph.name}/{op.layer}"
    for body in graph.bodies.values():
        yield from biased_batch_norms(body)


def definitions(definition: Definition) -> Iterator[Definition]:
    """A definition and all in it."""
    yield definition
    for part in definition.parts.values():
        yield from definitions(part)


def show(found: dict[str, Any], console: Console) -> None:
    """The facts for a person."""
    source = found["source"]
    console.print()
    console.print(
        styled(f"  {found['class']}", "bold green"),
        styled(f"from {source['path']} (Keras {source['keras']})", "dim"),
        soft_wrap=True,
    )
    console.print()
    _tensors(found, console)
    console.print()
    console.print(styled(f"  {counted(found['parameters'], 'parameter')}, {_left(found)}"))
    for it in found["permutes"]:
        line = f"    {it['tensor']}: {it['source']} -> {it['target']}, for {', '.join(it['readers'])}"
        console.print(styled(line), styled(f"({it['why']})", "dim"))
    console.print()
    files = grid({}, {"justify": "right", "style": "dim"})
    for it in found["files"]:
        files.add_row("", styled(it["path"]), styled(size(it["bytes"])))
    console.print(files)
    for note in found["notes"]:
        table = grid({"style": "yellow"}, {})
        table.add_row("", "note", styled(note))
        console.print()
        console.print(table)


def _left(found: dict[str, Any]) -> str:
    left = len(found["permutes"])
    return f"{counted(left, 'permute')} left in forward{':' if left else ''}"


def _tensors(found: dict[str, Any], console: Console) -> None:
    """Inputs and outputs: axes in Keras, axes in PyTorch, shape."""
    table = grid({"style": "dim"}, {"style": "bold"}, {}, {}, {}, {"style": "dim"})
    table.add_row("", "", "", styled("Keras", "dim"), styled("PyTorch", "dim"), "", "")
    for role in ("input", "output"):
        for it in found[f"{role}s"]:
            names = parse(it["torch_axes"])
            pairs = zip(names, it["shape"], strict=True)
            shape = ", ".join(
                name.strip("()").replace(" ", " * ") if length is None else str(length)
                for name, length in pairs
            )
            table.add_row(
                "", role, styled(it["name"]), styled(it["source_axes"]),
                styled(it["torch_axes"]), styled(f"({shape})"), styled(it["dtype"]),
            )  # fmt: skip
    console.print(table)


def next_command(source: Path, folder: Path, files: Mapping[str, object | None]) -> str:
    """The command that verifies a conversion, as one can paste it; `files` are the options that both take."""
    words = ["torchport", "verify", path_word(source), path_word(folder)]
    for option, value in files.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words += [option, path_word(one)] if one is not None else []
    return shlex.join(words)


def path_word(path: object) -> str:
    """A path that is no option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def show_next(source: Path, folder: Path, files: Mapping[str, object | None], console: Console) -> None:
    """What comes after a conversion."""
    command = next_command(source, folder, files)
    console.print()
    console.print(styled("  next", "dim"), styled(command, "bold"), soft_wrap=True)
    console.print()
