"""Layers of packages: the kind of one whose file says its class, but not whose class that is.

A layer that a package registered says its package (`Addons>Maxout`). Others are known by their module, or in
a file that has none by their options: a class of that name that has not all of them is somebody's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """A layer of a package: its kind, and all options that its `get_config` writes beside Keras's own
    (none: whatever they are).

    `modules`: the packages that its class may be in; empty: any, its options say all. `some`: options that
    some versions of the package write.
    """

    kind: str
    options: frozenset[str]
    modules: tuple[str, ...] = ()
    some: frozenset[str] = frozenset()

    def fits(self, config: Mapping[str, Any], module: Any) -> bool:
        """Whether a layer with these options, of that module where the file says one, is this one."""
        if isinstance(module, str) and self.modules and module.split(".")[0] not in self.modules:
            return False
        return not self.options or config.keys() - OF_KERAS - self.some == self.options


#: What Keras's own `Layer.get_config` writes, and what it adds to that of the first layer.
OF_KERAS = frozenset("name trainable dtype batch_input_shape batch_shape".split())

AFFINE = "{0}_initializer {0}_regularizer {0}_constraint"
TABLE = AFFINE.format("embeddings")
NORM = f"center scale epsilon {AFFINE.format('gamma')} {AFFINE.format('beta')}"

LENGTH = frozenset({"input_length"})
LOOKUP = frozenset(f"input_dim output_dim mask_zero activity_regularizer {TABLE}".split())
LINEAR = f"use_bias {AFFINE.format('kernel')} {AFFINE.format('bias')}"

#: By class name. FixedDropout is Dropout whose noise_shape is taken from the tensor (efficientnet/model.py);
#: its class is made in a function, and many write it again to load a model: any module may have it.
#: Source: keras_contrib/layers/normalization/instancenormalization.py.
FOREIGN = {
    "FixedDropout": Foreign("Dropout", frozenset("rate noise_shape seed".split())),
    "LayerNormalization": Foreign(
        "LayerNormalization", frozenset(NORM.split()), ("keras_layer_normalization",)
    ),
    "PositionEmbedding": Foreign(
        "keras_pos_embd>PositionEmbedding",
        frozenset(f"input_dim output_dim mode mask_zero activity_regularizer {TABLE}".split()),
        ("keras_pos_embd",),
    ),
    "TrigPosEmbedding": Foreign(
        "keras_pos_embd>TrigPosEmbedding", frozenset(("mode", "output_dim")), ("keras_pos_embd",)
    ),
    "TCN": Foreign(
        "tcn>TCN",
        frozenset(
            "nb_filters kernel_size nb_stacks dilations padding use_skip_connections dropout_rate "
            "return_sequences activation use_batch_norm use_layer_norm kernel_initializer".split()
        ),
        ("tcn",),
        frozenset("use_weight_norm go_backwards return_state".split()),
    ),
    "MultiHeadAttention": Foreign(
        "keras_multi_head>MultiHeadAttention",
        frozenset(f"head_num activation history_only {LINEAR}".split()),
        ("keras_multi_head",),
    ),
    "ScaledDotProductAttention": Foreign(
        "keras_self_attention>ScaledDotProductAttention",
        frozenset(("return_attention", "history_only")),
        ("keras_self_attention",),
    ),
    "SeqSelfAttention": Foreign(
        "keras_self_attention>SeqSelfAttention",
        frozenset(
            f"units attention_width attention_type return_attention history_only use_additive_bias "
            f"use_attention_bias attention_activation attention_regularizer_weight {LINEAR}".split()
        )
        - {"use_bias"},
        ("keras_self_attention",),
    ),
    "SeqWeightedAttention": Foreign(
        "keras_self_attention>SeqWeightedAttention",
        frozenset(("use_bias", "return_attention")),
        ("keras_self_attention",),
    ),
    "TokenEmbedding": Foreign("keras_bert>TokenEmbedding", LOOKUP, ("keras_bert",), LENGTH),
    "EmbeddingSimilarity": Foreign(
        "keras_bert>EmbeddingSimilarity",
        frozenset("initializer regularizer constraint".split()),
        ("keras_bert",),
    ),
    "Masked": Foreign("keras_bert>Masked", frozenset({"return_masked"}), ("keras_bert",)),
    "Extract": Foreign("keras_bert>Extract", frozenset({"index"}), ("keras_bert",)),
    "EmbeddingRet": Foreign("keras_embed_sim>EmbeddingRet", LOOKUP, ("keras_embed_sim",), LENGTH),
    "EmbeddingSim": Foreign(
        "keras_embed_sim>EmbeddingSim",
        frozenset("use_bias initializer regularizer constraint stop_gradient".split()),
        ("keras_embed_sim",),
    ),
    "FeedForward": Foreign(
        "keras_position_wise_feed_forward>FeedForward",
        frozenset(f"units activation dropout_rate {LINEAR}".split()),
        ("keras_position_wise_feed_forward",),
    ),
    "KerasLayer": Foreign("tensorflow_hub>KerasLayer", frozenset(), ("tensorflow_hub",)),
    "InstanceNormalization": Foreign(
        "keras_contrib>InstanceNormalization", frozenset(f"axis {NORM}".split()), ("keras_contrib",)
    ),
}


def foreign(name: str, config: Any, module: Any) -> str | None:
    """The kind of a class that a package has; None where it is somebody's own."""
    found = FOREIGN.get(name)
    fits = found is not None and isinstance(config, Mapping) and found.fits(config, module)
    return found.kind if found and fits else None


def guessed(entry: Mapping[str, Any]) -> str | None:
    """The package that a serialized layer was taken to be of by its options alone; None where none was."""
    name, module = str(entry.get("class_name")), entry.get("module")
    found = FOREIGN.get(name)
    if found is None or not found.modules or isinstance(module, str):
        return None
    return found.modules[0] if foreign(name, entry.get("config"), module) else None
