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


def counted(config: Config) -> None:
    """Numbers are counted: not as far as one, and not whether they are there.

    Without an axis TensorFlow counts those of the whole batch together.
    Source: tensorflow/python/ops/bincount_ops.py, bincount.
    """
    for name in ("maxlength", "weights", "binary_output"):
        if config.pop(name, None):
            raise Unsupported(f"bincount with {name}", "leave it out")
    axis = config.pop("axis", None)
    if axis not in (None, -1):
        raise Unsupported(f"bincount with axis={axis}", "count the numbers of each row with axis=-1")
    config["minlength"] = config.get("minlength") or 0
    config["together"] = axis is None


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
        raise Unsupported("padding that is given as numbers", "'SAME' and 'VALID' are ported")
    config["padding"] = padding.lower()
    if layout.startswith("NC"):
        config["data_format"] = "channels_first"
    for key in ("pool_size", "strides", "dilation_rate", "size"):
        if config.get(key) is not None:
            config[key] = space(config[key], layout)
        elif key == "dilation_rate":
            config.pop(key, None)


def convolution(config: Config) -> None:
    """Strides and dilations of space alone, as tf.nn.convolution has them."""
    layout = str(config.pop("data_format", None) or "N")
    config["padding"] = str(config.get("padding", "VALID")).lower()
    if layout.startswith("NC"):
        config["data_format"] = "channels_first"
    for key in ("strides", "dilation_rate"):
        if config.get(key) is None:
            config.pop(key, None)


def pool(config: Config) -> None:
    """tf.nn.pool, whose kind is an argument."""
    if set(flat(config.pop("dilation_rate", None) or 1)) != {1}:
        raise Unsupported("a pool with dilations", "use tf.nn.max_pool2d")
    config["pool_size"] = config.pop("window_shape")
    config["strides"] = config.get("strides") or 1
    convolution(config)


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def old_dropout(config: Config) -> None:
    """compat.v1 says how much is kept."""
    kept = config.pop("keep_prob", None)
    if kept is not None:
        config["rate"] = 1 - kept


def noise(config: Config) -> None:
    if config.get("noise_shape") is None:
        config.pop("noise_shape", None)


def transposed(config: Config) -> None:
    config["dilation_rate"] = config.pop("dilations", None)
    window(config)


def blocks(config: Config) -> None:
    if str(config.pop("data_format", "NHWC")) != "NHWC":
        config["data_format"] = "channels_first"


def normalize(config: Config) -> None:
    """TensorFlow's epsilon is that of the sum of squares."""
    config["epsilon"] = math.sqrt(config["epsilon"])


def norm(config: Config) -> None:
    """By default TensorFlow's norm is that of all numbers, over however many axes."""
    if config.get("ord", "euclidean") in ("euclidean", "fro"):
        config["ord"] = None
    elif config.get("axis") is None or isinstance(config["axis"], (list, tuple)):
        if config.get("axis") is None or len(config["axis"]) == 2:
            raise Unsupported("a norm of matrices", "the Euclidean norm is ported")
    config["keepdims"] = bool(config.get("keepdims"))


def full(config: Config) -> None:
    if config.pop("full_matrices", False):
        config["mode"] = "complete"


def fused(config: Config) -> None:
    """With statistics that are given; those of the batch are results of their own."""
    if config.pop("is_training", True):
        raise Unsupported("statistics of the batch", "use layers.BatchNormalization")
    config.setdefault("epsilon", 1e-3)
    config.pop("exponential_avg_factor", None)
    if str(config.pop("data_format", "NHWC")) != "NHWC":
        raise Unsupported("channels first", "transpose it before")


def boxed(config: Config, what: str) -> None:
    config[f"top_{what}"] = config.pop("offset_height")
    config[f"left_{what}"] = config.pop("offset_width")


def cropped(config: Config) -> None:
    boxed(config, "cropping")


def padded(config: Config) -> None:
    boxed(config, "padding")


def sliced(config: Config) -> None:
    config["shape"] = config.pop("size")
