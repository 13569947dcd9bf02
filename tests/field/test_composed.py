"""Layers of packages that are made of Keras's own, against stand-ins written from their documentation.

What they call their attributes, and the order in which they make their layers, is in files, and is theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)


def with_options(base: Any) -> Any:
    """A class of layers that keep their options for their configuration."""

    class Optional(base):  # type: ignore[misc]
        OPTIONS: dict[str, Any] = {}

        def __init__(self, **options: Any) -> None:
            given = {key: options.pop(key, usual) for key, usual in self.OPTIONS.items()}
            super().__init__(**options)
            self.given = given

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), **self.given}

    return Optional


def named(cls: Any, name: str, module: str) -> Any:
    """The class under its package's name."""
    cls.__name__ = cls.__qualname__ = name
    cls.__module__ = module
    return cls


def temporal(package: Any) -> Any:
    """keras-tcn's TCN for a package of Keras. `before`: as version 3.1 had it, and wrote it."""
    L, Base = package.layers, with_options(package.layers.Layer)
    scope = package.name_scope if package is keras else package.backend.name_scope

    class ResidualBlock(package.layers.Layer):  # type: ignore[misc,name-defined]
        def __init__(self, own: dict[str, Any], filters: int, dilation: int, **options: Any) -> None:
            super().__init__(**options)
            self.own, self.filters, self.dilation = own, filters, dilation
            self.batch_norm_layers, self.layer_norm_layers = [], []

        def build(self, shape: Any) -> None:
            own, before = self.own, self.own["before"]
            made: list[Any] = []
            for number in range(2):
                made.append(L.Conv1D(self.filters, own["kernel_size"], dilation_rate=self.dilation,
                                     padding=own["padding"], name=f"conv1D_{number}"))  # fmt: skip
                if own["use_batch_norm"]:
                    made.append(L.BatchNormalization())
                    self.batch_norm_layers.append(made[-1]) if not before else None
                elif own["use_layer_norm"]:
                    made.append(L.LayerNormalization())
                    self.layer_norm_layers.append(made[-1]) if not before else None
                made.append(L.Activation("relu" if before else own["activation"]))
                made.append(L.SpatialDropout1D(own["dropout_rate"]))
            if not before:
                made.append(L.Activation(own["activation"]))
            self.layers, size = made, shape
            for number, it in enumerate(made):
                with scope(f"{self.name}_layer{number}"):
                    it.build(size)
                size = it.compute_output_shape(size)
                setattr(self, it.name, it)
            matches = shape[-1] == self.filters
            self.shape_match_conv = L.Lambda(lambda x: x) if matches else L.Conv1D(
                self.filters, 1, padding="same", name="matching_conv1D")  # fmt: skip
            with scope(f"{self.name}_match"):
                self.shape_match_conv.build(shape)
            setattr(self, self.shape_match_conv.name, self.shape_match_conv)
            self.final_activation = L.Activation(own["activation"])
            self.built = True

        def call(self, x: Any, training: Any = None) -> Any:
            y = x
            for it in self.layers:
                y = (
                    it(y, training=training)
                    if isinstance(it, (L.SpatialDropout1D, L.BatchNormalization))
                    else it(y)
                )
            return self.final_activation(self.shape_match_conv(x) + y), y

        def compute_output_shape(self, shape: Any) -> Any:
            out = (*shape[:2], self.filters)
            return out, out

    class TCN(Base):  # type: ignore[misc,valid-type]
        OPTIONS = {
            "nb_filters": 4, "kernel_size": 3, "nb_stacks": 1, "dilations": [1, 2], "padding": "causal",
            "use_skip_connections": True, "dropout_rate": 0.0, "return_sequences": False,
            "activation": "relu", "use_batch_norm": False, "use_layer_norm": False,
            "kernel_initializer": "he_normal", "go_backwards": False, "return_state": False, "before": False,
        }  # fmt: skip

        def build(self, shape: Any) -> None:
            own = self.given
            filters, dilations = own["nb_filters"], own["dilations"]
            self.residual_blocks, size = [], tuple(shape)
            for stack in range(own["nb_stacks"]):
                for at, dilation in enumerate(dilations):
                    count = filters[at] if isinstance(filters, (list, tuple)) else filters
                    name = f"residual_block_{stack * len(dilations) + at}"
                    block = ResidualBlock(own, count, dilation, name=name)
                    block.build(size)
                    self.residual_blocks.append(block)
                    setattr(self, name, block)
                    size = (*size[:2], count)
            self.knows_steps = size[1] is not None
            self.middle = None if own["padding"] == "causal" else size[1] and size[1] // 2
            self.slicer = L.Lambda(lambda x: x[:, -1 if own["padding"] == "causal" else self.middle])
            self.slicer.build(size)
            self.width, self.built = size[-1], True

        def call(self, x: Any, training: Any = None) -> Any:
            own = self.given
            x = tf.reverse(x, [1]) if own["go_backwards"] else x
            skips = []
            for block in self.residual_blocks:
                x, skip = block(x, training=training)
                skips.append(skip)
            x = sum(skips[1:], skips[0]) if own["use_skip_connections"] else x
            if own["padding"] == "same" and not self.knows_steps:
                self.middle = tf.shape(x)[1] // 2
            return x if own["return_sequences"] else self.slicer(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:2], self.width) if self.given["return_sequences"] else (shape[0], self.width)

        def get_config(self) -> dict[str, Any]:
            config = super().get_config()
            late = ("go_backwards", "return_state") if config.pop("before") else ()
            return {key: it for key, it in config.items() if key not in late}

    return named(TCN, "TCN", "tcn.tcn")


