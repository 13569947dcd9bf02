"""Functions of the user's rules, called with care: what is wrong in them is said by file and line."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, NoReturn

from torchport import scripts
from torchport.errors import TorchportError, Unsupported
from torchport.graph import Op
from torchport.names import identifier
from torchport.program import Apply, Call, Expr, Load, Module, State, rewrite, walk
from torchport.rules import book

#: What stands in a stub for what a layer computes.
UNFINISHED = "torch.your_function"
#: What model.py imports, of which functions may be called.
ROOTS = frozenset("torch nn F math Tensor".split())


def file_of(function: Callable[..., Any]) -> str:
    """The file in which a function is written; empty where that cannot be told."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code is not None else ""


def line_of(function: Callable[..., Any]) -> str:
    """Where a function begins: `my_rules.py, line 3`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{scripts.shown(code.co_filename)}, line {code.co_firstlineno}" if code is not None else ""


def guarded(function: Callable[..., Any], kind: str, wrong: Callable[[Any], str]) -> Callable[..., Any]:
    """The function; TorchportError where it fails, cannot be called, or gives what `wrong` names."""

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        what = f"the rule for {kind}"
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError as error:
            advice = "an option that not every layer has needs a default"
            raise TorchportError(f"{what}: {error}", where=line_of(function), advice=advice) from None
        with scripts.blame(file_of(function)):
            found = function(*args, **options)
        if said := wrong(found):
            advice = "docs/custom-layers.md says what a rule gives"
            raise TorchportError(f"{what} gives {said}", where=line_of(function), advice=advice)
        return found

    return called


def missing(function: Callable[..., Any], options: Collection[str]) -> str:
    """What to do about options that a rule of the user's does not name."""
    positional = [
        it.name
        for it in inspect.signature(function).parameters.values()
        if it.kind is not it.KEYWORD_ONLY and it.name in options
    ]
    if positional:
        return f"options stand behind a star: write `*, {', '.join(positional)}` in {line_of(function)}"
    return f"name it behind the star in {line_of(function)}, or in ignores=, where it changes nothing"


def not_shapes(found: Any) -> str:
    """What is wrong with the shape, or the list of shapes, of an output."""
    return next(filter(None, map(not_shape, found if isinstance(found, list) else [found])), "")


def not_shape(found: Any) -> str:
    is_shape = isinstance(found, tuple) and all(it is None or isinstance(it, int) for it in found)
    return "" if is_shape else f"{found!r}, where a tuple of sizes is needed"


def not_weights(found: Any) -> str:
    """What is wrong with the shapes of weights by name."""
    if not isinstance(found, Mapping):
        return f"{found!r}, where shapes of weights by their names are needed"
    return next((f"{name!r}: {said}" for name, it in found.items() if (said := not_shape(it))), "")


def not_expression(found: Any) -> str:
    """What is wrong with what stands for a layer in PyTorch."""
    if isinstance(found, Module):
        return f"{found.cls} itself, which is not called: module(...)(x)"
    if isinstance(found, (tuple, list)) and found:
        return next(filter(None, map(not_expression, found)), "")
    return "" if isinstance(found, Expr) else f"{found!r}, where an expression is needed"


def not_dtypes(found: Any) -> str:
    """What is wrong with the dtype, or the list of dtypes, of an output."""
    names = found if isinstance(found, list) else [found]
    return (
        "" if all(isinstance(it, str) for it in names) else f"{found!r}, where the name of a dtype is needed"
    )


def unlike(expected: type) -> Callable[[Any], str]:
    """What is wrong with what is not of that class."""
    return lambda found: (
        "" if isinstance(found, expected) else f"{found!r}, where {expected.__name__} is needed"
    )


def named_here(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """A rule's function, whose helpers are called as the port calls them.

    Raises Unsupported for a rule that is not finished, TorchportError for a function that is nowhere.
    """

    def name(called: str) -> str:
        names, known = book.active(), book.active().known
        if called == UNFINISHED:
            raise Unsupported(
                f"its rule is not finished: {UNFINISHED} stands where it should say what {kind} computes",
                f"write it in {line_of(function)} (docs/custom-layers.md)",
            )
        if called in names.names:
            return names.names[called]
        root, dot, _ = called.partition(".")
        is_there = not root or root in ROOTS if dot else called in known or called in names.helpers
        if known and not is_there and not hasattr(builtins, called):
            raise TorchportError(
                f"the rule for {kind} uses {called}: no helper, and no part of torch, nn, F or math",
                where=line_of(function),
                advice="give its text: helper('''def ...''')",
            )
        return called

    def module(made: Any) -> Any:
        if isinstance(made, Module):
            return replace(made, cls=name(made.cls), args=tuple(map(module, made.args)))
        return made

    def here(expr: Any) -> Any:
        if isinstance(expr, Call):
            return replace(expr, function=name(expr.function))
        return replace(expr, module=module(expr.module)) if isinstance(expr, Apply) else expr

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        return rewrite(function(*args, **options), here)

    return called


def check_loads(op: Op, written: Any, function: Callable[..., Any]) -> None:
    """Raises TorchportError where a rule of the user's leaves out a weight, or loads what is not there."""

    def fail(said: str, advice: str = "") -> NoReturn:
        raise TorchportError(f"the rule for {op.kind} {said}", where=line_of(function), advice=advice)

    loaded = set()
    for node in walk(written):
        loads = [node.load] if isinstance(node, State) else []
        if isinstance(node, Apply):
            modules = [node.module, *(it for it in node.module.args if isinstance(it, Module))]
            loads += [it for made in modules for it in made.loads.values()]
        for load in (it for it in loads if isinstance(it, Load)):
            loaded.add(load.weight)
            if load.weight not in op.weights:
                fail(f"loads {load.weight!r}; {op.layer} has {', '.join(op.weights) or 'no weights'}")
            given = op.weights[load.weight].shape
            try:
                turned = tuple(load.turn.shape(given))
            except (ValueError, KeyError, IndexError):
                fail(f"turns {load.weight!r} by {load.turn.pattern!r}; its shape in {op.layer} is {given}")
            if isinstance(node, State) and turned != tuple(node.shape):
                fail(f"has {node.role!r} of the shape {node.shape}; its weight in {op.layer} gives {turned}")
    if left := [name for name in op.weights if name not in loaded]:
        fail(
            f"does not use {', '.join(left)}, which {op.layer} has",
            "load it all the same, where it is not trained into a buffer: State(..., trainable=False)",
        )


def stored_shapes(op: Op) -> Mapping[str, tuple[int, ...]]:
    """The shapes of a layer's own weights by name, as the file has them."""
    return {name: weight.shape for name, weight in named_weights(op).items()}


def named_weights(op: Op) -> Mapping[str, Any]:
    """A layer's weights by names that a rule can have: the file's where it has some, else their paths."""
    found: dict[str, Any] = {}
    for at, (key, weight) in enumerate(op.stored.items()):
        if key.isdigit():
            own = identifier(weight.name.rpartition("/")[2].partition(":")[0])
            name = own if own not in found and not weight.name.endswith(f"/{key}") else f"weight_{key}"
        else:
            path, _, number = key.rpartition("/")
            name = f"{path.removesuffix('vars')}weight_{number if number.isdigit() else at}"
        found[name] = weight
    return found
