"""Preprocessing inside a model: categories as numbers and vectors, images of another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Fill, Infix, State, call
from torchport.rules.image import channels, image_shape, spatial
from torchport.rules.preprocess import as_float, float_dtype
from torchport.rules.table import SOURCE, Value, image, rule

#: How Keras names its ways to write a category.
MODES = {"binary": "multi_hot"}


def encoded_shape(x: Tensor, output_mode: str, depth: int) -> Shape:
    """The shape of categories (n, ...) as vectors of a depth."""
    if output_mode == "int":
        return x.shape
    if len(x.shape) < 2:
        raise Unsupported("categories without an axis beside the batch", "add one: shape (1,)")
    if output_mode == "one_hot":
        return (*(x.shape[:-1] if x.shape[-1] == 1 else x.shape), depth)
    if len(x.shape) != 2:
        raise Unsupported(f"{output_mode} of a tensor with {len(x.shape)} axes: two are ported")
    return (x.shape[0], depth)


def encoded(x: Any, shape: Shape, output_mode: str, depth: int, weights: Value | None = None) -> Any:
    """Categories as vectors: one for each, which of them occur, or how often."""
    if output_mode == "int":
        return x
    if output_mode == "one_hot":
        return call("one_hot_vectors", call(".squeeze", x, -1) if shape[-1] == 1 else x, depth)
    vectors: Any = call("one_hot_vectors", x, depth)
    if output_mode == "multi_hot":
        return call(".amax", vectors, 1)
    if weights is not None:
        vectors = vectors * call(".unsqueeze", weights, -1)
    return call(".sum", vectors, 1)


def category_shape(x: Tensor, *, num_tokens: int, output_mode: str) -> Shape:
    return encoded_shape(x, MODES.get(output_mode, output_mode), num_tokens)


def bounded(x: Value, what: str) -> Value:
    """Whole numbers; Refuses fractions, which TensorFlow rounds towards zero or rejects."""
    if not x.tensor.dtype.startswith(("int", "uint", "bool")):
        advice = "declare the input as int32: keras.Input(..., dtype='int32')"
        raise Unsupported(f"{what} of fractions", advice)
    return x


@rule("CategoryEncoding", wants=SOURCE, shape=category_shape, dtype="float32", only={"sparse": (False,)})
def category_encoding(
    x: Value, *, num_tokens: int, output_mode: str = "multi_hot", sparse: bool = False,
    count_weights: Value | None = None,
) -> Expr:  # fmt: skip
    """One-hot vectors, of each category, of all that occur, or their count."""
    mode = MODES.get(output_mode, output_mode)
    result = encoded(bounded(x, "categories"), x.shape, mode, num_tokens, count_weights)
    return result  # type: ignore[no-any-return]


def bins(boundaries: Any) -> tuple[float, ...]:
    if not isinstance(boundaries, Sequence) or isinstance(boundaries, str):
        advice = "call `adapt` before the model is saved, or give bin_boundaries"
        raise Unsupported("the layer has no bin_boundaries", advice)
    return tuple(float(it) for it in boundaries)


def discrete_shape(x: Tensor, *, bin_boundaries: Any, output_mode: str) -> Shape:
    return encoded_shape(x, MODES.get(output_mode, output_mode), len(bins(bin_boundaries)) + 1)


def encoded_dtype(x: Tensor, *, output_mode: str) -> str:
    return "int64" if output_mode == "int" else "float32"


@rule(
    "Discretization", wants=SOURCE, shape=discrete_shape, dtype=encoded_dtype, constants=True,
    ignores="num_bins epsilon", only={"sparse": (False,)},
)  # fmt: skip
def discretization(
    x: Value, *, bin_boundaries: Any = None, output_mode: str = "int", sparse: bool = False
) -> Expr:
    """torch.bucketize: a value on a boundary belongs to the bin above."""
    import numpy as np

    at = tuple(np.asarray(bins(bin_boundaries), "float32").tolist())
    edges = State("boundaries", Fill(at, (len(at),)), (len(at),), trainable=False)
    values: Any = x if x.tensor.dtype.startswith(("float", "bfloat")) else call(".float", x)
    found = call("torch.bucketize", values, edges, right=True)
    mode = MODES.get(output_mode, output_mode)
    return encoded(found, x.shape, mode, len(at) + 1)  # type: ignore[no-any-return]


def without_special(vocabulary: Any, special: Sequence[Any]) -> tuple[Any, ...]:
    """A vocabulary without its special tokens, if all of them stand at its start in this order.

    Source: keras/src/layers/preprocessing/index_lookup.py, set_vocabulary.
    """
    if isinstance(vocabulary, dict):  # as Keras saves an array
        vocabulary = vocabulary.get("config", {}).get("value")
    known = () if not isinstance(vocabulary, Sequence) or isinstance(vocabulary, str) else tuple(vocabulary)
    known = known[len(special) :] if list(known[: len(special)]) == list(special) else known
    if not known:
        advice = "adapt the layer, or give it its vocabulary, and save the model as .keras"
        raise Unsupported("the layer has no vocabulary", advice)
    return known


def numbers_of(vocabulary: Any, mask: Any, oov: Any, mode: str) -> tuple[int, ...]:
    """The numbers that an IntegerLookup knows, without those that stand for masked and unknown ones."""
    if isinstance(vocabulary, Sequence) and not isinstance(vocabulary, str):
        vocabulary = [int(it) for it in vocabulary]
    special = [*([mask] if mask is not None and mode == "int" else []), oov]
    return tuple(int(it) for it in without_special(vocabulary, special))


def lookup_depth(known: Sequence[int], mask: Any, mode: str, most: Any, pad: bool) -> int:
    """How many different indices there are."""
    return int(most) if pad else len(known) + 1 + (mask is not None and mode == "int")


def lookup_shape(
    x: Tensor, *, vocabulary: Any, output_mode: str, mask_token: Any, oov_token: Any, max_tokens: Any,
    pad_to_max_tokens: bool,
) -> Shape:  # fmt: skip
    mode = MODES.get(output_mode, output_mode)
    known = numbers_of(vocabulary, mask_token, oov_token, mode)
    return encoded_shape(x, mode, lookup_depth(known, mask_token, mode, max_tokens, pad_to_max_tokens))


@rule(
    "IntegerLookup", wants=SOURCE, shape=lookup_shape, dtype=encoded_dtype, constants=True,
    ignores="vocabulary_size has_input_vocabulary vocabulary_dtype idf_weights encoding",
    only={"sparse": (False,), "invert": (False,), "oov_method": ("floormod",), "salt": (None,),
          "output_mode": ("int", "one_hot", "multi_hot", "binary", "count"), "num_oov_indices": (1, 0)},
)  # fmt: skip
def integer_lookup(
    x: Value, *, vocabulary: Any = None, output_mode: str = "int", num_oov_indices: int = 1,
    mask_token: Any = None, oov_token: Any = -1, max_tokens: Any = None, pad_to_max_tokens: bool = False,
    sparse: bool = False, invert: bool = False, oov_method: str = "floormod", salt: Any = None,
) -> Expr:  # fmt: skip
    """The place of each number in the vocabulary: where it is equal, or the place of the unknown."""
    mode = MODES.get(output_mode, output_mode)
    known = numbers_of(vocabulary, mask_token, oov_token, mode)
    if num_oov_indices == 0:
        advice = "give it one index: num_oov_indices=1"
        raise Unsupported("num_oov_indices=0 stops with an error at an unknown number", advice)
    start, masked = (1, 0) if mask_token is not None and mode == "int" else (0, -1)
    table = State("vocabulary", Fill(known, (len(known),), "int64"), (len(known),), trainable=False)
    place = call("lookup", bounded(x, "the lookup"), table, start)
    if mask_token is not None:
        place = call("torch.where", Infix("==", x, mask_token), masked, place)
    depth = lookup_depth(known, mask_token, mode, max_tokens, pad_to_max_tokens)
    return encoded(place, x.shape, mode, depth)  # type: ignore[no-any-return]


def resized_shape(x: Tensor, *, height: int, width: int, data_format: str | None) -> Shape:
    if len(x.shape) != 4:
        raise Unsupported(f"images with {len(x.shape)} axes: four are ported")
    return image_shape(x.shape, (height, width), channels(x.shape, data_format), data_format)


def sizes_of(x: Value, data_format: str | None, what: str) -> tuple[int, int]:
    height, width = spatial(x.shape, data_format)
    if height is None or width is None:
        raise Unsupported(f"{what} of images whose size is not known", "give the model's input its size")
    return height, width


def resize(x: Any, height: int, width: int, method: str, antialias: bool = False) -> Expr:
    """F.interpolate where torch does the same, else a helper."""
    size = (height, width)
    if method == "nearest":
        return call("F.interpolate", x, size, mode="nearest-exact")
    if method == "bilinear" and not antialias:
        return call("F.interpolate", x, size, mode="bilinear")
    if method in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        return call("resize", x, size, method, *([True] if antialias else []))
    raise Unsupported(f"interpolation={method!r} is not ported", "'bilinear', 'bicubic', 'lanczos3' are")


def fractions(x: Value) -> Value:
    if not x.tensor.dtype.startswith("float"):
        advice = "declare the input as float32, or put Rescaling(1.0) before"
        raise Unsupported("images of whole numbers, which are rounded", advice)
    return x


def to_aspect(x: Any, size: tuple[int, int], height: int, width: int) -> Expr:
    """The largest part in the midst that has the wanted ratio. Source: keras/src/utils/image_utils.py."""
    rows = max(min(size[0], int(float(size[1] * height) / width)), 1)
    columns = max(min(size[1], int(float(size[0] * width) / height)), 1)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    return cropped(x, size, (top, top + rows), (left, left + columns))


def cropped(x: Any, size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> Expr:
    """A slice of images (n, c, h, w)."""
    if (rows, columns) == ((0, size[0]), (0, size[1])):
        return x  # type: ignore[no-any-return]
    cuts = [
        slice(start or None, stop if stop < n else None)
        for n, (start, stop) in zip(size, (rows, columns), strict=True)
    ]
    return x[(..., *cuts)]  # type: ignore[no-any-return]


@rule(
    "Resizing", wants=image, shape=resized_shape, ignores="bounding_box_format factor",
    only={"fill_mode": ("constant",)},
)  # fmt: skip
def resizing(
    x: Value, *, height: int, width: int, interpolation: str = "bilinear", data_format: str | None = None,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, antialias: bool = False,
) -> Expr:  # fmt: skip
    """F.interpolate; bicubic, Lanczos and antialiased as TensorFlow weighs pixels."""
    image: Any = fractions(x)
    if crop_to_aspect_ratio:
        image = to_aspect(image, sizes_of(x, data_format, "a crop"), height, width)
    elif pad_to_aspect_ratio:
        rows, columns = sizes_of(x, data_format, "padding")
        top = (max(rows, int(float(columns * height) / width)) - rows) // 2
        left = (max(columns, int(float(rows * width) / height)) - columns) // 2
        if top or left:
            image = call("F.pad", image, (left, left, top, top), value=fill_value or None)
    return resize(image, height, width, interpolation, antialias)


@rule("CenterCrop", wants=image, shape=resized_shape, dtype=float_dtype, ignores="bounding_box_format factor")
def center_crop(x: Value, *, height: int, width: int, data_format: str | None = None) -> Expr:
    """A slice; of images that are too small, the largest part of that ratio, resized."""
    size = sizes_of(x, data_format, "a crop")
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    if top >= 0 and left >= 0:
        return cropped(as_float(x), size, (top, top + height), (left, left + width))
    return resize(to_aspect(as_float(x), size, height, width), height, width, "bilinear")
