"""keras-tcn's TCN: residual blocks of dilated convolutions. Source: tcn/tcn.py of 3.0 to 3.5.

Up to 3.1 the convolutions in a block had relu whatever `activation` said; 3.2 applies it to them, and once
more at their end. Configurations of 3.2 and later have `use_weight_norm` or `go_backwards`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Ref
from torchport.normalise.composed.parts import Part, Parts

OPTIONS = (
    "nb_filters kernel_size nb_stacks dilations padding use_skip_connections dropout_rate return_sequences "
    "activation use_batch_norm use_layer_norm use_weight_norm go_backwards return_state"
)
ARCHIVE = "save the model as .keras"
#: What applied again to what it gave changes nothing.
IDEMPOTENT = ("relu", "linear", None)


@dataclass(frozen=True)
class Block:
    """One residual block: what it is made of."""

    convs: tuple[Part, ...]
    norms: tuple[Part, ...]
    shortcut: Part | None


def tcn(parts: Parts) -> None:
    parts.check_options(OPTIONS)
    option = parts.option
    if option("use_weight_norm"):
        raise Unsupported("use_weight_norm=True is not ported")
    if parts.flat and parts.op.frozen and option("use_batch_norm"):
        raise Unsupported(
            "it is frozen, and the file does not say which of its weights are statistics", ARCHIVE
        )
    filters, dilations = option("nb_filters", 64), list(option("dilations", (1, 2, 4, 8, 16, 32)))
    counts = filters if isinstance(filters, list) else [filters] * len(dilations)
    plan = [pair for _ in range(option("nb_stacks", 1)) for pair in zip(counts, dilations, strict=True)]
    blocks = [block(parts, at, *pair) for at, pair in enumerate(plan)]
    if parts.flat and option("use_batch_norm"):
        blocks = [Block(it.convs, tuple(with_moments(parts, it.norms)), it.shortcut) for it in blocks]
    kernel = blocks[0].convs[0].weights[0]
    x = parts.input(parts.op.args[0], kernel.shape[1])
    if option("go_backwards"):
        x = parts.apply("keras.ops.Flip", x, axis=1)
    skips = []
    for at, it in enumerate(blocks):
        x, skip = residual(parts, it, x, at)
        skips.append(skip)
    if option("use_skip_connections", True):
        x = parts.apply("Add", skips, name="skips") if len(skips) > 1 else skips[0]
    if not option("return_sequences"):
        x = parts.apply("keras.ops.GetItem", x, (slice(None), step(parts, x)), name="last")
    parts.masks = ("drops",)
    parts.outputs = [x]


def step(parts: Parts, x: Ref) -> Any:
    """The step that is kept: the last one, or where the convolutions look both ways the one in the middle."""
    if parts.option("padding") != "same":
        return -1
    shape = parts.apply("tf.shape", x, name="shape")
    return parts.apply("keras.ops.FloorDivide", parts.apply("keras.ops.GetItem", shape, 1, name="steps"), 2)


def block(parts: Parts, at: int, filters: int, dilation: int) -> Block:
    """The layers of a block, and their weights; of a flat list without the moments of its norms."""
    paths = [f"residual_block_{at}/", f"residual_blocks/residual_block{f'_{at}' if at else ''}/"]
    convs: list[Part] = []
    norms: list[Part] = []
    kind = norm_kind(parts)
    count = 4 if kind == "BatchNormalization" and not parts.flat else 2
    # 3.5.1 and later keep norms in a list of their own, before that of all layers
    is_first = kind and parts.flat and len(parts.first.shape) == 1
    for number in (0, 1) if is_first else ():
        norms.append(norm(parts, at, number, paths, kind, count))
    for number in (0, 1):
        name = f"block{at + 1}_conv{number + 1}"
        config = {
            "filters": filters, "kernel_size": parts.option("kernel_size", 3), "dilation_rate": dilation,
            "padding": parts.option("padding", "causal"),
        }  # fmt: skip
        own = [f"{it}conv1D_{number}/" for it in paths]
        own += [f"{it}layers/conv1d{f'_{number}' if number else ''}/" for it in paths]
        place = f"residual_block_{at}.layers.{number * (4 if kind else 3)}"
        convs.append(Part(name, "Conv1D", config, parts.take(own, 2), (place,)))
        if kind and not is_first:
            norms.append(norm(parts, at, number, paths, kind, count))
    if any(len(it.weights[0].shape) != 3 for it in convs):
        raise Unsupported("the order of its weights in this file is not known", f"{ARCHIVE}, or as .h5")
    shortcut = None
    if convs[0].weights[0].shape[1] != filters:
        own = [f"{it}{name}/" for it in paths for name in ("matching_conv1D", "shape_match_conv")]
        config = {"filters": filters, "kernel_size": 1, "padding": "same"}
        place = f"residual_block_{at}.shape_match_conv"
        shortcut = Part(f"block{at + 1}_shortcut", "Conv1D", config, parts.take(own, 2), (place,))
    return Block(tuple(convs), tuple(norms), shortcut)


def norm_kind(parts: Parts) -> str:
    if parts.option("use_batch_norm"):
        return "BatchNormalization"
    return "LayerNormalization" if parts.option("use_layer_norm") else ""


def norm(parts: Parts, at: int, number: int, paths: list[str], kind: str, count: int) -> Part:
    snake = "batch_normalization" if kind == "BatchNormalization" else "layer_normalization"
    name = f"{snake}_{number}/" if number else f"{snake}/"
    lists = ("batch_norm_layers" if kind == "BatchNormalization" else "layer_norm_layers", "layers")
    own = [f"{it}{held}/{name}" for it in paths for held in lists]
    place = f"residual_block_{at}.layers.{4 * number + 1}"
    return Part(f"block{at + 1}_norm{number + 1}", kind, {}, parts.take(own, count), (place,))


def with_moments(parts: Parts, norms: tuple[Part, ...]) -> list[Part]:
    """Norms with their mean and variance, which a flat list has behind all that is trained."""
    return [replace(it, weights=(*it.weights, *parts.take((), 2))) for it in norms]


def residual(parts: Parts, own: Block, x: Ref, number: int) -> tuple[Ref, Ref]:
    """What a block gives to the next one, and what it adds to the skips."""
    name, each = f"block{number + 1}", 4 if own.norms else 3
    activation = parts.option("activation", "relu")
    is_new = "use_weight_norm" in parts.op.config or "go_backwards" in parts.op.config
    y = x
    for at, conv in enumerate(own.convs):
        y = parts.call(conv, y)
        if own.norms:
            y = parts.call(own.norms[at], y)
        y = parts.activate(y, activation if is_new else "relu", f"{name}_act{at + 1}")
        place = f"residual_block_{number}.layers.{each * (at + 1) - 1}"
        y = parts.drop(y, parts.option("dropout_rate"), f"{name}_drop{at + 1}", place, "SpatialDropout1D")
    if is_new and activation not in IDEMPOTENT:
        y = parts.activate(y, activation, f"{name}_act3")
    shortcut = parts.call(own.shortcut, x) if own.shortcut else x
    out = parts.apply("Add", [shortcut, y], name=f"{name}_add")
    return parts.activate(out, activation, f"{name}_out"), y
