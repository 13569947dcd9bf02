"""What people get wrong when they port by hand: verify catches it, names the layer, and says what was done.

Each edit is planted in a right port. Edits that change no number pass.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.field import hand_ports
from tests.quick import Recordings

import torchport

State = dict[str, np.ndarray]
NETWORKS = {
    "cnn": hand_ports.image_network, "flat": hand_ports.flat_network,
    "rnn": hand_ports.sequence_network, "zoom": hand_ports.zoom_network,
}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """A mistake: of which network, in which layer, words of the cause; a pattern and text, or state."""

    name: str
    network: str
    layer: str
    cause: str
    text: tuple[str, str] | None = None
    state: Callable[[State], Any] | None = None


def change(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[State], Any]:
    return lambda state: state.update({name: np.ascontiguousarray(function(state[name]))})


def swap(one: str, other: str) -> Callable[[State], Any]:
    return lambda state: state.update({one: state[other], other: state[one]})


def gates(layer: str, order: tuple[int, ...]) -> Callable[[State], Any]:
    """The gates of a recurrent layer in another order."""

    def reorder(state: State) -> None:
        for name in [it for it in state if it.startswith(f"{layer}.")]:
            pieces = np.split(state[name], len(order))
            state[name] = np.concatenate([pieces[at] for at in order])

    return reorder


STEM = r"self\.stem\(F\.pad\(image, \(0, 1, 0, 1\)\)\)"
POOL = r"F\.avg_pool2d\(up, 3, stride=2, ceil_mode=True\)"
EDITS = [
    # windows
    Edit("same pads before", "cnn", "stem", "padded by 1 before h, 1 before w",
         (STEM, "self.stem(F.pad(image, (1, 0, 1, 0)))")),
    Edit("same pads both sides", "cnn", "stem", "the source's input is padded by 1 after h, 1 after w",
         (STEM, "self.stem(F.pad(image, (1, 1, 1, 1)))[:, :, :6, :8]")),
    Edit("causal pads after", "rnn", "causal", "padded by 2 after t",
         (r"F\.pad\(x, \(2, 0\)\)", "F.pad(x, (0, 2))")),
    Edit("causal pads both sides", "rnn", "causal", "padded by 1 before t, 1 after t",
         (r"F\.pad\(x, \(2, 0\)\)", "F.pad(x, (1, 1))")),
    Edit("reflected instead of zeros", "cnn", "stem", "with its reflection",
         (r"F\.pad\(image, \(0, 1, 0, 1\)\)", "F.pad(image, (0, 1, 0, 1), mode='reflect')")),
    Edit("dilation", "cnn", "mid", "its dilation is (2, 2), the source's (1, 1)",
         (r"\(3, 5\), padding=\(1, 2\)\)", "(3, 5), padding=(2, 4), dilation=2)")),
    Edit("transposed conv cropped before", "cnn", "up", "shifted by",
         (r"\[:, :, :-1, :-1\]", "[:, :, 1:, 1:]")),
    Edit("transposed conv not cropped", "cnn", "up", "1 more along axis 2",
         (r"\[:, :, :-1, :-1\]", "")),
    Edit("mean counts the padding", "cnn", "pool", "takes the mean and counts the padding",
         (POOL, "F.avg_pool2d(F.pad(up, (0, 1, 0, 1)), 3, stride=2)")),
    Edit("maximum for mean", "cnn", "pool", "takes the maximum",
         (POOL, "F.max_pool2d(up, 3, stride=2, ceil_mode=True)")),
    Edit("mean for maximum", "cnn", "peaks", "takes the mean",
         (r"F\.max_pool2d\(up, 2\)", "F.avg_pool2d(up, 2)")),
    Edit("global maximum", "cnn", "mean", "takes the maximum over axis 2, 3",
         (r"x\.mean\(dim=\(2, 3\), keepdim=True\)", "x.amax(dim=(2, 3), keepdim=True)")),
    Edit("sum for mean", "cnn", "mean", "takes the sum over axis 2, 3", (r"x\.mean\(dim", "x.sum(dim")),
    Edit("nearest", "zoom", "grow", "resizes by nearest", (r', mode="bilinear"', "")),
    Edit("align_corners", "zoom", "grow", "align_corners=True",
         (r'mode="bilinear"', 'mode="bilinear", align_corners=True')),
    Edit("activation behind a resize left out", "zoom", "last_act", "activation is missing (sigmoid)",
         (r"torch\.sigmoid\((.*)\)\n", r"\1\n")),
    # channels and axes
    Edit("BGR for RGB", "cnn", "stem", "BGR for RGB", (r"F\.pad\(image,", "F.pad(image.flip(1),")),
    Edit("upside down", "cnn", "stem", "reversed along h", (r"F\.pad\(image,", "F.pad(image.flip(2),")),
    Edit("height and width", "cnn", "side", "permuted: its axes are (n c w h)",
         (r"self\.side\(stem\)", "self.side(stem.transpose(2, 3)).reshape(-1, 6, 6, 8)")),
    Edit("order of a concatenation", "cnn", "join", "in the order [1, 0]",
         (rf"\[({POOL}), x\]", r"[x, \1]")),
    Edit("flattened as Keras does", "flat", "flat", "flattened in the order (h w c)",
         (r"torch\.flatten\(self\.conv\(image\), 1\)", "self.conv(image).permute(0, 2, 3, 1).flatten(1)")),
    Edit("subtracted the other way", "cnn", "minus", "other way round",
         (r"x = (F\.gelu\(.*\)) - x\n", r"x = x - \1\n")),
    Edit("added", "cnn", "minus", "adds", (r"(F\.gelu\(.*\)) - x\n", r"\1 + x\n")),
    # norms
    Edit("epsilon of a batch norm", "cnn", "stem_bn", "its epsilon is 1e-05, the source's 0.001",
         (r"BatchNorm2d\(6, eps=1e-3, momentum=0.01\)", "BatchNorm2d(6, momentum=0.01)")),
    Edit("momentum kept", "cnn", "stem_bn", "its momentum is 0.99, should be 0.01",
         (r"momentum=0\.01", "momentum=0.99")),
    Edit("momentum by default", "cnn", "stem_bn", "its momentum is 0.1, should be 0.01",
         (r", momentum=0\.01", "")),
    Edit("epsilon of a layer norm", "cnn", "ln", "its epsilon is 1e-05, the source's 0.001",
         (r"LayerNorm\(10, eps=1e-3\)", "LayerNorm(10)")),
    Edit("batch norm left out", "cnn", "mid_bn", "left out",
         (r"self\.mid_bn\(self\.mid\(stem\)\)", "self.mid(stem)")),
    Edit("batch norm behind the activation", "cnn", "mid_bn", "the activation stands before it",
         (r"F\.gelu\(self\.mid_bn\(self\.mid\(stem\)\)\)", "self.mid_bn(F.gelu(self.mid(stem)))")),
    # activations
    Edit("tanh approximation", "cnn", "mid_act", "GELU (tanh)",
         (r"F\.gelu\((.*?)\) - x", r"F.gelu(\1, approximate='tanh') - x")),
    Edit("slope by default", "cnn", "stem_act", "slope 0.01", (r", 0\.2\)\n", ")\n")),
    Edit("another activation", "cnn", "stem_act", "ReLU",
         (r"F\.leaky_relu\((.*), 0\.2\)\n", r"F.relu(\1)\n")),
    Edit("activation left out", "cnn", "hidden", "activation is missing (relu)",
         (r"F\.relu\(self\.hidden\(x\)\)", "self.hidden(x)")),
    Edit("softmax over the batch", "flat", "head", "softmax over axis 0", (r"dim=1\)\n\n", "dim=0)\n\n")),
    Edit("logarithm of a softmax", "flat", "head", "log softmax", (r"F\.softmax", "F.log_softmax")),
    Edit("softmax left out", "flat", "head", "activation is missing (softmax)",
         (r"F\.softmax\(self\.head\(x\), dim=1\)", "self.head(x)")),
    # weights
    Edit("spatial axes swapped", "cnn", "stem", "spatial axes are swapped", None,
         change("stem.weight", lambda w: w.swapaxes(2, 3))),
    Edit("reshaped instead of permuted", "cnn", "stem", "reshaped where its axes should be permuted", None,
         change("stem.weight", lambda w: w.transpose(2, 3, 1, 0).reshape(w.shape))),
    Edit("not transposed", "cnn", "head", "is transposed", None, change("head.weight", lambda w: w.T)),
    Edit("rows of an image", "flat", "hidden", "rows were not turned", None,
         change("hidden.weight", lambda w: w.reshape(6, 7, 3, 4).transpose(0, 2, 3, 1).reshape(6, -1))),
    Edit("mirrored", "cnn", "up", "mirrored in space",
         None, change("up.weight", lambda w: w[:, :, ::-1, ::-1])),
    Edit("mean for variance", "cnn", "mid_bn", "holds what belongs into mid_bn.running_", None,
         swap("mid_bn.running_mean", "mid_bn.running_var")),
    Edit("gamma for beta", "cnn", "mid_bn", "holds what belongs into mid_bn.", None,
         swap("mid_bn.weight", "mid_bn.bias")),
    Edit("norms exchanged", "cnn", "stem_bn", "holds what belongs into mid_bn.weight", None,
         swap("stem_bn.weight", "mid_bn.weight")),
    Edit("no bias", "cnn", "mid", "all zero", None, change("mid.bias", lambda w: 0 * w)),
    Edit("multiplier before channels", "cnn", "depth", "in the order (3, 2, 0, 1)", None,
         change("depth.weight", lambda w: w.reshape(6, 2, 1, 3, 3).swapaxes(0, 1).reshape(w.shape))),
    Edit("half precision", "cnn", "hidden", "rounded to float16", None,
         change("hidden.weight", lambda w: w.astype(np.float16).astype(np.float32))),
    # recurrent
    Edit("gates i c f o", "rnn", "lstm", "4 gates are in the order (0, 2, 1, 3)",
         None, gates("lstm", (0, 2, 1, 3))),
    Edit("gates z r h", "rnn", "gru", "3 gates are in the order (1, 0, 2)", None, gates("gru", (1, 0, 2))),
    Edit("biases exchanged", "rnn", "gru", "holds what belongs into gru.bias_hh_l0", None,
         swap("gru.bias_ih_l0", "gru.bias_hh_l0")),
    Edit("recurrent kernel not transposed", "rnn", "gru", "not transposed: each of its 3 gates", None,
         change("gru.weight_hh_l0", lambda w: np.concatenate([it.T for it in np.split(w, 3)]))),
    Edit("bias twice", "rnn", "lstm", "holds what belongs into lstm.bias_ih_l0", None,
         lambda state: state.update({"lstm.bias_hh_l0": state["lstm.bias_ih_l0"]})),
    Edit("directions exchanged", "rnn", "both", "holds what belongs into both.", None,
         lambda state: state.update({it: state[f"{it}_reverse"] for it in list(state)
                                     if it.startswith("both.") and not it.endswith("_reverse")})),
    Edit("first for last step", "rnn", "gru", "takes the first step",
         (r"_, h = self\.gru\(x\)\n(.*)h\[-1\]", r"h, _ = self.gru(x)\n\1h[:, 0]")),
    Edit("batch_first", "rnn", "lstm", "its batch_first is False",
         (r"LSTM\(7, 8, batch_first=True\)", "LSTM(7, 8)")),
    Edit("time reversed", "rnn", "lstm", "time runs backwards",
         (r"self\.lstm\(series\)", "self.lstm(series.flip(1))")),
    Edit("halves swapped", "rnn", "both", "the halves of",
         (r"x, _ = self\.both\(x\)\n", "x, _ = self.both(x)\n        x = x.roll(4, 2)\n")),
    # training
    Edit("dropout added", "rnn", "gru", "drops values",
         (r"self\.head\(h\[-1\]\)", "self.head(F.dropout(h[-1], 0.5, self.training))")),
]  # fmt: skip
HARMLESS = [
    Edit("module for function", "cnn", "", "", (r"F\.gelu\(", "nn.GELU()(")),
    Edit("flat channels last and back", "cnn", "", "",
         (r"self\.side\(stem\)", "self.side(stem.contiguous(memory_format=torch.channels_last))")),
]  # fmt: skip


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(lambda name: NETWORKS[name](), tmp_path_factory.mktemp("right"))


def verified(edit: Edit, ports: Recordings, folder: Path) -> Any:
    truth, right = ports[edit.network]
    shutil.copytree(right, folder)
    if edit.text:
        before, after = edit.text
        code, count = re.subn(before, after, (folder / "model.py").read_text())
        assert count, f"{before!r} is not in\n{code}"
        (folder / "model.py").write_text(code)
    if edit.state:
        state = load_file(folder / "model.safetensors")
        edit.state(state)
        save_file(state, folder / "model.safetensors")
    return torchport.verify(truth, folder)


@pytest.mark.parametrize("edit", EDITS, ids=lambda it: it.name)
def test_the_cause_is_named(edit: Edit, ports: Recordings, tmp_path: Path) -> None:
    result = verified(edit, ports, tmp_path / "port")
    assert not result.passed
    assert result.first is not None
    assert edit.cause in result.first.cause, result.first
    assert result.first.layer == edit.layer, result.first


@pytest.mark.parametrize("edit", HARMLESS, ids=lambda it: it.name)
def test_what_changes_no_number_passes(edit: Edit, ports: Recordings, tmp_path: Path) -> None:
    assert verified(edit, ports, tmp_path / "port").passed
