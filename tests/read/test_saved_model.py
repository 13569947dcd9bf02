"""SavedModels and checkpoints of Keras 2: the program and weights of the same model's .h5 file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2
from tests.quick import QUICK

import torchport
from torchport.errors import BadFile, Refused, TorchportError
from torchport.read import bundle, crc32c, read
from torchport.read.wire import Message

from .models import BUILDERS, randomise
from .test_by_order import DEPTH, freeze, model, same
from .test_fuzz import outcome

L = tf_keras.layers


def recurrent(keras: Any) -> Any:
    x = keras.Input((5, 4))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    y = L.RNN([L.LSTMCell(4), L.GRUCell(5)], return_sequences=True)(y)
    y = L.GRU(6, reset_after=False, return_sequences=True)(y)
    y = L.TimeDistributed(L.Dense(4))(y)
    return keras.Model(x, L.SimpleRNN(3)(y))


def attention(keras: Any) -> Any:
    x = keras.Input((5, 8))
    y = L.MultiHeadAttention(2, 3)(x, x)
    y = L.LayerNormalization()(L.Add()([x, y]))
    return keras.Model(
        x, L.TimeDistributed(L.BatchNormalization())(L.EinsumDense("abc,cd->abd", (None, 6))(y))
    )


def images(keras: Any) -> Any:
    scale = L.Normalization()
    scale.adapt(np.random.default_rng(0).uniform(1, 9, (9, 12, 12, 3)))
    x = keras.Input((12, 12, 3))
    y = L.SeparableConv2D(4, 3, depth_multiplier=2)(L.RandomFlip()(L.Rescaling(0.1)(scale(x))))
    y = L.PReLU(shared_axes=[1, 2])(L.DepthwiseConv2D(3)(y))
    y = L.Conv2DTranspose(2, 3, strides=2)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y)))


def frozen_parts(keras: Any) -> Any:
    base = keras.Sequential([keras.Input((4,)), L.Dense(4), L.BatchNormalization(), L.Dense(4)])
    base.trainable = False
    return keras.Sequential([keras.Input((4,)), base, L.Dense(2)])


#: tf_keras writes a configuration of `shared_across` that it cannot read itself.
MODELS: dict[str, Callable[[Any], Any]] = {
    **{name: it for name, it in BUILDERS.items() if name != "shared_across"},
    "recurrent": recurrent,
    "attention": attention,
    "images": images,
    "frozen_parts": frozen_parts,
}


def written(built: Any, folder: Path) -> None:
    built.save(folder / "saved", save_format="tf")
    built.save_weights(folder / "checkpoint" / "w", save_format="tf")
    (folder / "model.json").write_text(built.to_json())


@pytest.fixture(scope="module", params=sorted(MODELS))
def saved(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Path, Any]:
    built = randomise(MODELS[request.param](tf_keras))
    folder = tmp_path_factory.mktemp(request.param)
    written(built, folder)
    built.save(folder / "m.h5")
    return folder, torchport.convert(folder / "m.h5", class_name="Net")


@pytest.mark.parametrize("source", ["saved", "saved/saved_model.pb"])
def test_saved_model(saved: Any, source: str) -> None:
    folder, theirs = saved
    same(torchport.convert(folder / source, class_name="Net"), theirs)


@pytest.mark.parametrize("source", ["checkpoint", "checkpoint/w", "checkpoint/w.index"])
def test_checkpoint(saved: Any, source: str) -> None:
    folder, theirs = saved
    found = torchport.convert(folder / source, config=folder / "model.json", class_name="Net")
    same(found, theirs)


@pytest.mark.parametrize("seed", range(2))
def test_random_models(seed: int, tmp_path: Path) -> None:
    built = model(tf_keras, np.random.default_rng(seed), DEPTH, {})
    randomise(built)
    freeze(built, np.random.default_rng(seed))
    written(built, tmp_path)
    live = torchport.convert(built, class_name="Net")
    same(torchport.convert(tmp_path / "saved", class_name="Net"), live)
    given = {"config": tmp_path / "model.json", "class_name": "Net"}
    same(torchport.convert(tmp_path / "checkpoint", **given), live)


def dense(compiled: bool = False) -> Any:
    built = tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, name="first"), L.Dense(2)], name="net")
    if compiled:
        built.compile("adam", "mse", metrics=["mae"])
        built.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    return built


def test_what_training_left_behind(tmp_path: Path) -> None:
    built = dense(compiled=True)
    written(built, tmp_path)
    live = torchport.convert(built)
    same(torchport.convert(tmp_path / "saved"), live)
    same(torchport.convert(tmp_path / "checkpoint", config=tmp_path / "model.json"), live)


def test_a_checkpoint_of_the_model_and_more(tmp_path: Path) -> None:
    built = dense(compiled=True)
    tf.train.Checkpoint(step=tf.Variable(3), net=built, optimizer=built.optimizer).write(str(tmp_path / "c"))
    (tmp_path / "model.json").write_text(built.to_json())
    same(torchport.convert(tmp_path / "c", config=tmp_path / "model.json"), torchport.convert(built))


def inline(folder: Path) -> None:
    """As TensorFlow 2.4 wrote it: the configurations are in the graph of objects."""
    path = folder / "saved_model.pb"
    whole = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    nodes = whole.meta_graphs[0].object_graph_def.nodes
    apart = folder / "keras_metadata.pb"
    for it in Message.of(memoryview(apart.read_bytes()), "").messages(1):
        nodes[it.integer(2)].user_object.identifier = it.text(4)
        nodes[it.integer(2)].user_object.metadata = it.text(5)
    path.write_bytes(whole.SerializeToString())
    apart.unlink()


def test_configurations_in_the_graph_of_objects(tmp_path: Path) -> None:
    built = randomise(recurrent(tf_keras))
    built.save(tmp_path / "saved", save_format="tf")
    inline(tmp_path / "saved")
    same(torchport.convert(tmp_path / "saved", class_name="Net"), torchport.convert(built, class_name="Net"))


class Own(tf_keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x) * 2


def test_subclassed_models_are_refused(tmp_path: Path) -> None:
    built = Own()
    built(np.ones((1, 4)))
    built.save(tmp_path / "saved", save_format="tf")
    with pytest.raises(Refused, match="Python code"):
        torchport.convert(tmp_path / "saved")


def test_vocabularies_that_are_not_in_the_file(tmp_path: Path) -> None:
    lookup = L.StringLookup()
    lookup.adapt(["a", "b"])
    x = tf_keras.Input((1,), dtype="string")
    built = tf_keras.Model(x, L.Embedding(3, 2)(lookup(x)))
    built.save(tmp_path / "saved", save_format="tf")
    with pytest.raises(Refused, match="vocabulary"):
        torchport.convert(tmp_path / "saved")


def test_variables_beside_the_layers(tmp_path: Path) -> None:
    built = dense()
    built.extra = tf.Variable(3.0)
    written(built, tmp_path)
    with pytest.raises(BadFile, match="extra belongs to no layer"):
        torchport.convert(tmp_path / "checkpoint", config=tmp_path / "model.json")


def test_other_architectures(tmp_path: Path) -> None:
    written(dense(), tmp_path)
    for sizes, said in (((3, 5), "shape"), ((3, 2, 2), "no variables of the layer"), ((3,), "no layer")):
        other = tf_keras.Sequential([tf_keras.Input((4,)), *map(L.Dense, sizes)])
        (tmp_path / "other.json").write_text(other.to_json())
        with pytest.raises(BadFile, match=said):
            torchport.convert(tmp_path / "checkpoint", config=tmp_path / "other.json")


def test_weights_without_the_architecture(tmp_path: Path) -> None:
    written(dense(), tmp_path)
    for name in ("checkpoint", "checkpoint/w", "checkpoint/w.index", "checkpoint/w.data-00000-of-00001"):
        with pytest.raises(BadFile, match="--config model.json"):
            torchport.convert(tmp_path / name)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    dense().save(folder / "saved", save_format="tf")
    return folder / "saved"


def copied(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_checksums(sound: Path, tmp_path: Path) -> None:
    assert crc32c.checksum(b"123456789") == 0xE3069283  # the check value of the catalogue
    folder = copied(sound, tmp_path)
    (shard,) = (folder / "variables").glob("*.data-*")
    damage(shard, 5)
    with pytest.raises(BadFile, match="checksum"):
        torchport.convert(folder).save(tmp_path / "port")
    damage(shard, 5)
    damage(folder / "variables" / "variables.index", 9)
    with pytest.raises(BadFile, match="checksum"):
        torchport.convert(folder)


def test_missing_shards(sound: Path, tmp_path: Path) -> None:
    folder = copied(sound, tmp_path)
    (shard,) = (folder / "variables").glob("*.data-*")
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(BadFile, match="cut off"):
        torchport.convert(folder)
    shard.unlink()
    with pytest.raises(BadFile, match="is missing"):
        torchport.convert(folder)


def test_long_checksums_are_those_of_one_byte_at_a_time() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 65535, 65536, 65537, 200_003):
        data, crc = rng.bytes(size), 0xFFFFFFFF
        values = crc32c.table().tolist()
        for byte in data:
            crc = values[(crc ^ byte) & 255] ^ (crc >> 8)
        assert crc32c.checksum(data) == crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (bytes([10, 4 << 2]) + b"abcde" + bytes([0b001_01, 5]), b"abcdeabcde"),
        (bytes([9, 0]) + b"a" + bytes([7 << 2 | 2, 1, 0]), b"a" * 9),
        (bytes([4, 0]) + b"a" + bytes([2 << 2 | 3, 1, 0, 0, 0]), b"a" * 4),
        (bytes([70, 60 << 2, 69]) + bytes(range(70)), bytes(range(70))),
        (bytes([5, 4 << 2]) + b"ab", None),
        (bytes([9, 0, 97, 0b001_01, 9]), None),
        (bytes([5, 4 << 2]) + b"abcdefg", None),
        (bytes([255] * 12), None),
    ],
)
def test_snappy(packed: bytes, plain: bytes | None) -> None:
    """Literals, and copies of one, two and four bytes, also of what they are making."""
    if plain is not None:
        assert bytes(bundle.snappy(memoryview(packed), "")) == plain
        return
    with pytest.raises(BadFile):
        bundle.snappy(memoryview(packed), "")


@pytest.mark.parametrize("name", ["keras_metadata.pb", "saved_model.pb", "variables/variables.index"])
def test_damaged_bytes(sound: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checksums do not count: each is a graph or refused, and soon."""
    monkeypatch.setattr(bundle, "check_sum", lambda data, crc: True)
    folder = copied(sound, tmp_path)
    if name == "saved_model.pb":
        inline(folder)
    data = (folder / name).read_bytes()
    rng = random.Random(5)
    results = []
    for _ in range(101):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 2, 5, 17])):
            at = len(data) - 1 - rng.randrange(min(len(data), 20_000))  # where the objects are
            damaged[at : at + rng.choice([1, 1, 4])] = rng.randbytes(rng.choice([1, 4]))
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        (folder / name).write_bytes(damaged)
        results.append(outcome(lambda: read(folder)))
    assert results.count("error") > 20


def test_nothing_outside_the_folder(sound: Path, tmp_path: Path) -> None:
    folder = copied(sound, tmp_path)
    (folder / "variables" / "variables.index").unlink()
    with pytest.raises(TorchportError, match="cannot be opened"):
        torchport.convert(folder)


def test_the_proof(tmp_path: Path) -> None:
    """verify loads the same sources with TensorFlow."""
    built = randomise(dense())
    written(built, tmp_path)
    port = torchport.convert(tmp_path / "saved")
    assert torchport.verify(tmp_path / "saved" / "saved_model.pb", port, **QUICK).passed
    config = tmp_path / "model.json"
    port = torchport.convert(tmp_path / "checkpoint", config=config)
    assert torchport.verify(tmp_path / "checkpoint", port, config=config, **QUICK).passed
