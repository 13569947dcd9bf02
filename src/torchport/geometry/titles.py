"""What a card is headed by: the layer as people write it, and where it is in model.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchport.geometry.cards import Subject

#: The names of options that a title says.
SAID = (
    "filters", "units", "height", "width", "kernel_size", "pool_size", "strides", "dilation_rate", "groups",
    "depth_multiplier", "padding", "cropping", "size", "interpolation", "rate", "axis", "axes", "num_heads",
    "key_dim", "return_sequences", "target_shape", "equation", "subscripts", "shift", "pad_width",
    "negative_slope",
)  # fmt: skip
#: What they are where nobody would say them.
USUAL = {"dilation_rate": ([1, 1], [1], [1, 1, 1], 1), "groups": (1,), "strides": ([1, 1], [1], [1, 1, 1], 1)}


def title(subject: Subject) -> Iterator[str]:
    """What it is on both sides, and where in model.py."""
    yield named(subject.kind, subject.op.config)
    if subject.layer.code and subject.layer.span:
        yield f"{subject.layer.code}    made in model.py, line {subject.layer.span.line}"
    y = subject.outputs[0]
    if y.span:
        yield f"{y.code}    model.py, line {y.span.line}"
    elif not subject.layer.code:
        yield "it is no line of model.py: what follows it does its work, or nothing is left to do"


def named(kind: str, options: Mapping[str, Any]) -> str:
    """A layer as people write it, with the options that matter; one that wraps another names it."""
    inside = (options.get(name) for name in ("layer", "cell"))
    said = [
        named(str(it["class_name"]), it["config"]) for it in inside
        if isinstance(it, Mapping) and isinstance(it.get("config"), Mapping) and it.get("class_name")
    ]  # fmt: skip
    said += [
        f"{name}={plainly(options[name])}" for name in SAID
        if name in options and options[name] not in USUAL.get(name, ())
    ]  # fmt: skip
    return f"{kind}({', '.join(said)})" if said else kind


def plainly(value: object) -> str:
    """`3×3` of [3, 3]."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(it, int) for it in value):
        return "×".join(map(str, value))
    return str(value)
