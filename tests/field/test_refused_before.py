"""What was refused once and is ported: as TensorFlow before, in and after training, live and from files."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

import torchport
from torchport.errors import Refused
from torchport.program import Fill

CLIPPING = {"rmin": 0.75, "rmax": 1.25, "dmax": 0.5}


def draw(model: Any, seed: int = 0) -> Any:
    """The model with weights away from what initialisers give; deviations are positive."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            it if "int" in str(it.dtype) else (np.abs(rng.normal(size=it.shape)) + 0.25).astype(it.dtype)
            for it in model.get_weights()
        ]
    )
    return model


def same(what: str, ours: Any, theirs: Any, code: str, within: float = 2e-4) -> None:
    theirs = np.asarray(theirs)
    scale = max(float(np.abs(theirs).max(initial=0)), 1e-3)
    np.testing.assert_allclose(
        np.asarray(ours) / scale, theirs / scale, atol=within, rtol=0, err_msg=f"{what}\n{code}"
    )


def agrees(model: Any, source: Any, *x: np.ndarray, steps: int = 2) -> str:
    """Output, gradients and all weights in inference, in some training steps, and after them."""
    port = torchport.convert(source, keep_io=True, exact=True)
    module, code = port.module(), port.code
    given = list(map(tf.constant, x))
    one = given if len(given) > 1 else given[0]
    same("inference", module(*map(torch.from_numpy, x)).detach(), model(one, training=False), code)
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    rng = np.random.default_rng(1)
    for step in range(steps):
        with tf.GradientTape() as tape:
            y = model(one, training=True)
            cotangent = rng.normal(size=y.shape).astype("float32")
            loss = tf.reduce_sum(y * cotangent)
        variables = model.trainable_variables
        ours = module.train()(*map(torch.from_numpy, x))
        same(f"training {step}", ours.detach(), y, code)
        optimizer.zero_grad()
        (ours * torch.from_numpy(cotangent)).sum().backward()
        optimizer.step()
        for it, grad in zip(variables, tape.gradient(loss, variables), strict=True):
            it.assign(it - 0.05 * tf.convert_to_tensor(grad))
        for name, theirs in by_source(port.program, model).items():
            ours_now = module.state_dict()[name].detach().numpy()
            load = next(it for it in port.program.entries if it.name == name).load
            same(f"{name} after step {step}", load.turn.undo(ours_now), load.turn.part(theirs), code)
    same("after", module.eval()(*map(torch.from_numpy, x)).detach(), model(one, training=False), code)
    return code


def by_source(program: Any, model: Any) -> dict[str, Any]:
    """The value of the source's variable of each tensor of a port, by its name there."""
    layers = {}

    def walk(layer: Any, path: str) -> None:
        for it in getattr(layer, "layers", ()):
            inner = getattr(it, "layer", None)
            at = f"{path}{it.name}"
            if inner is not None and hasattr(inner, "layers"):
                walk(inner, f"{at}/")
            elif hasattr(it, "layers"):
                walk(it, f"{at}/")
            else:
                layers[at] = it

    walk(model, "")
    found = {}
    for entry in program.entries:
        if isinstance(entry.load, Fill):
            continue
        where, _, name = entry.source.partition("/") if entry.source.partition("/")[0] in layers else (
            entry.source.rpartition("/")[0], "", entry.source.rpartition("/")[2],
        )  # fmt: skip
        layer = layers.get(where)
        values = {it.name.rpartition("/")[2].partition(":")[0]: it for it in getattr(layer, "weights", ())}
        if name in values:
            found[entry.name] = values[name].numpy()
    assert found, "no variable of the source was found"
    return found


def saved(model: Any, form: str, folder: Path) -> Any:
    if form == "live":
        return model
    model.save(folder / f"model.{form}")
    return str(folder / f"model.{form}")


FORMS = [("keras", "live"), ("keras", "keras"), ("tf_keras", "live"), ("tf_keras", "h5")]


@pytest.mark.parametrize(("of", "form"), FORMS)
@pytest.mark.parametrize("options", [
    {}, {"momentum": 0.5, "renorm_momentum": 0.25, "renorm_clipping": CLIPPING}, {"scale": False},
    {"center": False, "scale": False}, {"trainable": False},
], ids=str)  # fmt: skip
def test_batch_renormalisation(of: str, form: str, options: dict[str, Any], tmp_path: Path) -> None:
    package = importlib.import_module(of)
    x = package.Input((6, 5, 3))
    y = package.layers.Conv2D(4, 3)(x)
    y = package.layers.BatchNormalization(renorm=True, **options)(y)
    model = draw(package.Model(x, package.layers.Dense(2)(package.layers.Flatten()(y))))
    array = np.random.default_rng(2).normal(1, 2, (4, 6, 5, 3)).astype("float32")
    agrees(model, saved(model, form, tmp_path), array)


def norms(package: Any, kind: str) -> Any:
    """A layer, or a model, that takes statistics of what it reads."""
    layers = package.layers
    if kind == "layer":
        return layers.BatchNormalization(momentum=0.75)
    body = [layers.Conv2D(3, 2), layers.BatchNormalization(momentum=0.75, scale=False), layers.ReLU()]
    if kind == "deep":
        inner = package.Sequential([package.Input((4, 3, 2)), *body], name="inner")
        body = [inner, layers.BatchNormalization(momentum=0.5)]
    return package.Sequential([package.Input((4, 3, 2)), *body], name="each")


