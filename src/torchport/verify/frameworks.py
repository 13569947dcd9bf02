"""TensorFlow, Keras and torch, imported quietly and set to compute exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torchport.verify.patches import DOUBLES, KERNELS, patched
from torchport.watch.frameworks import is_other_keras, keras_of, tensorflow

__all__ = ["default_dtype", "is_other_keras", "keras_of", "policies", "tensorflow", "torch", "versions"]


def torch() -> Any:
    """The torch module, without reduced precision."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch


@contextmanager
def floats(keras: Any, dtype: str) -> Iterator[None]:
    """Layers that are made, and their constants, have this dtype, whatever policy was set before."""
    before, (policy, set_policy) = keras.backend.floatx(), policies(keras)
    keras.backend.set_floatx(dtype)
    set_policy(dtype)
    try:
        yield
    finally:
        keras.backend.set_floatx(before)
        set_policy(policy)


@contextmanager
def default_dtype(keras: Any, dtype: str, note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Constants that Keras and TensorFlow make up have this dtype; float64 is that all through.

    `note` is told what TensorFlow computes in another way than it was asked to.
    """
    exact = DOUBLES if dtype == "float64" else ()
    with floats(keras, dtype), patched(tensorflow(), (*exact, *KERNELS), note):
        yield


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
