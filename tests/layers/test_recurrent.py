"""What recurrent layers give beside a sequence, and masks in graphs, against TensorFlow in float64."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.layers.harness import error, ports
from tests.quick import QUICK

import torchport
from torchport.axes import Order, dims
from torchport.errors import Refused

L = keras.layers
F64 = {"dtype": "float64"}


def flat(value: Any) -> list[Any]:
    return [it for part in value for it in flat(part)] if isinstance(value, (list, tuple)) else [value]


def agrees(model: Any, inputs: list[np.ndarray]) -> str:
    """The text of the port, once its outputs and gradients are TensorFlow's."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.normal(size=weight.shape))
    with tf.GradientTape() as tape:
        given = [tf.constant(it) for it in inputs]
        theirs = flat(model(given if len(given) > 1 else given[0]))
        cotangents = [rng.normal(size=it.shape) for it in theirs]
        loss = sum(tf.reduce_sum(it * other) for it, other in zip(theirs, cotangents, strict=True))
    trained = [it.value for it in model.trainable_variables]
    wanted = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    by_sum = sorted(float(np.abs(tf.convert_to_tensor(it)).sum()) for it in wanted)
    code = ""
    for port in ports(model, ("free", "keep_io")):
        module = port.module()
        outputs = flat(module(*port.turned(inputs)))
        for ours, other, spec in zip(outputs, theirs, port.definition.outputs, strict=True):
            array = ours.permute(dims(spec.order, Order.SOURCE, ours.dim())).detach().numpy()
            assert error(array, other.numpy()) < 1e-10, port.code
        pairs = zip(outputs, cotangents, port.definition.outputs, strict=True)
        total = sum(
            (it.permute(dims(spec.order, Order.SOURCE, it.dim())) * torch.from_numpy(other)).sum()
            for it, other, spec in pairs
        )
        if total.requires_grad:
            total.backward()
        found = [it.grad for it in module.parameters() if it.requires_grad]
        size = sum(0.0 if it is None else float(it.abs().sum()) for it in found)
        assert abs(size - sum(by_sum)) < 1e-9 * max(1.0, sum(by_sum)), port.code
        code = code or port.code[port.code.rindex("    def forward") :].split("    @classmethod")[0]
    return code


def sequence(*shape: int, zeros: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
    array = np.random.default_rng(0).normal(size=shape)
    for place in zeros:
        array[place] = 0
    return array


#: Steps without values at the start, in the midst, at the end; the last sequence has none with.
ZEROS = ((0, 0), (0, 3), (1, 4), (1, 3), *((2, step) for step in range(5)))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("masked", ["", "unseen", "given"])
@pytest.mark.parametrize("sequences", [False, True])
def test_states_go_in_and_out(kind: str, masked: str, sequences: bool) -> None:
    """Keras 3 does not look for a mask where there are states: only one that is given counts."""
    x = keras.Input((5, 3), **F64)
    count = 2 if kind == "LSTM" else 1
    states = [keras.Input((4,), **F64) for _ in range(count)]
    layer = getattr(L, kind)(4, return_state=True, return_sequences=sequences, **F64)
    y = L.Masking(**F64)(x) if masked else x
    mask = keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1) if masked == "given" else None
    outputs = layer(y, initial_state=states, mask=mask)
    given = [sequence(3, 5, 3, zeros=ZEROS), *(sequence(3, 4) + at for at in range(count))]
    code = agrees(keras.Model([x, *states], outputs), given)
    assert ("pack_kept" in code) is (masked == "given")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", ["concat", "sum", None])
def test_both_directions_give_their_states(masked: bool, sequences: bool, mode: str | None) -> None:
    if masked and mode is None:
        pytest.skip("Keras cannot compute the mask of it")
    x = keras.Input((5, 3), **F64)
    y = L.Masking(**F64)(x) if masked else x
    inner = L.LSTM(4, return_state=True, return_sequences=sequences, **F64)
    layer = L.Bidirectional(inner, merge_mode=mode, **F64)
    agrees(keras.Model(x, list(layer(y))), [sequence(3, 5, 3, zeros=ZEROS)])


def test_both_directions_take_states() -> None:
    x, states = keras.Input((5, 3), **F64), [keras.Input((4,), **F64) for _ in range(4)]
    y = L.Bidirectional(L.LSTM(4, return_sequences=True, **F64), **F64)(x, initial_state=states)
    given = [sequence(2, 5, 3), *(sequence(2, 4) + at for at in range(4))]
    code = agrees(keras.Model([x, *states], y), given)
    assert "torch.stack" in code


