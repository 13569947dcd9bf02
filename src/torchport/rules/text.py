"""Text: PyTorch has no tensors of it. The layer becomes a function, whose numbers `forward` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, Text
from torchport.rules.categories import encoded_dtype, encoded_shape, kind_of, without_special
from torchport.rules.table import SOURCE, Value, rule, rule_for

LOOKUP: dict[str, tuple[Any, ...]] = {
    "sparse": (False,), "encoding": ("utf-8",), "invert": (False,), "oov_method": ("floormod", "farmhash"),
}  # fmt: skip


def words_of(vocabulary: Any, special: Sequence[str | None]) -> tuple[str, ...]:
    """The tokens without the special ones, which may stand at their start, all in this order."""
    tokens = without_special(vocabulary, special)
    if not all(isinstance(it, str) for it in tokens):
        raise Unsupported("a vocabulary of other things than texts")
    if len(set(tokens)) < len(tokens):
        raise Unsupported("a word that stands in the vocabulary twice", "leave one out: Keras refuses it too")
    return tokens


def weights_of(
    given: Any, vocabulary: Sequence[str], count: int, special: int, depth: int
) -> tuple[float, ...]:
    """The idf of each number. Source: keras/src/layers/preprocessing/index_lookup.py, set_vocabulary."""
    import numpy as np

    if not isinstance(given, Sequence) or not given:
        raise Unsupported("tf_idf without idf_weights", "adapt the layer, or give it its idf_weights")
    weights = np.asarray(given, "float32")
    if len(weights) != depth:
        if len(vocabulary) == count:  # without the special ones, which take the average
            weights = np.pad(weights, (special, 0), constant_values=np.average(np.asarray(given)))
        weights = np.pad(weights, (0, max(depth - len(weights), 0)))
    if len(weights) != depth:
        raise Unsupported(f"{len(given)} idf_weights for {len(vocabulary)} words")
    return tuple(float(it) for it in weights)


def lookup(shape: Shape, options: Mapping[str, Any], mask: str | None, unknown: int) -> Text:
    """What both layers have: the numbers of words, and what becomes of them."""
    mode = kind_of(options["output_mode"])
    start = unknown + (mask is not None and mode == "int")
    special = [*([mask] if start > unknown else []), *[options.get("oov_token", "[UNK]")] * unknown]
    tokens = words_of(options["vocabulary"], special)
    if mask is not None and mask in tokens:
        raise Unsupported(f"the mask_token {mask!r} is a word of the vocabulary", "leave it out there")
    depth = int(options["max_tokens"]) if options["pad_to_max_tokens"] else start + len(tokens)
    weights: tuple[float, ...] = ()
    if mode == "tf_idf":
        weights = weights_of(options["idf_weights"], options["vocabulary"], len(tokens), start, depth)
    return Text("", "", shape, tokens, start, unknown, mask, mode, depth, weights=weights)


def looked_up_shape(x: Tensor, *, output_mode: str) -> Shape:
    return encoded_shape(x, kind_of(output_mode), 1)


@rule("StringLookup", wants=SOURCE, shape=looked_up_shape, dtype=encoded_dtype, only=LOOKUP,
      ignores="vocabulary_size has_input_vocabulary")  # fmt: skip
def string_lookup(
    x: Value, *, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: str | None = None,
    oov_token: str = "[UNK]", vocabulary: Any = None, idf_weights: Any = None, output_mode: str = "int",
    pad_to_max_tokens: bool = False, salt: Any = None, sparse: bool = False, invert: bool = False,
    encoding: str = "utf-8", oov_method: str = "floormod",
) -> Value:  # fmt: skip
    """A function beside the module, where it reads an input of text: `forward` takes what it gives."""
    return x


@rule(
    "TextVectorization", wants=SOURCE, shape=looked_up_shape, dtype=encoded_dtype,
    only={
        "standardize": ("lower_and_strip_punctuation", "lower", "strip_punctuation", None),
        "split": ("whitespace", "character", None), "sparse": (False,), "ragged": (False,),
        "encoding": ("utf-8",),
    },
    ignores="vocabulary_size has_input_vocabulary",
)  # fmt: skip
def text_vectorization(
    x: Value, *, max_tokens: int | None = None, standardize: str | None = "lower_and_strip_punctuation",
    split: str | None = "whitespace", ngrams: Any = None, output_mode: str = "int",
    output_sequence_length: int | None = None, pad_to_max_tokens: bool = False, vocabulary: Any = None,
    idf_weights: Any = None, sparse: bool = False, ragged: bool = False, encoding: str = "utf-8",
) -> Value:  # fmt: skip
    """A function beside the module, where it reads an input of text: `forward` takes what it gives."""
    return x


def text_of(kind: str, config: Mapping[str, Any], shape: Shape) -> tuple[Text, Tensor]:
    """What a layer does to text of that shape, and the numbers that it gives. Raises Unsupported."""
    options = rule_for(kind).accept(config)
    if len(shape) > 2:
        raise Unsupported(f"text with {len(shape)} axes: up to two are ported", "Reshape behind the layer")
    if kind == "StringLookup":
        made = lookup(shape, options, options["mask_token"], int(options["num_oov_indices"]))
        salt = options["salt"]
        if salt is not None:
            pair = salt if isinstance(salt, Sequence) else (salt, salt)
            made = replace(made, salt=(int(pair[0]), int(pair[1])))
        given = Tensor("", shape)
    else:
        made, given = vectorized(shape, options)
    dtype = "int64" if made.mode == "int" else "float32"
    mode = "count" if made.mode == "tf_idf" else made.mode
    return made, Tensor("", encoded_shape(given, mode, made.depth), dtype=dtype)


def vectorized(shape: Shape, options: Mapping[str, Any]) -> tuple[Text, Tensor]:
    """The text of TextVectorization, and the shape of its words."""
    made = lookup(shape, options, "", 1)
    ngrams = options["ngrams"]
    widths = range(1, ngrams + 1) if isinstance(ngrams, int) else (ngrams or ())
    split, length = options["split"] or "", options["output_sequence_length"]
    made = replace(
        made, standardize=options["standardize"] or "", split=split, ngrams=tuple(map(int, widths)),
        length=length, pads=bool(split) or length is not None,
    )  # fmt: skip
    if split and len(shape) == 2 and shape[1] != 1:
        raise Unsupported("rows of several texts that are split", "give the input the shape (1,)")
    if not split and made.ngrams:
        raise Unsupported("ngrams of texts that are not split")
    if split and made.mode == "one_hot":
        raise Unsupported("one_hot of texts that are split, which Keras does not compute either")
    if made.pads and len(shape) == 1 and not split:
        raise Unsupported("texts that are not split, padded along the batch", "give the input the shape (1,)")
    if made.mode == "int" and made.pads:
        return made, Tensor("", (shape[0], length))
    return made, Tensor("", (shape[0], None) if split else shape)
