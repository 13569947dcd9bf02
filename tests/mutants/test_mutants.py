"""Wrong ports: each is planted in a good one, and verify has to fail it and name the layer."""

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
from tests.quick import Recordings
from verify.models import build

import torchport

keras = pytest.importorskip("keras")

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Mutant:
    """A change to a port, and what verify has to say of it: the layer, the check, words of the cause.

    `text`: patterns of what stands in model.py, and what replaces it. `state`: changes the weights.
    """

    name: str
    model: str
    layer: str
    check: str
    cause: str = ""
    text: tuple[tuple[str, str], ...] = ()
    state: Callable[[State], Any] | None = None


def swap(one: str, other: str) -> Callable[[State], Any]:
    return lambda it: it.update({one: it[other], other: it[one]})


def change(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[State], Any]:
    return lambda it: it.update({name: np.ascontiguousarray(make(it[name]))})


def one_off(array: np.ndarray) -> np.ndarray:
    """One value in a thousand is off by a millionth."""
    new = array.copy()
    new.flat[5] *= 1 + 1e-6
    assert new.flat[5] != array.flat[5]
    return new


def with_nan(array: np.ndarray) -> np.ndarray:
    new = array.copy()
    new.flat[2] = np.nan
    return new


def unturned(array: np.ndarray) -> np.ndarray:
    """The rows of a Dense kernel after Flatten as Keras has them: h w c."""
    return array.reshape(4, 3, 6, 7).transpose(0, 2, 3, 1).reshape(4, -1)


BN = r"self\.bn\(self\.conv\(image\)\)"
AFFINE = "self.bn.weight, self.bn.bias"
FROZEN = f"F.batch_norm(self.conv(image), self.bn.running_mean, self.bn.running_var, {AFFINE}, eps=1e-3)"
CROP = (r"self\.up\(x\)\[:, :, :-1, :-1\]", "self.up(x)")
DOWN = (r"(self\.down = nn\.Conv2d\(.*)\)", r"\1, bias=False)")
AVG = r"F\.avg_pool2d\(leaky.*?\)"
LOAD = r"( +)model\.load_state_dict\(load_file\(path\)\)"
RETURN = r"return (self\.head\(.*\))\n"

