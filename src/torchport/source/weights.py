"""Weights of a layer class itself: `self.add_weight(...)`, `tf.Variable(...)` become `nn.Parameter`."""

from __future__ import annotations

import ast
from typing import Any

from torchport.names import snake
from torchport.source.lines import atom
from torchport.source.scope import Scope
from torchport.source.sites import NotPorted
from torchport.source.values import Flow

#: What a weight begins with, of its shape: Keras's initialisers and functions of TensorFlow.
STARTS = {
    "zeros": "torch.zeros({})", "ones": "torch.ones({})", "constant": "torch.full({tuple}, {value!r})",
    "random_normal": "torch.randn({}) * {stddev!r}",
    "random_uniform": "torch.empty({}).uniform_({minval!r}, {maxval!r})",
    "truncated_normal": "nn.init.trunc_normal_(torch.empty({}), std={stddev!r})",
    "glorot_uniform": "nn.init.xavier_uniform_(torch.empty({}))",
    "glorot_normal": "nn.init.xavier_normal_(torch.empty({}))",
    "he_normal": "nn.init.kaiming_normal_(torch.empty({}), mode='fan_out')",
    "he_uniform": "nn.init.kaiming_uniform_(torch.empty({}), mode='fan_out')",
    "orthogonal": "nn.init.orthogonal_(torch.empty({}))",
}  # fmt: skip


def is_variable(scope: Scope, node: ast.Call) -> bool:
    """Whether a call makes a weight."""
    seen = scope.seen(node)
    return bool(seen) and hasattr(seen[0].result, "assign") and hasattr(seen[0].result, "trainable")


def weight(scope: Scope, name: str, node: ast.Call) -> Flow:
    """The weight that a call makes; the line of `__init__` that does."""
    seen = scope.seen(node)[0]
    result, kind = seen.result, getattr(seen.function, "__name__", "")
    if kind == "add_weight":
        given = {it.arg: it.value for it in node.keywords if it.arg}
        shape = given.get("shape") or next(
            (
                it
                for it, value in zip(node.args, seen.args, strict=False)
                if isinstance(value, (tuple, list, int))
            ),
            None,
        )
        said = seen.kwargs.get("initializer", "glorot_uniform")
        start = start_of(node, said)
    else:
        shape, start = of_value(scope, node)
    sizes = sizes_of(scope, node, shape)
    rank = len(result.shape)
    listed = ", ".join(sizes)
    text = start.replace("{tuple}", f"({listed},)" if rank == 1 else f"({listed})").replace(
        "{}", listed or "()"
    )
    attribute = name.removeprefix("self.")
    if result.trainable:
        scope.say(f"{name} = nn.Parameter({text})")
    else:
        scope.say(f'self.register_buffer("{attribute}", {text})')
    scope.weights.append(attribute)
    return Flow(name, rank, sizes[-1] if sizes else None, is_weight=True)


def start_of(node: ast.AST, said: Any) -> str:
    """The text of what an initialiser gives, its shape left open."""
    import keras

    value = said if not isinstance(said, str) else keras.initializers.get(said)
    value = value() if isinstance(value, type) else value
    config = value.get_config() if hasattr(value, "get_config") else {}
    text = STARTS.get(snake(type(value).__name__))
    if text is None:
        raise NotPorted(node, f"begins with {type(value).__name__}", f"use one of {', '.join(STARTS)}")
    for key, it in config.items():
        text = text.replace(f"{{{key}!r}}", repr(it))
    return text


def of_value(scope: Scope, node: ast.Call) -> tuple[ast.expr | None, str]:
    """The shape and start of `tf.Variable(tf.zeros((3, 4)))`, or of an initialiser that is called."""
    first = next(
        (it.value for it in node.keywords if it.arg == "initial_value"), node.args[0] if node.args else None
    )
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult) and scope.is_static(first.left):
        # `rate * tf.ones((width,))`
        again = ast.copy_location(ast.Call(node.func, [first.right], []), node)
        shape, start = of_value(scope, again)
        return shape, f"{atom(scope.static_text(first.left))} * {start}"
    seen = scope.seen(first) if isinstance(first, ast.Call) else []
    if not isinstance(first, ast.Call) or not seen:
        raise NotPorted(node, "is a weight of numbers that are made elsewhere", "use add_weight")
    function = seen[0].function
    shape = next(
        (it.value for it in first.keywords if it.arg == "shape"), first.args[0] if first.args else None
    )
    name = getattr(function, "__name__", "")
    if name in ("zeros", "ones"):
        return shape, STARTS[name]
    if name in ("random_normal", "normal") and len(first.args) + len(first.keywords) == 1:
        return shape, "torch.randn({})"
    if hasattr(function, "get_config"):
        return shape, start_of(node, function)
    raise NotPorted(first, "is no start of a weight that is ported", "use add_weight")


def sizes_of(scope: Scope, node: ast.Call, shape: ast.expr | None) -> list[str]:
    """The texts of a weight's sizes."""
    if shape is None:
        if len(scope.seen(node)[0].result.shape) == 0:
            return []
        raise NotPorted(node, "is a weight without a shape that is written there", "write shape=(...)")
    if isinstance(shape, (ast.Tuple, ast.List)):
        return [scope.static_text(it) for it in shape.elts]
    if len(scope.seen(node)[0].result.shape) == 1:
        text = scope.static_text(shape)
        return [text] if isinstance(scope.seen(node)[0].kwargs.get("shape"), int) else [f"{text}[0]"]
    raise NotPorted(shape, "is the shape of a weight, and is no tuple that is written there", "write it out")


__all__ = ["is_variable", "weight"]
