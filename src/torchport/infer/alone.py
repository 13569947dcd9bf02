"""An image without a batch, for layers of images, is a batch of one.

before:  y = RandomFlip(x);  x: (h, w, c)
after:   y.image = image:batch(x);  y.one = RandomFlip(y.image);  y = image:alone(y.one)

Source: keras/src/layers/preprocessing/image_preprocessing/base_image_preprocessing_layer.py, `call`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torchport.graph import Op, Ref, Tensor
from torchport.rules import find

#: Layers and functions that take one image as well, beside all of augmentation, and have a rule for batches.
TAKE_ONE = frozenset({
    "CenterCrop", "Resizing", "tf.compat.v1.image.resize",
    *(f"keras.ops.{name}" for name in
      "Resize RGBToGrayscale RGBToHSV HSVToRGB GaussianBlur PadImages CropImages".split()),
    *(f"tf.image.{name}" for name in
      "adjust_contrast adjust_saturation adjust_hue rgb_to_yiq yiq_to_rgb rgb_to_yuv yuv_to_rgb "
      "grayscale_to_rgb per_image_standardization central_crop resize_with_crop_or_pad "
      "resize_with_pad".split()),
})  # fmt: skip


def with_batch(op: Op, tensors: Mapping[str, Tensor]) -> Iterator[Op]:
    """The op, between two that give its image a batch and take it away, where it has none."""
    first = op.args[0] if op.args else None
    image = tensors.get(first.tensor) if isinstance(first, Ref) else None
    if op.refused or image is None or len(image.shape) != 3 or not _takes_one(op.kind):
        yield op
        return
    name, output = f"{op.name}.image", op.outputs[0]
    yield Op(f"{op.name}.batch", "image:batch", (first,), (name,), layer=f"{op.layer}.batch")
    yield replace(op, args=(Ref(name), *op.args[1:]), outputs=(f"{output}.one",))
    alone = (Ref(f"{output}.one"),)
    yield Op(f"{op.name}.alone", "image:alone", alone, (output,), layer=f"{op.layer}.alone")


def _takes_one(kind: str) -> bool:
    found = find(kind)
    return kind in TAKE_ONE or (found is not None and found.family.startswith("augment"))
