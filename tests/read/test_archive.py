"""Keras archives: how groups are named, what is left out, and that nothing is read too early."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from torchport.errors import BadFile, TorchportError
from torchport.read import read
from torchport.read.groups import snake_case

from .files import BIAS, KERNEL, archive, dense, entry, members, model, weights


def test_hand_written_archive(tmp_path: Path) -> None:
    graph = read(archive(tmp_path / "m.keras", members()))
    assert str(graph) == "m(x[: ? 7])\n  d = Dense(x)\n  -> d"
    assert graph.dialect == "3.15.1"
    (op,) = graph.ops
    assert op.config == {"trainable": True, "dtype": "float32", "units": 3}
    assert [(w.name, w.shape, w.dtype) for w in op.stored.values()] == [
        ("d/vars/0", (7, 3), "float32"),
        ("d/vars/1", (3,), "float32"),
    ]
    np.testing.assert_array_equal(op.stored["vars/0"].load(), KERNEL)
    np.testing.assert_array_equal(op.stored["vars/1"].load(), BIAS)


def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    assert read(str(archive(tmp_path / "m.h5", members()))).name == "m"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_are_read_when_loaded_and_not_kept(tmp_path: Path, compression: int) -> None:
    big = np.random.default_rng(3).normal(size=(7, 300_007)).astype("float32")  # 8.4 MB

    def fill(file: h5py.File) -> None:
        for number in range(5):
            file[f"layers/dense{f'_{number}' if number else ''}/vars/0"] = big + number

    layers = [dense(f"d{number}") for number in range(5)]
    parts = members(config_json=json.dumps(model(*layers)).encode(), model_weights_h5=weights(fill))
    path = archive(tmp_path / "m.keras", parts, compression)
    del parts
    tracemalloc.start()
    graph = read(path)
    read_peak = tracemalloc.get_traced_memory()[1]
    for number, op in enumerate(graph.ops):
        (weight,) = op.stored.values()
        np.testing.assert_array_equal(weight.load()[3, :11], (big + number)[3, :11])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read_peak < big.nbytes
    assert peak < 3 * big.nbytes  # one tensor (and the one it is compared with), not five


SNAKES = ["Dense", "Conv2D", "Conv2DTranspose", "LSTM", "GRU", "ReLU", "LeakyReLU", "PReLU", "ELU",
          "BatchNormalization", "GlobalAveragePooling2D", "MultiHeadAttention", "TFOpLambda",
          "SeparableConv1D", "UpSampling2D", "_Private", "MyLayerV2", "X2Y3Net"]  # fmt: skip


@pytest.mark.parametrize("name", SNAKES)
def test_snake_case_is_keras_s(name: str) -> None:
    from keras.src.utils.naming import to_snake_case as three
    from tf_keras.src.utils.generic_utils import to_snake_case as two

    assert snake_case(name, "3.15.1") == three(name)
    assert snake_case(name, "2.21.0") == two(name)


def test_many_layers_of_a_class_and_many_variables(tmp_path: Path) -> None:
    """The eleventh of each comes after the tenth, though not in the alphabet."""

    def fill(file: h5py.File) -> None:
        for number in range(13):
            for variable in range(11):
                place = f"layers/dense{f'_{number}' if number else ''}/vars/{variable}"
                file[place] = np.float32(100 * number + variable)

    config = model(*(dense(f"n{13 - number}") for number in range(13)))
    parts = members(config_json=json.dumps(config).encode(), model_weights_h5=weights(fill))
    graph = read(archive(tmp_path / "m.keras", parts))
    for number, op in enumerate(graph.ops):
        assert list(op.stored) == [f"vars/{variable}" for variable in range(11)]
        assert [w.load() for w in op.stored.values()] == [100 * number + v for v in range(11)]


def test_training_state_and_seeds_are_left_out(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["layers/dense/vars/0"] = KERNEL
        file["layers/dense/seed_generator/vars/0"] = np.array([1, 2], "uint32")
        file["optimizer/vars/0"] = 3
        file["metrics/mean/vars/0"] = 0.5
        file["layers/sequential/optimizer/vars/0"] = 3
        file["layers/sequential/layers/dense/vars/0"] = KERNEL + 1
        file["_random_generator/vars/0"] = 3

    config = model(dense(), model(dense("e"), name="inner"))
    parts = members(config_json=json.dumps(config).encode(), model_weights_h5=weights(fill))
    graph = read(archive(tmp_path / "m.keras", parts))
    assert [list(op.stored) for op in graph.ops] == [["vars/0"], []]
    (inner,) = graph.bodies["inner"].ops
    assert inner.stored["vars/0"].name == "inner/e/vars/0"
    np.testing.assert_array_equal(inner.stored["vars/0"].load(), KERNEL + 1)


def test_container_of_keras_2_12(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["_layer_checkpoint_dependencies/dense/vars/0"] = KERNEL

    parts = members(metadata_json=b'{"keras_version": "2.12.0"}', model_weights_h5=weights(fill))
    graph = read(archive(tmp_path / "m.keras", parts))
    np.testing.assert_array_equal(graph.ops[0].stored["vars/0"].load(), KERNEL)


def shards(path: Path) -> dict[str, bytes]:
    """The members of an archive whose two variables are in a shard each."""
    parts = members(model_weights_h5=None)
    for number, value in enumerate((KERNEL, BIAS)):
        parts[f"model_{number:05}.weights.h5"] = weights(
            lambda file, number=number, value=value: file.create_dataset(  # type: ignore[misc]
                f"layers/dense/vars/{number}", data=value
            )
        )
    names = [name for name in parts if name.endswith(".h5")]
    index = {"metadata": {"total_size": 96}, "weight_map": {"/layers/dense/vars": names}}
    return parts | {"model.weights.json": json.dumps(index).encode()}


def test_shards(tmp_path: Path) -> None:
    graph = read(archive(tmp_path / "m.keras", shards(tmp_path)))
    np.testing.assert_array_equal(graph.ops[0].stored["vars/0"].load(), KERNEL)
    np.testing.assert_array_equal(graph.ops[0].stored["vars/1"].load(), BIAS)


def test_missing_shard(tmp_path: Path) -> None:
    parts = shards(tmp_path)
    del parts["model_00001.weights.h5"]
    with pytest.raises(BadFile, match="shard 'model_00001.weights.h5' is missing"):
        read(archive(tmp_path / "m.keras", parts))


def test_shards_that_keras_writes(tmp_path: Path) -> None:
    """Keras shards only weights files; the same members in an archive are read."""
    keras = pytest.importorskip("keras")
    layers = [keras.Input((7,)), *(keras.layers.Dense(101, name=f"d{n}") for n in range(3))]
    live = keras.Sequential(layers)
    live.save(tmp_path / "m.keras")
    live.save_weights(tmp_path / "s.weights.json", max_shard_size=0.00005)  # 50 kB
    with zipfile.ZipFile(tmp_path / "m.keras") as whole:
        parts = {name: whole.read(name) for name in ("metadata.json", "config.json")}
    parts["model.weights.json"] = (tmp_path / "s.weights.json").read_bytes()
    pieces = sorted(tmp_path.glob("s_*.h5"))
    assert len(pieces) > 1
    graph = read(archive(tmp_path / "n.keras", parts | {p.name: p.read_bytes() for p in pieces}))
    for op, layer in zip(graph.ops, live.layers, strict=True):
        for weight, array in zip(op.stored.values(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(weight.load(), array)


def test_bfloat16(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    live = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, dtype="bfloat16")])
    live.save(tmp_path / "m.keras")
    live.save(tmp_path / "m.h5")
    (wanted, _) = (np.asarray(w).astype("float32") for w in live.get_weights())
    assert wanted.any()
    for source in (tmp_path / "m.keras", tmp_path / "m.h5", live):
        weight = next(iter(read(source).ops[0].stored.values()))
        assert (weight.dtype, weight.load().dtype) == ("bfloat16", np.float32)
        np.testing.assert_array_equal(weight.load(), wanted)


WRONG: dict[str, tuple[Any, str]] = {
    "of another layer": (
        lambda f: f.create_group("layers/dense/vars").attrs.__setitem__("name", "other"),
        "is of the layer 'other', not of 'd'",
    ),
    "left over": (
        lambda f: f.create_dataset("layers/conv2d/vars/0", data=KERNEL),
        "belong to no layer",
    ),
    "of the model itself": (lambda f: f.create_dataset("vars/0", data=BIAS), "belong to no layer"),
    "metrics of a layer": (
        lambda f: f.create_dataset("layers/conv2d/metrics/vars/0", data=BIAS),
        "belong to no layer",
    ),
    "texts": (
        lambda f: f.create_dataset("layers/dense/vars/0", data="text"),
        "not a kind of number",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_of_another_model(tmp_path: Path, case: str) -> None:
    fill, words = WRONG[case]
    with pytest.raises(BadFile, match=words):
        read(archive(tmp_path / "m.keras", members(model_weights_h5=weights(fill))))


def test_missing_group(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["layers/dense/vars/0"] = KERNEL
        file["layers/dense/vars"].attrs["name"] = "d"

    config = json.dumps(model(dense(), dense("e"))).encode()
    with pytest.raises(BadFile, match="no group layers/dense_1 for the layer 'e'"):
        read(archive(tmp_path / "m.keras", members(config_json=config, model_weights_h5=weights(fill))))


def test_custom_layer_is_an_op_that_no_rule_has(tmp_path: Path) -> None:
    mine = entry("Mine", name="d", size=3) | {"module": "lab.nets", "registered_name": "lab>Mine"}
    mine["class_name"] = "Mine"

    def fill(file: h5py.File) -> None:
        file["layers/mine/vars/0"] = KERNEL

    config = json.dumps(model(mine)).encode()
    parts = members(config_json=config, model_weights_h5=weights(fill))
    (op,) = read(archive(tmp_path / "m.keras", parts)).ops
    assert (op.kind, list(op.stored)) == ("lab>Mine", ["vars/0"])


def test_lambda_is_only_an_op(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAAAAAAA", None, None]}}

    def fill(file: h5py.File) -> None:
        file["layers/dense/vars/0"] = KERNEL
        file.create_group("layers/lambda/vars").attrs["name"] = "f"

    config = json.dumps(model(dense(), entry("Lambda", name="f", function=code))).encode()
    parts = members(config_json=config, model_weights_h5=weights(fill))
    graph = read(archive(tmp_path / "m.keras", parts))
    assert [op.kind for op in graph.ops] == ["Dense", "Lambda"]


def test_keras_1_is_named(tmp_path: Path) -> None:
    with pytest.raises(TorchportError, match="written by Keras 1.2.2"):
        read(archive(tmp_path / "m.keras", members(metadata_json=b'{"keras_version": "1.2.2"}')))
