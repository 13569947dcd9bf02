"""Classes of Keras layers that are the user's own, which TensorFlow's side needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchport import scripts
from torchport.verify.frameworks import tensorflow


def custom_classes(custom: Any) -> Mapping[str, Any]:
    """The classes by name: of a mapping itself, of a Python file (which is run) those that are layers."""
    if custom is None:
        return {}
    if isinstance(custom, Mapping):
        return custom
    tensorflow()
    advice = "--custom takes the Python file that has the classes of your Keras layers"
    module = scripts.run(custom, advice)
    found = vars(module).items()
    return {key: it for key, it in found if isinstance(it, type) and hasattr(it, "from_config")}
