"""How keras.applications prepares images: functions that people put in a Lambda."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchport.errors import Unsupported
from torchport.lambdas.values import CODE, World

#: The mean and the deviation of each channel of ImageNet, of images up to 255 and up to 1.
CAFFE = np.array([103.939, 116.779, 123.68])
TORCH = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def preprocess_input(world: World, x: Any, data_format: Any = None, mode: str = "caffe") -> Any:
    """Source: keras/src/applications/imagenet_utils.py, _preprocess_tensor_input."""
    if data_format == "channels_first":
        raise Unsupported("preprocess_input of channels first", CODE)
    if mode == "tf":
        return world.operate("-", world.operate("/", x, 127.5), 1.0)
    if mode == "torch":
        moved = world.operate("-", world.operate("/", x, 255.0), TORCH[0])
        return world.operate("/", moved, TORCH[1])
    if mode != "caffe":
        raise Unsupported(f"preprocess_input with the mode {mode!r}", CODE)
    turned = world.operate("[]", x, (..., slice(None, None, -1)))
    return world.operate("-", turned, CAFFE)