TCNS = {package: temporal(package) for package in (tf_keras, keras)}
#: Options, and the number of steps.
TEMPORAL: dict[str, tuple[dict[str, Any], int | None]] = {
    "plain": ({}, 11),
    "batch_norm": ({"use_batch_norm": True, "dropout_rate": 0.1, "return_sequences": True}, 11),
    "layer_norm": ({"use_layer_norm": True, "activation": "tanh", "nb_stacks": 2}, 11),
    "middle": ({"padding": "same", "use_skip_connections": False}, 11),
    "middle_of_any": ({"padding": "same"}, None),
    "backwards": ({"go_backwards": True, "return_sequences": True}, 11),
    "widths": ({"nb_filters": [3, 5], "use_skip_connections": False, "activation": "linear"}, 11),
    "one": ({"nb_filters": 3, "dilations": [2]}, 11),
    "frozen": ({"use_layer_norm": True, "trainable": False}, 11),
    "before": ({"before": True, "use_batch_norm": True, "activation": "tanh"}, 11),
}


def temporal_model(case: str, package: Any) -> Any:
    options, steps = TEMPORAL[case]
    x = package.Input((steps, 3))
    return filled(package.Model(x, package.layers.Dense(2)(TCNS[package](**options)(x))))


def filled(model: Any) -> Any:
    """A model with numbers of which none is 0 or 1."""
    model.set_weights([RNG.uniform(0.3, 1.2, it.shape) * RNG.choice([-1, 1], it.shape) ** (it.ndim > 1)
                       for it in model.get_weights()])  # fmt: skip
    return model


def agrees(model: Any, path: Path) -> Any:
    """The port of a file of the model, whose outputs are those of the model."""
    model.save(path)
    port = torchport.convert(path)
    given = [data(it) for it in model.inputs]
    found, wanted = port.run(*given), model(given if len(given) > 1 else given[0])
    wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    for one, other in zip(found if isinstance(found, (list, tuple)) else [found], wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    return port


def data(x: Any) -> np.ndarray:
    shape = (3, *(size or 7 for size in x.shape[1:]))
    dtype = str(getattr(x.dtype, "name", x.dtype))
    whole = RNG.integers(0, 5, shape) if dtype.startswith("int") else RNG.integers(0, 2, shape)
    return RNG.normal(size=shape).astype(dtype) if dtype.startswith("float") else whole.astype(dtype)


@pytest.mark.parametrize("case", TEMPORAL)
@pytest.mark.parametrize("suffix", [".h5", ".keras", "3.keras"])
def test_temporal_convolutions(case: str, suffix: str, tmp_path: Path) -> None:
    if case == "before" and suffix == "3.keras":
        pytest.skip("that version is older than Keras 3")
    model = temporal_model(case, keras if suffix == "3.keras" else tf_keras)
    assert "class TCN(" in agrees(model, tmp_path / f"model{suffix}").code


@pytest.mark.parametrize("case", ["batch_norm", "middle_of_any", "frozen"])
@pytest.mark.parametrize("package", [tf_keras, keras])
def test_temporal_convolutions_train_alike(case: str, package: Any, tmp_path: Path) -> None:
    """`middle_of_any` holds a function that looks at its layer: the copy of it is to look at its own."""
    temporal_model(case, package).save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    own = {"TCN": TCNS[package]}
    result = torchport.verify(tmp_path / "m.keras", port, custom=own, precision="float64", steps=5)
    assert result.passed, str(result)


@pytest.mark.parametrize(
    ("option", "why"),
    [("use_weight_norm", "use_weight_norm=True is not ported"), ("frozen", "save the model as .keras")],
)
def test_what_a_file_does_not_say_is_refused(option: str, why: str, tmp_path: Path) -> None:
    model = temporal_model("batch_norm", tf_keras)
    model.layers[1].given |= {option: True} if option != "frozen" else {}
    model.layers[1].trainable = option != "frozen"
    model.save(tmp_path / "m.h5")
    with pytest.raises(Refused, match=why):
        torchport.convert(tmp_path / "m.h5")
