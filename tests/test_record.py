"""port.json: what verify knows of a port is data, and comes back as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchport
from torchport.axes import Turn
from torchport.errors import BadFile
from torchport.record import FORMAT, PortRecord, Stored, steps, text, turn_of
from torchport.verify.folder import read_record

UNET = Path(__file__).parents[1] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: A transform of each kind, and the shape of what it is for.
TURNS = [
    (Turn("h w i o -> o i h w"), (2, 3, 4, 5)),
    (Turn("i o -> o i", ((0, ((2, 3, 4),)),)), (24, 5)),
    (Turn("i o -> o i", ((0, ((2, 3, 4), (1, 1, 6))),)), (30, 5)),
    (Turn("i o -> o i", (), (), ((1, 3, (1, 0, 2)),)), (4, 9)),
    (Turn("i o -> o i", (), (), ((1, 4, (0, 2)),)), (3, 8)),
    (Turn("h w i m -> (i m) 1 h w", (), (("i", 3), ("m", 2))), (2, 2, 3, 2)),
    (Turn("g -> g", (), (), (), (2, 6)), (12,)),
]


@pytest.mark.parametrize(("turn", "shape"), TURNS, ids=lambda it: str(it)[:40])
def test_a_transform_is_data(turn: Turn, shape: tuple[int, ...]) -> None:
    """Through JSON and back, it does the same, undoes it, and says where each element went."""
    again = turn_of(json.loads(json.dumps(steps(turn))))
    assert again == turn
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    held = again.apply(array)
    np.testing.assert_array_equal(again.undo(held), turn.part(array))
    left = 0
    for at in list(np.ndindex(*shape))[::7]:
        found = again.index(shape, at)
        left += found is None
        assert found is None or held[found] == array[at]
    assert (left > 0) == (held.size < array.size)


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ValueError, match="sideways"):
        turn_of([{"sideways": 1}])


@pytest.mark.parametrize("options", [{}, {"flat": True}, {"keep_io": True}], ids=str)
def test_a_record_comes_back(options: dict[str, Any], tmp_path: Path) -> None:
    port = torchport.convert(UNET, **options)
    record = read_record(port.save(tmp_path / "port"))
    assert record.options == port.options and record.class_name == port.class_name
    assert [it.tensor.name for it in record.inputs] == [it.tensor.name for it in port.inputs]
    assert [it.torch_axes for it in record.outputs] == [it.torch_axes for it in port.outputs]
    for entry, stored in zip(port.program.entries, record.weights, strict=True):
        assert (stored.name, stored.source, stored.shape) == (entry.name, entry.source, entry.shape)
        assert isinstance(stored, Stored) and stored.turn == getattr(entry.load, "turn", None)
    tensors = {name for it in record.modules.values() for names in it.tensors.values() for name in names}
    tensors |= {it.gives for it in record.modules.values()}
    assert {name.partition(".channels")[0] for name in tensors} >= set(record.graph.outputs)
    layers = {op.layer.removesuffix(".activation") for op in record.graph.ops if op.kind == "Conv2D"}
    assert layers <= set(record.layers)


def test_a_record_is_for_people_too(tmp_path: Path) -> None:
    """What is short stands in one line; it is JSON all the same."""
    record = torchport.convert(UNET).record()
    written = text(record)
    assert json.loads(written) == json.loads(json.dumps(record))
    assert '"steps": [{"rearrange": "h w i o -> o i h w"}]' in written
    assert written.count("\n") * 2 < json.dumps(record, indent=1).count("\n")


@pytest.mark.parametrize("change", ["format", "graph", "trace", "weights", "steps"])
def test_another_record_is_refused(change: str, tmp_path: Path) -> None:
    """One of an older torchport, or that lacks something: the reason, and what to do."""
    folder = torchport.convert(UNET).save(tmp_path / "port")
    record = json.loads((folder / "port.json").read_text())
    if change == "steps":
        name = next(iter(record["weights"]))
        record["weights"][name]["steps"] = [{"sideways": 1}]
    else:
        del record[change]
    (folder / "port.json").write_text(json.dumps(record))
    with pytest.raises(BadFile) as caught:
        read_record(folder)
    assert "convert the model again" in caught.value.advice
    assert "port.json" in caught.value.where or str(folder) in caught.value.where


def test_the_format_is_written() -> None:
    assert torchport.convert(UNET).record()["format"] == FORMAT
    with pytest.raises(BadFile):
        PortRecord.of({"format": FORMAT + 1})
