"""Classes of Keras layers that are the user's own, which TensorFlow's side needs to run."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchport.errors import TorchportError
from torchport.verify.frameworks import tensorflow


def custom_classes(custom: Any) -> Mapping[str, Any]:
    """The classes by name: of a mapping itself, of a Python file (which is run) those that are layers."""
    if custom is None:
        return {}
    if isinstance(custom, Mapping):
        return custom
    tensorflow()
    path = Path(custom).resolve()
    name = f"torchport_custom_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    try:
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's: it may raise anything
        sys.modules.pop(name, None)
        what = f"cannot be run ({type(error).__name__}: {error})"
        advice = "--custom takes the Python file that has the classes of your Keras layers"
        raise TorchportError(what, where=str(path), advice=advice) from error
    found = vars(module).items()
    return {key: it for key, it in found if isinstance(it, type) and hasattr(it, "from_config")}
