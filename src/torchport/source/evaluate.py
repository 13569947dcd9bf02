"""What each expression of a function is: known when the model is built, or a tensor and how it is written."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torchport.axes import Order, position
from torchport.errors import Unsupported
from torchport.named import ATOM, binds_of
from torchport.names import identifier, unique
from torchport.rules.nouns import noun_of
from torchport.source import fragment
from torchport.source.constants import constant
from torchport.source.flags import flagged
from torchport.source.fragment import Call, Fragment, Texts, inlined, is_layer
from torchport.source.lines import reads, singular
from torchport.source.observe import Seen, is_tensor, tensors
from torchport.source.rows import applied, row_of
from torchport.source.scope import Scope, is_local
from torchport.source.sites import NotPorted, site
from torchport.source.unit import SIZES_OF_SPACE, Unit, snake
from torchport.source.values import (
    Flow,
    Group,
    Items,
    Maker,
    Network,
    Row,
    Shape,
    Size,
    Stack,
    Static,
    is_static,
    leaves,
    mode,
)

RUN = "give a --call that runs it"
INFIX: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
SIZES: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
COMPARE: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@dataclass
class Evaluator:
    """Expressions of one scope."""

    scope: Scope

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
        if (rank := self.rank_of(node)) is not None:
            return Static(str(rank))
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            items = tuple(map(self.value, node.elts))
            return Items(items, self.listed(items, isinstance(node, ast.Tuple)), isinstance(node, ast.Tuple))
        if isinstance(node, ast.BinOp):
            left, right = self.value(node.left), self.value(node.right)
            left, right = self.entries(left, right), self.entries(right, left)
            if isinstance(left, Items) and isinstance(right, Items) and isinstance(node.op, ast.Add):
                items = (*left.items, *right.items)
                return Items(items, self.listed(items, left.is_tuple), left.is_tuple)
            return self.operation(node, type(node.op), left, right)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self.value(node.left), self.value(node.comparators[0])
            return self.operation(node, type(node.ops[0]), left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.value(node.operand)
            if isinstance(value, Flow):
                text = f"-{value.text}" if value.text.isidentifier() else f"-({value.text})"
                return replace(value, text=text)
        if isinstance(node, ast.Subscript):
            return self.item(node)
        if isinstance(node, ast.Attribute) and node.attr == "shape" and (flow := self.flow(node.value)):
            return Shape(flow)
        raise NotPorted(node, "is not ported", "write it as a call of a layer or a function of TensorFlow")

    def has_sizes(self, node: ast.expr) -> bool:
        """Whether an expression mentions sizes that `forward` has names for."""
        names = {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
        return not self.scope.in_init and any(isinstance(self.scope.env.get(it), Size) for it in names)

    def rank_of(self, node: ast.expr) -> int | None:
        """`len(x.shape)`, `x.shape.rank`, `tf.rank(x)`: how many axes a tensor has."""
        if isinstance(node, ast.Call) and len(node.args) == 1:
            name = ast.unparse(node.func).rpartition(".")[2]
            flow = self.scope.shape_of(node.args[0]) if name == "len" else None
            flow = self.scope.flow_of(node.args[0]) if name in ("rank", "ndim") else flow
            return flow.rank if flow is not None else None
        if isinstance(node, ast.Attribute) and node.attr in ("rank", "ndims"):
            flow = self.scope.shape_of(node.value)
            return flow.rank if flow is not None else None
        return None

    def entries(self, value: Any, other: Any) -> Any:
        """A constant tuple that is joined to one of sizes, entry by entry: `(1,) * (3 - 1)`."""
        if not isinstance(value, Static) or not isinstance(other, Items):
            return value
        if reads(value.text):
            return value
        found = eval(value.text)
        if not isinstance(found, (tuple, list)):
            return value
        return Items(tuple(Static(repr(it)) for it in found), value.text, isinstance(found, tuple))

    def maker(self, node: ast.expr) -> Maker | None:
        """A layer that an expression makes; None where it makes none."""
        if not isinstance(node, ast.Call):
            return None
        seen = self.scope.seen(node)
        if not seen or not is_layer(seen[0].result) or is_layer(seen[0].function):
            return None
        value = self.value(node)
        return value if isinstance(value, Maker) else None

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

    # Operators and indices

    def operation(self, node: ast.expr, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator between tensors, or a tensor and a number, or sizes."""
        if all(isinstance(it, Static) for it in (left, right)) and kind in INFIX | SIZES:
            return Static(f"{atom(left.text)} {(INFIX | SIZES)[kind]} {atom(right.text)}")
        if all(isinstance(it, (Size, Static)) for it in (left, right)) and kind in SIZES:
            texts = [self.bracketed(self.forward(it)) for it in (left, right)]
            known = [it.known if isinstance(it, Size) else it.text for it in (left, right)]
            both = [self.bracketed(it) for it in known if it is not None]
            init = f"{both[0]} {SIZES[kind]} {both[1]}" if len(both) == 2 else None
            return Size(f"{texts[0]} {SIZES[kind]} {texts[1]}", init)
        sides = [it for it in (left, right) if isinstance(it, Flow)]
        if not sides or any(not isinstance(it, (Flow, Static)) for it in (left, right)):
            raise NotPorted(node, "is an operator on something else than tensors and numbers")
        ranks = {it.rank for it in sides}
        results = [it for seen in self.scope.seen(node) for it in tensors(seen.result)]
        if not results:
            raise NotPorted(node, "never ran", RUN)
        symbol = (INFIX | COMPARE).get(kind, "")
        plain = all(it.order is Order.SOURCE or it.rank == 0 for it in sides)
        if symbol and (len(sides) == 1 or len(ranks) == 1 or 0 in ranks or plain):
            order = max(sides, key=lambda it: it.rank).order
            texts = [
                self.bracketed(
                    self.scope.ordered(it, order).text if isinstance(it, Flow) else self.forward(it)
                )
                for it in (left, right)
            ]
            rank, is_weight = len(results[0].shape), all(it.is_weight for it in sides)
            text = f"{texts[0]} {symbol} {texts[1]}"
            return Flow(text, rank, self.wider(sides, results), order, is_weight)
        return self.apply(node, Call([left, right], {}, {}, None), self.scope.seen(node))

    def bracketed(self, text: str) -> str:
        return atom(text)

    def wider(self, sides: list[Flow], results: list[Any]) -> str | None:
        """The channels of what an operator gives: those of the operand that is as wide."""
        if not results[0].shape:
            return None
        texts = {it.channels for it in sides if it.rank == len(results[0].shape)}
        if len(texts) == 1:
            return texts.pop()
        # of two names of one size either does: where they are not, the proof fails
        rank = len(results[0].shape)
        plain = [it.channels for it in sides if it.rank == rank and it.channels not in (None, "1")]
        return plain[0] if plain else None

    def item(self, node: ast.Subscript) -> Any:
        flow = self.scope.shape_of(node.value)
        if flow is not None and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            return Size(f"{flow.text}.shape[{position(node.slice.value, flow.rank, flow.order)}]")
        value = self.value(node.value)
        if isinstance(value, Group):
            return self.entry(node, value)
        if isinstance(value, Items):
            try:
                found = value.items[ast.literal_eval(node.slice)]
            except (ValueError, SyntaxError, IndexError, TypeError):
                raise NotPorted(node, "is an index that is not a number", "write the number") from None
            text = f"{value.text}[{ast.unparse(node.slice)}]"
            return (
                replace(found, text=text)
                if isinstance(found, Flow) and not found.text.isidentifier()
                else found
            )
        if isinstance(value, Stack) and self.scope.is_static(node.slice):
            index = self.scope.static_text(node.slice)
            return Flow(
                f"{value.text}[{self.scope.forward_text(index)}]",
                value.rank,
                f"{value.shadow}[{index}]",
                value.order,
            )
        if isinstance(value, Flow) and self.scope.is_static_index(node.slice):
            key = self.scope.static_index(node.slice)
            return self.apply(node, Call([value, key], {}, {}, None), self.scope.seen(node))
        raise NotPorted(node, "is an index into something that is not known")

    def entry(self, node: ast.Subscript, group: Group) -> Maker:
        """`self.layers[i]` in a loop over `i`: the layer of that turn."""
        loops, scope = self.scope.loops, self.scope
        index = ast.unparse(node.slice)
        if not loops or index not in loops[-1].targets:
            raise NotPorted(node, "is a layer of a list by itself", "loop over the list")
        names = {it.id for it in ast.walk(group.target) if isinstance(it, ast.Name)}
        used = {it.id for it in ast.walk(group.maker.node) if isinstance(it, ast.Name)} & names
        if used - loops[-1].targets or used and scope.static_text(group.over) != loops[-1].over:
            raise NotPorted(node, "is made in a loop of another kind", f"loop over {group.name}")
        listed = group.name.removeprefix("self.")
        return replace(group.maker, name=singular(listed), listed=listed)

    # Calls

    def call(self, node: ast.Call) -> Any:
        seen = self.scope.seen(node)
        method = self.method(node)
        if method is not None:
            return method
        if (own := self.own_method(node)) is not None:
            return own
        if (made := constant(self, node)) is not None:
            return made
        if not seen:
            raise NotPorted(node, "never ran", RUN)
        function = seen[0].function
        name = getattr(function, "__name__", type(function).__name__)
        unit = self.unit_of(function)
        if name == "Sequential" and isinstance(function, type):
            return row_of(self, node)
        is_own = isinstance(function, type) and not is_model(seen[0].result, function)
        if is_own and is_layer(seen[0].result) and not is_functional(seen[0].result):
            return Maker(node, env=dict(self.scope.env))
        if isinstance(function, type) and hasattr(seen[0].result, "layers"):
            return self.network(node)
        if unit is not None:
            if unit.kind in ("builder", "factory"):
                return Maker(node, env=dict(self.scope.env))
            return self.part(node, unit, node, seen)
        if name == "Input":
            raise NotPorted(node, "is not assigned to a name", "write inputs = keras.Input(...)")
        maker = self.value(node.func) if is_local(function) else None
        if isinstance(maker, Maker):
            return self.layer(node, maker, seen)
        if is_layer(function):
            maker = self.value(node.func)
            if isinstance(maker, Row):
                flow = self.value(node.args[0])
                if not isinstance(flow, Flow):
                    raise NotPorted(node, "is a Sequential of something else than one tensor")
                return applied(self, node, maker, flow, [it.function for it in seen])
            if not isinstance(maker, Maker) and not any(it.function.weights for it in seen):
                args, kwargs = self.arguments(node)
                return self.apply(node, Call(args, kwargs, {}), seen)
            if not isinstance(maker, Maker):
                raise NotPorted(node, "calls a layer that is made elsewhere", "make it in the function")
            return self.layer(node, maker, seen)
        args, kwargs = self.arguments(node)
        func = node.func
        space = vars(self.scope.project.watched.module)
        text, root = ast.unparse(func), next((it.id for it in ast.walk(func) if isinstance(it, ast.Name)), "")
        # one that was handed over is what it was each time
        look_up = (lambda: eval(text, space)) if root in space and root not in self.scope.env else None
        return self.apply(node, Call(args, kwargs, {}, look_up), seen)

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

    def network(self, node: ast.Call) -> Network:
        given = dict(zip(("inputs", "outputs"), node.args, strict=False))
        given |= {it.arg: it.value for it in node.keywords if it.arg in ("inputs", "outputs")}
        if "outputs" not in given:
            raise NotPorted(node, "is a model that is not made of inputs and outputs")
        return Network(self.value(given["outputs"]))

    def layer(self, node: ast.Call, maker: Maker, seen: list[Seen]) -> Any:
        """A layer that is applied."""
        made = self.scope.seen(maker.node)
        cls = made[0].function if made else type(seen[0].function)
        # one place may call several layers, turn by turn: those that were made here
        own = {id(it.result) for it in made}
        seen = [it for it in seen if id(it.function) in own] or seen
        if (unit := self.unit_of(cls)) is not None:
            return self.part(node, unit, maker.node, seen, maker)
        if cls.__module__ == self.scope.project.watched.module.__name__:
            return self.part(node, self.scope.project.unit(cls.__name__), maker.node, seen, maker)
        args, kwargs = self.arguments(node)
        kwargs = {key: it for key, it in kwargs.items() if key != "training"}
        seen = [replace(it, kwargs={k: v for k, v in it.kwargs.items() if k != "training"}) for it in seen]
        if args and args[-1] == mode():
            args = args[:-1]
            seen = [replace(it, args=it.args[: len(args)]) for it in seen]
        return self.apply(node, Call(args, kwargs, self.options(maker, cls)), seen, maker)

    def options(self, maker: Maker, cls: type) -> dict[str, Static]:
        """The options of a layer that its source writes as more than a literal."""
        node = maker.node
        initializer: Any = getattr(cls, "__init__")  # noqa: B009  # of the class, not of an instance
        names = [it for it in inspect.signature(initializer).parameters if it != "self"]
        given = dict(zip(names, node.args, strict=False)) | {
            it.arg: it.value for it in node.keywords if it.arg
        }
        found: dict[str, Static] = {}
        with self.where(maker):
            for name, it in given.items():
                if self.scope.is_static(it):
                    text = self.scope.static_text(it)
                    value = Static(text, ast.parse(text, mode="eval").body)
                    found |= {} if value.is_literal else {name: value}
        return found

    @contextmanager
    def where(self, maker: Maker | None) -> Iterator[None]:
        """Names are what they were where a layer is made."""
        before = self.scope.env
        if maker is not None and maker.env:
            loops = {
                name: it
                for name, it in before.items()
                if any(name in one.targets for one in self.scope.loops)
            }
            self.scope.env = {**maker.env, **loops}
        try:
            yield
        finally:
            self.scope.env = before

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

    # Rules

    def apply(
        self, node: ast.Call | ast.expr, made: Call, seen: list[Seen], maker: Maker | None = None
    ) -> Any:
        """An expression as the rules write it: one text for all that was seen."""
        if not seen:
            raise NotPorted(node, "never ran", RUN)
        found: dict[Any, tuple[Fragment, list[Seen]]] = {}
        operands = list(leaves((*made.args, *made.kwargs.values())))
        why: Unsupported | None = None
        for are_open in (True, False):
            found.clear()
            try:
                for it in distinct(seen):
                    written = self.scope.project.fragment(it, made, are_open)
                    found.setdefault(self.signature(written, operands), (written, []))[1].append(it)
            except Unsupported as error:
                why = why or error
                continue
            if len(found) == 1:
                break
            if (merged := flagged(found, made)) is not None:
                found = {"": (merged, [])}
                break
        else:
            fixed = self.fixed(made, seen)
            if fixed is None:
                raise self.undecided(node, why, [it[:2] for it in found])
            found = {"": (fixed, [])}
        ((written, _),) = found.values()
        self.scope.applied[site(node)] = made
        if maker is not None:
            self.scope.applied[site(node) + site(maker.node)] = made
        return self.emit(node, written, made, maker)

    def undecided(self, node: ast.expr, why: Unsupported | None, found: list[Any]) -> NotPorted:
        """Why an expression has no text that is right each time."""
        if why is not None:
            return NotPorted(node, why.why, why.advice)
        texts = [" ".join(filter(None, (text, *modules))) for text, modules in found[:2]]
        return NotPorted(
            node, f"is {texts[0]} in one run and {texts[-1]} in another",
            "make the number that it depends on an argument of the layer",
        )  # fmt: skip

    def fixed(self, made: Call, seen: list[Seen]) -> Fragment | None:
        """A layer of which one option is the number that it was in all runs that were asked for.

        The parameters that it came from are then none of the port's. None where that does not help.
        """
        operands = list(leaves((*made.args, *made.kwargs.values())))
        for name, value in made.options.items():
            values = {repr(it.function.get_config().get(name)) for it in seen if not it.is_varied}
            alike = [it for it in seen if {repr(it.function.get_config().get(name))} == values]
            others = {key: it for key, it in made.options.items() if key != name}
            plain = Call(made.args, made.kwargs, others, made.function)
            for are_open in (True, False):
                try:
                    found = [self.scope.project.fragment(it, plain, are_open) for it in distinct(alike)]
                except Unsupported:
                    break
                if len({self.signature(it, operands) for it in found}) == 1:
                    self.scope.fixed |= reads(value.text)
                    return found[0]
        return self.sized(made, seen, operands)

    def sized(self, made: Call, seen: list[Seen], operands: list[Flow]) -> Fragment | None:
        """An expression that is right for the sizes alone that were asked for: a matrix behind Flatten."""
        try:
            asked = distinct([it for it in seen if not it.is_varied])
            found = [self.scope.project.fragment(it, made, False) for it in asked]
        except Unsupported:
            return None
        if len({self.signature(it, operands) for it in found}) != 1:
            return None
        self.scope.fixed.add(SIZES_OF_SPACE)
        return found[0]

    def signature(self, written: Fragment, operands: list[Flow]) -> Any:
        texts = self.texts(written, operands, lambda owner, role: f"{role or 'module'}", lambda text: text)
        alone, result = inlined(written.definition)
        return (
            "; ".join([*(f"{name} = {texts.text(it)}" for name, it in alone), self.text_of(result, texts)]),
            tuple(texts.constructor(it.module) for it in written.modules),
            tuple(it.order for it in written.outputs),
        )

    def text_of(self, result: Any, texts: Texts) -> str:
        return texts.text(result)

    def texts(
        self, written: Fragment, operands: list[Flow], attribute: Callable[[str, str], str],
        number: Callable[[str], str],
    ) -> Texts:  # fmt: skip
        names = dict(zip(written.graph.inputs, (it.text for it in operands), strict=True))
        return Texts(names, attribute, number)

    def emit(self, node: ast.AST, written: Fragment, made: Call, maker: Maker | None) -> Any:
        """Its modules into `__init__`; what it gives."""
        scope, operands = self.scope, list(leaves((*made.args, *made.kwargs.values())))
        flowing = {it.text for it in sizes_in(made) if it.known is None}
        if written.states:
            raise NotPorted(
                node, "has numbers of its own that are no weights", "hand them over as an argument"
            )
        kinds = {op.layer: op.kind for op in written.graph.ops}
        plain = self.texts(written, operands, lambda owner, role: role, lambda text: text)
        marks: dict[tuple[str, str], str] = {}
        several = len(written.modules) > 1
        for it in written.modules:
            base, given = self.base(maker, kinds.get(it.owner, ""))
            role = it.module.role
            base = f"{base}_{role}" if role and several else base
            key = None
            if maker is not None:
                line, column, *rest = site(maker.node)
                key = (line, column, rest[0], rest[1] * 100 + written.modules.index(it))
            listed = (
                ""
                if maker is None or not maker.listed
                else f"{maker.listed}_{role}"
                if role and several
                else maker.listed
            )
            callee = scope.module(base, plain.constructor(it.module), given, key, listed)
            marks[it.owner, role] = callee.removeprefix("self.")
        shown = {it.known: it.text for it in sizes_in(made) if it.known is not None}
        number = lambda text: shown.get(text) or scope.forward_text(text)  # noqa: E731
        texts = self.texts(written, operands, lambda owner, role: marks[owner, role], number)
        alone, result = inlined(written.definition)
        for name, step in alone:
            own = unique(identifier(name.rpartition(".")[2]), set(scope.env))
            scope.env[own] = Flow(own, 0)
            scope.do(f"{own} = {self.called(texts.text(step))}")
            texts.operands = {**texts.operands, name: own}
            texts.variable = lambda it, held=texts.operands: held.get(it, it)  # type: ignore[misc]
        text = self.called(texts.text(result))
        if isinstance(result, (tuple, list)) or len(written.outputs) > 1:
            sizes = [None if it in flowing else it for it in fragment.sizes(written)]
            flows = tuple(
                Flow(f"{text}[{at}]", len(it.tensor.shape), size, it.order)
                for at, (it, size) in enumerate(zip(written.outputs, sizes, strict=True))
            )
            return Items(flows, text)
        (out,) = written.outputs
        (size,) = fragment.sizes(written)
        return Flow(text, len(out.tensor.shape), None if size in flowing else size, out.order)

    def called(self, text: str) -> str:
        """In a loop, modules are variables of it."""
        import re

        turns = {mark for loop in self.scope.loops for mark in loop.marks}
        return re.sub(r"\bself\.(__m\d+__)", lambda it: it[1] if it[1] in turns else it[0], text)

    def base(self, maker: Maker | None, kind: str) -> tuple[str, bool]:
        """What a module is called: as the source calls the layer, else by its kind."""
        if maker is not None and maker.name:
            return maker.name, True  # the source numbers it itself
        if maker is not None and not self.scope.loops:
            said = next((it.value for it in maker.node.keywords if it.arg == "name"), None)
            if isinstance(said, ast.Constant) and isinstance(said.value, str) and said.value.isidentifier():
                return snake(said.value), True
        return noun_of(kind) or "layer", False


