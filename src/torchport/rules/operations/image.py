"""Operations on images."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.image import channels, image_shape
from torchport.rules.table import CHANNELS_FIRST, SOURCE, Value, Wants, rule


def resized_shape(x: Tensor, *, size: Any, data_format: str | None) -> Shape:
    return image_shape(x.shape, tuple(size), channels(x.shape, data_format), data_format)


def resized_wants(x: Tensor, *, data_format: str | None) -> Wants:
    return SOURCE if data_format == "channels_first" else CHANNELS_FIRST


@rule(
    "keras.ops.Resize", wants=resized_wants, shape=resized_shape,
    only={"interpolation": ("bilinear", "nearest"), "antialias": (False,),
          "crop_to_aspect_ratio": (False,), "pad_to_aspect_ratio": (False,)},
    ignores="fill_mode fill_value antialias crop_to_aspect_ratio pad_to_aspect_ratio",
)  # fmt: skip
def resize(x: Value, *, size: Any, interpolation: str = "bilinear", data_format: str | None = None) -> Expr:
    """F.interpolate; 'nearest' takes the nearest centre, which is torch's `nearest-exact`."""
    if x.rank != 4:
        raise Unsupported("one image without a batch axis", "give it a batch axis")
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    return call("F.interpolate", x, size=tuple(size), mode=mode)
