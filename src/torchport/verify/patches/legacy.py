"""`tf.keras` in tf-keras's own code, which is Keras 3 in a process that has asked for it before.

A SpectralNormalization takes its InputSpec from there, and then refuses it as another Keras's
(tf_keras/src/layers/normalization/spectral_normalization.py, build).
"""

from __future__ import annotations

from typing import Any


class Legacy:
    """TensorFlow, whose Keras is tf-keras."""

    def __init__(self, tensorflow: Any) -> None:
        self.tensorflow = tensorflow

    def __getattr__(self, name: str) -> Any:
        if name == "keras":
            import tf_keras

            return tf_keras
        return getattr(self.tensorflow, name)