def sizes_in(tree: Any) -> Iterator[Size]:
    """The sizes that an expression is given."""
    if isinstance(tree, Size):
        yield tree
    elif isinstance(tree, Call):
        yield from sizes_in((*tree.args, *tree.kwargs.values()))
    elif isinstance(tree, Items):
        yield from sizes_in(tree.items)
    elif isinstance(tree, (list, tuple)):
        for it in tree:
            yield from sizes_in(it)


def atom(text: str) -> str:
    """A text that an attribute may follow."""
    return text if binds_of(text) == ATOM else f"({text})"


def is_model(value: Any, cls: type) -> bool:
    """Whether a class is Keras's own for models."""
    return hasattr(value, "layers") and cls.__module__.split(".")[0] in ("keras", "tf_keras")


def is_functional(value: Any) -> bool:
    """Whether a model is one of inputs and outputs, of whatever class."""
    return hasattr(value, "layers") and hasattr(value, "_nodes_by_depth")


def distinct(seen: list[Seen]) -> list[Seen]:
    """Those of which shapes or options differ."""
    found: dict[str, Seen] = {}
    for it in seen:
        found.setdefault(option_text(it), it)
    return list(found.values())


def option_text(seen: Seen) -> str:
    """The shapes that a call was given and a layer's options, as text: equal where these are."""
    shapes = [
        tuple(it.shape) if is_tensor(it) or hasattr(it, "shape") else repr(it)
        for it in flat((seen.args, dict(seen.kwargs)))
    ]
    options = {}
    if is_layer(seen.function):
        options = {key: it for key, it in seen.function.get_config().items() if key not in ("name", "dtype")}
    return repr((shapes, options))


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [one for it in value.values() for one in flat(it)]
    if isinstance(value, (list, tuple)):
        return [one for it in value for one in flat(it)]
    return [value]


__all__ = ["Evaluator", "is_static"]
