"""The statements of `forward`: which values get a name, and which stand inside the expression that uses them.

A line holds one module that does the work, with what belongs to it (normalisation, activation) around it:
`x = F.relu(self.bn1(self.conv1(x)))`. A value that is used once is written where it is used, as long as the
line stays readable. Modules of several inputs in a row are a loop, of two lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchport.emit.calls import called, out_of_turn, repeated
from torchport.emit.expression import Writer
from torchport.emit.modes import Branches, branched
from torchport.emit.unpack import ITEM, unpacked
from torchport.emit.variables import Statement, Variables
from torchport.program import (
    APART,
    Apply,
    Assign,
    Attribute,
    Call,
    Collect,
    Definition,
    Each,
    Expr,
    IfElse,
    Index,
    Infix,
    Item,
    Mark,
    State,
    Step,
    Unpack,
    Var,
    children,
    is_choice,
    is_heavy,
    is_loop,
    loop_of,
    reads_state,
    rewrite,
    walk,
)

#: How deep calls may stand inside one another, and how long a line's expression may be.
DEPTH, LENGTH, SHORT = 4, 84, 80
#: About how many characters a name takes among what is returned.
NAME = 14


def depth(expr: Any) -> int:
    """How many calls stand inside one another."""
    below = max((depth(child) for child in children(expr)), default=0)
    return below + isinstance(expr, (Call, Apply))


def heavy_depth(expr: Any) -> int:
    """How many working modules stand inside one another."""
    if isinstance(expr, Attribute):  # a weight of a module, which is not called
        return 0
    below = max((heavy_depth(child) for child in children(expr)), default=0)
    return below + is_heavy(expr)


def size(expr: Any) -> int:
    """About how many characters the expression takes."""
    inside = [size(child) for child in children(expr)]
    commas = sum(inside) + 2 * max(0, len(inside) - 1)
    if isinstance(expr, Var):
        return 5
    if isinstance(expr, Apply):
        return len(expr.owner[-12:]) + 7 + commas
    if isinstance(expr, Call):
        return len(expr.function) + 2 + sum(len(key) + 1 for key in expr.kwargs) + commas
    if isinstance(expr, (Infix, IfElse, Index, tuple, list)):
        return 2 + commas
    if isinstance(expr, Each):
        return 32 + commas
    if isinstance(expr, Assign):
        return 20 + size(expr.value)
    if isinstance(expr, State):
        return 5 + len(expr.role)
    if isinstance(expr, Attribute):
        return size(expr.value) + 1 + len(expr.name)
    if isinstance(expr, slice):
        return sum(len(str(it)) for it in (expr.start, expr.stop, expr.step) if it is not None) + 1
    return commas if isinstance(expr, (Mark, Item)) else len(str(expr))


def statements(definition: Definition, result: Any) -> list[Statement]:
    """The statements of `forward`; the last returns `result`."""
    unmarked: set[str] = set()
    uses: Counter[str] = Counter(name for step in definition.steps for name in step.inputs)
    uses.update(node.tensor for node in walk(result) if isinstance(node, Var))
    followers = _followers(definition.steps, uses)
    looped = {name for step in definition.steps if loop_of(step.value) for name in step.inputs}
    values: dict[str, Expr] = {}
    lines: list[tuple[int, Statement]] = []  # each with the place of the step that it writes
    shared = repeated(definition.steps)
    place = {name: at for at, step in enumerate(definition.steps) for name in step.outputs}

    def write(outputs: tuple[str, ...], value: Any) -> None:
        """A statement, behind earlier calls of the modules that it calls."""
        mine = called(value, shared)
        for name in [it for it in values if mine and place[it] < place[outputs[0]]]:
            if mine & called(values[name], shared):
                lines.append((place[name], Statement((name,), values.pop(name))))
        lines.append((place[outputs[0]], Statement(outputs, value)))

    def write_early(expr: Any, fits: Callable[[Any], bool]) -> None:
        early = set(out_of_turn(expr, values, shared, fits))
        for name in [it for it in values if it in early]:
            if name in values:
                write((name,), values.pop(name))

    def first_read(expr: Any) -> Any:
        """A tensor that was unpacked from a tuple is marked where it is first read."""
        if isinstance(expr, Var) and expr.tensor in unmarked:
            unmarked.remove(expr.tensor)
            return Mark(expr, expr.tensor)
        return expr

    written = {spec.name for spec in definition.inputs}

    def claims(step: Step) -> list[str]:
        """Values that may stand inside a step, those first that would not be torn apart by standing there.

        A branch that was begun lines before is written whole where it ends, not its last call here.
        """
        waiting = [it for it in dict.fromkeys(step.inputs) if it in values]
        latest = max(waiting, key=place.__getitem__, default="")
        torn = [
            name for name in waiting
            if name != latest and any(
                isinstance(it, Var) and uses[it.tensor] == 1 and it.tensor not in written
                for it in walk(values[name])
            )
        ]  # fmt: skip
        rows = [name for name in waiting if heavy_depth(values[name])]
        if step.kind == "Concatenate" and len(rows) > 2:  # of a row of branches none stands out in the middle
            waiting = [it for it in waiting if it not in rows or it in (step.inputs[0], step.inputs[-1])]
        return [*(it for it in waiting if it not in torn), *(it for it in reversed(torn) if it in waiting)]

    for step in definition.steps:
        if isinstance(step.value, Assign):  # what reads the old value comes before
            for name in [it for it in values if reads_state(values[it], step.value)]:
                if name in values:
                    write((name,), values.pop(name))
        write_early(step.value, _Room(step, followers).takes)
        room = _Room(step, followers)
        inside = {name for name in claims(step) if room.takes(values[name])}

        def settle(expr: Any, room: _Room = room, inside: set[str] = inside) -> Any:
            if isinstance(expr, Var) and expr.tensor in values:
                value = values.pop(expr.tensor)
                if expr.tensor in inside:
                    return value
                write((expr.tensor,), value)
            return expr if room.loop else first_read(expr)

        value = rewrite(step.value, settle)
        if isinstance(value, Assign):
            pass
        elif isinstance(value, Unpack):
            unmarked.update(name for name in step.outputs if ITEM not in name)
        elif len(step.outputs) == 1:
            unseen = isinstance(value, Var) or is_loop(value) or is_choice(value)
            unseen |= step.kind == "pad" or step.outputs[0].endswith(APART)
            value = value if unseen else Mark(value, step.outputs[0])
            stands_alone = is_loop(value) or is_choice(value)
            if uses[step.outputs[0]] == 1 and not stands_alone and step.outputs[0] not in looped:
                values[step.outputs[0]] = value
                continue
        write(step.outputs, value)

    def settle_result(expr: Any) -> Any:
        return values.pop(expr.tensor, first_read(expr)) if isinstance(expr, Var) else expr

    write_early(result, lambda value: True)
    waiting = [it.tensor for it in walk(result) if isinstance(it, Var) and it.tensor in values]
    if len(waiting) > 1 and sum(size(values[it]) for it in waiting) > LENGTH:
        for name in waiting:  # what would break over several lines has names of its own
            layers = [definition.steps[place[it]].layer.removesuffix(".activation") for it in waiting]
            named = NAME * sum(it not in values for it in waiting)
            named += sum(max(0, len(it) - NAME) for it in layers)
            rest = sum(size(values[it]) for it in waiting if it in values)
            if heavy_depth(values[name]) and (name != waiting[-1] or named + rest > LENGTH):
                write((name,), values.pop(name))
    lines.append((len(definition.steps), Statement((), rewrite(result, settle_result))))
    return [line for _, line in sorted(lines, key=lambda it: it[0])]


def _followers(steps: Sequence[Step], uses: Counter[str]) -> dict[str, int]:
    """For each step, how many light calls will stand around it: its norm, its activation."""
    readers = {name: step for step in steps for name in step.inputs}
    count: dict[str, int] = {}
    for step in reversed(steps):
        following = readers.get(step.outputs[0])
        alone = len(step.outputs) == 1 and uses[step.outputs[0]] == 1 and following is not None
        light = alone and following is not None and heavy_depth(following.value) == 0
        count[step.name] = 1 + count[following.name] if light and following is not None else 0
    return count


class _Room:
    """How much may still stand inside one step's expression."""

    def __init__(self, step: Step, followers: Mapping[str, int]) -> None:
        self.depth, self.heavy = depth(step.value), heavy_depth(step.value)
        self.size = size(step.value)
        self.around = min(followers[step.name], 2)
        self.loop = loop_of(step.value) is not None
        self.single = len(set(step.inputs)) == 1
        self.block = isinstance(step.value, Apply) and not step.value.module.cls.startswith("nn.")

    def takes(self, value: Expr) -> bool:
        """Whether the value may stand inside; it then takes its room."""
        working = heavy_depth(value) + self.heavy
        if working > 1 and not self._is_short(value) and not (self.single and not self.heavy):
            return False
        if self.heavy and depth(value) + self.depth + self.around > DEPTH - 1:
            return False
        if depth(value) + self.depth > DEPTH or working > 2:
            return False
        if self.size + size(value) > LENGTH:
            return False
        self.size += size(value)
        self.heavy = working
        return True

    def _is_short(self, value: Expr) -> bool:
        """Whether a block may stand inside another: `self.dec1(torch.cat([enc1, self.up1(x)], dim=1))`."""
        return self.block and self.heavy + heavy_depth(value) <= 2 and self.size + size(value) <= SHORT


