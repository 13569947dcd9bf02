"""A method of a class that its `call` calls: a method of the module, written once."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.lines import INDENT
from torchport.source.scope import Method
from torchport.source.sites import NotPorted
from torchport.source.values import Flow, Items, Size, Static, leaves, mode

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def method_of(at: Evaluator, node: ast.Call, definition: ast.FunctionDef) -> Any:
    """What a call `self.attend(q, k)` gives. Raises NotPorted where two calls want two texts."""
    scope, name = at.scope, definition.name
    values = given(at, node, definition)
    values = {key: as_constant(at, it) for key, it in values.items()}
    inside = {key: it for key, it in values.items() if is_passed(it)}
    shown = {key: signature(it) for key, it in values.items()}
    if name not in scope.methods:
        scope.methods[name] = staged(at, definition, values, shown)
    method = scope.methods[name]
    if method.given != shown:
        # numbers that differ from call to call are known in the method alone
        again = staged(at, definition, {key: open_number(it) for key, it in values.items()}, shown)
        if again.lines != method.lines:
            why = f"{name} is called with other kinds of tensors elsewhere"
            raise NotPorted(node, why, "make it two methods")
        method = again
    text = f"self.{name}({', '.join(at.forward(it) for it in inside.values())})"
    if isinstance(method.result, Flow):
        return replace(method.result, text=text)
    flows = tuple(replace(it, text=f"{text}[{number}]") for number, it in enumerate(method.result.items))
    return replace(method.result, items=flows, text=text)


def given(at: Evaluator, node: ast.Call, definition: ast.FunctionDef) -> dict[str, Any]:
    """The arguments of a call by name, defaults among them."""
    names = [it.arg for it in definition.args.args][1:]
    args, kwargs = at.arguments(node)
    found = dict(zip(names, args, strict=False)) | kwargs
    defaults = definition.args.defaults
    for name, it in zip(names[len(names) - len(defaults) :], defaults, strict=True):
        found.setdefault(name, Static(ast.unparse(it)))
    if left := [it for it in names if it not in found]:
        raise NotPorted(node, f"gives no {left[0]}")
    return {name: found[name] for name in names}


def is_passed(value: Any) -> bool:
    """Whether the port's method takes an argument: all but constants and the mode."""
    if not isinstance(value, Static):
        return True
    return not (value.is_literal or value == mode() or isinstance(value.node, Constant))


def as_constant(at: Evaluator, value: Any) -> Any:
    """`tf.bool`, a dtype: the same in all calls, and none of the port's."""
    if not isinstance(value, Static) or value.is_literal or "." not in value.text:
        return value
    space = vars(at.scope.project.watched.module)
    if value.text.partition(".")[0] not in space:
        return value
    try:
        found = eval(value.text, space)
    except Exception:  # the expression is the user's: whatever it raises, it is no constant
        return value
    return Static(value.text, Constant()) if type(found).__name__ == "DType" else value


class Constant(ast.AST):
    """Stands for the text of what a method is never handed."""


def open_number(value: Any) -> Any:
    """A number that is known in the method alone."""
    return Size(value.text) if isinstance(value, Static) and is_passed(value) else value


def signature(value: Any) -> Any:
    """What the text of a method depends on of an argument."""
    if isinstance(value, Flow):
        return value.rank, value.order, value.channels
    if isinstance(value, Items):
        return tuple(map(signature, value.items))
    return value.text if isinstance(value, Static) else type(value).__name__


def staged(at: Evaluator, definition: ast.FunctionDef, values: dict[str, Any], shown: Any) -> Method:
    """The method as text."""
    from torchport.source.stage import Stage

    outer = {key: it for key, it in at.scope.env.items() if key.startswith("self.")}
    # what the method keeps is the class's; its names and lines are its own
    scope = replace(at.scope, env=outer, forward=[], depth=0, loops=[], in_method=True)
    heads = []
    for name, value in values.items():
        if isinstance(value, Flow):
            scope.env[name] = replace(value, text=name, is_weight=False)
            heads.append(f"{name}: Tensor")
        elif isinstance(value, Items) and len(list(leaves(value))) == len(value.items):
            flows = tuple(replace(it, text=f"{name}[{number}]") for number, it in enumerate(value.items))
            scope.env[name] = replace(value, items=flows, text=name)
            heads.append(f"{name}: list[Tensor]")
        elif isinstance(value, Size):
            scope.env[name] = Size(name, value.known)
            heads.append(f"{name}: int")
        elif isinstance(value, Static):
            scope.env[name] = Size(name, value.text) if is_passed(value) else value
            heads += [name] if is_passed(value) else []
        else:
            raise NotPorted(definition, f"its argument {name} is neither a tensor nor a number")
    stage = Stage(scope)
    stage.body(definition.body)
    result = stage.result
    if not isinstance(result, (Flow, Items)):
        raise NotPorted(definition, "gives no tensor")
    count = 1 if isinstance(result, Flow) else len(result.items)
    kind = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    lines = [f"def {definition.name}({', '.join(['self', *heads])}) -> {kind}:"]
    if text := ast.get_docstring(definition):
        lines += [INDENT + it for it in f'"""{text}"""'.splitlines()]
    lines += [INDENT + str(it) if it.text else "" for it in scope.forward]
    return Method(shown, tuple(lines), result)


__all__ = ["method_of"]