@pytest.mark.parametrize(("of", "form"), FORMS)
@pytest.mark.parametrize("kind", ["layer", "model", "deep"])
def test_statistics_of_each_step(of: str, form: str, kind: str, tmp_path: Path) -> None:
    """Keras 3 calls its layer step by step; Keras 2 once, with all steps as one batch."""
    package = importlib.import_module(of)
    x = package.Input((5, 4, 3, 2))
    y = package.layers.TimeDistributed(norms(package, kind))(x)
    y = package.layers.TimeDistributed(package.layers.BatchNormalization(momentum=0.9))(y)
    model = draw(package.Model(x, package.layers.Flatten()(y)))
    array = np.random.default_rng(2).normal(1, 2, (3, 5, 4, 3, 2)).astype("float32")
    code = agrees(model, saved(model, form, tmp_path), array)
    assert ("steps=5" in code) == (of == "keras")


def test_steps_in_steps() -> None:
    import keras

    x = keras.Input((3, 2, 4))
    layers = keras.layers
    each = layers.TimeDistributed(layers.TimeDistributed(layers.BatchNormalization(momentum=0.75)))
    model = draw(keras.Model(x, each(x)))
    array = np.random.default_rng(2).normal(1, 2, (3, 3, 2, 4)).astype("float32")
    try:
        agrees(model, model, array)
    except Refused as refused:
        assert "TimeDistributed" in str(refused)


@pytest.mark.parametrize("precision", ["float64", "both", "float32"])
def test_verify_of_statistics_of_each_step(precision: str) -> None:
    """Of a saturated gate, whose gradient is what rounding leaves, in whatever precision is asked for."""
    import keras

    x = keras.Input((5, 4, 3, 2))
    y = keras.layers.TimeDistributed(norms(keras, "model"))(x)
    model = draw(
        keras.Model(x, keras.layers.LSTM(2)(keras.layers.TimeDistributed(keras.layers.Flatten())(y)))
    )
    found = torchport.verify(model, torchport.convert(model), steps=1, precision=precision)
    assert not found.differs, str(found)
    assert found.passed or precision == "float32", str(found)
    assert any("--precision float64" in it for it in found.notes) == (not found.passed)


@pytest.mark.parametrize(("layer", "said"), [
    ("L.BatchNormalization()", "how many steps there are is not known"),
    ("L.SpectralNormalization(L.Dense(3))", "turns its kernel at each"),
    ("L.LSTM(2, stateful=True)", "states go from one to the next"),
])  # fmt: skip
def test_what_goes_from_step_to_step_is_refused(layer: str, said: str) -> None:
    import keras

    steps = None if "Batch" in layer else 5
    shape = (2, steps, 4, 3) if "LSTM" in layer else (2, steps, 3)
    x = keras.Input(batch_shape=shape)
    model = keras.Model(x, keras.layers.TimeDistributed(eval(layer, {"L": keras.layers}))(x))
    with pytest.raises(Refused, match=said):
        torchport.convert(model)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (6, 5, 4)])
def test_running_variances_of_keras_2(shape: tuple[int, ...]) -> None:
    """Unbiased where tf-keras is fused, which it is for images; biased elsewhere."""
    import tf_keras

    x = tf_keras.Input(shape)
    model = draw(tf_keras.Model(x, tf_keras.layers.BatchNormalization(momentum=0.5)(x)))
    code = agrees(model, model, np.random.default_rng(0).normal(size=(3, *shape)).astype("float32"))
    assert ("Biased" in code) == (len(shape) < 3)


@pytest.mark.parametrize(("of", "form"), FORMS)
def test_states_of_stacked_cells(of: str, form: str, tmp_path: Path) -> None:
    """An encoder whose states, one pair for each cell, a decoder starts from."""
    package = importlib.import_module(of)
    layers = package.layers

    def cells() -> list[Any]:
        return [layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(2)]

    x, y = package.Input((4, 3)), package.Input((5, 3))
    _, *states = layers.RNN(cells(), return_state=True)(x)
    if of == "keras":
        states = [list(states[0]), states[1], list(states[2])]
    z = layers.RNN(cells(), return_sequences=True)(y, initial_state=states)
    model = draw(package.Model([x, y], layers.Dense(2)(z)))
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(2, steps, 3)).astype("float32") for steps in (4, 5)]
    agrees(model, saved(model, form, tmp_path), *arrays)


@pytest.mark.parametrize(("of", "form"), FORMS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_cell_by_itself(of: str, form: str, kind: str, tmp_path: Path) -> None:
    package = importlib.import_module(of)
    layers = package.layers
    x, h, c = package.Input((4,)), package.Input((3,)), package.Input((3,))
    states = [h, c] if kind == "LSTM" else [h]
    y, new = getattr(layers, f"{kind}Cell")(3, name="cell")(x, states)
    last = new[-1] if isinstance(new, (list, tuple)) else new
    model = draw(package.Model([x, h, c], layers.Dense(2)(layers.Concatenate()([y, last, c]))))
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(2, size)).astype("float32") for size in (4, 3, 3)]
    agrees(model, saved(model, form, tmp_path), *arrays)


def test_low_rank_weights_are_refused_by_name() -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, lora_rank=1)])
    with pytest.raises(Refused, match="lora_rank=1"):
        torchport.convert(model)
