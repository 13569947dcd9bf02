"""Whichever way a model is written, it computes the same: orders free, orders kept, factored, flat.

The graphs are those of the replay; torch alone is needed. A fault of the layout, of a weight's transform or
of the blocks shows as another number, also where no text is expected.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch
from tests.replay.codec import decode
from tests.replay.replay import CORPUS, load, without_formatting

from torchport import pipeline
from torchport.axes import Order, dims
from torchport.errors import Refused
from torchport.graph import Graph
from torchport.options import Options
from torchport.pipeline import Program
from torchport.port.run import tensor

WAYS = {"free": Options(), "keep_io": Options(keep_io=True), "flat": Options(flat=True)}
#: Of how many graphs of a part one is computed: those of a layer differ in one option.
STEPS = {"dialects": 4, "keras_2": 4, "layers": 3, "operations": 8, "random": 10}
#: What open sizes are.
OPEN = 48


def values(array: np.ndarray, name: str) -> torch.Tensor:
    """Fractions in the place of the numbers 1, 2, 3, …: each element's own, wherever it stands."""
    if array.dtype.kind != "f":
        return torch.as_tensor(array)
    spread = (array.astype("float64") * 0.618 + zlib.crc32(name.encode()) % 97 / 97) % 1
    return torch.as_tensor(0.25 + spread / 2)


def module(program: Program) -> torch.nn.Module:
    """The module of a program in float64, its weights as fractions."""
    space: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
    exec(compile(program.code, "model.py", "exec"), space)
    torch.set_default_dtype(torch.float64)
    try:
        made: torch.nn.Module = space["Replay"]()
    finally:
        torch.set_default_dtype(torch.float32)
    constant = {entry.name for entry in program.entries if not entry.source}
    state = {
        entry.name: torch.from_numpy(np.array(entry.array()))
        if entry.name in constant
        else values(entry.array(), entry.source)
        for entry in program.entries
    }
    made.load_state_dict(state)
    return made.eval()


def inputs(graph: Graph) -> list[np.ndarray]:
    """Arrays for the inputs, in the source's order."""
    rng = np.random.default_rng(0)
    shapes = [[2, *(size or OPEN for size in graph.tensors[name].shape[1:])] for name in graph.inputs]
    return [
        rng.normal(size=shape) if "float" in graph.tensors[name].dtype
        else rng.integers(0, 3, shape).astype(graph.tensors[name].dtype)
        for name, shape in zip(graph.inputs, shapes, strict=True)
    ]  # fmt: skip


def flat(found: Any) -> list[torch.Tensor]:
    """The tensors in what a module gives."""
    if isinstance(found, torch.Tensor):
        return [found]
    return [it for part in (found.values() if isinstance(found, dict) else found) for it in flat(part)]


def computed(graph: Graph, options: Options) -> list[np.ndarray]:
    """The outputs of a graph's program, in the source's order of axes."""
    program = pipeline.written(graph, "Replay", options)
    given = [
        tensor(array, spec, torch.float64)
        for array, spec in zip(inputs(graph), program.definition.inputs, strict=True)
    ]
    with torch.no_grad():
        found = flat(module(program)(*given))
    specs = program.definition.outputs
    if len(specs) != len(found):  # one tensor several times
        return [it.numpy() for it in found]
    return [
        it.permute(dims(spec.order, Order.SOURCE, it.dim())).numpy()
        for it, spec in zip(found, specs, strict=True)
    ]


@pytest.mark.parametrize("part", STEPS)
def test_all_ways_agree(part: str) -> None:
    graphs = list(load(CORPUS, part).items())[:: STEPS[part]]
    wrong, tried = [], 0
    with without_formatting():
        for name, encoded in graphs:
            graph = decode(encoded)
            ways = WAYS if part == "random" else {way: WAYS[way] for way in ("free", "keep_io")}
            try:
                results = [computed(graph, options) for options in ways.values()]
            except Refused:
                continue
            tried += 1
            for way, result in zip(ways, results, strict=True):
                for ours, theirs in zip(result, results[0], strict=True):
                    if ours.shape != theirs.shape or not np.allclose(
                        ours, theirs, 1e-9, 1e-9, equal_nan=True
                    ):
                        wrong.append(f"{name}: {way} is not {next(iter(ways))}")
    assert not wrong, wrong
    assert tried >= 0.9 * len(graphs)