def _targets(line: Statement, writer: Writer) -> str:
    """The left side of a statement: `x, (h, _)`."""

    def text(pattern: Any) -> str:
        if isinstance(pattern, tuple):
            return f"({', '.join(map(text, pattern))})"
        return "_" if pattern is None else writer.variable(line.outputs[pattern])

    if isinstance(line.value, Unpack):
        return ", ".join(map(text, line.value.pattern))
    return ", ".join(map(writer.variable, line.outputs))


def body(
    definition: Definition,
    result: Any,
    inputs: Mapping[str, str],
    attribute: Any,
    marks: bool = False,
) -> list[str]:
    """The lines of `forward`, unindented; `inputs` names the parameters."""
    definition = replace(definition, steps=tuple(unpacked(definition.steps, result)))
    lines = statements(definition, result)
    variables = Variables(definition, lines, inputs, attribute)
    writer = Writer(variables.__getitem__, attribute, marks, variables.new("branch", "conv", "module"))
    return [text for line in branched(lines) for text in _texts(line, variables, writer)]


def _texts(line: Statement | Branches, variables: Variables, writer: Writer) -> list[str]:
    """The lines of a statement."""
    if isinstance(line, Branches):
        return _branches(line, variables, writer)
    value = line.value
    if is_loop(value):
        return _loop(value, writer.variable(line.outputs[0]), variables.new("block"), writer)
    if isinstance(value, Collect):
        return _collecting(value, list(map(writer.variable, line.outputs)), variables, writer)
    if isinstance(value, Assign):
        return _assigned(value, writer)
    if not line.outputs:
        return [f"return {returned(value, writer)}"]
    if isinstance(value, tuple):  # what nobody reads is not computed
        kept = [at for at, name in enumerate(line.outputs) if variables.is_read(name)] or [0]
        value = tuple(value[at] for at in kept) if len(kept) > 1 else value[kept[0]]
        line = Statement(tuple(line.outputs[at] for at in kept), value)
    names = _targets(line, writer)
    plain = Writer(writer.variable, writer.attribute, False, writer.turn).text(value)
    return [f"{names} = {writer.text(value)}"] if names != plain else []


