"""TensorFlow, Keras and torch, imported quietly and set to compute exactly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import is_keras_2
from torchport.verify.patches import DOUBLES, KERNELS, patched

INSTALL = "pip install 'torchport[tensorflow]'"


def tensorflow() -> Any:
    """The tensorflow module, without its messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN's kernels round otherwise from run to run, and some end the process (see `kernels.strided`).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise TorchportError(
            f"verify needs TensorFlow, which cannot be imported ({error})", advice=INSTALL
        ) from error
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return tf


def keras_of(version: str) -> Any:
    """The Keras that is the reference for a model that `version` wrote: keras, or tf_keras for Keras 2."""
    tensorflow()
    if is_keras_2(version):
        try:
            import tf_keras
        except ImportError as error:
            raise TorchportError(
                f"the reference of a Keras {version} model is tf_keras, which cannot be imported ({error})",
                advice=INSTALL,
            ) from error
        return tf_keras
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras
    except ImportError as error:
        raise TorchportError(
            f"verify needs Keras, which cannot be imported ({error})", advice=INSTALL
        ) from error
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TorchportError(
            f"Keras runs on {backend!r} in this process; the reference is Keras on TensorFlow",
            advice="set KERAS_BACKEND=tensorflow before keras is first imported",
        )
    return keras


def torch() -> Any:
    """The torch module, without reduced precision."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch


@contextmanager
def default_dtype(keras: Any, dtype: str, note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Constants that Keras and TensorFlow make up have this dtype; float64 is that all through.

    `note` is told what TensorFlow computes in another way than it was asked to.
    """
    before = keras.backend.floatx()
    policy, set_policy = policies(keras)
    keras.backend.set_floatx(dtype)
    set_policy(dtype)
    try:
        exact = DOUBLES if dtype == "float64" else ()
        with patched(tensorflow(), (*exact, *KERNELS), note):
            yield
    finally:
        keras.backend.set_floatx(before)
        set_policy(policy)


def policies(keras: Any) -> tuple[Any, Callable[[Any], None]]:
    """The dtype policy that layers get which a layer of the user's own is made of, and how it is set."""
    if hasattr(keras, "config"):
        return keras.config.dtype_policy(), keras.config.set_dtype_policy
    return keras.mixed_precision.global_policy(), keras.mixed_precision.set_global_policy


def versions() -> dict[str, str]:
    """Who computed the port's side."""
    import numpy

    from torchport import __version__

    torch_version = torch().__version__.split("+")[0]
    return {"torchport": __version__, "torch": torch_version, "numpy": numpy.__version__}
