"""Numbers hashed into bins, as TensorFlow hashes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.categories import encoded, encoded_dtype, encoded_shape
from torchport.rules.table import SOURCE, Value, rule


def hashed_shape(x: Tensor, *, num_bins: int, output_mode: str) -> Shape:
    return encoded_shape(x, output_mode, num_bins)


@rule("Hashing", wants=SOURCE, shape=hashed_shape, dtype=encoded_dtype, only={"sparse": (False,)})
def hashing(
    x: Value, *, num_bins: int, mask_value: Any = None, salt: Any = None, output_mode: str = "int",
    sparse: bool = False,
) -> Expr:  # fmt: skip
    """FarmHash, or with a salt SipHash, of each number's decimal text; in Python, one by one.

    Source: keras/src/layers/preprocessing/hashing.py, _hash_values_to_bins; tf.strings.to_hash_bucket_fast.
    """
    if x.tensor.dtype == "bool":
        raise Unsupported(
            "hashes of true and false, of which TensorFlow takes the words", "cast them to int32"
        )
    mask = mask_value if num_bins > 1 else None
    if salt is None:
        bins = call("hash_bins", x, num_bins, *([] if mask is None else [mask]))
    else:
        key = tuple(int(it) for it in (salt if isinstance(salt, Sequence) else (salt, salt)))
        bins = call("salted_hash_bins", x, num_bins, key, *([] if mask is None else [mask]))
    return encoded(bins, x.shape, output_mode, num_bins)  # type: ignore[no-any-return]


def crossed_shape(xs: Sequence[Tensor], *, num_bins: int, output_mode: str) -> Shape:
    return encoded_shape(xs[0], output_mode, num_bins)


def crossed_dtype(xs: Sequence[Tensor], *, output_mode: str) -> str:
    return encoded_dtype(xs[0], output_mode=output_mode)


@rule("HashedCrossing", wants=SOURCE, shape=crossed_shape, dtype=crossed_dtype, only={"sparse": (False,)})
def hashed_crossing(
    xs: Sequence[Value], *, num_bins: int, output_mode: str = "int", sparse: bool = False
) -> Expr:
    """FingerprintCat64 of the numbers of each row.

    Source: tensorflow/python/ops/sparse_ops.py, sparse_cross_hashed.
    """
    bins = call("crossed_bins", list(xs), num_bins)
    return encoded(bins, xs[0].shape, output_mode, num_bins)  # type: ignore[no-any-return]
