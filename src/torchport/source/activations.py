"""Activations that differ from run to run: an argument of the port, or a choice where the model is built.

layers.Dense(8, activation=activation)(x)  ->  self.activation(self.fc(x)), of `activation: nn.Module`
layers.Dense(8, activation="relu" if is_first else None)(x)
->  self.activation = nn.ReLU() if is_first else nn.Identity()
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport import callees
from torchport.errors import Unsupported
from torchport.read.subclass import keras_of
from torchport.source.fragment import Call, inlined, is_layer
from torchport.source.observe import Seen
from torchport.source.sites import site
from torchport.source.values import Flow, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator
    from torchport.source.scope import Scope

#: Functions of one tensor, and the modules that they are.
MODULES = {**callees.ACTIVATIONS, "F.softmax": "nn.Softmax", "F.softsign": "nn.Softsign",
           "F.log_softmax": "nn.LogSoftmax"}  # fmt: skip
#: The place of a name that Keras takes for none.
NOTHING = "linear"


def described(value: Any) -> str:
    """What tells two activations apart: the options of a layer, what a function is called."""
    if is_layer(value):
        config = {key: it for key, it in value.get_config().items() if key not in ("name", "dtype")}
        return f"{type(value).__name__} {config!r}"
    return repr(value)


def module_text(scope: Scope, function: Any, flow: Flow, like: Any) -> str | None:
    """The module that an activation is, on tensors as `like`; None where it is no plain one."""
    from torchport.source.application import text_of, texts_of

    if function is None:
        return "nn.Identity()"
    made = Call([replace(flow, text="x")], {}, {})
    if not is_layer(function):
        function = keras_of(scope.project.watched.module).layers.Activation(function)
    try:
        written = scope.project.fragment(Seen(function, (like,), {}, None), made, False)
    except Unsupported:
        return None
    alone, result = inlined(written.definition)
    if alone or written.modules or written.states:
        return None
    texts = texts_of(written, [replace(flow, text="x")], lambda owner, role: role, lambda text: text)
    text = text_of(result, texts)
    if text == "x":
        return "nn.Identity()"
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Call) or not node.args or ast.unparse(node.args[0]) != "x":
        return None
    name = MODULES.get(ast.unparse(node.func))
    others = [
        *map(ast.unparse, node.args[1:]),
        *(f"{it.arg}={ast.unparse(it.value)}" for it in node.keywords),
    ]
    return None if name is None else f"{name}({', '.join(others)})"


def argument(at: Evaluator, node: ast.expr, flow: Flow, like: Any) -> str | None:
    """The parameter of the port that is an activation, where the source's is one; None where it is none."""
    scope, name = at.scope, ast.unparse(node)
    value = scope.env.get(name)
    if not isinstance(value, Static) or value.text not in scope.parameters or scope.is_function:
        return None
    parameter = value.text
    given = scope.project.arguments_of(scope.name).get(parameter, [])
    if not given or not all(it is None or callable(it) and not isinstance(it, type) for it in given):
        return None
    if all(it is None for it in given) or any(is_layer(it) and it.weights for it in given):
        return None
    texts = {described(it): module_text(scope, it, flow, like) for it in given if it is not None}
    known = scope.modules.get(parameter, texts)
    if None in texts.values() or known != texts:
        return None
    scope.modules[parameter] = {key: it for key, it in texts.items() if it is not None}
    return parameter


def called(at: Evaluator, node: ast.Call, seen: list[Seen]) -> Flow | None:
    """`activation(x)` of an activation that is an argument; None for other calls."""
    if len(node.args) != 1 or node.keywords or not isinstance(node.func, (ast.Name, ast.Attribute)):
        return None
    if not isinstance(at.scope.env.get(ast.unparse(node.func)), Static):
        return None
    flow = at.value(node.args[0])
    if not isinstance(flow, Flow) or (name := argument(at, node.func, flow, seen[0].args[0])) is None:
        return None
    return replace(flow, text=f"{at.scope.forward_text(name)}({flow.text})")


def without(layer: Any) -> Any:
    """The same layer, and no activation behind it."""
    return type(layer).from_config({**layer.get_config(), "activation": NOTHING})


def behind(at: Evaluator, node: ast.expr, made: Call, seen: list[Seen], maker: Any) -> Flow | None:
    """A layer whose activation is a module of its own, behind it; None where it is one text each time."""
    from torchport.source.application import apply

    option, scope = made.options.get("activation"), at.scope
    if option is None or maker is None or scope.is_function or not is_layer(seen[0].function):
        return None
    used = {described(it.function.activation): it for it in seen if hasattr(it.function, "activation")}
    flow = next((it for it in made.args if isinstance(it, Flow)), None)
    like = next((it.result for it in used.values() if hasattr(it.result, "shape")), None)
    if flow is None or like is None or not isinstance(option.node, ast.expr):
        return None
    out = Flow("x", len(like.shape), None, flow.order if flow.rank == len(like.shape) else order_for(like))
    name = argument(at, option.node, out, like)
    constructor = None
    if name is None:
        if len(used) < 2 or (constructor := choice(scope, maker.node, option, out, like)) is None:
            return None
    elif None in scope.project.arguments_of(scope.name)[name]:
        constructor = f"{name} or nn.Identity()"
    others = {key: it for key, it in made.options.items() if key != "activation"}
    plain = [replace(it, function=without(it.function)) for it in seen]
    found = apply(at, node, replace(made, options=others), plain, maker)
    if not isinstance(found, Flow):
        return None
    if constructor is None:
        callee = scope.forward_text(str(name))
    else:
        line, column, *rest = site(maker.node)
        callee = scope.module("activation", constructor, key=(line, column, rest[0], rest[1] * 100 + 99))
    return replace(found, text=f"{callee}({found.text})")


def order_for(like: Any) -> Any:
    from torchport.source.parts import order_of

    return order_of(len(like.shape))


def choice(scope: Scope, node: ast.Call, option: Static, flow: Flow, like: Any) -> str | None:
    """A module for each value of an option, as a choice of `__init__`; None where one is no plain one."""
    space = vars(scope.project.watched.module)

    def of(value: Any) -> str | None:
        return module_text(scope, value, flow, like)

    def text(one: ast.expr) -> str | None:
        if isinstance(one, ast.IfExp):
            parts = text(one.body), text(one.orelse)
            return None if None in parts else f"{parts[0]} if {ast.unparse(one.test)} else {parts[1]}"
        try:
            return of(eval(ast.unparse(one), space))
        except Exception:  # it needs more than the names of the file
            return None

    if isinstance(option.node, ast.IfExp):
        return text(option.node)
    given = [given_to(it, "activation") for it in scope.seen(node)]
    if not all(it is None or isinstance(it, str) for it in given):
        return None
    table = {it: of(it) for it in dict.fromkeys(given)}
    if None in table.values() or len(table) < 2:
        return None
    return f"{{{', '.join(f'{key!r}: {it}' for key, it in table.items())}}}[{option.text}]"


def given_to(seen: Seen, name: str) -> Any:
    """What a class was given for one of its parameters; None where nothing."""
    names = list(inspect.signature(seen.function).parameters)
    return {**dict(zip(names, seen.args, strict=False)), **seen.kwargs}.get(name)


def argument_text(modules: Mapping[str, str], value: Any) -> str | None:
    """The text that stands for an activation where it is handed over."""
    return "None" if value is None else modules.get(described(value))
