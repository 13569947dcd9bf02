"""Augmentation in training mode: exact where nothing is left to chance, else the same distribution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.layers.cases_preprocessing import FIXED, UNIT
from tests.layers.harness import Case, Reference, error, pins, ports
from tests.quick import QUICK

WIDE = {"value_range": [-2.0, 2.0]}
#: All of the inputs are within it: what becomes of others as bytes, TensorFlow leaves to the processor.
WHOLE = {"value_range": [-4.0, 4.0]}
JITTER = {
    "brightness_factor": 0.2, "contrast_factor": [0.0, 0.5], "saturation_factor": 0.4, "hue_factor": 0.3,
    **UNIT,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _pins() -> Iterator[None]:
    with pins():
        yield


@pytest.mark.parametrize("case", FIXED, ids=str)
def test_without_chance_as_tensorflow(case: Case) -> None:
    reference = Reference(case)
    theirs = reference.call(*map(tf.constant, reference.x), training=True).numpy()
    for port in ports(reference.model, ("free", "keep_io")):
        ours = port.back(port.module().train()(*port.turned(reference.x))).detach().numpy()
        assert error(ours, theirs) < 1e-4, port.code  # TensorFlow computes places in float32


@pytest.mark.parametrize(
    "case",
    [
        Case("RandomFlip", {}, "60 3 5 3"),
        Case("RandomFlip", {"mode": "vertical"}, "60 3 5 3"),
        Case("RandomFlip", {}, "60 3 5 3", of="tf_keras"),
        Case("RandomBrightness", {"factor": [-0.1, 0.4], **WIDE}, "60 3 5 3"),
        Case("RandomContrast", {"factor": 0.9, **WIDE}, "60 3 5 3"),
        Case("RandomInvert", {"factor": 0.4, "value_range": [0.0, 1.0]}, "60 3 5 3"),
        Case("RandomGrayscale", {"factor": 0.4}, "60 3 5 3"),
        Case(
            "Solarization",
            {"addition_factor": 0.3, "threshold_factor": 0.9, "value_range": [-4.0, 4.0]},
            "60 3 5 3",
        ),
        Case("RandomShear", {"x_factor": [0.1, 0.6], "y_factor": [0.0, 0.3]}, "60 3 5 3"),
        Case("RandomColorDegeneration", {"factor": 0.7, **WIDE}, "60 3 5 3"),
        Case("RandomSharpness", {"factor": 0.7, **WIDE}, "60 3 5 3"),
        Case("RandomGaussianBlur", {"factor": 0.7, "sigma": [0.3, 0.9], **WIDE}, "60 3 5 3"),
        Case("RandomSaturation", {"factor": 0.7, **UNIT}, "60 3 5 3"),
        Case("RandomSaturation", {"factor": [0.2, 0.4], **UNIT}, "60 3 5 3"),
        Case("RandomHue", {"factor": 0.7, **WIDE}, "60 3 5 3"),
        Case("RandomHue", {"factor": [0.2, 0.4], **WIDE}, "60 3 5 3"),
        Case("RandomPosterization", {"factor": 4, **WHOLE}, "60 3 5 3"),
        Case("RandomPosterization", {"factor": [2, 6], **WHOLE}, "60 3 5 3"),
        Case("RandomErasing", {"factor": 0.8, **WIDE}, "60 3 5 3"),
        Case("RandomErasing", {"scale": [0.1, 0.6], "fill_value": 0.4, **WIDE}, "60 3 5 3"),
        Case("RandomColorJitter", JITTER, "60 3 5 3"),
        Case("RandomPerspective", {"factor": 0.8, "fill_value": 0.2}, "60 3 5 3"),
        Case("RandomPerspective", {"scale": 0.6, "interpolation": "nearest"}, "60 3 5 3"),
        Case("RandomElasticTransform", {"scale": [0.9, 1.0], "factor": 0.8, **WIDE}, "12 3 5 1"),
        Case("RandomRotation", {"factor": 0.3}, "60 3 5 3"),
        Case("RandomZoom", {"height_factor": 0.5, "width_factor": [-0.5, 0.0]}, "60 3 5 3"),
        Case("RandomTranslation", {"height_factor": 0.5, "width_factor": [0.0, 0.9]}, "60 3 5 3"),
        *(
            Case(kind, options, "60 3 5 3", of="tf_keras")
            for kind, options in (
                ("RandomRotation", {"factor": [-0.1, 0.3], "fill_mode": "constant"}),
                ("RandomZoom", {"height_factor": [-0.5, 0.3]}),
                ("RandomTranslation", {"height_factor": 0.5, "width_factor": [0.0, 0.9]}),
                ("RandomBrightness", {"factor": [-0.1, 0.4], **WIDE}),
            )
        ),
    ],
    ids=str,
)
def test_the_distribution_is_tensorflows(case: Case) -> None:
    """One image many times: every pixel has the same mean and spread, and varies with the same others."""
    reference = Reference(case)
    image = reference.x[0][:1]
    reference.x = [np.repeat(image, len(reference.x[0]), axis=0)]
    calls = 60 * 60 // len(reference.x[0])
    same_distribution(*(it.reshape(-1, image.size) for it in drawn(reference, min(calls, 300))))


@pytest.mark.parametrize(
    ("case", "calls"),
    [
        (Case("RandomCrop", {"height": 3, "width": 4}, "2 5 7 3"), 2000),
        (Case("RandomCrop", {"height": 5, "width": 4}, "2 5 7 3", of="tf_keras"), 2000),
        (Case("RandomContrast", {"factor": [0.3, 0.9]}, "2 5 7 3", of="tf_keras"), 2000),
        (Case("RandAugment", {"factor": 0.6, **WHOLE}, "2 5 7 3"), 1000),
        (Case("RandAugment", {"factor": [0.2, 0.4], "num_ops": 3, **WHOLE}, "2 5 7 3"), 1000),
        (Case("AugMix", {"num_chains": 2, "factor": 0.6, **WHOLE}, "2 3 5 3"), 1000),
        (Case("AugMix", {"alpha": 0.4, "chain_depth": 1, "all_ops": False, **WHOLE}, "2 3 5 3"), 1000),
    ],
    ids=str,
)
def test_the_distribution_of_batches_is_tensorflows(case: Case, calls: int) -> None:
    """Some draw for all images of a batch at once."""
    same_distribution(*(it.reshape(calls, -1) for it in drawn(Reference(case), calls)))


def drawn(reference: Reference, calls: int) -> tuple[np.ndarray, np.ndarray]:
    """What the port and Keras draw in training, (calls, n, ...)."""
    keras.utils.set_random_seed(0)
    (x,) = map(tf.constant, reference.x)

    def call() -> tf.Tensor:
        return reference.call(x, training=True)

    if reference.case.kind != "AugMix":  # which chooses in Python: only once where it is traced
        call = tf.function(call)
    theirs = np.stack([call().numpy() for _ in range(calls)])
    (port, *_) = ports(reference.model, ("free",))
    torch.manual_seed(0)
    module = port.module().train()
    given = port.turned(reference.x)
    return np.stack([port.back(module(*given)).detach().numpy() for _ in range(calls)]), theirs


def same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Rows of values have the same means, spreads, and vary with each other alike."""
    spread = np.maximum(theirs.std(0), theirs.std(0).max() / 2)  # of what is rare little is known
    assert np.max(np.abs(ours.mean(0) - theirs.mean(0)) / spread) < 0.15  # three standard errors
    assert np.max(np.abs(ours.std(0) - theirs.std(0)) / spread) < 0.15
    both = [np.cov(it.T) for it in (ours, theirs)]
    assert np.max(np.abs(both[0] - both[1])) < 0.25 * max(np.abs(both[1]).max(), 0.05)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_the_distribution_of_conv_lstm_is_tensorflows(of: str) -> None:
    """Its gates drop inputs and states each by itself, the same at all steps."""
    options = {"filters": 2, "kernel_size": 2, "dropout": 0.3, "recurrent_dropout": 0.4}
    reference = Reference(Case("ConvLSTM2D", options, "500 3 3 3 1", of=of))
    reference.x = [np.repeat(reference.x[0][:1], 500, axis=0)]
    same_distribution(*(it.reshape(4 * 500, -1) for it in drawn(reference, 4)))


