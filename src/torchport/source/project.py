"""A file of the user's while it is ported: its functions and classes, each staged once."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.source import fragment
from torchport.source.chains import CHAIN, is_row, returned_chains, shape_of
from torchport.source.fragment import Call, Fragment, is_layer
from torchport.source.observe import (
    Seen,
    UnitCall,
    Watched,
    builds_models,
    is_scalar,
    is_tensor,
    tensors,
)
from torchport.source.parts import order_of
from torchport.source.scope import Scope
from torchport.source.sites import NotPorted, SourceFile, SourceRefusal, site
from torchport.source.stage import Stage
from torchport.source.unit import SPACES, Input, Parameter, Unit
from torchport.source.values import Flow, Items, Size, Static
from torchport.source.writing import finished


@dataclass
class Project:
    """One file. `units`: what was staged so far; None while it is being staged."""

    source: SourceFile
    watched: Watched
    units: dict[str, Unit | None] = field(default_factory=dict)
    refusals: dict[str, list[SourceRefusal]] = field(default_factory=dict)
    failed: dict[str, NotPorted] = field(default_factory=dict)
    fragments: dict[Any, Any] = field(default_factory=dict)

    # What stages ask for

    def node_of(self, name: str) -> ast.FunctionDef | ast.ClassDef:
        name = name.partition(".")[0]
        return next(it for it in self.source.definitions() if it.name == name)

    def signature(self, name: str) -> inspect.Signature:
        """The signature of a function, or of a class's constructor."""
        node = self.node_of(name)
        if isinstance(node, ast.FunctionDef):
            return signature(node, 0)
        method = method_of(node, "__init__")
        return signature(method, 1) if method is not None else inspect.Signature()

    def unit(self, name: str) -> Unit:
        """What a function or class became. Raises NotPorted for one that is not ported."""
        if name in self.failed:
            raise NotPorted(self.failed[name].node, self.failed[name].why, self.failed[name].advice)
        if name not in self.units:
            self.units[name] = None
            try:
                self.units[name] = self.staged(name)
            except NotPorted as error:
                self.failed[name] = error
                del self.units[name]
                raise
        found = self.units[name]
        if found is None:
            raise NotPorted(self.node_of(name), "calls itself", "write it as a loop")
        return found

    def fragment(self, seen: Seen, made: Call, are_open: bool) -> Fragment:
        """The graph of one evaluation of an expression. Raises Unsupported."""
        recorder = self.watched.recorder
        key = (id(seen), id(made), are_open)
        if key not in self.fragments:
            was, recorder.is_on = recorder.is_on, False
            try:
                self.fragments[key] = fragment.of(seen, made, are_open), seen, made
            finally:
                recorder.is_on = was
        found: Fragment = self.fragments[key][0]
        return found

    # Staging

    def staged(self, name: str) -> Unit:
        node = self.node_of(name)
        if isinstance(node, ast.ClassDef):
            from torchport.source.classes import staged_class

            return staged_class(self, node)
        return self.function(node)

    def calls(self, node: ast.AST, name: str) -> list[UnitCall]:
        found = self.watched.recorder.units.get(name, [])
        if not found:
            raise NotPorted(node, f"{name} never ran", f'add --call "{name}(...)"')
        return found

    def arguments_of(self, name: str) -> dict[str, list[Any]]:
        """What the parameters of a function, or of a class's constructor, were given each time."""
        units, found = self.watched.recorder.units, defaultdict[str, list[Any]](list)
        for call in units.get(f"{name}.__init__", units.get(name, [])):
            for key, it in call.arguments.items():
                found[key].append(it)
        return found

    def function(self, node: ast.FunctionDef) -> Unit:
        if (inner := inner_of(node)) is not None:
            return self.factory(node, inner)
        if node.args.vararg or node.args.kwarg:
            raise NotPorted(node, "has parameters with a star", "name them")
        calls = self.calls(node, node.name)
        # a Sequential that nobody calls says nothing of its layers
        calls = [it for it in calls if not is_row(it.result) or shape_of(it.result)] or calls
        kinds: dict[tuple[int, ...], list[UnitCall]] = {}
        for call in calls:
            kinds.setdefault(ranks_of(call), []).append(call)
        if len(kinds) == 1 or len(set(map(len, kinds))) > 1:
            return self.one_function(node, calls)
        # one text for tensors of several ranks: a Dense is one of their last axis
        found = {ranks: self.one_function(node, held, True) for ranks, held in kinds.items()}
        if len({it.text for it in found.values()}) > 1:
            counts = " and of ".join(", ".join(map(str, it)) for it in sorted(found))
            raise NotPorted(node, f"is called with tensors of {counts} axes, and would be two functions")
        first, *_ = found.values()
        first.by_ranks = found
        return first

    def one_function(self, node: ast.FunctionDef, calls: list[UnitCall], are_some: bool = False) -> Unit:
        """What a function became for these calls. `are_some`: there are others."""
        is_function = not self.makes_layers(node)
        scope = Scope(self, node.name, is_function)
        if are_some:
            scope.owners = frozenset(it.number for it in calls)
        stage = Stage(scope)
        parameters = parameters_of(node, 0)
        sizes = [
            it
            for it in parameters
            if is_function and are_sizes([call.arguments.get(it.name) for call in calls])
        ]
        plain = [it for it in parameters if it not in sizes]
        taken = self.tensors_of(node, calls, plain, stage)
        known = tuple(it for it in parameters if it.name not in taken)
        for it in known:
            scope.env[it.name] = Size(it.name) if it in sizes else Static(it.name)
            scope.assigned[it.name] = 1
            if all(call.arguments.get(it.name, "") is None for call in calls):
                # a mask that nobody gives: the port does without it
                scope.env[it.name] = Static("None")
                scope.notes.append(f"line {node.lineno}: {it.name} is None in all calls")
        scope.parameters = frozenset(it.name for it in known)
        stage.returned = returned_chains(self.watched, node)
        stage.body(node.body)
        if stage.chain is not None and not stage.chain.has_input:
            found = finished(self, node, stage, known, "factory")
            found.inner = CHAIN
            return found
        kind = "builder" if stage.is_network else "function" if is_function else "block"
        return finished(self, node, stage, known, kind)

    def factory(self, node: ast.FunctionDef, inner: ast.FunctionDef) -> Unit:
        """A function that gives a function of tensors: a class, of which the inner one is `forward`."""
        self.calls(node, node.name)
        calls = self.calls(inner, f"{node.name}.{inner.name}")
        scope = Scope(self, node.name)
        stage = Stage(scope)
        known = tuple(parameters_of(node, 0))
        for it in known:
            scope.env[it.name] = Static(it.name)
            scope.assigned[it.name] = 1
        scope.parameters = frozenset(it.name for it in known)
        scope.in_init = True
        stage.body([it for it in node.body[:-1] if it is not inner])
        scope.in_init = False
        parameters = parameters_of(inner, 0)
        taken = self.tensors_of(inner, calls, parameters, stage)
        if left := [it.name for it in parameters if it.name not in taken]:
            raise NotPorted(inner, f"its argument {left[0]} is no tensor", f"hand it over to {node.name}")
        stage.body(inner.body)
        found = finished(self, node, stage, known, "factory")
        found.inner = inner.name
        return found

    def makes_layers(self, node: ast.FunctionDef) -> bool:
        """Whether a function makes layers, itself or by another that it calls.

        On numbers, as a loss or metric is called, one that holds nothing is a function: `Flatten()(y_true)`.
        """
        builds = builds_models(self.watched.recorder.units.get(node.name, []))
        for it in ast.walk(node):
            for seen in self.watched.recorder.sites.get(site(it), []) if isinstance(it, ast.Call) else []:
                function = seen.function
                made = function if is_layer(function) else seen.result
                if is_layer(made) and (builds or not is_plain(made)):
                    return True
                name = getattr(function, "__qualname__", "")
                own = getattr(inspect.unwrap(function), "__globals__", None) if callable(function) else None
                if own is vars(self.watched.module) and name in self.source.functions():
                    if any(True for _ in tensors(seen.result)) and self.unit(name).kind != "function":
                        return True
        return False

    def tensors_of(
        self, node: ast.FunctionDef, calls: list[UnitCall], parameters: list[Parameter], stage: Stage
    ) -> set[str]:
        """The parameters that are tensors, or lists of them: they become those of `forward`."""
        given: dict[str, list[Any]] = {
            it.name: [call.arguments.get(it.name) for call in calls] for it in parameters
        }
        found = {name: values for name, values in given.items() if any(map(has_tensor, values))}
        is_single = len(found) == 1 and all(map(is_tensor, next(iter(found.values()))))
        for name, values in found.items():
            if not all(map(has_tensor, values)):
                raise NotPorted(node, f"{name} is a tensor in one call and none in another")
            if all(map(is_tensor, values)):
                flow = self.taken(node, stage, name, values, "in_channels" if is_single else "")
                stage.scope.env[name] = flow
                continue
            if not all(isinstance(it, (list, tuple)) and all(map(is_tensor, it)) for it in values):
                raise NotPorted(node, f"{name} is a list of something else than tensors")
            if len({len(it) for it in values}) > 1:
                raise NotPorted(node, f"{name} is a list of other lengths in other calls")
            names = unpacked(node, name, len(values[0]))
            flows = []
            for at, own in enumerate(names):
                flow = self.taken(node, stage, own, [it[at] for it in values], "", name)
                flows.append(replace(flow, text=f"{name}[{at}]"))
            stage.scope.env[name] = Items(tuple(flows), name)
        return set(found)

    def taken(
        self, node: ast.AST, stage: Stage, name: str, values: list[Any], channels: str, of: str = ""
    ) -> Flow:
        """A tensor that a unit takes, one for all calls."""
        ranks = {len(it.shape) for it in values}
        if len(ranks) > 1:
            raise NotPorted(node, f"{name} has {' and '.join(map(str, sorted(ranks)))} axes")
        (rank,) = ranks
        size = "" if rank < 2 else channels or f"{name}_channels"
        order = Order.SOURCE if is_multiplied(node, of or name) else order_of(rank)
        places = enumerate(SPACES.get(rank, ()), 1)
        extents = {axis: f"{size.removesuffix('_channels')}_{space}" for axis, space in places if size}
        stage.inputs.append(Input(name, size, rank, order, of=of, extents=extents))
        return Flow(name, rank, size or None, order)

    def inputs_of(
        self, node: ast.FunctionDef, calls: list[UnitCall], parameters: list[Parameter], stage: Stage
    ) -> dict[str, Any]:
        """What `call` takes; gives the parameters that are none of the port's, and what they always were."""
        taken, folded = self.tensors_of(node, calls, parameters, stage), {}
        stage.scope.extents = {it.channels: it.extents for it in stage.inputs}
        for it in parameters:
            values = [call.arguments.get(it.name) for call in calls]
            if it.name in taken:
                continue
            if len(set(map(repr, values))) > 1 or not isinstance(
                values[0], (type(None), bool, int, float, str)
            ):
                raise NotPorted(node, f"its argument {it.name} is no tensor", "hand it over to __init__")
            folded[it.name] = values[0]
            stage.scope.env[it.name] = Static(repr(values[0]))
            if values[0] is not None:
                stage.scope.notes.append(f"line {node.lineno}: {it.name} is {values[0]!r} in all calls")
        return folded


