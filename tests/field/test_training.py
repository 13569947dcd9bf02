"""What a model was trained with is not carried over yet: it is said, by layer, and kept in port.json."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchport
from torchport.report.conversion import notes

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")


def trained(K: Any, compiles: bool = True) -> Any:
    """A model with regularizers, constraints and settings of `compile`, also in nested and wrapped layers."""
    L, R, C = K.layers, K.regularizers, K.constraints
    inner = K.Sequential(
        [K.Input((6, 4)), L.Conv1D(4, 3, kernel_regularizer=R.L2(1e-4), name="deep")], name="inner"
    )
    x = i = K.Input((8, 4), name="x")
    for at in range(7):
        x = L.Conv1D(4, 3, padding="same", kernel_regularizer=R.L2(1e-4), name=f"conv{at}")(x)
    x = L.Conv1D(4, 3, kernel_constraint=C.MaxNorm(2.0), bias_regularizer=R.L1(0.0), name="bound")(x)
    x = inner(x)
    x = L.TimeDistributed(L.Dense(4, kernel_regularizer=R.L1L2(1e-5, 1e-4), name="within"), name="steps")(x)
    x = L.LSTM(4, recurrent_regularizer=R.L2(0.01), name="lstm")(x)
    x = L.ActivityRegularization(l1=1e-3, name="sparse")(x)
    x = L.Dense(4, activity_regularizer=R.L1(1e-5), kernel_initializer="he_normal", name="code")(x)
    model = K.Model(i, L.Dense(1, kernel_constraint="unit_norm", name="out")(x))
    if compiles:
        schedule = K.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)
        model.compile(K.optimizers.Adam(schedule, clipnorm=1.0), "binary_crossentropy", metrics=["mae"])
    return model


@pytest.mark.parametrize("ending", ["", ".keras", ".h5"], ids=["live", "keras", "h5"])
@pytest.mark.parametrize("K", [keras, tf_keras], ids=["3", "2"])
def test_it_is_said_by_layer(K: Any, ending: str, tmp_path: Path) -> None:
    K.backend.clear_session()
    source: Any = trained(K)
    if ending:
        source.save(tmp_path / f"model{ending}")
        source = tmp_path / f"model{ending}"
    port = torchport.convert(source)
    left = json.loads((port.save(tmp_path / "port") / "port.json").read_text())["training"]
    options = Counter((it["option"], it["kind"]) for it in left["regularizers"])
    assert options["kernel_regularizer", "Conv1D"] == 8 and options["recurrent_regularizer", "LSTM"] == 1
    assert options["activity_regularizer", "Dense"] == 1
    assert options["activity_regularizer", "ActivityRegularization"] == 1
    assert sum(options.values()) == 12, options
    assert "inner/deep" in {it["layer"] for it in left["regularizers"]}
    (wrapped,) = (it for it in left["regularizers"] if it["layer"].startswith("steps/"))
    assert wrapped["value"]["config"]["l1"] == pytest.approx(1e-5)
    bound = {it["layer"]: it["value"]["class_name"] for it in left["constraints"]}
    assert bound == {"bound": "MaxNorm", "out": "UnitNorm"}
    assert any(it["layer"] == "code" and it["option"] == "kernel_initializer" for it in left["initializers"])
    compiled = left["compiled"]
    assert compiled["loss"] == "binary_crossentropy" and "mae" in json.dumps(compiled["metrics"])
    rate = compiled["optimizer"]["config"]["learning_rate"]
    assert rate["config"]["decay_steps"] == 100 and compiled["optimizer"]["config"]["clipnorm"] == 1.0
    (note,) = (it for it in notes(port) if "not carried over" in it)
    assert "kernel_regularizer=L2(0.0001) in conv0, conv1, conv2 and 5 more layers" in note, note
    for said in ("MaxNorm", "Adam(", "ExponentialDecay(", "binary_crossentropy", "mae", "port.json"):
        assert said in note, note
    assert note.count("conv") < 5 and len(note) < 1000


def test_nothing_is_said_where_nothing_is_left(tmp_path: Path) -> None:
    x = keras.Input((3,))
    port = torchport.convert(keras.Model(x, keras.layers.Dense(2)(x)))
    assert not any("carried" in it for it in notes(port))
    left = port.record()["training"]
    assert not left["regularizers"] and not left["constraints"] and not left["compiled"]


def test_the_optimizer_s_state_is_left_in_the_file(tmp_path: Path) -> None:
    model = trained(keras)
    model.fit(np.ones((2, 8, 4), "float32"), np.ones((2, 1), "float32"), verbose=0)
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"model{ending}")
        left = torchport.convert(tmp_path / f"model{ending}").record()["training"]
        assert left["compiled"]["optimizer_state"] is True


def test_objects_of_people_s_own() -> None:
    def focal(y: Any, z: Any) -> Any:
        return keras.ops.mean((y - z) ** 4)

    class Half(keras.regularizers.Regularizer):
        def __call__(self, x: Any) -> Any:
            return 0.5 * keras.ops.sum(x)

        def get_config(self) -> dict[str, Any]:
            return {}

    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(2, kernel_regularizer=Half(), name="d")(x))
    model.compile("sgd", focal)
    port = torchport.convert(model)
    (note,) = (it for it in notes(port) if "not carried over" in it)
    assert "Half" in note and "focal" in note
    json.dumps(port.record())


def test_keras_1(tmp_path: Path) -> None:
    from tests.read import dialects

    path = dialects.keras_1(tmp_path / "m.h5", dialects.CNN)
    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layers = config["config"]["layers"] if isinstance(config["config"], dict) else config["config"]
        first = next(it for it in layers if "W_regularizer" in it["config"] or "nb_filter" in it["config"])
        first["config"]["W_regularizer"] = {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["training_config"] = json.dumps(
            {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1}}, "loss": "mse", "metrics": []}
        )
    left = torchport.convert(path).record()["training"]
    assert [it["option"] for it in left["regularizers"]] == ["kernel_regularizer"]
    assert left["compiled"]["loss"] == "mse" and left["compiled"]["optimizer"]["config"]["lr"] == 0.1
