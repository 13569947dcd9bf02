"""A layer that is made, and applied, here or further below."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.application import apply
from torchport.source.fragment import EACH, Call, is_layer
from torchport.source.lines import index_text
from torchport.source.observe import Seen, builds_models, is_symbol, tensors, whole
from torchport.source.sites import NotPorted, site
from torchport.source.unit import SIZES_OF_SPACE
from torchport.source.values import (
    Flow,
    Items,
    Maker,
    Network,
    Shape,
    Size,
    Static,
    mode,
)

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def new_layer(at: Evaluator, node: ast.expr) -> Maker | None:
    """A layer that an expression makes; None where it makes none."""
    if not isinstance(node, ast.Call):
        return None
    seen = at.scope.seen(node)
    if not seen or not is_layer(seen[0].result) or is_layer(seen[0].function):
        return None
    value = at.value(node)
    return value if isinstance(value, Maker) else None


def network_of(at: Evaluator, node: ast.Call) -> Network:
    given = dict(zip(("inputs", "outputs"), node.args, strict=False))
    given |= {it.arg: it.value for it in node.keywords if it.arg in ("inputs", "outputs")}
    if "outputs" not in given:
        raise NotPorted(node, "is a model that is not made of inputs and outputs")
    held = at.scope.env.get(ast.unparse(given["inputs"])) if "inputs" in given else None
    if held is None and isinstance(given.get("inputs"), (ast.List, ast.Tuple)):
        held = at.value(given["inputs"])
    return Network(at.value(given["outputs"]), held)


def apply_layer(at: Evaluator, node: ast.Call, maker: Maker, seen: list[Seen]) -> Any:
    """A layer that is applied."""
    made = at.scope.seen(maker.node)
    loops = tuple(map(id, at.scope.loops))
    if at.scope.turns.get(site(maker.node), loops) != loops:
        raise NotPorted(maker.node, "is a layer that is made in a loop and applied later", "apply it at once")
    cls = whole(made[0].function) if made else type(seen[0].function)
    # one place may call several layers, turn by turn: those that were made here
    own = {id(it.result) for it in made}
    seen = [it for it in seen if id(it.function) in own] or seen
    if (unit := at.unit_of(cls)) is not None:
        return at.part(node, unit, maker.node, seen, maker)
    if cls.__module__ == at.scope.project.watched.module.__name__:
        return at.part(node, at.scope.project.unit(cls.__name__), maker.node, seen, maker)
    if is_constant(at, seen):
        raise NotPorted(
            node, "is a layer that is called on a constant: Keras does not train it",
            "call it on a tensor that comes from an input, or in a layer of your own",
        )  # fmt: skip
    args, kwargs = at.arguments(node)
    kwargs = {key: it for key, it in kwargs.items() if key != "training"}
    seen = [replace(it, kwargs={k: v for k, v in it.kwargs.items() if k != "training"}) for it in seen]
    if args and args[-1] == mode():
        args = args[:-1]
        seen = [replace(it, args=it.args[: len(args)]) for it in seen]
    return apply(at, node, Call(args, kwargs, options_of(at, maker, cls)), seen, maker)


def is_constant(at: Evaluator, seen: list[Seen]) -> bool:
    """Whether a layer with weights is called on what is no tensor of the model that is being built.

    Its result is then a constant of the model, and its weights are none of it.
    Source: keras/src/layers/layer.py, Layer.__call__: what holds no symbol is computed at once.
    """
    recorder, scope = at.scope.project.watched.recorder, at.scope
    if scope.cls is not None or not any(it.function.weights for it in seen):
        return False
    calls = recorder.units.get(scope.name, [])
    builds = builds_models(calls) or any(hasattr(it.result, "layers") for it in calls)
    held = [list(tensors((list(it.args), dict(it.kwargs)))) for it in seen]
    return builds and all(it and not any(map(is_symbol, it)) for it in held)


def options_of(at: Evaluator, maker: Maker, cls: type) -> dict[str, Any]:
    """The options of a layer that its source writes as more than a literal."""
    node = maker.node
    initializer: Any = getattr(cls, "__init__")  # noqa: B009  # of the class, not of an instance
    names = [it for it in inspect.signature(initializer).parameters if it != "self"]
    given = dict(zip(names, node.args, strict=False)) | {it.arg: it.value for it in node.keywords if it.arg}
    found: dict[str, Any] = {}
    if cls.__name__.endswith("InstanceNormalization") or ast.unparse(given.get("groups", node)) == "-1":
        # Keras itself makes a number of it
        found["groups"] = Static(EACH)
    with names_where(at, maker):
        for name, it in given.items():
            if (inner := layer_in(at, it)) is not None:
                # a wrapper's: with its own options
                made = at.scope.seen(inner.node)
                found[name] = options_of(at, inner, type(made[0].result)) if made else {}
            elif (held := sizes_of(at, it)) is not None:
                found[name] = held
            elif at.scope.is_static(it):
                text = at.scope.static_text(it)
                value = Static(text, ast.parse(text, mode="eval").body)
                found |= {} if value.is_literal else {name: value}
            elif cls.__name__ == "Reshape" and (text_of := sized(at, it)) is not None:
                found[name] = text_of
            elif any(isinstance(at.scope.env.get(one), (Shape, Size, Flow)) for one in names_of(it)):
                # it is the number that the sizes of the tensors made it
                at.scope.fixed.add(SIZES_OF_SPACE)
    return found


def sized(at: Evaluator, node: ast.expr) -> Static | None:
    """An index or shape with sizes that `forward` has names for: `[:, : height - 1]`; None for others."""
    parts = [
        it for it in ast.walk(node) if isinstance(it, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    ]
    held = [at.scope.env.get(it.id) if isinstance(it, ast.Name) else None for it in parts]
    if not held or not all(
        isinstance(it, (Static, Size)) and it.text == ast.unparse(one)
        for it, one in zip(held, parts, strict=True)
    ):
        return None
    tree = ast.parse(f"_[{index_text(node)}]", mode="eval").body
    return Static(index_text(node), tree.slice if isinstance(tree, ast.Subscript) else None)


def sizes_of(at: Evaluator, node: ast.expr) -> Static | None:
    """A name of a tuple of sizes, as the tuple: `shape = (1, 1, filters)`; None for others."""
    held = at.scope.env.get(node.id) if isinstance(node, ast.Name) else None
    if not isinstance(held, Items) or not all(isinstance(it, (Static, Size)) for it in held.items):
        return None
    texts = [it.known or it.text if isinstance(it, Size) else it.text for it in held.items]
    text = f"({', '.join(texts)},)"
    return Static(text, ast.parse(text, mode="eval").body)


def layer_in(at: Evaluator, node: ast.expr) -> Maker | None:
    """The layer that an option of a wrapper is: `layers.Bidirectional(layers.LSTM(units))`."""
    if isinstance(node, ast.Name):
        held = at.scope.env.get(node.id)
        return held if isinstance(held, Maker) else None
    return new_layer(at, node)


@contextmanager
def names_where(at: Evaluator, maker: Maker | None) -> Iterator[None]:
    """Names are what they were where a layer is made."""
    before = at.scope.env
    if maker is not None and maker.env:
        loops = {
            name: it for name, it in before.items() if any(name in one.targets for one in at.scope.loops)
        }
        at.scope.env = {**maker.env, **loops}
    try:
        yield
    finally:
        at.scope.env = before


def names_of(node: ast.expr) -> set[str]:
    """The names in an expression."""
    return {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