def is_multiplied(node: ast.AST, name: str) -> bool:
    """Whether a tensor is an operand of a product of matrices: heads of an attention, and no image."""
    for it in ast.walk(node):
        given: list[ast.expr] = []
        if isinstance(it, ast.BinOp) and isinstance(it.op, ast.MatMult):
            given = [it.left, it.right]
        elif isinstance(it, ast.Call) and ast.unparse(it.func).rpartition(".")[2] in ("matmul", "einsum"):
            given = [*it.args, *(one.value for one in it.keywords)]
        if any(isinstance(one, ast.Name) and one.id == name for one in given):
            return True
    return False


def is_plain(layer: Any) -> bool:
    """Whether a layer of Keras's holds nothing and does the same in training."""
    is_theirs = type(layer).__module__.partition(".")[0] in ("keras", "tf_keras")
    return is_theirs and not layer.weights and "training" not in inspect.signature(layer.call).parameters


def inner_of(node: ast.FunctionDef) -> ast.FunctionDef | None:
    """The function that a function defines and gives back."""
    last = node.body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Name):
        return None
    inside = (it for it in node.body if isinstance(it, ast.FunctionDef))
    return next((it for it in inside if it.name == last.value.id), None)


def ranks_of(call: UnitCall) -> tuple[int, ...]:
    """How many axes the tensors have that a call was given, or the Sequential that it gave."""
    if is_row(call.result):
        return (len(shape_of(call.result) or ()),)
    return tuple(len(it.shape) for given in call.arguments.values() for it in tensors(given))


