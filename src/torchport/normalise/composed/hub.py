"""Transformers of keras_hub (keras_nlp before). Source: keras_hub/src/layers/modeling/transformer_encoder.py,
transformer_decoder.py, cached_multi_head_attention.py, transformer_layer_utils.py.

A padding mask that is given takes the place of the one that the sequence carries; the encoder's attention is
Keras's own and reads that as well.
"""

from __future__ import annotations

from typing import Any

from torchport.graph import Ref, Weight
from torchport.normalise.composed.parts import Part, Parts

OPTIONS = "intermediate_dim num_heads dropout activation layer_norm_epsilon normalize_first"


def transformer_encoder(parts: Parts) -> None:
    given = parts.arguments("inputs padding_mask attention_mask", OPTIONS)
    attention = attention_part(parts, "self_attention", "_self_attention_layer", "MultiHeadAttention")
    norm = norm_part(parts, "self_attention_norm", "_self_attention_layer_norm")
    feed = feed_parts(parts)
    x = parts.input(given["inputs"], attention.weights[0].shape[0])
    masks = [pairs(parts, given[key], key) for key in ("padding_mask", "attention_mask") if given[key]]
    x = residual(parts, x, attention, norm, "self_attention", kwargs={"attention_mask": joined(parts, masks)})
    parts.outputs = [feed_forward(parts, x, *feed)]


def transformer_decoder(parts: Parts) -> None:
    names = (
        "decoder_sequence encoder_sequence decoder_padding_mask decoder_attention_mask "
        "encoder_padding_mask encoder_attention_mask use_causal_mask"
    )
    given = parts.arguments(names, f"{OPTIONS} decoder_sequence_shape encoder_sequence_shape")
    kind = "keras_hub>CachedMultiHeadAttention"
    attention = attention_part(parts, "self_attention", "_self_attention_layer", kind)
    norm = norm_part(parts, "self_attention_norm", "_self_attention_layer_norm")
    crosses = given["encoder_sequence"] is not None
    if crosses:
        cross = attention_part(parts, "cross_attention", "_cross_attention_layer", kind)
        cross_norm = norm_part(parts, "cross_attention_norm", "_cross_attention_layer_norm")
    feed = feed_parts(parts)
    width = attention.weights[0].shape[0]
    x = parts.input(given["decoder_sequence"], width)
    encoded = None
    if crosses:
        encoded = parts.input(given["encoder_sequence"], cross.weights[2].shape[0], name="encoded")
    masks = masks_of(parts, given, "decoder")
    causal = given["use_causal_mask"] in (None, True)
    kwargs = {**masks, "use_causal_mask": causal or None}
    x = residual(parts, x, attention, norm, "self_attention", kwargs=kwargs)
    if encoded is not None:
        kwargs = masks_of(parts, given, "encoder")
        x = residual(parts, x, cross, cross_norm, "cross_attention", encoded, kwargs)
    parts.outputs = [feed_forward(parts, x, *feed)]


def masks_of(parts: Parts, given: dict[str, Any], which: str) -> dict[str, Any]:
    """The masks that are given for a sequence, as those of an attention's value and of its pairs."""
    padding, pair = given[f"{which}_padding_mask"], given[f"{which}_attention_mask"]
    found = {}
    if padding is not None:
        found["value_mask"] = mask(parts, padding, 2, f"{which}_padding_mask")
    if pair is not None:
        found["attention_mask"] = mask(parts, pair, 3, f"{which}_attention_mask")
    return found


def mask(parts: Parts, value: Any, rank: int, name: str) -> Ref:
    """A mask that is given, as the whole numbers that Keras makes of it."""
    given = parts.input(value, None, rank, name)
    return parts.apply("keras.ops.Cast", given, name=f"{name}_int", dtype="int32")


def pairs(parts: Parts, value: Any, name: str) -> Ref:
    """A mask of the pairs of steps, of one of either."""
    found = mask(parts, value, 2 if name == "padding_mask" else 3, name)
    return parts.apply("keras.ops.ExpandDims", found, axis=1) if name == "padding_mask" else found


def joined(parts: Parts, masks: list[Ref]) -> Ref | None:
    """Masks in one, none without any."""
    if len(masks) < 2:
        return masks[0] if masks else None
    return parts.apply("keras.ops.Minimum", *masks)


def attention_part(parts: Parts, name: str, path: str, kind: str) -> Part:
    weights: list[Weight] = []
    for projection in ("query", "key", "value", "output"):
        paths = [f"{path}/{projection}_dense/", f"{path}/_{projection}_dense/"]
        weights += parts.take(paths, 2)
    config = {
        "num_heads": parts.option("num_heads"), "key_dim": weights[0].shape[2],
        "dropout": parts.option("dropout", 0),
    }  # fmt: skip
    return Part(name, kind, config, tuple(weights), (path,))


def norm_part(parts: Parts, name: str, path: str) -> Part:
    config = {"epsilon": parts.option("layer_norm_epsilon", 1e-5)}
    paths = [f"{path}/", f"{path.replace('layer_norm', 'layernorm')}/"]
    return Part(name, "LayerNormalization", config, parts.take(paths, 2), (path,))


def feed_parts(parts: Parts) -> tuple[Part, Part, Part]:
    """The two layers behind attention, and their norm, which the encoder makes first."""
    norm = None
    if parts.flat and len(parts.first.shape) == 1:
        norm = norm_part(parts, "feedforward_norm", "_feedforward_layer_norm")
    names = ("_feedforward_intermediate_dense", "_feedforward_output_dense")
    hidden, out = (parts.take([f"{it}/"], 2) for it in names)
    config = {"units": hidden[0].shape[1], "activation": parts.option("activation", "relu")}
    return (
        Part("feedforward_intermediate", "Dense", config, hidden, names[:1]),
        Part("feedforward_output", "Dense", {"units": out[0].shape[1]}, out, names[1:]),
        norm or norm_part(parts, "feedforward_norm", "_feedforward_layer_norm"),
    )


def residual(
    parts: Parts, x: Ref, attention: Part, norm: Part, name: str, value: Ref | None = None,
    kwargs: dict[str, Any] | None = None,
) -> Ref:  # fmt: skip
    """Attention, and what it is added to."""
    first = parts.option("normalize_first")
    y = parts.call(norm, x) if first else x
    given = {key: it for key, it in (kwargs or {}).items() if it is not None}
    y = parts.call(attention, y, y if value is None else value, **given)
    y = parts.drop(y, parts.option("dropout"), f"{name}_dropout", f"_{name}_dropout")
    x = parts.apply("Add", [y, x], name=f"{name}_add")
    return x if first else parts.call(norm, x)


def feed_forward(parts: Parts, x: Ref, hidden: Part, out: Part, norm: Part) -> Ref:
    first = parts.option("normalize_first")
    y = parts.call(norm, x) if first else x
    y = parts.call(out, parts.call(hidden, y))
    y = parts.drop(y, parts.option("dropout"), "feedforward_dropout", "_feedforward_dropout")
    x = parts.apply("Add", [y, x], name="feedforward_add")
    return x if first else parts.call(norm, x)