def test_an_encoder_hands_its_states_to_a_decoder() -> None:
    source, target = keras.Input((5, 3), **F64), keras.Input((4, 2), **F64)
    _, h, c = L.LSTM(6, return_state=True, name="encoder", **F64)(source)
    y = L.LSTM(6, return_sequences=True, name="decoder", **F64)(target, initial_state=[h, c])
    code = agrees(keras.Model([source, target], y), [sequence(2, 5, 3), sequence(2, 4, 2)])
    assert "_, (h, c) = self.encoder(" in code


def masked_input() -> tuple[Any, Any]:
    x = keras.Input((5, 3), **F64)
    return x, L.Masking(**F64)(x)


def merged(layer: Any) -> Callable[[Any, Any], Any]:
    def build(x: Any, y: Any) -> Any:
        other = L.Masking(mask_value=0.5, **F64)(x)
        return L.LSTM(4, **F64)(layer([y, other]))

    return build


@pytest.mark.parametrize(
    "build",
    [
        lambda x, y: y,
        lambda x, y: L.LSTM(4, go_backwards=True, return_sequences=True, **F64)(y),
        lambda x, y: L.Bidirectional(L.GRU(4, reset_after=False, return_sequences=True, **F64), **F64)(y),
        lambda x, y: L.LSTM(4, **F64)(L.Add(**F64)([y, L.Dense(3, **F64)(y)])),
        lambda x, y: L.LSTM(4, **F64)(L.Add(**F64)([x, y])),
        lambda x, y: L.LSTM(4, **F64)(L.Concatenate(**F64)([y, L.Dense(3, **F64)(y)])),
        lambda x, y: L.LSTM(4, **F64)(L.Concatenate(**F64)([x, y])),
        lambda x, y: L.LSTM(4, **F64)(L.Concatenate(axis=1, **F64)([x, y])),
        lambda x, y: L.GlobalAveragePooling1D(**F64)(L.Concatenate(axis=1, **F64)([y, x])),
        lambda x, y: L.LSTM(4, **F64)(L.Reshape((5, 3), **F64)(y)),
        merged(L.Add(**F64)),
        merged(L.Multiply(**F64)),
        lambda x, y: L.Multiply(**F64)([x, y]),
        lambda x, y: L.Attention(**F64)([L.Dense(3, **F64)(y), y]),
        merged(L.Concatenate(**F64)),
        merged(L.Concatenate(axis=1, **F64)),
        lambda x, y: L.LSTM(4, **F64)(x, mask=keras.ops.any(keras.ops.greater(x, 0.3), axis=-1)),
    ],
    ids=lambda it: "",
)
def test_masks_go_where_keras_takes_them(build: Any) -> None:
    x, y = masked_input()
    array = sequence(3, 5, 3, zeros=ZEROS)
    array[0, 1] = array[1, 4] = 0.5
    agrees(keras.Model(x, build(x, y)), [array])


