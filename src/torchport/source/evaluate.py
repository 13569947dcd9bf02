"""What each expression of a function is: known when the model is built, or a tensor and how it is written."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, replace
from typing import Any

from torchport.axes import position
from torchport.source import activations, choices, courses
from torchport.source.application import apply
from torchport.source.constants import constant
from torchport.source.courses import course_of
from torchport.source.fragment import Call, is_layer
from torchport.source.keras_losses import loss_of
from torchport.source.layers import apply_layer, network_of
from torchport.source.lines import atom, singular
from torchport.source.observe import Seen, whole
from torchport.source.operators import entries, item_of, operation, rank_of
from torchport.source.rows import applied, row_of
from torchport.source.scope import Scope, is_local
from torchport.source.shapes import shaped
from torchport.source.sites import RUN, NotPorted
from torchport.source.unit import Unit
from torchport.source.values import (
    Choice,
    Course,
    Flow,
    Items,
    Maker,
    Row,
    Shape,
    Size,
    Stack,
    Static,
    is_static,
)


@dataclass
class Evaluator:
    """Expressions of one scope."""

    scope: Scope
    #: The expression that is being assigned, and to which name.
    target: tuple[ast.expr, str] | None = None

    def value(self, node: ast.expr) -> Any:
        """Raises NotPorted for what is neither."""
        scope = self.scope
        known = scope.env.get(ast.unparse(node)) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if known is not None:
            return known
        if scope.is_static(node) and not self.has_sizes(node):
            text = scope.static_text(node)
            return Static(text, ast.parse(text, mode="eval").body)
        if (held := scope.shape_of(node)) is not None:
            return Shape(held)
        if (rank := rank_of(self, node)) is not None:
            return Static(str(rank))
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            items = tuple(map(self.value, node.elts))
            return Items(items, self.listed(items, isinstance(node, ast.Tuple)), isinstance(node, ast.Tuple))
        if isinstance(node, ast.Dict) and all(isinstance(it, ast.Constant) for it in node.keys):
            items, keys = (
                tuple(map(self.value, node.values)),
                [ast.literal_eval(it) for it in node.keys if it],
            )
            if all(isinstance(it, (Flow, Static)) for it in items) and all(
                isinstance(it, str) for it in keys
            ):
                pairs = zip(keys, map(self.forward, items), strict=True)
                text = ", ".join(f"{key!r}: {it}" for key, it in pairs)
                return Items(items, f"{{{text}}}", keys=tuple(keys))
        if isinstance(node, ast.BinOp):
            left, right = self.value(node.left), self.value(node.right)
            left, right = entries(self, left, right), entries(self, right, left)
            if isinstance(left, Items) and isinstance(right, Items) and isinstance(node.op, ast.Add):
                items = (*left.items, *right.items)
                return Items(items, self.listed(items, left.is_tuple), left.is_tuple)
            return operation(self, node, type(node.op), left, right)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self.value(node.left), self.value(node.comparators[0])
            return operation(self, node, type(node.ops[0]), left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.value(node.operand)
            if isinstance(value, Flow):
                text = f"-{value.text}" if value.text.isidentifier() else f"-({value.text})"
                return replace(value, text=text)
        if isinstance(node, ast.Subscript):
            return item_of(self, node)
        if isinstance(node, ast.Attribute) and node.attr == "shape" and (flow := self.flow(node.value)):
            return Shape(flow)
        raise NotPorted(node, "is not ported", "write it as a call of a layer or a function of TensorFlow")

    def has_sizes(self, node: ast.expr) -> bool:
        """Whether an expression mentions sizes that `forward` has names for."""
        names = {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
        return not self.scope.in_init and any(isinstance(self.scope.env.get(it), Size) for it in names)

    def flow(self, node: ast.expr) -> Flow | None:
        value = self.value(node)
        return value if isinstance(value, Flow) else None

    def listed(self, items: tuple[Any, ...], is_tuple: bool) -> str:
        texts = [self.forward(it) for it in items]
        inside = ", ".join(texts)
        if is_tuple:
            return f"({inside},)" if len(texts) == 1 else f"({inside})"
        return f"[{inside}]"

    def forward(self, value: Any) -> str:
        """A value as text of `forward`."""
        if isinstance(value, Static):
            return self.scope.forward_text(value.text)
        return str(getattr(value, "text", ""))

    def call(self, node: ast.Call) -> Any:
        seen = self.scope.seen(node)
        method = self.method(node)
        if method is not None:
            return method
        if (own := self.own_method(node)) is not None:
            return own
        if (made := constant(self, node)) is not None:
            return made
        if (made := shaped(self, node)) is not None:
            return made
        if not seen:
            raise NotPorted(node, "never ran", RUN)
        function = whole(seen[0].function)
        name = getattr(function, "__name__", type(function).__name__)
        unit = self.unit_of(function)
        if name == "Sequential" and isinstance(function, type):
            return course_of(self, node) or row_of(self, node)
        is_own = isinstance(function, type) and not is_model(seen[0].result, function)
        if is_own and is_layer(seen[0].result) and not is_functional(seen[0].result):
            return Maker(node, env=dict(self.scope.env))
        if isinstance(function, type) and hasattr(seen[0].result, "layers"):
            return network_of(self, node)
        if unit is not None:
            if unit.kind in ("builder", "factory"):
                return Maker(node, env=dict(self.scope.env))
            return self.part(node, unit, node, seen)
        if name == "Input":
            raise NotPorted(node, "is not assigned to a name", "write inputs = keras.Input(...)")
        if (found := activations.called(self, node, seen)) is not None:
            return found
        if (loss := loss_of(self, node, seen)) is not None:
            return loss
        maker = self.value(node.func) if is_local(function) else None
        if isinstance(maker, Maker):
            return apply_layer(self, node, maker, seen)
        if is_layer(function):
            maker = self.value(node.func)
            if isinstance(maker, Choice):
                return choices.applied(self, node, maker, seen)
            if isinstance(maker, Course):
                flow = self.value(node.args[0])
                if not isinstance(flow, Flow):
                    raise NotPorted(node, "is a Sequential of something else than one tensor")
                return courses.applied(self, node, maker, flow)
            if isinstance(maker, Row):
                flow = self.value(node.args[0])
                if not isinstance(flow, Flow):
                    raise NotPorted(node, "is a Sequential of something else than one tensor")
                return applied(self, node, maker, flow, [it.function for it in seen])
            if not isinstance(maker, Maker) and not any(it.function.weights for it in seen):
                args, kwargs = self.arguments(node)
                return apply(self, node, Call(args, kwargs, {}), seen)
            if not isinstance(maker, Maker):
                raise NotPorted(node, "calls a layer that is made elsewhere", "make it in the function")
            return apply_layer(self, node, maker, seen)
        args, kwargs = self.arguments(node)
        if len(args) == 2 and isinstance(args[1], Shape) and name == "reshape":
            # what gets the shape of an image is one
            other = args[1].flow
            args[1] = self.sizes(other)
            seen = [replace(it, args=(it.args[0], list(it.result.shape))) for it in seen]
            return self.scope.ordered(apply(self, node, Call(args, kwargs, {}), seen), other.order)
        func = node.func
        space = vars(self.scope.project.watched.module)
        text, root = ast.unparse(func), next((it.id for it in ast.walk(func) if isinstance(it, ast.Name)), "")
        # one that was handed over is what it was each time
        look_up = (lambda: eval(text, space)) if root in space and root not in self.scope.env else None
        return apply(self, node, Call(args, kwargs, {}, look_up), seen)

    def sizes(self, flow: Flow) -> Items:
        """The shape of a tensor, size by size in the source's order."""
        text = atom(flow.text)
        texts = [f"{text}.shape[{position(it, flow.rank, flow.order)}]" for it in range(flow.rank)]
        *others, last = [Size(it) for it in texts]
        return Items((*others, replace(last, known=flow.channels)))

    def unit_of(self, function: Any) -> Unit | None:
        """The unit that a function of the user's became."""
        name = getattr(function, "__qualname__", "")
        code = getattr(inspect.unwrap(function), "__globals__", None) if callable(function) else None
        if code is None or code is not vars(self.scope.project.watched.module) or "." in name:
            return None
        return self.scope.project.unit(name)

    def arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        if any(isinstance(it, ast.Starred) for it in node.args) or any(
            it.arg is None for it in node.keywords
        ):
            raise NotPorted(node, "has arguments with a star", "write them out")
        return [self.value(it) for it in node.args], {
            it.arg: self.value(it.value) for it in node.keywords if it.arg
        }

    def method(self, node: ast.Call) -> Any:
        """What a method of a list of tensors gives; None for other calls."""
        if not isinstance(node.func, ast.Attribute):
            if (
                isinstance(node.func, ast.Name)
                and node.func.id in ("reversed", "list")
                and len(node.args) == 1
            ):
                value = self.value(node.args[0])
                if isinstance(value, Stack):
                    name = node.func.id
                    return replace(value, text=f"{name}({value.text})", shadow=f"{name}({value.shadow})")
            return None
        value = self.scope.env.get(ast.unparse(node.func.value))
        if not isinstance(value, Stack) or node.func.attr != "pop":
            return None
        index = self.scope.static_text(node.args[0]) if node.args else ""
        name = f"{singular(value.text)}_channels"
        self.scope.say(f"{name} = {value.shadow}.pop({index})", shadow=name)
        text = f"{value.text}.pop({self.scope.forward_text(index) if index else ''})"
        return Flow(text, value.rank, name, value.order)

    def part(
        self, node: ast.Call, unit: Unit, source: ast.Call, seen: list[Seen], maker: Maker | None = None,
        given: list[Any] | None = None,
    ) -> Any:  # fmt: skip
        """A call of another function or class of the user's. `given`: its tensors."""
        from torchport.source.parts import part_of

        return part_of(self, node, unit, source, seen, maker, given)

    def own_method(self, node: ast.Call) -> Any:
        """What a method of the class gives that is being staged; None for other calls."""
        cls, func = self.scope.cls, node.func
        if cls is None or not isinstance(func, ast.Attribute) or ast.unparse(func.value) != "self":
            return None
        found = next(
            (it for it in cls.body if isinstance(it, ast.FunctionDef) and it.name == func.attr), None
        )
        if found is None or self.scope.is_static(node):
            return None
        from torchport.source.methods import method_of

        return method_of(self, node, found)


def is_model(value: Any, cls: type) -> bool:
    """Whether a class is Keras's own for models."""
    return hasattr(value, "layers") and cls.__module__.split(".")[0] in ("keras", "tf_keras")


def is_functional(value: Any) -> bool:
    """Whether a model is one of inputs and outputs, of whatever class."""
    return hasattr(value, "layers") and hasattr(value, "_nodes_by_depth")


__all__ = ["Evaluator", "is_static"]
