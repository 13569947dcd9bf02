"""Cards: every kind has one that says something, and every element that one names is in both files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.geometry.corpus import ports
from tests.geometry.graphs import explanation

import torchport
from torchport.geometry import table
from torchport.geometry.drawings import stamps, windows
from torchport.geometry.explanation import Explanation
from torchport.geometry.facts import facts
from torchport.geometry.mistakes import ALL
from torchport.rules.window import Transposed, Window

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"


@pytest.fixture(scope="module")
def unet() -> Explanation:
    return torchport.explain(UNET)


@pytest.mark.parametrize(("part", "least"), [("layers", 120), ("operations", 200), ("keras_2", 60)])
def test_every_case_of_the_table_has_a_card_and_a_document(part: str, least: int) -> None:
    """What it reads, where it is in model.py, what it costs; no section is empty, no number is none."""
    kinds = set()
    for name, port in ports(part):
        network = facts(port)
        document = json.loads(network.text())
        assert document["schema"] == 1 and document["code"] == port.code, name
        assert [*table.lines(network, 80)], name
        for op in network.ops:
            titles = [section.title for section in op.card]
            wanted = {"layer", "shape", "costs", *(["reads"] if op.reads else [])}
            assert wanted <= {*titles}, (name, op.id, titles)
            assert all(line.strip() for section in op.card for line in section.lines), (name, op.id)
            numbers = [line for it in op.card if it.title != "layer" for line in it.lines]
            assert not re.search(r"\bnan\b", " ".join(numbers)), (name, op.id, op.card)
            kinds.add(op.kind)
    assert len(kinds) > least


def test_elements_of_tensors_are_where_a_permute_takes_them(unet: Explanation) -> None:
    line = re.compile(
        r"^y\[n, ([\d, ]+)\] is y\[n, ([\d, ]+)\]: in memory at ([\d,]+) of .* now at ([\d,]+)$"
    )
    tensors = {it.id: it for it in unet.network.tensors}
    count = 0
    for op in unet.network.ops:
        for text in (text for section in op.card if section.title == "element" for text in section.lines):
            at, to, place, now = line.match(text).groups()  # type: ignore[union-attr]
            sizes = [size or 1 for size in tensors[op.id].keras.sizes[1:]]
            numbers = np.arange(np.prod(sizes)).reshape(sizes)
            own = numbers[tuple(map(int, at.split(",")))]
            turned = numbers.transpose(2, 0, 1)
            assert own == int(place.replace(",", ""))
            assert turned[tuple(map(int, to.split(",")))] == own
            assert turned.reshape(-1)[int(now.replace(",", ""))] == own
            count += 1
    assert count == len(unet.network.ops)


def lines_of(found: Explanation, op: str, title: str) -> tuple[str, ...]:
    card = next(it for it in found.network.ops if it.id == op).card
    return next((section.lines for section in card if section.title == title), ())


def test_rows_behind_a_flatten_are_where_they_are_said_to_be() -> None:
    """The sums that count them, the row and column of one element, and how many rows stay."""
    found = explanation("nested")
    keras, torch, stay, element = lines_of(found, "fc", "flatten")
    h, w, c = map(int, re.findall(r"(\d+)·(\d+)·(\d+) as \(h w c\)", keras)[0])
    assert keras.endswith(f"row (h·{w} + w)·{c} + c of the kernel")
    assert torch == f"PyTorch counts them as (c h w): column (c·{h} + h)·{w} + w of the weight"
    order = np.arange(h * w * c).reshape(h, w, c).transpose(2, 0, 1).ravel()
    assert f"; {(order == np.arange(h * w * c)).sum():,} of {h * w * c:,} stay" in stay
    at, source, target, value = re.findall(
        r"^h w c = ([\d ]+): kernel\[(.*)\] is weight\[(.*)\] = (\S+)$", element
    )[0]
    row, unit = map(int, source.split(", "))
    assert row == np.ravel_multi_index([*map(int, at.split())], (h, w, c))
    own, column = map(int, target.split(", "))
    assert own == unit and order[column] == row
    entry = next(it for it in found.port.program.entries if it.name == "fc.weight")
    assert f"{entry.array()[own, column]:+.6f}" == value
    sample = next(it for it in found.network.layers if it.id == "fc").weights[0].sample
    assert sample is not None and entry.load.source is not None  # type: ignore[union-attr]
    corner = entry.load.source.load().reshape(h, w, c, -1)[:, :, :4, :4]  # type: ignore[union-attr]
    assert np.allclose(
        np.reshape(sample["values"], sample["shape"]), corner[: sample["shape"][0], : sample["shape"][1]]
    )


#: What an output step reads, in the words of its card. Source: numpy's functions of the same names.
SAID = {
    "ops.repeat(x,3,axis=1)[2,5,7,3]": "its h // 3, its own w, its own c",
    "ops.tile(x,(1,2,1,3))[2,5,7,3]": "its h mod 5, its own w, its c mod 3",
    "ops.tile(x,(2,3))[2,5,7,3]": "its own h, its w mod 7, its c mod 3",
    "ops.depth_to_space(x,2)[2,3,5,12]": (
        "its h // 2, its w // 2, one c: ((row mod 2)·2 + column mod 2)·3 + its own"
    ),
    "ops.take(x,[2,0,2],axis=1)[2,5,7,3]": "h = the index at its own, its own w, its own c",
    "ops.diff(x,n=2,axis=1)[2,5,7,3]": "3 h, its own w, its own c",
    "ops.slice(x,(0,1,2),(2,3,1))[2,5,3]": "its t, moved by -1, its c, moved by -2",
    "x[:,::-1][2,5,7,3]": "h = 4 - 1·its own, its own w, its own c",
    "ops.rot90(x,k=1,axes=(1,2))[2,5,7,3]": "its own h, its w, counted from the end, its own c",
    "ops.einsum('nthd,nshd->nhts',x,y)[2,5,4,3+2,7,4,3]": "its own h, its own w, all 3 c",
}


def test_what_is_moved_is_said_exactly() -> None:
    """What is repeated, tiled, cut, turned, indexed: which step, as a formula."""
    told = {
        name: next(line for section in op.card if section.title == "reads" for line in section.lines)
        for name, port in ports("operations", tuple(SAID)) for op in facts(port, values=False).ops
        if name in SAID
    }  # fmt: skip
    assert {name: line.partition(": ")[2] for name, line in told.items()} == SAID


def test_a_result_that_is_taken_apart_is_where_it_is_made() -> None:
    """`x, _ = self.lstm1(x)` gives x, not the x of the line below; what wraps a layer names it."""
    found = explanation("bilstm")
    tensor = next(it for it in found.network.tensors if it.id == "bidirectional")
    assert tensor.span is not None and tensor.code == "self.lstm1(x)"
    line = found.network.code.split("\n")[tensor.span.line - 1]
    assert line.strip() == "x, _ = self.lstm1(x)"
    assert line[tensor.span.column : tensor.span.end_column] == tensor.code
    assert lines_of(found, "bidirectional", "layer")[0].startswith("Bidirectional(LSTM(units=")


def test_mistakes_of_recurrent_layers_and_attention_are_those_of_their_weights() -> None:
    import torch

    bilstm = explanation("bilstm")
    (twice,) = (it for it in lines_of(bilstm, "bidirectional", "mistake") if "two biases" in it)
    bias = {it.name: it for it in bilstm.port.program.entries}["lstm1.bias_ih_l0_reverse"].array()
    assert f"The largest is {abs(bias).max():.3g};" in twice
    one, two = torch.nn.LSTM(1, 1), torch.nn.LSTM(1, 1)
    two.load_state_dict({**one.state_dict(), "bias_hh_l0": 2 * one.bias_hh_l0 + one.bias_ih_l0,
                         "bias_ih_l0": -one.bias_hh_l0})  # fmt: skip
    assert torch.allclose(one(torch.ones(2, 1))[0], two(torch.ones(2, 1))[0])  # both are added
    transformer = explanation("transformer")
    kind = next(it for it in transformer.network.ops if it.kind == "MultiHeadAttention")
    (reshaped,) = lines_of(transformer, kind.id, "mistake")
    shape = re.findall(r"^kernel\.reshape\((\d+), (\d+)\) has the right shape", reshaped)
    assert shape == [("64", "64")]


def test_windows_are_drawn_as_they_slide() -> None:
    assert [*windows(Window(3, 2, padding="same"), 6)] == [
        "x      0 1 2 3 4 5 ·", "y0     0 1 2", "y1         0 1 2", "y2             0 1 2",
    ]  # fmt: skip
    assert [*stamps(Transposed(3, 2, padding="same"), 3)] == [
        "x0     0 1 2", "x1         0 1 2", "x2             0 1 2", "y      0 1 2 3 4 5 ×",
        "taps   1 1 2 1 2 1",
    ]  # fmt: skip


def test_the_mistakes_are_the_numbers_of_the_design() -> None:
    """One dimension of a transposed convolution: x = 1 2 3, kernel 1 10 100."""
    from torchport.geometry.mistakes import Scene, cut_at_both_ends, in_one_dimension

    over = Transposed(3, 2, padding="same")
    assert in_one_dimension(over, 3, [1, 10, 100], [1, 2, 3]) == [1, 10, 102, 20, 203, 30]
    scene = Scene("Conv2DTranspose", {}, [("h", over, 32)], {}, {}, (1, 32, 32, 16))
    text = [*cut_at_both_ends(scene)]
    assert text[0].startswith("padding=1, output_padding=1 gives the same shape")
    assert text[-1].split()[-6:] == ["10", "102", "20", "203", "30", "300"]


def test_mistakes_of_a_torch_that_makes_them() -> None:
    """What is said of a wrong port is what torch gives with it."""
    import torch

    x, kernel = torch.tensor([[[1.0, 2, 3]]]), torch.tensor([[[1.0, 10, 100]]])
    wrong = torch.nn.functional.conv_transpose1d(x, kernel, stride=2, padding=1, output_padding=1)
    assert wrong.flatten().tolist() == [10, 102, 20, 203, 30, 300]
    right = torch.nn.functional.conv_transpose1d(x, kernel, stride=2)[..., :-1]
    assert right.flatten().tolist() == [1, 10, 102, 20, 203, 30]
    assert len(ALL) == 10


@pytest.mark.parametrize("width", [100, 80, 60, 40])
def test_table_and_cards_fit_the_terminal(unet: Explanation, width: int) -> None:
    lines = unet.table(width).splitlines()[2:]
    assert max(map(len, lines)) <= max(width, 48)
    card = [line for line in unet.card("up3", width).splitlines() if line.strip()]
    assert max(map(len, card)) <= max(width, 60)


def test_a_layer_that_is_not_there_is_told_from_those_that_are(unet: Explanation) -> None:
    with pytest.raises(torchport.TorchportError, match="no layer 'enc1_conv'(.|\n)*enc1_conv"):
        unet.card("enc1_conv")
    with pytest.raises(torchport.TorchportError, match="--layer enc1_conv1;"):
        unet.card("ENC1_CONV1")
    assert unet.card("enc1.conv1") == unet.card("enc1_conv1")
    inside = [it.id for it in unet.ops("enc1")]  # a block, as the table names it
    assert inside[:2] == ["enc1_conv1", "enc1_bn1"] and all(it.startswith("enc1_") for it in inside)


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("s", range(1, 4))
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_what_is_cut_off_leaves_what_is_said(k: int, s: int, padding: str) -> None:
    """Of all that is stamped: the sum on a card adds up, and the document's `before` and `after` too."""
    from torchport.geometry.arithmetic import says

    over = Transposed(k, s, padding=padding)
    before, after = over.ends(5)
    assert 4 * s + k - before - after == over.length(5)
    stamped, start, end, length = map(int, re.findall(r"-?\d+", says(over, 5).partition(" = ")[2]))
    is_added = "added" in says(over, 5)
    assert stamped - start + (end if is_added else -end) == length