def are_sizes(values: list[Any]) -> bool:
    """Whether an argument is a size: a whole number that TensorFlow computes, `tf.shape(x)[0]`."""
    return any(map(is_tensor, values)) and all(type(it) is int or is_scalar(it) for it in values)


def has_tensor(value: Any) -> bool:
    return any(True for _ in tensors(value))


def unpacked(node: ast.FunctionDef, name: str, count: int) -> list[str]:
    """What a function calls the entries of a list that it takes: as it unpacks them, else by their number."""
    for it in ast.walk(node):
        if (
            isinstance(it, ast.Assign)
            and ast.unparse(it.value) == name
            and isinstance(it.targets[0], ast.Tuple)
        ):
            names = [ast.unparse(one) for one in it.targets[0].elts]
            if len(names) == count and all(map(str.isidentifier, names)) and len(set(names)) == count:
                return names
    return [f"{name}{at + 1}" for at in range(count)]


def method_of(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((it for it in node.body if isinstance(it, ast.FunctionDef) and it.name == name), None)


def signature(node: ast.FunctionDef, start: int) -> inspect.Signature:
    kinds = inspect.Parameter
    made = [
        kinds(it.name, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if it.default is None else it.default)
        for it in parameters_of(node, start)
    ]
    if node.args.kwarg:
        made.append(kinds(node.args.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(made)


def parameters_of(node: ast.FunctionDef, start: int) -> list[Parameter]:
    """The parameters of a function, `start` of them left out."""
    given = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(given) - len(node.args.defaults))
    defaults += node.args.defaults
    pairs = list(zip(given, defaults, strict=True))[start:]
    pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return [
        Parameter(
            it.arg, None if default is None else ast.unparse(default),
            ast.unparse(it.annotation) if it.annotation else "",
        )
        for it, default in pairs
    ]  # fmt: skip


__all__ = ["Project", "SourceFile", "Unsupported"]
