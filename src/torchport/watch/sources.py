"""What a model comes from: a file, weights with an architecture, a file with code, code that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torchport import watch
from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.read import WithConfig, live, read
from torchport.read.separate import loaded
from torchport.rules import user
from torchport.watch.code import InFile, WithCode, changed, with_code
from torchport.watch.recipe import ADVICE, Recipe


def source(
    model: Any, config: str | Path | None = None, code: str | Path | Sequence[str | Path] | None = None,
    call: str | None = None, weights: str | Path | None = None,
    input_shape: str | Sequence[int | str | None] | None = None,
) -> Any:  # fmt: skip
    """What `torchport.convert` and `verify` are given, as one thing. Raises TorchportError.

    `input_shape`: `"224,224,3"`, one of these for each input, or the sizes of a single input.
    """
    shapes = shapes_of(input_shape)
    recipe = Recipe.of(model, call=call or "", weights=str(weights or ""), shapes=shapes)
    if recipe is not None:
        if config is not None or code is not None:
            what = "--config and --code are for a file of a model"
            raise TorchportError(what, where=str(model), advice="leave them out; the file may import others")
        return recipe
    given = {"--call": call, "--weights": weights, "--input-shape": shapes}
    if wrong := [option for option, value in given.items() if value]:
        raise TorchportError(f"{wrong[0]} is for a model that Python code makes", advice=ADVICE)
    if config is not None:
        model = WithConfig(Path(model), str(config))
    return model if code is None else with_code(model, code)


def shapes_of(given: str | Sequence[int | str | None] | None) -> tuple[str, ...]:
    """Shapes of inputs as `Recipe` takes them."""
    if given is None or isinstance(given, str):
        return (given,) if given else ()
    if all(isinstance(it, str) for it in given):
        return tuple(map(str, given))
    return (",".join("?" if it is None else str(it) for it in given),)


def graph_of(source: Any) -> Graph:
    """The graph of a source: of a file as it is read, of a live model with its own code in it."""
    try:
        alive = live_of(source)
    except InFile:
        graph = read(source.path).check()
        if any(user.unknown(graph)):
            raise
        return graph
    return (read(source) if alive is None else watch.read(alive)).check()


def live_of(source: Any) -> Any:
    """The live model of a source, where there is one: itself, or that of the user's code; else None.

    A model that --config makes is one where layers of it are the user's own; else its configuration does.
    """
    if isinstance(source, (WithCode, Recipe)):
        return source.model
    if isinstance(source, WithConfig):
        if source.function and any(watch.is_own(it) for it in source.model._flatten_layers()):
            return with_weights(source, changed(source.weights))
        return None
    return source if live.is_model(source) else None


@cache
def with_weights(source: WithConfig, state: int) -> Any:
    """The model of a function of the user's with the weights of a file."""
    return loaded(source.model, source.weights)


def known(source: Any) -> Any:
    """The live model of a source; a file where none is needed, and where its own code was read instead."""
    if isinstance(source, WithCode):
        return source.known
    alive = live_of(source)
    return source if alive is None else alive


def file_of(source: Any) -> str | None:
    """The Python file that a source names, `model.py` of `model.py:build`."""
    recipe = Recipe.of(source)
    return recipe.code if recipe and recipe.code.endswith(".py") else None
