"""How arguments of TensorFlow's functions become those of the classes of `keras.ops`."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from torchport.errors import Unsupported

Config = dict[str, Any]


def split(config: Config) -> None:
    """TensorFlow gives the sizes of pieces, Keras where they are cut."""
    sizes = config.get("indices_or_sections")
    if isinstance(sizes, (list, tuple)):
        config["indices_or_sections"] = list(accumulate(sizes))[:-1]


def gathered(config: Config) -> None:
    """Where no axis is given it is that behind the batch's."""
    if config.get("axis") is None:
        config["axis"] = config.get("batch_dims", 0)
    if not config.get("batch_dims"):
        config.pop("batch_dims", None)


def direction(config: Config) -> None:
    config["descending"] = config.pop("direction", "ASCENDING") == "DESCENDING"


def pad(config: Config) -> None:
    config["mode"] = str(config.get("mode", "constant")).lower()


def space(values: Any, data_format: str) -> Any:
    """Values for space alone, of those for all axes."""
    if not isinstance(values, (list, tuple)) or len(values) < 3:
        return values
    batch, *middle, last = values
    if data_format.startswith("NC"):
        first, middle = middle[0], [*middle[1:], last]
    else:
        first = last
    if (batch, first) != (1, 1):
        raise Unsupported("windows or steps over the batch or the channels")
    return middle


def window(config: Config) -> None:
    """Sizes, strides and padding of a window over images."""
    layout = str(config.pop("data_format", None) or "NHWC")
    padding = config.get("padding", "VALID")
    if not isinstance(padding, str):
        raise Unsupported("padding that is given as numbers", "use tf.pad before it")
    config["padding"] = padding.lower()
    if layout.startswith("NC"):
        config["data_format"] = "channels_first"
    for key in ("pool_size", "strides", "dilation_rate", "size"):
        if config.get(key) is not None:
            config[key] = space(config[key], layout)
        elif key == "dilation_rate":
            config.pop(key, None)


def blocks(config: Config) -> None:
    if str(config.pop("data_format", "NHWC")) != "NHWC":
        config["data_format"] = "channels_first"


def normalize(config: Config) -> None:
    """TensorFlow's epsilon is that of the sum of squares."""
    config["epsilon"] = math.sqrt(config["epsilon"])


def norm(config: Config) -> None:
    """By default TensorFlow's norm is that of all numbers, over however many axes."""
    if config.get("ord", "euclidean") == "euclidean":
        config["ord"] = None
    elif config.get("axis") is None or isinstance(config["axis"], (list, tuple)):
        raise Unsupported("a norm of matrices")
    config["keepdims"] = bool(config.get("keepdims"))


def band(config: Config) -> None:
    """All below the diagonal, or all above it: the class is made of `k`, see `banded`."""
    lower, upper = config.pop("num_lower"), config.pop("num_upper")
    if sorted((lower, upper)) != [-1, 0]:
        raise Unsupported(f"a band of {lower} and {upper}", "a triangle is ported: -1 and 0")
    config["upper"] = lower == 0


def boxed(config: Config, what: str) -> None:
    config[f"top_{what}"] = config.pop("offset_height")
    config[f"left_{what}"] = config.pop("offset_width")


def cropped(config: Config) -> None:
    boxed(config, "cropping")


def padded(config: Config) -> None:
    boxed(config, "padding")


def sliced(config: Config) -> None:
    config["shape"] = config.pop("size")
