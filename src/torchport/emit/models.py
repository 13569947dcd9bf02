"""What people call a nested model that has no name of its own: by what it is made of, a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torchport.names import identifier, is_automatic
from torchport.program import IN_A_ROW, Apply, Call, Definition, Module, Step, walk


def _called(value: Any) -> Iterator[str]:
    """The classes of the modules in an expression, those in rows opened, and the functions that it calls."""
    for it in walk(value):
        if isinstance(it, Apply):
            yield from _opened(it.module)
        if isinstance(it, Call):
            yield it.function


def _opened(made: Module) -> Iterator[str]:
    if made.cls not in IN_A_ROW:
        yield made.cls
    for it in made.args if made.cls in IN_A_ROW else ():
        yield from _opened(it)


def _has(*words: str) -> Callable[[set[str]], bool]:
    return lambda names: any(word in it for it in names for word in words)


#: How the names of modules begin that change images in training.
AUGMENTS = ("Random", "Rand", "Aug", "AutoContrast", "Solarization")
#: The first line that holds; a model of anything else is a `block`.
NOUNS: tuple[tuple[str, Callable[[set[str]], bool]], ...] = (
    ("augmentation", lambda names: bool(names) and all(it.startswith(AUGMENTS) for it in names)),
    ("decoder", _has("ConvTranspose", "interpolate")),
    ("encoder", _has("nn.Conv", "LSTM", "GRU", "RNN", "Embedding")),
    ("mlp", _has("nn.Linear")),
)


def noun(values: Iterable[Any]) -> str:
    """What people call a model that computes these expressions."""
    names = {name for value in values for name in _called(value)}
    return next((it for it, holds in NOUNS if holds(names)), "block")


#: The layer that runs another one both ways: it is called for that.
BOTH_WAYS = "Bidirectional"


def recurrent_noun(value: Any) -> str:
    """What people call what runs both ways: by the module."""
    classes = (name for name in _called(value) if name in ("nn.LSTM", "nn.GRU", "nn.RNN"))
    return next(classes, "nn.bidirectional").removeprefix("nn.").lower()


def model_nouns(definition: Definition) -> dict[str, str]:
    """Nouns for the nested models of a definition, and what holds another layer, by their layers."""
    found = {}
    for step in definition.steps:
        if step.kind == "Model":
            part = definition.parts.get(step.layer)
            found[step.layer] = noun([step.value] if part is None else [it.value for it in part.steps])
        if step.kind == BOTH_WAYS:
            found[step.layer] = recurrent_noun(step.value)
    return found


def own_output(part: Definition | None, step: Step, tensor: str) -> str:
    """What a nested model calls one of its several outputs, by the layer that gives it; or nothing."""
    if part is None or len(part.outputs) == 1:
        return ""
    inner = part.outputs[step.outputs.index(tensor)].name
    giver = next((it for it in part.steps if inner in it.outputs), None)
    if giver is None or not giver.layer or is_automatic(giver.layer, giver.kind):
        return ""
    return identifier(giver.layer.removesuffix(".activation"))
