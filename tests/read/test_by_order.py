"""Weights of a legacy HDF5 file and an architecture of another session: given out as `load_weights` does it.

Random models, some of them in each other, with some layers frozen before they are saved and others in the
model that they are loaded into. What Keras has after `load_weights` is right, whatever the layers are called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

import torchport
from torchport.errors import BadFile, Refused, TorchportError

#: Every layer takes and gives this, so that any two of a kind can be mistaken for each other.
STEPS, FEATURES = 3, 4


def same(ours: Any, theirs: Any) -> None:
    a, b = ({it.name: it.array() for it in port.program.entries} for port in (ours, theirs))
    assert ours.code == theirs.code
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[key], b[key]) for key in b), [k for k in b if not np.array_equal(a[k], b[k])]


def layer(package: Any, rng: np.random.Generator, depth: int, name: dict[str, Any]) -> Any:
    L = package.layers
    kinds = {
        "dense": lambda: L.Dense(FEATURES, use_bias=bool(rng.integers(2)), **name),
        "norm": lambda: L.BatchNormalization(**name),
        "layer_norm": lambda: L.LayerNormalization(**name),
        "drop": lambda: L.Dropout(0.5, **name),
        "both": lambda: L.Bidirectional(L.GRU(FEATURES, return_sequences=True), merge_mode="sum", **name),
        "steps": lambda: L.TimeDistributed(L.Dense(FEATURES), **name),
        "attention": lambda: L.Conv1D(FEATURES, 1, **name),
        "model": lambda: model(package, rng, depth - 1, name),
    }
    chosen = list(kinds) if depth else list(kinds)[:-1]
    weight = np.array([3 if it == "model" else 1 for it in chosen], "float64")
    return kinds[rng.choice(chosen, p=weight / weight.sum())]()


def model(package: Any, rng: np.random.Generator, depth: int, name: dict[str, Any]) -> Any:
    """A model that joins branches, or a Sequential one."""
    shape = (STEPS, FEATURES)
    counter = iter(rng.permutation(100))

    def called() -> dict[str, Any]:
        return {"name": f"x{next(counter)}"} if rng.integers(2) else {}

    layers = [layer(package, rng, depth, called()) for _ in range(rng.integers(1, 6))]
    if rng.integers(2):
        return package.Sequential([package.Input(shape), *layers], **name)
    start = package.Input(shape)
    tensors = [start]
    for it in layers:
        tensors.append(it(tensors[rng.integers(len(tensors))]))
        if rng.integers(4) == 0:  # a layer that is called twice
            tensors.append(it(tensors[-1]))
        if rng.integers(3) == 0:
            picks = [tensors[rng.integers(len(tensors))], tensors[-1]]
            tensors.append(package.layers.Add(**called())(picks))
    unread = tensors[1:] if rng.integers(2) else tensors[-1:]
    return (
        package.Model(start, list(unread)[::-1], **name)
        if depth == DEPTH
        else package.Model(start, package.layers.add([*unread, start]), **name)
    )


DEPTH = 2


def freeze(built: Any, rng: np.random.Generator) -> None:
    """Some layers and models, in any order, at any depth; some of them set to train again."""
    inside = {id(part) for it in built._flatten_layers() if hasattr(it, "forward_layer")
              for part in (it.forward_layer, it.backward_layer)}  # fmt: skip
    found = [it for it in built._flatten_layers() if it is not built and id(it) not in inside]
    for it in rng.permutation(np.array(found, dtype=object)):
        if rng.integers(3) == 0:
            it.trainable = bool(rng.integers(3) == 0)


def randomise(built: Any, rng: np.random.Generator) -> None:
    built.set_weights([rng.uniform(0.1, 1, np.shape(it)).astype("float32") for it in built.get_weights()])


def legacy(built: Any, path: Path) -> None:
    """What Keras 2 writes; Keras 3 reads it, but writes only whole models so."""
    if built.__class__.__module__.startswith("tf_keras"):
        built.save_weights(path)
        return
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, built)


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize("seed", range(12))
def test_as_keras_loads_them(seed: int, package: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    draw = int(rng.integers(2**32))
    saved, loaded = (model(package, np.random.default_rng(draw), DEPTH, {}) for _ in range(2))
    randomise(saved, rng)
    randomise(loaded, rng)
    flags = int(rng.integers(2**32))
    freeze(saved, np.random.default_rng(flags))
    freeze(loaded, np.random.default_rng(flags if rng.integers(2) else flags + 1))
    legacy(saved, tmp_path / "w.h5")
    (tmp_path / "model.json").write_text(loaded.to_json())
    live = package.models.model_from_json(loaded.to_json())
    try:
        live.load_weights(tmp_path / "w.h5")
    except ValueError:
        with pytest.raises(TorchportError):
            torchport.convert(tmp_path / "w.h5", config=tmp_path / "model.json", class_name="Net")
        return
    theirs = torchport.convert(live, class_name="Net")
    same(torchport.convert(tmp_path / "w.h5", config=tmp_path / "model.json", class_name="Net"), theirs)


def test_one_frozen_direction(tmp_path: Path) -> None:
    """Keras 3 lists the variables of the direction that trains first; no port is frozen by halves."""
    L = keras.layers
    built = keras.Sequential([keras.Input((STEPS, FEATURES)), L.Bidirectional(L.GRU(FEATURES))])
    built.layers[0].forward_layer.trainable = False
    legacy(built, tmp_path / "w.h5")
    (tmp_path / "model.json").write_text(built.to_json())
    given = {"config": tmp_path / "model.json", "class_name": "Net"}
    with pytest.raises(Refused, match="a part of its weights trains, another does not") as caught:
        torchport.convert(tmp_path / "w.h5", **given)
    assert "freeze all of the layer, or none" in str(caught.value)
    for flag in (False, True):
        built.layers[0].forward_layer.trainable = built.layers[0].backward_layer.trainable = flag
        file = tmp_path / f"{flag}.h5"
        legacy(built, file)
        (tmp_path / "model.json").write_text(built.to_json())
        same(torchport.convert(file, **given), torchport.convert(built, class_name="Net"))


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_archives_of_weights_have_other_names(package: Any, tmp_path: Path) -> None:
    """`.weights.h5`: by the layers' classes and turns, whatever they are called."""
    L = package.layers

    def network(*names: str) -> Any:
        layers = [L.Dense(4, name=name, activation="tanh") for name in names]
        return package.Sequential([package.Input((4,)), *layers], name="net")

    saved, loaded = network("one", "two"), network("two", "one")
    randomise(saved, np.random.default_rng(0))
    saved.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "model.json").write_text(loaded.to_json())
    loaded.load_weights(tmp_path / "w.weights.h5")
    given = {"config": tmp_path / "model.json", "class_name": "Net"}
    same(torchport.convert(tmp_path / "w.weights.h5", **given), torchport.convert(loaded, class_name="Net"))


def dense(*names: str) -> Any:
    L = tf_keras.layers
    return tf_keras.Sequential([tf_keras.Input((4,)), *(L.Dense(4, name=name) for name in names)])


def test_more_layers_than_the_architecture(tmp_path: Path) -> None:
    dense("a", "b", "c").save_weights(tmp_path / "w.h5")
    (tmp_path / "model.json").write_text(dense("a", "b").to_json())
    with pytest.raises(BadFile, match="variables of 3 layers.* 2 such layers") as caught:
        torchport.convert(tmp_path / "w.h5", config=tmp_path / "model.json")
    assert "by_name=True" in str(caught.value)


def test_whole_models_that_were_renamed(tmp_path: Path) -> None:
    """Somebody changed the configuration in the file: Keras does not mind."""
    import h5py

    built = dense("a", "b")
    randomise(built, np.random.default_rng(0))
    built.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = text.replace('"name": "a"', '"name": "first"')
    same(torchport.convert(tmp_path / "m.h5", class_name="Net"), torchport.convert(
        tf_keras.models.load_model(tmp_path / "m.h5", compile=False), class_name="Net"
    ))  # fmt: skip
