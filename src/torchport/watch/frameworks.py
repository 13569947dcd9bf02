"""TensorFlow and Keras, imported quietly: for verify, and for the user's own code."""

from __future__ import annotations

import importlib
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import is_keras_2
from torchport.scripts import prepare_tensorflow

INSTALL = "pip install 'torchport[tensorflow]'"


def tensorflow() -> Any:
    """The tensorflow module, without its messages."""
    prepare_tensorflow()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise TorchportError(
            f"TensorFlow is needed, and cannot be imported ({error})", advice=INSTALL
        ) from error
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return tf


def keras_of(version: str) -> Any:
    """The Keras that is the reference for a model that `version` wrote: keras, or tf_keras for Keras 2.

    For Keras 2, `tf.keras` of the user's files is Keras 2 as well, where TensorFlow is not imported yet.
    Afterwards the variable is left alone: `import tensorflow.keras` is decided when TensorFlow is imported
    (tensorflow/__init__.py), `tf.keras` when it is first read (KerasLazyLoader); layers of the one are none
    for the other.
    """
    if is_keras_2(version) and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
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
        raise TorchportError(f"Keras is needed, and cannot be imported ({error})", advice=INSTALL) from error
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TorchportError(
            f"Keras runs on {backend!r} in this process; the reference is Keras on TensorFlow",
            advice="set KERAS_BACKEND=tensorflow before keras is first imported",
        )
    return keras


def is_other_keras(keras: Any) -> bool:
    """Whether `tf.keras` of the process is Keras 3, and this is Keras 2."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")  # as TensorFlow reads it
    return is_keras_2(keras.__version__) and not legacy


@contextmanager
def fresh_names(keras: Any) -> Iterator[None]:
    """Where Keras counts the names that it makes up from the start: a model has the same each time.

    Sources: keras/src/utils/naming.py, uniquify; tf_keras/src/backend.py, get_default_graph_uid_map.
    """
    if is_keras_2(keras.__version__):
        counts = importlib.import_module("tf_keras.src.backend").PER_GRAPH_OBJECT_NAME_UIDS
        before = dict(counts)
        counts.clear()
        try:
            yield
        finally:
            counts.clear()
            counts.update(before)
        return
    state = importlib.import_module("keras.src.backend.common.global_state")
    before = state.get_global_attribute("object_name_uids")
    state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        state.set_global_attribute("object_name_uids", before)
