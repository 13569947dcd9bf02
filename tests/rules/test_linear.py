"""What layers say that they are linear in, against what their programs compute; no TensorFlow.

The layers are those of the replay. Augmentation is left out, which in evaluation changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tests.replay.codec import decode
from tests.replay.replay import CORPUS, load, without_formatting
from tests.variants.test_variants import flat, module

from torchport import pipeline
from torchport.errors import Refused
from torchport.graph import Graph
from torchport.options import Options
from torchport.rules import TABLE, find
from torchport.rules.facts import Linear

#: Whether these are affine depends on their options.
BY_OPTION = {"Activation", "Pipeline", "RNN", "STFTSpectrogram", "SpectralNormalization", "TimeDistributed"}
#: What these do to a mask, or to whole numbers, is not asked here.
OTHERS = {"Masking", "Embedding"}
OPEN = 8


@cache
def graphs() -> dict[str, list[Graph]]:
    """Up to three graphs of one layer each, without an activation and of floats, by the layer's kind."""
    found: dict[str, list[Graph]] = {}
    for part in ("layers", "keras_2"):
        for encoded in load(CORPUS, part).values():
            graph = decode(encoded)
            op, *others = graph.ops
            if others or op.config.get("activation") not in (None, "linear") or find(op.kind) is None:
                continue
            if all("float" in graph.tensors[name].dtype for name in graph.inputs):
                found.setdefault(op.kind, []).append(graph)
    return {kind: them[:: max(len(them) // 3, 1)][:3] for kind, them in found.items()}


KINDS = sorted(
    kind for kind in graphs() if kind not in BY_OPTION | OTHERS
    and not ((training := TABLE[kind].training) and training.is_image)
)  # fmt: skip


class Affine:
    """The program of a graph of one layer, and two inputs."""

    def __init__(self, graph: Graph) -> None:
        rng = np.random.default_rng(0)
        with without_formatting():
            program = pipeline.written(graph, "Replay", Options(keep_io=True))
        self.module = module(program)
        inner = {weight.name: name for op in program.graph.ops for name, weight in op.weights.items()}
        self.names = {it.name: inner.get(it.source, "") for it in program.entries if it.source}
        shapes = [[2, *(it or OPEN for it in graph.tensors[name].shape[1:])] for name in graph.inputs]
        self.x, self.other = ([torch.from_numpy(rng.normal(size=it)) for it in shapes] for _ in range(2))

    def __call__(self, *x: torch.Tensor) -> list[torch.Tensor]:
        with torch.no_grad():
            return flat(self.module(*x))

    def is_affine(self) -> bool:
        """Between two inputs, the output is between theirs."""
        between = [0.3 * one + 0.7 * other for one, other in zip(self.x, self.other, strict=True)]
        return all(
            torch.allclose(found, 0.3 * one + 0.7 * other, rtol=1e-9, atol=1e-9)
            for found, one, other in zip(self(*between), self(*self.x), self(*self.other), strict=True)
        )

    def shift(self) -> list[torch.Tensor]:
        return self(*(torch.zeros_like(it) for it in self.x))

    def product(self) -> list[torch.Tensor]:
        """A x."""
        return [found - zero for found, zero in zip(self(*self.x), self.shift(), strict=True)]

    def state(self, names: tuple[str, ...]) -> Iterator[torch.Tensor]:
        """The tensors that come of these weights of the layer."""
        state: dict[str, Any] = self.module.state_dict()
        yield from (state[name] for name, of in self.names.items() if of in names)


def affine(kind: str) -> list[Affine]:
    found = []
    for graph in graphs()[kind]:
        try:
            found.append(Affine(graph))
        except Refused:
            continue
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_affine_says_so(kind: str) -> None:
    linear = TABLE[kind].linear
    for it in affine(kind):
        assert it.is_affine() == (linear is not None)
        if linear is not None:
            check(it, linear)


def check(it: Affine, linear: Linear) -> None:
    """A is made of the weights that are named and of no other; without the shift's, b is zero."""
    before = it.product()
    assert set(it.names.values()) <= {*linear.matrix, *linear.shift}
    for tensor in it.state(linear.shift):
        tensor.add_(0.5)
    assert all(map(torch.allclose, it.product(), before))
    for tensor in it.state(linear.shift):
        tensor.zero_()
    if it.names:
        assert not any(zero.any() for zero in it.shift())
    for tensor in it.state(linear.matrix):
        tensor.mul_(1.5)
        now = it.product()
        assert not any(map(torch.allclose, now, before))
        before = now


def test_many_are_affine() -> None:
    stated = {kind for kind, rule in TABLE.items() if rule.linear}
    assert len(stated & set(KINDS)) > 40
    assert not {kind for kind in stated - set(KINDS) if not kind.startswith("keras.ops.")}