def _branches(branches: Branches, variables: Variables, writer: Writer) -> list[str]:
    """`if self.training:`, and what is done there; `else:` where inference does anything."""
    done, other = (
        [f"    {text}" for it in side for text in _texts(it, variables, writer)]
        for side in (branches.training, branches.inference)
    )
    if not done:
        return ["if not self.training:", *other] if other else []
    return ["if self.training:", *done, *(["else:", *other] if other else [])]


def _assigned(value: Assign, writer: Writer) -> list[str]:
    """`self.mean = x.detach()`."""
    trains = not isinstance(value.state, State) or value.state.trainable
    target = f"{writer.text(value.state)}{'.data' if trains else ''}"
    return [f"{target} = {writer.text(Call('.detach', (value.value,)))}"]


def returned(value: Any, writer: Writer) -> str:
    """The text of what is returned: one value, some, or a nest of them."""
    if isinstance(value, Mapping):
        inside = (f"{writer.literal(key)}: {_nested(it, writer)}" for key, it in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, tuple):
        return ", ".join(_nested(it, writer) for it in value) + "," * (len(value) == 1)
    return writer.text(value)


def _nested(value: Any, writer: Writer) -> str:
    text = returned(value, writer)
    return f"({text})" if isinstance(value, tuple) else text


def _collecting(value: Collect, names: Sequence[str], variables: Variables, writer: Writer) -> list[str]:
    """`for block in self.blocks: x, skip = block(x)`, and `skip` into a list."""
    goes_on, skips = names
    block, skip = variables.new("block"), variables.new("skip")
    *start, line, call = _loop(value.loop, goes_on, block, writer)
    targets = f"{goes_on}, {skip}" if value.goes_on == 0 else f"{skip}, {goes_on}"
    given = call.partition(" = ")[2]
    inside = [f"    {targets} = {given}", f"    {skips}.append({skip})"]
    return [*start, f"{skips}: list[Tensor] = []", line, *inside]


def _loop(value: Apply, goes_on: str, block: str, writer: Writer) -> list[str]:
    """`for block in self.blocks: x = block(x, other)`."""
    first, *others = map(writer.text, value.args)
    start = [] if first == goes_on else [f"{goes_on} = {first}"]
    attribute = writer.attribute(value.owner, value.module.role)
    call = f"    {goes_on} = {block}({', '.join([goes_on, *others])})"
    return [*start, f"for {block} in self.{attribute}:", call]