def test_one_mask_serves_all() -> None:
    """The operations that Keras 3 records for a mask are replaced, not repeated."""
    words = keras.Input((5,), dtype="int32")
    x = L.Embedding(7, 3, mask_zero=True, **F64)(words)
    y = L.LSTM(3, return_sequences=True, **F64)(x)
    y = L.Concatenate(**F64)([x, L.Add(**F64)([x, y])])
    y = L.Bidirectional(L.LSTM(2, **F64), **F64)(y)
    given = np.array([[1, 0, 3, 0, 0], [0, 0, 0, 0, 0], [0, 2, 0, 4, 6]], "int32")
    code = agrees(keras.Model(words, y), [given])
    assert code.count("!= 0") == 1 and "|" not in code


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (L.LSTM(3, activation="sparsemax"), (5, 3), "activation 'sparsemax'"),
    ],
)
def test_refusals(layer: Any, shape: tuple[int, ...], said: str) -> None:
    x = keras.Input(shape)
    with pytest.raises(Refused, match=said):
        torchport.convert(keras.Model(x, layer(x)))


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_masked_statistics(of: str) -> None:
    """Running statistics are those of the steps that are kept, after some training steps too."""
    package = importlib.import_module(of)
    x = package.Input((7,), dtype="int32")
    y = package.layers.Embedding(5, 3, mask_zero=True)(x)
    y = package.layers.LSTM(4)(package.layers.BatchNormalization(momentum=0.6)(y))
    model = package.Model(x, y)
    found = torchport.verify(model, torchport.convert(model), precision="float64")
    assert found.passed, str(found)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {"return_sequences": True}),
        ("LSTM", {"return_state": True}),
        ("LSTM", {"activation": "relu"}),
        ("GRU", {"go_backwards": True}),
        ("GRU", {"reset_after": False}),
        ("SimpleRNN", {"return_sequences": True}),
    ],
)
def test_stateful(of: str, kind: str, options: dict[str, Any]) -> None:
    """Each batch goes on where the last one ended, until the state is reset; verify compares the rest."""
    package = importlib.import_module(of)
    x = package.Input(batch_shape=(2, 5, 3))
    layer = getattr(package.layers, kind)(4, stateful=True, **options)
    model = package.Model(x, layer(x))
    port = torchport.convert(model)
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    module, rng = port.module(), np.random.default_rng(0)
    for training in (False, False, True, False):
        given = rng.normal(size=(2, 5, 3)).astype("float32")
        theirs, ours = model(given, training=training), module.train(training)(torch.tensor(given))
        for want, got in zip(
            *(it if isinstance(it, (list, tuple)) else [it] for it in (theirs, ours)), strict=True
        ):
            np.testing.assert_allclose(got.detach().numpy(), want.numpy(), atol=1e-6)
    first = module(torch.tensor(given))
    for it in module.modules():
        if hasattr(it, "reset_state"):
            it.reset_state()
    (layer.reset_state if of == "keras" else layer.reset_states)()
    again, want = module(torch.tensor(given)), model(given)
    pairs = [it[0] if isinstance(it, (list, tuple)) else it for it in (again, want, first)]
    np.testing.assert_allclose(pairs[0].detach().numpy(), pairs[1].numpy(), atol=1e-6)
    assert not np.allclose(pairs[0].detach().numpy(), pairs[2].detach().numpy())


def test_stateful_is_refused() -> None:
    x = keras.Input(batch_shape=(2, 5, 3))
    for layer, said in (
        (L.Bidirectional(L.LSTM(3, stateful=True)), "in both directions"),
        (L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2)]), stateful=True), "of stacked cells"),
    ):
        with pytest.raises(Refused, match=f"stateful=True {said}"):
            torchport.convert(keras.Model(x, layer(x)))
    y = L.LSTM(3, stateful=True)(L.Masking()(x))
    with pytest.raises(Refused, match="stateful=True under a mask"):
        torchport.convert(keras.Model(x, y))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("options", [{"dropout": 0.4}, {"recurrent_dropout": 0.4}])
def test_dropout_has_tensorflows_distribution(kind: str, options: dict[str, float]) -> None:
    """Mean and spread of the outputs in training mode: one mask serves all steps of a sequence."""
    x = keras.Input((4, 3), **F64)
    model = keras.Model(x, getattr(L, kind)(2, return_sequences=True, **options, **F64)(x))
    array = np.repeat(sequence(1, 4, 3), 2000, axis=0)
    theirs = model(array, training=True).numpy()
    (port, *_) = ports(model, ("free",))
    torch.manual_seed(0)
    ours = port.module().train()(torch.from_numpy(array)).detach().numpy()
    assert np.abs(ours.mean(0) - theirs.mean(0)).max() < 0.06
    assert np.abs(ours.std(0) - theirs.std(0)).max() < 0.06
    for a, b in ((0, 3), (1, 2)):
        if theirs[:, [a, b], 0].std(0).min() < 1e-9:  # no state yet: nothing to drop
            continue
        alike = [np.corrcoef(it[:, a, 0], it[:, b, 0])[0, 1] for it in (ours, theirs)]
        assert abs(alike[0] - alike[1]) < 0.12


def test_a_tagger_reads_as_if_by_hand(tmp_path: Path) -> None:
    words = keras.Input((None,), dtype="int32", name="words")
    x = L.Embedding(50, 16, mask_zero=True, name="embedding")(words)
    x = L.Bidirectional(L.LSTM(12, return_sequences=True), name="encoder")(x)
    model = keras.Model(words, L.Dense(7, activation="softmax", name="tags")(x), name="tagger")
    model.save(tmp_path / "tagger.keras")
    torchport.convert(tmp_path / "tagger.keras").save(tmp_path / "port")
    text = (tmp_path / "port" / "model.py").read_text()
    assert len(text.splitlines()) <= 58  # the module is called in forward: TorchScript and ONNX take that
    assert "self.encoder = nn.LSTM(16, 12, batch_first=True, bidirectional=True)" in text
    assert torchport.verify(tmp_path / "tagger.keras", tmp_path / "port", **QUICK).passed
