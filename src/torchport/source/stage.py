"""A function's statements, split into what is known when the model is built and what happens to tensors."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Any

from torchport.axes import position
from torchport.source.evaluate import RUN, Evaluator, atom
from torchport.source.lines import Line, reads, tidy
from torchport.source.observe import is_tensor
from torchport.source.parts import order_of
from torchport.source.rows import applied, maker_of
from torchport.source.scope import Loop, Scope
from torchport.source.sites import NotPorted, site
from torchport.source.unit import Input
from torchport.source.values import (
    MODE,
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
    leaves,
)
from torchport.source.weights import is_variable, weight

#: Methods of models and functions that show something, or that belong to training.
SHOWN = frozenset({"summary", "compile", "print", "build", "plot_model"})


@dataclass(frozen=True)
class Over:
    """What a loop goes through: the name of an entry, the list in `__init__`, and in `forward`."""

    name: str
    init: str
    forward: str = ""
    stack: Stack | None = None


def stored_in(node: ast.For) -> set[str]:
    """The names that a loop's body assigns."""
    nodes = (it for one in node.body for it in ast.walk(one))
    return {it.id for it in nodes if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}


@dataclass
class Stage:
    """The walk through one function."""

    scope: Scope
    inputs: list[Input] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    is_network: bool = False

    #: The loops of `__init__` that are being staged.
    fors: list[ast.For] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = Evaluator(self.scope)

    def body(self, nodes: list[ast.stmt]) -> None:
        for at, node in enumerate(nodes):
            if isinstance(node, ast.If) and not node.orelse and ends(node.body) and nodes[at + 1 :]:
                # what follows a return in a condition is its other branch
                rest = ast.If(node.test, node.body, list(nodes[at + 1 :]))
                self.statement(ast.copy_location(rest, node))
                return
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        """One statement, with the comments that belong to it."""
        scope = self.scope
        init, forward = len(scope.init), len(scope.forward)
        before, behind = scope.project.source.before(node), scope.project.source.behind(node)
        try:
            self.split(node)
        except NotPorted as error:
            if hasattr(error.node, "lineno"):
                raise
            # what is refused is no text of the source: the statement stands for it
            raise NotPorted(node, error.why, error.advice) from error
        lines, start = (scope.forward, forward) if len(scope.forward) > forward else (scope.init, init)
        if len(lines) == start:
            return
        if behind and not lines[start].text.startswith("#"):
            lines[start].text += f"  {behind}"
        lines[start:start] = [Line(scope.depth, it) for it in before]

    def split(self, node: ast.stmt) -> None:
        node = without_choice(self.scope, node)
        if isinstance(node, ast.Expr):
            self.expression(node)
        elif isinstance(node, ast.Assign):
            first, *others = node.targets
            self.assign(first, node.value, node)
            for target in others:
                self.assign(target, first, node)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, node.value, node)
        elif isinstance(node, ast.AugAssign):
            load = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node.target)
            value = ast.copy_location(ast.BinOp(load, node.op, node.value), node)
            self.assign(node.target, value, node)
        elif isinstance(node, ast.For):
            self.loop(node)
        elif isinstance(node, ast.If):
            self.condition(node)
        elif isinstance(node, ast.Return):
            self.give(node)
        elif isinstance(node, (ast.Raise, ast.Assert)):
            self.scope.say(self.scope.project.source.segment(node))
        elif isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom)):
            return
        else:
            raise NotPorted(
                node, f"{type(node).__name__.lower()} is not ported", "write it as a for loop or with if"
            )

    @property
    def result(self) -> Any:
        """What the function gives; of several returns, what is the same in all."""
        if len(self.results) < 2:
            return self.results[0] if self.results else None
        first, *others = self.results
        for other in others:
            flows = list(zip(leaves(first), leaves(other), strict=True))
            alike = type(first) is type(other) and all(a.rank == b.rank for a, b in flows)
            if not alike:
                raise NotPorted(self.scope.project.node_of(self.scope.name), "returns tensors of other ranks")
            is_named = isinstance(first, Flow) and None not in (first.channels, other.channels)
            size = "out_channels" if is_named and not self.scope.is_function else None
            merged = [a if a.channels == b.channels else replace(a, channels=size) for a, b in flows]
            first = replace(first, items=tuple(merged)) if isinstance(first, Items) else merged[0]
        return first

    def expression(self, node: ast.Expr) -> None:
        value, scope = node.value, self.scope
        if isinstance(value, ast.Constant):
            return
        if isinstance(value, ast.Call):
            called = (
                value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
            )
            if called in SHOWN:
                scope.notes.append(f"line {node.lineno}: {called}() is left out")
                return
            target = value.func.value if isinstance(value.func, ast.Attribute) else value.func
            held = scope.env.get(ast.unparse(target))
            if called == "add" and isinstance(held, Row):
                if scope.depth:
                    raise NotPorted(
                        value, "adds to a Sequential in a loop or condition",
                        "call the layers on a tensor one after the other",
                    )  # fmt: skip
                made = maker_of(self.at, value.args[0])
                if made is not None:
                    scope.env[ast.unparse(target)] = replace(held, makers=(*held.makers, made))
                return
            if called == "append" and isinstance(value.func, ast.Attribute):
                self.append(value.func.value, value.args[0])
                return
        if scope.is_static(value):
            scope.say(scope.static_text(value))
            return
        raise NotPorted(value, "does something that is not used", "assign what it gives to a name")

    def append(self, target: ast.expr, item: ast.expr) -> None:
        scope, name = self.scope, ast.unparse(target)
        known = scope.env.get(ast.unparse(item)) if self.fors else None
        maker = known if isinstance(known, Maker) else self.at.maker(item)
        if scope.in_init and maker is not None:
            self.collect(target, name, maker)
            return
        held, value = scope.env.get(name), self.at.value(item)
        if isinstance(value, Static) and isinstance(held, (Static, type(None))):
            for line in scope.init:
                line.shadow = "" if line.shadow == name and line.text == f"{name} = []" else line.shadow
            scope.say(f"{name}.append({value.text})")
            return
        if isinstance(held, Static) and held.text == name:
            held = Stack(name, f"{name}_channels")
        if not isinstance(held, Stack) or not isinstance(value, Flow):
            raise NotPorted(
                target, "is a list of something else than tensors", "give each layer a name of its own"
            )
        if held.rank and (held.rank, held.order) != (value.rank, value.order):
            value = scope.ordered(value, held.order)
            if value.rank != held.rank:
                raise NotPorted(item, "has another number of axes than the others in the list")
        scope.env[name] = replace(held, rank=value.rank, order=value.order)
        scope.do(tidy(f"{held.text}.append({value.text})"))
        scope.say(f"{held.shadow}.append({value.channels})", held.shadow)

    def collect(self, target: ast.expr, name: str, maker: Maker) -> None:
        """A layer is put into a list, in `__init__`: all of them in one loop, or each by itself."""
        scope, held = self.scope, self.scope.env.get(name)
        if scope.depth:
            why = "gets layers in a loop that does more, or under a condition"
            raise NotPorted(target, why, "put them into the list in a loop of their own")
        if self.fors and not isinstance(held, Row):
            if isinstance(held, Group):
                raise NotPorted(target, "gets layers in several places", "give each place a list of its own")
            (node,) = self.fors if len(self.fors) == 1 else (None,)
            if node is None:
                raise NotPorted(target, "gets layers in loops in loops", "make the inner ones a class")
            scope.env[name] = Group(maker, node.iter, node.target, name)
            return
        if isinstance(held, Row) and not self.fors:
            scope.env[name] = replace(held, makers=(*held.makers, maker))
            return
        if isinstance(held, Static) and not self.fors:
            scope.env[name] = Row((maker,), maker.node)
            return
        raise NotPorted(target, "gets layers in several places", "give each place a list of its own")

    # Assignments

    def assign(self, target: ast.expr, node: ast.expr, statement: ast.stmt) -> None:
        scope = self.scope
        if isinstance(node, ast.Call) and self.is_input(node):
            self.take(target, node)
            return
        if is_empty_list(node) and isinstance(target, ast.Name):
            self.open(target.id, node)
            return
        name = ast.unparse(target)
        if is_empty_list(node) and name.startswith("self.") and scope.in_init:
            scope.env[name] = Static(name)
            scope.init.append(Line(scope.depth, f"{name} = []", name))
            return
        if isinstance(node, ast.Call) and is_variable(scope, node):
            if not name.startswith("self.") or scope.loops:
                raise NotPorted(
                    node, "is a weight that is no attribute", "assign it to self.NAME in __init__"
                )
            scope.env[name] = weight(scope, name, node)
            return
        if isinstance(node, ast.ListComp) and (group := self.group(name, node)) is not None:
            scope.env[name] = group
            return
        if isinstance(node, ast.Tuple) and isinstance(target, ast.Tuple):
            if self.sizes(target, node):
                return
            texts = list(map(ast.unparse, target.elts))
            read = {ast.unparse(it) for it in ast.walk(node) if isinstance(it, (ast.Name, ast.Attribute))}
            if len(texts) == len(node.elts) and not read & set(texts) and any("." in it for it in texts):
                for one, value in zip(target.elts, node.elts, strict=True):
                    self.assign(one, value, statement)
                return
        if isinstance(target, ast.Name) and not scope.loops and self.size(target, node):
            return
        value = self.at.value(node)
        if isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target, value, node)
            return
        name = ast.unparse(target)
        if not isinstance(target, ast.Name) and not name.startswith("self."):
            raise NotPorted(target, "is assigned to", "use a name of its own")
        if (
            isinstance(value, Static)
            and scope.in_init
            and scope.is_argument(name.removeprefix("self."), value)
        ):
            # the port keeps it if `forward` asks for it
            scope.env[name] = value
        elif isinstance(value, Static):
            self.settle(name)
            if scope.cls is not None and not scope.in_init and name in scope.first:
                raise NotPorted(target, f"{name} is something else in __init__", "give it another name")
            if scope.is_function:
                scope.do(f"{name} = {value.text}")
            else:
                # an initialiser is an object of Keras's: the text of the weight says what it is
                shadow = name if any(hasattr(it.result, "get_config") for it in scope.seen(node)) else ""
                scope.say(f"{name} = {value.text}", shadow)
            scope.assigned[name] = scope.assigned.get(name, 0) + 1 + bool(scope.loops)
            scope.env[name] = Static(name)
        elif isinstance(value, Maker):
            scope.env[name] = replace(value, name=name.removeprefix("self."))
            self.wait(value)
        elif isinstance(value, Flow):
            self.flow(name, value)
        elif isinstance(value, Items) and value.items and all(isinstance(it, Maker) for it in value.items):
            scope.env[name] = Row(value.items, node)
        elif isinstance(value, (Items, Stack)):
            scope.do(tidy(f"{name} = {value.text}"))
            scope.env[name] = replace(value, text=name)
            if isinstance(value, Stack):
                scope.say(f"{name}_channels = {value.shadow}", f"{name}_channels")
                scope.env[name] = replace(value, text=name, shadow=f"{name}_channels")
            else:
                flows = [
                    replace(it, text=f"{name}[{at}]") if isinstance(it, Flow) else it
                    for at, it in enumerate(value.items)
                ]
                scope.env[name] = replace(value, text=name, items=tuple(flows))
        elif isinstance(value, Size):
            scope.do(f"{name} = {value.text}")
            scope.env[name] = Size(name, value.known)
        elif isinstance(value, (Network, Shape, Row, Group)):
            scope.env[name] = value
        else:
            raise NotPorted(node, "is not ported")

    def size(self, target: ast.Name, node: ast.expr) -> bool:
        """`channels = x.shape[-1]`: a number on both sides; whether it is one."""
        scope = self.scope
        if scope.in_init or (known := scope.size_of(node)) is None or not isinstance(node, ast.Subscript):
            return False
        flow = scope.shape_of(node.value)
        if flow is None:
            return False
        if scope.cls is None:
            scope.say(f"{target.id} = {known}", target.id)
        at = position(flow.rank - 1, flow.rank, flow.order)
        if not scope.is_function:
            scope.forward.append(Line(scope.depth, f"{target.id} = {atom(flow.text)}.shape[{at}]", target.id))
        else:
            scope.do(f"{target.id} = {atom(flow.text)}.shape[{at}]")
        scope.env[target.id] = Size(target.id, target.id if scope.cls is None else known)
        return True

    def sizes(self, target: ast.Tuple, node: ast.Tuple) -> bool:
        """`b, n, c = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]`; whether it is that."""
        scope = self.scope
        held = [scope.shape_of(it.value) if isinstance(it, ast.Subscript) else None for it in node.elts]
        flow = held[0]
        if flow is None or any(it != flow for it in held) or len(held) != flow.rank:
            return False
        if [ast.unparse(it.slice) for it in node.elts if isinstance(it, ast.Subscript)] != list(
            map(str, range(flow.rank))
        ):
            return False
        return self.shape(target, flow)

    def shape(self, target: ast.Tuple | ast.List, flow: Flow) -> bool:
        """`b, h, w, c = x.shape`: in the order that the port has them."""
        scope, names = self.scope, [it.id for it in target.elts if isinstance(it, ast.Name)]
        if len(names) != len(target.elts) or len(names) != flow.rank:
            return False
        turned = [""] * flow.rank
        for at, name in enumerate(names):
            self.settle(name)
            turned[position(at, flow.rank, flow.order)] = name
            known = None
            if at == flow.rank - 1 and flow.channels is not None:
                known = flow.channels
            scope.env[name] = Size(name, known)
        scope.do(f"{', '.join(turned)} = {atom(flow.text)}.shape")
        return True

    def group(self, name: str, node: ast.ListComp) -> Group | None:
        """`[Block(width) for width in widths]`: None where no layers are made."""
        maker = self.at.maker(node.elt)
        if maker is None:
            return None
        if len(node.generators) != 1 or node.generators[0].ifs:
            raise NotPorted(node, "makes layers in more than one loop, or under a condition", "write a loop")
        (over,) = node.generators
        return Group(maker, over.iter, over.target, name)

    def wait(self, maker: Maker) -> None:
        """The line where a layer is made that is applied further below."""
        if self.scope.loops:
            raise NotPorted(
                maker.node, "is a layer that is made in a loop and applied later", "apply it at once"
            )
        line = Line(self.scope.depth, "", "")
        self.scope.init.append(line)
        line_, column, end, last = site(maker.node)
        self.scope.waiting[line_, column, end, last * 100] = line
        self.scope.waiting[site(maker.node)] = line

    def flow(self, name: str, value: Flow) -> None:
        """A tensor gets a name."""
        scope = self.scope
        self.settle(name)
        if value.text != name:
            scope.do(tidy(f"{name} = {value.text}"))
        scope.env[name] = replace(value, text=name)

    def settle(self, name: str) -> None:
        """A name changes: sizes that mention it become variables first."""
        scope = self.scope
        for other, it in list(scope.env.items()):
            if isinstance(it, Flow) and it.channels and name in reads(it.channels):
                shadow = f"{other.removeprefix('self.')}_channels"
                if shadow != it.channels:
                    scope.say(f"{shadow} = {it.channels}", shadow)
                    scope.env[other] = replace(it, channels=shadow)

    def unpack(self, target: ast.Tuple | ast.List, value: Any, node: ast.expr) -> None:
        names = [ast.unparse(it) for it in target.elts]
        if not all(isinstance(it, ast.Name) for it in target.elts):
            raise NotPorted(target, "is unpacked into something else than names")
        if (
            isinstance(value, Items)
            and len(value.items) == len(names)
            and all(isinstance(it, Flow) for it in value.items)
        ):
            self.scope.do(tidy(f"{', '.join(names)} = {bare(value.text)}"))
            for name, it in zip(names, value.items, strict=True):
                self.settle(name)
                self.scope.env[name] = replace(it, text=name)
            return
        if isinstance(value, Shape) and self.shape(target, value.flow):
            return
        if isinstance(value, Items) and len(value.items) == len(names):
            texts = [self.at.forward(it) for it in value.items]
            if all(isinstance(it, (Flow, Size)) for it in value.items):
                self.scope.do(f"{', '.join(names)} = {', '.join(texts)}")
                for name, it in zip(names, value.items, strict=True):
                    self.settle(name)
                    self.scope.env[name] = replace(it, text=name)
                return
        if isinstance(value, Static):
            self.scope.say(f"{', '.join(names)} = {value.text}")
            for name in names:
                self.scope.env[name] = Static(name)
                self.scope.assigned[name] = self.scope.assigned.get(name, 0) + 1 + bool(self.scope.loops)
            return
        raise NotPorted(node, "is unpacked, and is not known entry by entry")

    def open(self, name: str, node: ast.expr) -> None:
        """An empty list: of tensors, if the function puts some in it."""
        scope = self.scope
        appended = [
            it.args[0] for it in ast.walk(scope.project.node_of(scope.name))
            if isinstance(it, ast.Call) and isinstance(it.func, ast.Attribute) and it.func.attr == "append"
            and ast.unparse(it.func.value) == name
        ]  # fmt: skip
        places = {self.call_site(it, name) for it in appended}
        seen = [
            one for it in scope.project.watched.recorder.calls if (one := it[1]) is not None
            if getattr(one.function, "__name__", "") == "append" and it[0] in places
        ]  # fmt: skip
        if any(is_tensor(it.args[0]) for it in seen if it.args):
            scope.do(f"{name} = []")
            scope.say(f"{name}_channels = []", f"{name}_channels")
            scope.env[name] = Stack(name, f"{name}_channels")
            return
        scope.say(f"{name} = []")
        scope.env[name] = Static(name)

    def call_site(self, argument: ast.expr, name: str) -> Any:
        for it in ast.walk(self.scope.project.node_of(self.scope.name)):
            if isinstance(it, ast.Call) and it.args and it.args[0] is argument:
                return site(it)
        return None

    # Inputs and results

    def is_input(self, node: ast.Call) -> bool:
        seen = self.scope.seen(node)
        return bool(seen) and getattr(seen[0].function, "__name__", "") in ("Input", "InputLayer")

    def take(self, target: ast.expr, node: ast.Call) -> None:
        """`inputs = keras.Input(shape)`: a tensor that `forward` takes."""
        name = ast.unparse(target)
        seen = self.scope.seen(node)
        rank = len(seen[0].result.shape)
        given = {it.arg: it.value for it in node.keywords}
        shape = given.get("shape", given.get("batch_shape", node.args[0] if node.args else None))
        number = len(self.inputs)
        parameter = "in_channels" if number == 0 else f"{name}_channels"
        default, channels = "", parameter
        if (
            isinstance(shape, (ast.Tuple, ast.List))
            and shape.elts
            and not isinstance(shape.elts[-1], ast.Starred)
        ):
            last = self.scope.static_text(shape.elts[-1])
            if last.isdigit():
                default = last
            elif last == "None":
                channels = ""
            else:
                channels, parameter = last, ""
        else:
            default = str(seen[0].result.shape[-1])
        self.inputs.append(Input(name, parameter, rank, order_of(rank), default))
        self.scope.env[name] = Flow(name, rank, channels or None, order_of(rank))

    def give(self, node: ast.Return) -> None:
        if self.scope.loops:
            raise NotPorted(node, "returns from inside of a loop", "return once, at the end")
        if node.value is None:
            raise NotPorted(node, "returns nothing")
        value = self.at.value(node.value)
        if isinstance(value, Network):
            value, self.is_network = value.outputs, True
        if isinstance(value, Row):
            value = self.sequential(value)
        flows = list(leaves(value))
        if self.scope.in_method:
            self.scope.do(tidy(f"return {self.at.forward(value)}"))
            self.results.append(value)
            return
        if isinstance(value, Flow):
            value = self.scope.ordered(value, order_of(value.rank))
            if self.scope.reduction and value.rank:
                value = Flow(f"{atom(value.text)}.{self.scope.reduction}()", 0)
            text = value.text
        elif isinstance(value, Items) and all(isinstance(it, Flow) for it in value.items):
            flows = [self.scope.ordered(it, order_of(it.rank)) for it in flows]
            is_whole = flows == list(leaves(value)) and not value.text.startswith(("(", "["))
            text = value.text if is_whole else ", ".join(it.text for it in flows)
            value = replace(value, items=tuple(flows))
        else:
            raise NotPorted(node.value, "is neither a tensor nor a tuple of tensors")
        if isinstance(value, Flow) and value.channels is not None and not self.scope.is_function:
            self.scope.say(f"out_channels = {value.channels}", "out_channels")
        self.scope.do(tidy(f"return {text}"))
        self.results.append(value)

    def sequential(self, row: Row) -> Any:
        """A Sequential that is returned: a network of one input."""
        models = [it.result for it in self.scope.seen(row.node)]
        if not models or not all(getattr(it, "inputs", None) for it in models):
            raise NotPorted(row.node, "has no input of its own", "begin it with keras.Input(shape)")
        shape = tuple(models[0].inputs[0].shape)
        order = order_of(len(shape))
        self.inputs.append(Input("x", "in_channels", len(shape), order, str(shape[-1])))
        self.scope.env["x"] = Flow("x", len(shape), "in_channels", order)
        self.is_network = True
        return applied(self.at, row.node, row, self.scope.env["x"], models)

    # Loops and conditions

    def loop(self, node: ast.For) -> None:
        scope = self.scope
        if node.orelse:
            raise NotPorted(node, "has an else")
        if scope.in_init and self.makes_list(node):
            self.fors.append(node)
            if (pair := self.named_first(node)) is not None:
                scope.env[ast.unparse(pair.targets[0])] = self.at.value(pair.value)
                self.body(node.body[1:])
            else:
                self.body(node.body)
            self.fors.pop()
            return
        if self.unrolled(node):
            return
        group = scope.env.get(ast.unparse(node.iter))
        if isinstance(group, Group):
            return self.turns(node, group)
        overs = self.overs(node)
        if overs is None and not scope.is_static(node.iter):
            raise NotPorted(node.iter, "is a loop over tensors", "loop over numbers")
        self.staged_loop(node, node.iter, node.target, overs)

    def turns(self, node: ast.For, group: Group) -> None:
        """`for layer in self.layers:`, a list that a loop of `__init__` makes: one loop on both sides."""
        if not isinstance(node.target, ast.Name):
            raise NotPorted(node.target, "is unpacked", "use a name of its own")
        maker = replace(group.maker, name=node.target.id, listed=group.name.removeprefix("self."))
        self.scope.env[node.target.id] = maker
        self.staged_loop(node, group.over, group.target, None)

    def staged_loop(
        self, node: ast.For, iterated: ast.expr, counter: ast.expr, overs: list[Over] | None
    ) -> None:
        """The loop in `__init__` and in `forward`, over the modules that it makes."""
        scope = self.scope
        carried = self.carry(node)
        targets = {it.id for it in ast.walk(counter) if isinstance(it, ast.Name)}
        if overs is None:
            text, target = scope.static_text(iterated), bare(ast.unparse(counter))
            header = f"for {target} in {text}:"
        else:
            header = self.over_tensors(overs)
        counted = {it for it in targets if not isinstance(scope.env.get(it), Flow) or overs is None}
        for name in counted:
            scope.env[name] = Static(name)
        made = Loop(frozenset(counted), over=text if overs is None else "")
        scope.loops.append(made)
        with scope.apart() as (init, forward):
            self.body(node.body)
            self.update(node, carried)
        scope.loops.pop()
        if scope.loops:
            scope.loops[-1].nested |= set(made.marks)
        for mark in made.marks:
            scope.say(f"{'self.' if not scope.loops else ''}{mark}s = nn.ModuleList()")
        scope.say(header)
        scope.init += init
        if scope.loops:
            # a list for each turn of the outer loop
            for mark in made.marks:
                scope.say(f"{'self.' if len(scope.loops) == 1 else ''}{mark}s.append({mark}s)")
        if not forward:
            return
        own = "self." if not scope.loops else ""
        lists = [f"{own}{it}s" for it in made.marks]
        singles = [f"{it}s" if it in made.nested else it for it in made.marks]
        if made.counts or overs is not None or not lists:
            if overs is None:
                lists.insert(0, scope.forward_text(text))
                singles.insert(0, f"({target})" if "," in target and singles else target)
            else:
                lists[:0] = [it.forward if it.forward else scope.forward_text(it.init) for it in overs]
                singles[:0] = [it.name for it in overs]
        over = lists[0] if len(lists) == 1 else f"zip({', '.join(lists)})"
        scope.do(f"for {', '.join(singles)} in {over}:")
        scope.forward += forward

    def named_first(self, node: ast.For) -> ast.Assign | None:
        """`block = Block(width)` before `self.blocks.append(block)`; None for other loops."""
        if len(node.body) != 2 or not isinstance(first := node.body[0], ast.Assign):
            return None
        name = ast.unparse(first.targets[0])
        return first if ast.unparse(node.body[1]).endswith(f".append({name})") else None

    def makes_list(self, node: ast.For) -> bool:
        """Whether a loop of `__init__` does nothing but put layers into lists."""
        if (pair := self.named_first(node)) is not None:
            return self.at.maker(pair.value) is not None
        calls = [it.value for it in node.body if isinstance(it, ast.Expr) and isinstance(it.value, ast.Call)]
        appended = [
            it.args[0] for it in calls
            if isinstance(it.func, ast.Attribute) and it.func.attr == "append" and len(it.args) == 1
        ]  # fmt: skip
        return len(appended) == len(node.body) and all(self.at.maker(it) is not None for it in appended)

    def unrolled(self, node: ast.For) -> bool:
        """`for layer in self.layers: x = layer(x)` through layers of several kinds: one after the other."""
        held = self.scope.env.get(ast.unparse(node.iter))
        if not isinstance(held, Row) or not isinstance(node.target, ast.Name):
            return False
        for maker in held.makers:
            self.scope.env[node.target.id] = maker
            for it in node.body:
                self.statement(it)
        return True

    def overs(self, node: ast.For) -> list[Over] | None:
        """The lists that a loop goes through, of which one at least is of tensors; else None.

        `for skip in reversed(skips)`, `for width, skip in zip(widths, skips)`.
        """
        iterated, target = node.iter, node.target
        is_zip = isinstance(iterated, ast.Call) and getattr(iterated.func, "id", "") == "zip"
        if self.scope.is_static(iterated):
            return None
        if is_zip and isinstance(iterated, ast.Call) and isinstance(target, ast.Tuple):
            pairs = list(zip(target.elts, iterated.args, strict=False))
        else:
            pairs = [(target, iterated)]
        found = []
        for one, over in pairs:
            if self.scope.is_static(over):
                found.append(Over(ast.unparse(one), self.scope.static_text(over)))
                continue
            value = self.at.value(over)
            if not isinstance(value, Stack) or not isinstance(one, ast.Name):
                return None
            found.append(Over(one.id, value.shadow, value.text, value))
        return found

    def over_tensors(self, overs: list[Over]) -> str:
        """The loop in `__init__`, over their channels."""
        names = []
        for it in overs:
            if it.stack is None:
                names.append(it.name)
                continue
            shadow = f"{it.name}_channels"
            self.scope.env[it.name] = Flow(it.name, it.stack.rank, shadow, it.stack.order)
            names.append(shadow)
        inside = ", ".join(it.init for it in overs)
        return f"for {', '.join(names)} in {inside if len(overs) == 1 else f'zip({inside})'}:"

    def carry(self, node: ast.For) -> set[str]:
        """Tensors that a loop hands from one turn to the next: their sizes are variables."""
        scope, found = self.scope, set[str]()
        for name in sorted(stored_in(node)):
            value = scope.env.get(name)
            if isinstance(value, Flow) and value.channels is not None:
                found.add(name)
                shadow = f"{name}_channels"
                if value.channels != shadow:
                    scope.say(f"{shadow} = {value.channels}", shadow)
                    scope.env[name] = replace(value, channels=shadow)
        return found

    def update(self, node: ast.For, carried: set[str]) -> None:
        """At the end of a turn, the sizes of what the next one starts with."""
        scope = self.scope
        changed = {}
        for name in sorted(carried):
            value, shadow = scope.env.get(name), f"{name}_channels"
            if not isinstance(value, Flow) or value.channels is None:
                raise NotPorted(node, f"the channels of {name} are not known at the end of a turn")
            if value.channels != shadow:
                changed[shadow] = value.channels
                scope.env[name] = replace(value, channels=shadow)
        for name, it in list(scope.env.items()):
            if (
                isinstance(it, Flow)
                and name not in carried
                and it.channels
                and reads(it.channels) & changed.keys()
            ):
                scope.env[name] = replace(it, channels=None)
        if any(reads(text) & (changed.keys() - {shadow}) for shadow, text in changed.items()):
            names, texts = ", ".join(changed), ", ".join(changed.values())
            scope.say(f"{names} = {texts}")
            return
        for shadow, text in changed.items():
            scope.say(f"{shadow} = {text}", shadow)

    def condition(self, node: ast.If) -> None:
        scope = self.scope
        if not scope.is_static(node.test):
            raise NotPorted(node.test, "is a condition on a tensor's values", "write it with tf.where")
        test = scope.static_text(node.test)
        if MODE in test:
            self.mode(node, test)
            return
        if not reads(test) - {"None", "True", "False", "is", "not", "and", "or"}:
            # it is about arguments that are the same in all calls
            self.body(node.body if eval(test) else node.orelse)
            return
        ran = {it.result for it in scope.seen(node) if isinstance(it.result, bool)}
        before = dict(scope.env)
        made = [len(it.marks) for it in scope.loops]
        parts = []
        for body, answer in ((node.body, True), (node.orelse, False)):
            scope.env = dict(before)
            start = [len(it.marks) for it in scope.loops]
            with scope.apart() as (init, forward):
                try:
                    self.body(body)
                except NotPorted as error:
                    if answer not in ran and error.why == "never ran":
                        raise NotPorted(
                            error.node, f"never ran: {test} was always {not answer}", RUN
                        ) from error
                    raise
            marks = scope.loops[-1].marks[start[-1] :] if scope.loops else []
            parts.append((init, forward, scope.env, marks))
        (init, forward, env, marks), (init2, forward2, env2, marks2) = parts
        if ends(node.body) or ends(node.orelse):
            scope.env = env2 if ends(node.body) else env
        else:
            self.merge(node, before, (init, env), (init2, env2))
        pad = scope.depth + 1
        own = "self." if len(scope.loops) == 1 else ""
        init2 += [Line(pad, f"{own}{it}s.append(nn.Identity())") for it in marks]
        init += [Line(pad, f"{own}{it}s.append(nn.Identity())") for it in marks2]
        del made
        if init:
            scope.say(f"if {test}:")
            scope.init += init
        if init2:
            scope.say("else:" if init else f"if not ({test}):")
            scope.init += init2
        if forward or forward2:
            flag = scope.forward_text(test)
            scope.do(f"if {flag}:" if forward else tidy(f"if not ({flag}):\n    pass").split("\n")[0])
            scope.forward += forward
            if forward and forward2 and not ends(node.body):
                scope.do("else:")
            if ends(node.body):
                for line in forward2:
                    line.depth -= 1
            scope.forward += forward2

    def mode(self, node: ast.If, test: str) -> None:
        """`if training:`; the layers of both branches are made whatever the mode."""
        scope = self.scope
        before, parts = dict(scope.env), []
        for body in (node.body, node.orelse):
            scope.env = dict(before)
            with scope.apart() as (init, forward):
                self.body(body)
            for line in init:
                line.depth -= 1
            scope.init += init
            parts.append((forward, scope.env))
        (forward, env), (forward2, env2) = parts
        if ends(node.body) or node.orelse and ends(node.orelse):
            scope.env = env2 if ends(node.body) else env
        else:
            self.merge(node, before, ([], env), ([], env2))
        flag = scope.forward_text(test)
        scope.do(f"if {flag}:" if forward else f"if not ({flag}):")
        scope.forward += forward
        if forward2 and forward and not ends(node.body):
            scope.do("else:")
        for line in forward2:
            line.depth -= ends(node.body)
        scope.forward += forward2

    def merge(self, node: ast.If, before: dict[str, Any], one: Any, other: Any) -> None:
        """What is known of names behind a condition."""
        scope = self.scope
        (init, env), (init2, env2) = one, other
        merged = dict(before)
        for name in {**env, **env2}:
            first, second = env.get(name), env2.get(name)
            if isinstance(first, Flow) and isinstance(second, Flow):
                if (first.rank, first.order) != (second.rank, second.order):
                    raise NotPorted(node.test, f"{name} has other axes in each branch")
                if first.channels != second.channels:
                    shadow = f"{name}_channels"
                    for lines, flow in ((init, first), (init2, second)):
                        if flow.channels is None:
                            first = replace(first, channels=None)
                        elif flow.channels != shadow:
                            lines.append(Line(scope.depth + 1, f"{shadow} = {flow.channels}", shadow))
                    if first.channels is not None:
                        first = replace(first, channels=shadow)
                merged[name] = first
            else:
                merged[name] = (
                    first
                    if first is not None and (first is not before.get(name) or second is None)
                    else second
                )
        scope.env = merged


def without_choice(scope: Scope, node: ast.stmt) -> ast.stmt:
    """`y = a if test else b` of tensors as a condition; else the statement itself."""
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.Return)) or not isinstance(value, ast.IfExp):
        return node
    if scope.is_static(value):
        return node
    parts: list[ast.stmt] = []
    for one in (value.body, value.orelse):
        made = ast.Return(one) if isinstance(node, ast.Return) else ast.Assign(node.targets, one)
        parts.append(ast.copy_location(made, one))
    return ast.copy_location(ast.If(value.test, parts[:1], parts[1:]), value)


def is_empty_list(node: ast.expr) -> bool:
    """`[]` or `list()`."""
    return ast.unparse(node) in ("[]", "list()")


def ends(nodes: list[ast.stmt]) -> bool:
    """Whether statements end with a return."""
    return bool(nodes) and isinstance(nodes[-1], ast.Return)


def bare(text: str) -> str:
    """A tuple without its brackets."""
    return text[1:-1] if text.startswith("(") and "(" not in text[1:] else text
