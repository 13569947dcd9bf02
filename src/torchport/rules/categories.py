"""Categories as numbers and as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.constants import fixed, numbers
from torchport.rules.dtypes import as_float, whole
from torchport.rules.table import SOURCE, Value, rule


def kind_of(output_mode: str) -> str:
    """How categories are written, by its newest name."""
    return {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)


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
    return encoded_shape(x, kind_of(output_mode), num_tokens)


@rule("CategoryEncoding", wants=SOURCE, shape=category_shape, dtype="float32", only={"sparse": (False,)})
def category_encoding(
    x: Value, *, num_tokens: int, output_mode: str = "multi_hot", sparse: bool = False,
    count_weights: Value | None = None,
) -> Expr:  # fmt: skip
    """One-hot vectors, of each category, of all that occur, or their count."""
    mode = kind_of(output_mode)
    result = encoded(whole(x, "categories"), x.shape, mode, num_tokens, count_weights)
    return result  # type: ignore[no-any-return]


def bins(boundaries: Any) -> tuple[float, ...]:
    if not isinstance(boundaries, Sequence) or isinstance(boundaries, str):
        advice = "call `adapt` before the model is saved, or give bin_boundaries"
        raise Unsupported("the layer has no bin_boundaries", advice)
    return tuple(float(it) for it in boundaries)


def discrete_shape(x: Tensor, *, bin_boundaries: Any, output_mode: str) -> Shape:
    return encoded_shape(x, kind_of(output_mode), len(bins(bin_boundaries)) + 1)


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
    at = bins(bin_boundaries)
    found = call("torch.bucketize", as_float(x), fixed("boundaries", at), right=True)
    return encoded(found, x.shape, kind_of(output_mode), len(at) + 1)  # type: ignore[no-any-return]


def without_special(vocabulary: Any, special: Sequence[Any]) -> tuple[Any, ...]:
    """A vocabulary without its special tokens, if all of them stand at its start in this order.

    Source: keras/src/layers/preprocessing/index_lookup.py, set_vocabulary.
    """
    vocabulary = numbers(vocabulary)
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
    mode = kind_of(output_mode)
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
    mode = kind_of(output_mode)
    known = numbers_of(vocabulary, mask_token, oov_token, mode)
    if num_oov_indices == 0:
        advice = "give it one index: num_oov_indices=1"
        raise Unsupported("num_oov_indices=0 stops with an error at an unknown number", advice)
    start, masked = (1, 0) if mask_token is not None and mode == "int" else (0, -1)
    place = call("lookup", whole(x, "the lookup"), fixed("vocabulary", known, "int64"), start)
    if mask_token is not None:
        place = call("torch.where", Infix("==", x, mask_token), masked, place)
    depth = lookup_depth(known, mask_token, mode, max_tokens, pad_to_max_tokens)
    return encoded(place, x.shape, mode, depth)  # type: ignore[no-any-return]