MUTANTS = [
    # weights
    Mutant(
        "spatial axes of a kernel",
        "image",
        "down",
        "state",
        "spatial axes are swapped",
        state=change("down.weight", lambda it: it.swapaxes(2, 3)),
    ),
    Mutant(
        "kernel mirrored",
        "image",
        "up",
        "state",
        "mirrored in space",
        state=change("up.weight", lambda it: it[:, :, ::-1, ::-1]),
    ),
    Mutant(
        "rows of Dense not turned",
        "image",
        "fc",
        "state",
        "rows were not turned",
        state=change("fc.weight", unturned),
    ),
    Mutant(
        "dense not transposed",
        "shared",
        "twin",
        "state",
        "is transposed",
        state=change("twin.weight", lambda it: it.T),
    ),
    Mutant(
        "mean and variance",
        "image",
        "bn",
        "state",
        "what belongs into bn.running_",
        state=swap("bn.running_mean", "bn.running_var"),
    ),
    Mutant(
        "gamma and beta",
        "image",
        "bn",
        "state",
        "what belongs into bn.",
        state=swap("bn.weight", "bn.bias"),
    ),
    Mutant(
        "a millionth",
        "image",
        "up",
        "state",
        "1 of 315 values differ",
        state=change("up.weight", one_off),
    ),
    Mutant(
        "weights scaled",
        "image",
        "conv",
        "state",
        "is 2 times",
        state=change("conv.weight", lambda it: it * 2),
    ),
    Mutant(
        "NaN",
        "image",
        "conv",
        "state",
        "1 of 225 values are not finite",
        state=change("conv.weight", with_nan),
    ),
    Mutant("a key is missing", "image", "fc", "state", "is missing", state=lambda it: it.pop("fc.bias")),
    Mutant(
        "a key too many",
        "image",
        "",
        "state",
        "nothing like it",
        state=lambda it: it.update(more=np.zeros(3, np.float32)),
    ),
    Mutant(
        "wrong dtype",
        "image",
        "fc",
        "state",
        "is float16",
        state=change("fc.weight", lambda it: it.astype(np.float16)),
    ),
    Mutant(
        "wrong shape",
        "image",
        "fc",
        "state",
        "[4, 1]",
        state=change("fc.bias", lambda it: it[:, None]),
    ),
    Mutant(
        "bias dropped",
        "image",
        "down",
        "state",
        "is missing",
        (DOWN,),
        lambda it: it.pop("down.bias"),
    ),
    Mutant(
        "bias not loaded",
        "image",
        "down",
        "inference",
        "bias is missing",
        (DOWN, (LOAD, r"\1model.load_state_dict(load_file(path), strict=False)")),
    ),
    # forward
    Mutant("crop missing", "image", "up", "inference", "1 more along axis 2", (CROP,)),
    Mutant(
        "crop at the wrong end",
        "image",
        "up",
        "inference",
        "shifted",
        ((CROP[0], "self.up(x)[:, :, 1:, 1:]"),),
    ),
    Mutant(
        "epsilon",
        "image",
        "bn",
        "inference",
        "epsilon is 1e-05, the source's 0.001",
        ((", eps=1e-3", ""),),
    ),
    Mutant(
        "pad at the wrong side",
        "image",
        "down",
        "inference",
        "",
        ((r"F\.pad\(x, \(0, 1, 1, 1\)\)", "F.pad(x, (1, 0, 1, 1))"),),
    ),
    Mutant(
        "activation missing",
        "image",
        "down",
        "inference",
        "activation is missing (relu)",
        ((r"F\.relu\((self\.down\(F\.pad\(x, .*?\)\))\)", r"\1"),),
    ),
    Mutant(
        "another activation",
        "image",
        "fc",
        "inference",
        "applies sigmoid",
        (("torch.tanh", "torch.sigmoid"),),
    ),
    Mutant("slope", "image", "leaky", "inference", "slope 0.01", ((r", 0\.3\)", ")"),)),
    Mutant(
        "order of a merge",
        "image",
        "join",
        "inference",
        "order [1, 0]",
        ((r"\[leaky, (.*)\], dim", r"[\1, leaky], dim"),),
    ),
    Mutant(
        "padding counted in a mean",
        "image",
        "avg",
        "inference",
        "counts the padding",
        ((AVG, "F.avg_pool2d(F.pad(leaky, (0, 0, 0, 1)), 2)"),),
    ),
    Mutant(
        "max for mean",
        "image",
        "avg",
        "inference",
        "",
        ((AVG, "F.max_pool2d(leaky, 2, ceil_mode=True)"),),
    ),
    Mutant(
        "axes of the output",
        "scales",
        "head",
        "inference",
        "axes",
        ((RETURN, r"return \1.transpose(2, 3)\n"),),
    ),
    Mutant(
        "output in the source's order",
        "scales",
        "head",
        "inference",
        "another order",
        ((RETURN, r"return \1.permute(0, 2, 3, 1)\n"),),
    ),
    Mutant(
        "subtraction the other way",
        "shared",
        "minus",
        "inference",
        "other way round",
        ((r"= (.*) - (.*)\n", r"= \2 - (\1)\n"),),
    ),
    Mutant(
        "padding for even sizes only",
        "scales",
        "head",
        "sizes",
        "",
        ((r"same_pad\(image, 3, 2\)", "F.pad(image, (0, 1, 0, 1))"),),
    ),
    Mutant(
        "digits lost in float32",
        "image",
        "leaky",
        "inference",
        "agrees in float64",
        ((r"leaky = (.*)\n", r"leaky = \1 + 1e4 - 1e4\n"),),
    ),
    # training
    Mutant(
        "momentum",
        "image",
        "bn",
        "steps",
        "its momentum is 0.1, should be 0.2",
        (("momentum=0.2", "momentum=0.1"),),
    ),
    Mutant(
        "BatchNorm frozen",
        "image",
        "bn",
        "training",
        "normalises with running statistics",
        ((BN, FROZEN),),
    ),
    Mutant(
        "BatchNorm not in inference",
        "image",
        "bn",
        "inference",
        "normalises with the batch's statistics",
        (
            (
                BN,
                f"F.batch_norm(self.conv(image), None, None, {AFFINE}, training=True, eps=1e-3)",
            ),
        ),
    ),
    Mutant(
        "dropout at rate 0",
        "image",
        "drop",
        "dropout",
        "rate 0 in the port, 0.3 in the source",
        ((r"nn\.Dropout\(0\.3\)", "nn.Dropout(0.0)"),),
    ),
    Mutant(
        "dropout not called",
        "image",
        "drop",
        "dropout",
        "draws 0 times in training mode",
        ((r"self\.drop\(", "("),),
    ),
    Mutant(
        "dropout removed",
        "image",
        "drop",
        "dropout",
        "no module for this layer",
        ((r"self\.drop\(", "("), (r" +self\.drop = nn\.Dropout\(0\.3\)\n", "")),
    ),
    Mutant("dropout in inference", "image", "drop", "inference", "", ((r"self\.drop\(", "F.dropout("),)),
    Mutant(
        "layer frozen",
        "image",
        "up",
        "trainable",
        "is not trained",
        ((r"self\.fc = ", r"self.up.requires_grad_(False)\n        self.fc = "),),
    ),
    Mutant(
        "layer not frozen",
        "shared",
        "fixed",
        "trainable",
        "is not trained in the source",
        ((r" +self\.fixed\.requires_grad_\(False\)\n", ""),),
    ),
    Mutant(
        "gradient cut",
        "image",
        "bn",
        "gradient",
        "no gradient reaches",
        ((r"leaky = (.*)\n", r"leaky = \1.detach()\n"),),
    ),
    Mutant(
        "shared layer copied",
        "shared",
        "twin",
        "gradient",
        "",
        (
            (f"({LOAD})", r"\1\n\2model.again = __import__('copy').deepcopy(model.twin)"),
            (r"self\.twin\(b\)", "self.again(b)"),
        ),
    ),
    # code that does not run
    Mutant(
        "does not parse",
        "image",
        "",
        "run",
        "SyntaxError",
        ((r"def forward\(self, image", "def forward((self, image"),),
    ),
    Mutant(
        "class renamed",
        "image",
        "",
        "run",
        "has no class Small",
        ((r"class Small\(", "class Smaller("),),
    ),
    Mutant("does not run", "image", "join", "run", "", ((r"dim=1\)", "dim=7)"),)),
]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(lambda name: build(name, keras), tmp_path_factory.mktemp("right"))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda it: it.name)
def test_is_caught(mutant: Mutant, ports: Recordings, tmp_path: Path) -> None:
    truth, good = ports[mutant.model]
    folder = Path(shutil.copytree(good, tmp_path / "port"))
    code = (folder / "model.py").read_text()
    for before, after in mutant.text:
        code, count = re.subn(before, after, code)
        assert count, f"{before!r} is not in\n{code}"
    (folder / "model.py").write_text(code)
    if mutant.state:
        state = load_file(folder / "model.safetensors")
        mutant.state(state)
        save_file(state, folder / "model.safetensors")
    result = torchport.verify(truth, folder)
    assert not result.passed
    assert result.first is not None
    assert (result.first.check, result.first.layer) == (mutant.check, mutant.layer), result.first
    assert mutant.cause in result.first.cause
