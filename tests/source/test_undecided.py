"""Right ports of which numbers alone do not tell: constants in float32, layers of constants."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.test_kinds import port

from torchport.source import SourceRefused


def test_a_constant_that_tensorflow_writes_in_float32(tmp_path: Path) -> None:
    """Source: tensorflow/python/ops/image_ops_impl.py, psnr."""
    found = port(
        tmp_path,
        """
        def noise_ratio(y_true, y_pred):
            return tf.image.psnr(y_pred, y_true, max_val=255.0)
        """,
    )
    assert found.proofs["noise_ratio"].worst < 1e-12


def test_a_layer_that_is_called_on_a_constant_is_refused(tmp_path: Path) -> None:
    """Keras makes a constant of what it gives, and does not train it."""
    with pytest.raises(SourceRefused, match="called on a constant"):
        port(
            tmp_path,
            """
            def build(width=4):
                inputs = keras.Input((5,), dtype="int64")
                x = layers.Embedding(10, width)(inputs)
                places = layers.Embedding(5, width)(tf.range(start=0, limit=5, delta=1))
                return keras.Model(inputs, layers.Dense(2)(x + places))
            """,
            "build()",
        )
