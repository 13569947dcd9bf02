"""Live models of the user's own classes: ported where `call` gives one graph in both modes, else refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import Refused
from torchport.read import read

PACKAGES = pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
IMAGE, ROW = (2, 6, 6, 3), (2, 4)


def array(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 1, shape).astype("float32")


def network(package: Any, make: Callable[[Any, Any], None], call: Any, data: Any) -> Any:
    """A model of a class with these layers and this `call`, called once."""

    class Net(package.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            make(self, package.layers)

    Net.call = call
    built = Net()
    built(data)
    built.set_weights([array(it.shape) for it in built.get_weights()])
    return built


def images(net: Any, layers: Any) -> None:
    net.conv, net.norm = layers.Conv2D(4, 3), layers.BatchNormalization()
    net.drop, net.pool, net.head = layers.Dropout(0.5), layers.GlobalAveragePooling2D(), layers.Dense(2)


def rows(net: Any, layers: Any) -> None:
    net.dense = layers.Dense(3)


def plain(self: Any, x: Any, training: Any = False) -> Any:
    x = self.norm(self.conv(x), training=training)
    return self.head(self.drop(self.pool(x), training=training))


def without_training(self: Any, x: Any) -> Any:
    return {"b": self.head(self.pool(self.norm(self.conv(x)))), "a": self.pool(self.conv(x)) * 2}


def in_training_only(self: Any, x: Any, training: Any = None) -> Any:
    y = self.pool(self.norm(self.conv(x)))
    return self.head(self.drop(y) if training else y)


def in_inference_only(self: Any, x: Any, training: Any = None) -> Any:
    y = self.pool(self.norm(self.conv(x)))
    return self.head(y) if training else self.head(y * 0.5)


def two(self: Any, x: Any) -> Any:
    return self.dense(x[0]) + self.dense(x[1])


def leaves(tree: Any) -> Iterator[np.ndarray]:
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key])
    elif isinstance(tree, (tuple, list)):
        for it in tree:
            yield from leaves(it)
    else:
        yield np.asarray(tree)


def agrees(built: Any, *data: Any) -> None:
    port = torchport.convert(built)
    wanted = leaves(built(list(data) if len(data) > 1 else data[0], training=False))
    for ours, theirs in zip(leaves(port.run(*data)), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@PACKAGES
def test_computes_what_call_does(package: Any) -> None:
    for call in (plain, without_training):
        agrees(network(package, images, call, array(IMAGE)), array(IMAGE))
    agrees(network(package, rows, two, [array(ROW), array(ROW)]), array(ROW), array(ROW) + 1)


@PACKAGES
def test_the_proof(package: Any) -> None:
    built = network(package, images, plain, array(IMAGE))
    assert torchport.verify(built, torchport.convert(built), **QUICK).passed


@pytest.mark.parametrize(("package", "ending"), [("keras", ".weights.h5"), ("tf_keras", ".h5")])
def test_weights_of_a_class(package: str, ending: str, tmp_path: Path) -> None:
    """Keras finds them by the attributes of the model that the function builds."""
    (tmp_path / "arch.py").write_text(
        f"import {package} as keras\nimport numpy as np\n"
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.one, self.two = keras.layers.Dense(4), keras.layers.Dense(4)\n"
        "    def call(self, x):\n"
        "        return self.one(self.two(x))\n"
        "def build():\n    net = Net()\n    net(np.ones((1, 4), 'float32'))\n    return net\n"
    )
    scope: dict[str, Any] = {}
    exec((tmp_path / "arch.py").read_text(), scope)
    built = scope["build"]()
    built.save_weights(tmp_path / f"w{ending}")
    port = torchport.convert(tmp_path / f"w{ending}", config=f"{tmp_path / 'arch.py'}:build")
    np.testing.assert_allclose(port.run(array(ROW)), built(array(ROW)), rtol=1e-5, atol=1e-6)


@PACKAGES
def test_models_in_models(package: Any) -> None:
    class Inner(package.Model):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense, self.norm = package.layers.Dense(4), package.layers.BatchNormalization()

        def call(self, x: Any, training: Any = None) -> Any:
            return self.norm(self.dense(x), training=training)

    def make(net: Any, layers: Any) -> None:
        net.one, net.two, net.out = Inner(name="one"), Inner(name="two"), layers.Dense(2)

    def call(self: Any, x: Any, training: Any = None) -> Any:
        y = self.one(x, training=training)
        return [self.out(self.two(y, training=training)), self.one(y, training=training)]

    built = network(package, make, call, array(ROW))
    agrees(built, array(ROW))
    x = package.Input((4,))
    agrees(package.Model(x, package.layers.Dense(3)(built.one(x))), array(ROW))


# What no functional model stands for: tests/watch ports it, by what `call` does in both modes.


@PACKAGES
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (in_training_only, "drop.* is called in one mode only"),
        (in_inference_only, "something else in training"),
        (lambda self, x: self.conv(x) if float(np.sum(x)) > 0 else x, "cannot be run on symbols"),
    ],
)
def test_what_is_refused(package: Any, call: Any, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        read(network(package, images, call, array(IMAGE)))
    assert "functional API" in str(caught.value)


def test_a_mode_of_its_own() -> None:
    def call(self: Any, x: Any, training: Any = None) -> Any:
        return self.head(self.pool(self.norm(self.conv(x), training=False)))

    with pytest.raises(Refused, match="in one mode, whatever"):
        read(network(keras, images, call, array(IMAGE)))


def test_random_numbers() -> None:
    built = network(keras, rows, lambda self, x: self.dense(x) + keras.random.normal((3,)), array(ROW))
    with pytest.raises(Refused, match="another graph each time"):
        read(built)


def test_variables_of_its_own() -> None:
    def make(net: Any, layers: Any) -> None:
        rows(net, layers)
        net.scale = net.add_weight(shape=(3,), name="scale")

    built = network(keras, make, lambda self, x: self.dense(x) * self.scale, array(ROW))
    with pytest.raises(Refused, match="scale belong to no layer"):
        read(built)


@PACKAGES
def test_what_was_never_called(package: Any) -> None:
    class Net(package.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2

    with pytest.raises(Refused, match="never called") as caught:
        torchport.convert(Net())
    assert "call it once on data" in str(caught.value)


@PACKAGES
def test_functional_models_with_a_call_of_their_own(package: Any) -> None:
    class Twice(package.Model):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, **options: Any) -> Any:
            return super().call(inputs, **options) * 2

    x = package.Input((4,))
    agrees(Twice(x, package.layers.Dense(3)(x)), array(ROW))


class Trains(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Trains2(tf_keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Chain(keras.Sequential):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Chain2(tf_keras.Sequential):  # type: ignore[misc]
    pass


class Weighted(keras.Model):  # type: ignore[misc]
    """Its configuration says nothing of the layers."""

    def __init__(self, inputs: Any, outputs: Any, weight: float) -> None:
        super().__init__(inputs, outputs)
        self.weight = weight


@pytest.mark.parametrize("cls", [Trains, Trains2, Chain, Chain2], ids=lambda it: it.__name__)
def test_classes_that_add_to_training(cls: Any, tmp_path: Path) -> None:
    package = tf_keras if cls.__name__.endswith("2") else keras
    x, dense = package.Input((4,)), package.layers.Dense(3, name="d")
    built = cls([x, dense]) if "Chain" in cls.__name__ else cls(x, dense(x))
    live = torchport.convert(built, class_name="Net")
    agrees(built, array(ROW))
    built.save(tmp_path / "m.keras")
    built.save(tmp_path / "m.h5")
    names = ["m.keras", "m.h5"]
    if package is tf_keras:
        built.save(tmp_path / "saved", save_format="tf")
        names.append("saved")
    for name in names:
        port = torchport.convert(tmp_path / name, class_name="Net")
        assert port.code == live.code
        assert any(cls.__name__ in it and "`call` of its own" in it for it in port.program.notes)
    assert torchport.verify(tmp_path / "m.keras", port, **QUICK).passed


def test_configurations_that_do_not_say_the_layers() -> None:
    x = keras.Input((4,))
    agrees(Weighted(x, keras.layers.Dense(3)(x), 0.5), array(ROW))
