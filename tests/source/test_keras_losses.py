"""Losses of Keras in functions and losses of the author's, of Keras 3 and of Keras 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.test_kinds import port

from torchport.source import SourceRefused

TEXT = """
bce = keras.losses.BinaryCrossentropy()
mse = keras.losses.MeanSquaredError()


def overlap(y_true, y_pred):
    return 1 - tf.reduce_mean(y_true * y_pred)


def bce_dice(y_true, y_pred):
    return keras.losses.binary_crossentropy(y_true, y_pred) + overlap(y_true, y_pred)


def of_logits(y_true, y_pred):
    return tf.reduce_mean(keras.losses.binary_crossentropy(y_true, y_pred, from_logits=True))


def of_classes(y_true, y_pred):
    return tf.reduce_mean(keras.losses.categorical_crossentropy(y_true, y_pred))


def of_objects(y_true, y_pred):
    return keras.losses.CategoricalCrossentropy(from_logits=True)(y_true, y_pred) + bce(y_true, y_pred)


def of_squares(y_true, y_pred):
    return mse(y_true, y_pred) + keras.losses.MeanAbsoluteError()(y_true, y_pred)
"""


@pytest.mark.parametrize("head", ["", "import tf_keras as keras\n"], ids=["keras 3", "keras 2"])
def test_losses_of_keras(tmp_path: Path, head: str) -> None:
    """Keras 2 adds epsilon to what it takes the logarithm of."""
    found = port(tmp_path, head + TEXT)
    names = ["overlap", "bce_dice", "of_logits", "of_classes", "of_objects", "of_squares"]
    assert [it.name for it in found.units] == names
    assert all(len(it.cases) > 1 and not it.differences for it in found.proofs.values())
    assert ("torch.log(p + 1e-07)" in found.code) == bool(head)


def test_smoothed_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="smoothed labels"):
        port(
            tmp_path,
            """
            def smooth(y_true, y_pred):
                return keras.losses.binary_crossentropy(y_true, y_pred, label_smoothing=0.1)
            """,
        )