@pytest.mark.parametrize("kind", ["RandAugment", "AugMix"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_the_layers_drawn_from_are_tensorflows(kind: str, interpolation: str) -> None:
    """With factors that leave nothing to chance, all but two of the layers make one image each."""
    once = {"num_ops": 1} if kind == "RandAugment" else {"num_chains": 1, "chain_depth": 1}
    options = {"factor": [0.3, 0.3], "interpolation": interpolation, **once, **WHOLE}
    reference = Reference(Case(kind, options, "1 5 7 3"))
    ours, theirs = (
        repeated((it - reference.x[0]).reshape(400, -1), kind == "AugMix") for it in drawn(reference, 400)
    )
    # RandomContrast and Solarization draw still; RandomShear goes two ways. AugMix also leaves images
    # alone, and RandomContrast does two things if one takes no account of how much.
    assert len(ours) == len(theirs) == (10 if kind == "RandAugment" else 13)
    for one in ours:
        assert min(np.abs(one - other).max() for other in theirs) < 1e-4


def repeated(changes: np.ndarray, mixed: bool) -> list[np.ndarray]:
    """What comes more than five times; `mixed`: up to its size."""
    found: list[tuple[np.ndarray, list[int]]] = []
    for it in changes:
        size = np.linalg.norm(it)
        change = it / size if mixed and size > 1e-6 else it
        for known, count in found:
            if np.abs(known - change).max() < 1e-3:
                count[0] += 1
                break
        else:
            found.append((change, [1]))
    return [known for known, (count,) in found if count > 5]


@pytest.mark.parametrize("shape", ["2 5 7 3", "2 41 23 1"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill", ["reflect", "constant", "wrap", "nearest"])
def test_elastic_with_the_same_noise(
    shape: str, interpolation: str, fill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow's noise, of its own seed, is torch's as well."""
    way = {"interpolation": interpolation, "fill_mode": fill, "fill_value": 0.3}
    options = {"factor": [1.0, 1.0], "scale": [0.875, 0.875], "value_range": [-2.0, 2.0], **way}
    reference = Reference(Case("RandomElasticTransform", options, shape))
    noises: dict[str, np.ndarray] = {}

    def normal(shape: Any, seed: Any, mean: float, stddev: float, **_: Any) -> tf.Tensor:
        assert (mean, stddev) == (0, 1)
        return tf.constant(noises.setdefault(str(seed), 3 * np.random.default_rng(0).normal(size=shape)))

    monkeypatch.setattr(tf.random, "stateless_normal", normal)
    theirs = reference.call(*map(tf.constant, reference.x), training=True).numpy()
    (noise,) = noises.values()
    monkeypatch.setattr(torch, "randn_like", lambda it: torch.from_numpy(noise)[:, None])
    for port in ports(reference.model, ("free", "keep_io")):
        ours = port.back(port.module().train()(*port.turned(reference.x))).numpy()
        assert error(ours, theirs) < 1e-9, port.code
    assert error(theirs, reference.x[0]) > 0.1


def test_a_helper_is_pasted_where_it_is_called() -> None:
    """Not where a docstring has a word that is its name as well."""
    case = Case("Resizing", {"height": 5, "width": 13, "interpolation": "bicubic"})
    (port, *_) = ports(Reference(case).model, ("free",))
    assert "pixels" in port.code and "def pixels" not in port.code


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_verify_compares_the_rest(package: str) -> None:
    """Augmentation is off on both sides while the others train."""
    import importlib

    import torchport

    keras = importlib.import_module(package)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2),
            layers.RandomBrightness(0.2, value_range=(0.0, 1.0)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    port = torchport.convert(model)
    assert port.code.count("class RandomAffine") == 1 and not port.permutes
    assert torchport.verify(model, port, **QUICK).passed


def test_hashes_are_tensorflows() -> None:
    """Of numbers of every length, negative ones and the largest."""
    rng = np.random.default_rng(0)
    numbers = [rng.integers(-(10**digits), 10**digits, 40) for digits in range(1, 19)]
    x = np.concatenate([*numbers, rng.integers(-(2**63), 2**63 - 1, 99), [0, 2**63 - 1, -(2**63)]])[:, None]
    layers = [
        keras.layers.Hashing(2**31 - 1),
        keras.layers.Hashing(1000, mask_value=int(x[7, 0])),
        keras.layers.Hashing(1000, salt=(133, -137)),
    ]
    crossing = keras.layers.HashedCrossing(2**31 - 1)
    one, two = (keras.Input((1,), dtype="int64") for _ in range(2))
    model = keras.Model([one, two], [*(layer(one) for layer in layers), crossing((one, two))])
    (port, *_) = ports(model, ("free",))
    theirs = model([x, x[::-1]])
    for want, got in zip(theirs, port.module()(*map(torch.tensor, (x, x[::-1].copy()))), strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy())
