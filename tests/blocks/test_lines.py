"""The factored program is never longer than the flat one, and finding classes costs nobody the port."""

from __future__ import annotations

import os

import pytest
from tests.blocks.graphs import Network, block, head, network

from torchport import pipeline
from torchport.graph import Graph
from torchport.options import Options
from torchport.pipeline import written

#: Networks are drawn from this seed on; TORCHPORT_NETWORKS=1000 draws more.
FIRST, COUNT = int(os.environ.get("TORCHPORT_SEED", 0)), int(os.environ.get("TORCHPORT_NETWORKS", 60))


def lines(graph: Graph, flat: bool = False) -> int:
    program = written(graph, "Net", Options(flat=flat))
    assert not any("failed" in note for note in program.notes), program.notes
    return program.code.count("\n")


@pytest.mark.parametrize("tens", range(COUNT // 10))
def test_random_networks(tens: int) -> None:
    for seed in range(FIRST + 10 * tens, FIRST + 10 * tens + 10):
        graph = network(seed)
        assert lines(graph) <= lines(graph, flat=True), seed


def test_an_optional_part_inside_of_another() -> None:
    plan = ((3, False, None, True), (1, False, None, False), (1, False, None, False)), "concat", True
    net = Network()
    x = net.layer("Conv2D", "image", filters=3, kernel_size=3, padding="same")
    for stride, short in ((2, False), (1, False), (1, False), (1, True)):
        x = block(net, x, plan, 2, stride, short)
    graph = head(net, x)
    assert lines(graph) <= lines(graph, flat=True)


@pytest.mark.parametrize("where", ["factor", "name_classes"])
def test_a_search_that_fails_leaves_the_flat_program(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network(0)
    flat = written(graph, "Net", Options(flat=True))
    whole = getattr(pipeline, where)

    def failing(definition, *args):  # type: ignore[no-untyped-def]
        if where == "name_classes" and not definition.parts:
            return whole(definition, *args)
        raise KeyError("s3")

    monkeypatch.setattr(pipeline, where, failing)
    program = written(graph, "Net")
    assert program.code == flat.code and program.entries == flat.entries
    assert len(program.notes) == 1 and "KeyError" in program.notes[0] and "--flat" in program.notes[0]
