"""Public functions of tf, tf.math, nn, image, linalg, signal and tf_keras.backend on tensors of a graph.

`ported.txt` has calls that compute the same in torch, `refused.txt` those that are refused by name, a line
each, by the names of INPUTS. They come from a list of what those modules export and a Keras 2 graph takes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import torchport
from torchport.errors import Refused

#: Of torch: index_reduce may change; 'same' with an even kernel copies.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

K = tf_keras.backend
RNG = np.random.default_rng(0)
HERE = Path(__file__).parent
PORTED, REFUSED = ((HERE / f"{name}.txt").read_text().splitlines() for name in ("ported", "refused"))
#: How many calls are one model: one that is wrong shows alone, many at once are quicker.
AT_ONCE = 40


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


SQUARE = normal(2, 4, 4)
INPUTS = {
    "x": normal(2, 5, 6, 3), "y": normal(2, 5, 6, 3), "v": 2 * normal(2, 6), "w": normal(2, 6),
    "m": normal(2, 4, 4) + 2 * np.eye(4, dtype="float32"), "l": normal(2, 4, 4),
    "d": SQUARE @ SQUARE.transpose(0, 2, 1) + np.eye(4, dtype="float32"),
    "i": np.array([[-7, 7, 0, 3, -1, 5], [4, -4, 9, -9, 2, -2]], "int32"),
    "j": np.array([[2, -2, 3, -3, 5, -5], [3, 3, -2, -2, 4, 4]], "int32"),
    "k": np.array([[0, 5, 2, 1, 3, 3], [1, 1, 0, 4, 2, 5]], "int32"), "z": np.array([0, 1], "int32"),
    "b": np.array([[1, 0, 1, 0, 1, 1], [0, 0, 1, 1, 0, 1]], bool),
    "a": np.array([[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 1, 0]], bool),
    "n": np.array([[np.nan, np.inf, -np.inf, -0.0, 0.5, 1.5], [2.5, -0.5, -1.5, -2.5, 3.7, -3.7]], "float32"),
    "t": np.array([[1, 3, 3, 0, -2, 3], [0, 0, 1, 1, -1, 2]], "float32"),
    "p": RNG.uniform(0.1, 0.9, (2, 6)).astype("float32"), "s": normal(2, 32),
    "c": (normal(2, 6) + 1j * normal(2, 6)).astype("complex64"), "q": normal(2, 4, 4, 4, 3),
    "g": RNG.uniform(0, 1, (2, 8, 8, 3)).astype("float32"),
    "u": RNG.integers(0, 256, (2, 5, 6, 3)).astype("uint8"),
}  # fmt: skip


def names(call: str) -> list[str]:
    """The inputs that a call reads."""
    code = re.sub(r"'[^']*'|lambda [^:]*:", "", call)
    return [name for name in INPUTS if re.search(rf"(?<![\w.'\"]){name}(?![\w'\"(=])", code)] or ["v"]


def model_of(calls: list[str]) -> tuple[Any, list[str]]:
    """A Keras 2 model with these calls, and the names of its inputs."""
    read = list(dict.fromkeys(name for call in calls for name in names(call)))
    tensors = {
        name: tf_keras.Input(INPUTS[name].shape[1:], dtype=str(INPUTS[name].dtype), name=f"input_{name}")
        for name in read
    }
    space = {"tf": tf, "np": np, "K": K, **tensors}
    return tf_keras.Model(
        list(tensors.values()), [tf.nest.flatten(eval(call, space)) for call in calls]
    ), read


BATCHES = [PORTED[at : at + AT_ONCE] for at in range(0, len(PORTED), AT_ONCE)]


@pytest.mark.parametrize("calls", BATCHES, ids=lambda calls: calls[0][:40])
def test_computes_the_same(calls: list[str]) -> None:
    tf_keras.backend.clear_session()
    model, read = model_of(calls)
    given = [INPUTS[name] for name in read]
    counts = [len(it) for it in model(list(map(tf.constant, given)))]
    wanted = [np.asarray(it) for it in tf.nest.flatten(model(list(map(tf.constant, given))))]
    found = tf.nest.flatten(torchport.convert(model).run(*given))
    owners = [call for call, count in zip(calls, counts, strict=True) for _ in range(count)]
    wrong = [
        (call, got.dtype, got.ravel()[:6], want.dtype, want.ravel()[:6])
        for call, got, want in zip(owners, found, wanted, strict=True)
        if not is_same(got, want)
    ]
    assert not wrong, "\n".join(map(str, wrong))


def is_same(got: np.ndarray, want: np.ndarray) -> bool:
    if got.shape != want.shape or got.dtype.kind != want.dtype.kind:
        return False
    if want.dtype.kind in "iub":
        return bool((got == want).all())
    finite = want[np.isfinite(want)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    return bool(np.allclose(got, want, rtol=2e-5, atol=3e-6 * max(largest, 1e-3), equal_nan=True))


#: Reasons that say nothing: none may be given.
EMPTY = re.compile(r"this layer is not ported|do not fit|damaged|a bug")


@pytest.mark.parametrize("call", REFUSED, ids=lambda call: call[:50])
def test_is_refused_by_name(call: str, tmp_path: Path) -> None:
    tf_keras.backend.clear_session()
    model, _ = model_of([call])
    model.save(tmp_path / "model.h5")
    with pytest.raises(Refused) as caught:
        torchport.convert(str(tmp_path / "model.h5"))
    assert not EMPTY.search(str(caught.value)), caught.value


def test_there_are_many() -> None:
    assert len(PORTED) > 450 and len(REFUSED) > 80
