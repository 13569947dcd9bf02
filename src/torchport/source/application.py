"""A layer or function that is applied: its modules, and its text, as the rules write them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.names import identifier, unique
from torchport.program import Apply, Code, Item, rewrite, walk
from torchport.rules.nouns import noun_of
from torchport.source import activations, fragment
from torchport.source.buffers import with_buffers
from torchport.source.flags import flagged
from torchport.source.fragment import Call, Fragment, Texts, inlined, is_layer
from torchport.source.lines import atom, reads
from torchport.source.observe import Seen, is_tensor
from torchport.source.sites import RUN, NotPorted, site
from torchport.source.unit import SIZES_OF_SPACE, snake
from torchport.source.values import (
    Flow,
    Items,
    Maker,
    Size,
    Static,
    leaves,
)

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def apply(
    at: Evaluator, node: ast.Call | ast.expr, made: Call, seen: list[Seen], maker: Maker | None = None
) -> Any:
    """An expression as the rules write it: one text for all that was seen."""
    if not seen:
        raise NotPorted(node, "never ran", RUN)
    if (behind := activations.behind(at, node, made, seen, maker)) is not None:
        return behind
    if not is_layer(seen[0].function):
        made, seen = with_buffers(at, made, seen)
    if any(isinstance(it, Flow) and it.order is Order.CHANNELS_FIRST for it in at.scope.env.values()):
        made = replace(made, has_images=True)
    found: dict[Any, tuple[Fragment, list[Seen]]] = {}
    operands = list(leaves((*made.args, *made.kwargs.values())))
    why: Unsupported | None = None
    for are_open in (True, False):
        found.clear()
        try:
            for it in distinct(seen):
                written = at.scope.project.fragment(it, made, are_open)
                found.setdefault(signature(at, written, operands), (written, []))[1].append(it)
        except Unsupported as error:
            why = why or error
            continue
        # a run in which more sizes were open says less
        fewest = min(it.opens for it, _ in found.values())
        found = {key: it for key, it in found.items() if it[0].opens == fewest}
        if len(found) == 1:
            break
        if (merged := flagged(found, made)) is not None:
            found = {"": (merged, [])}
            break
    else:
        if (found_again := with_numbers_held(at, node, made, seen, maker)) is not None:
            return found_again
        fixed = fixed_option(at, made, seen) or without_features(found)
        if fixed is None:
            raise undecided(at, node, why, [it[:2] for it in found])
        found = {"": (fixed, [])}
    ((written, _),) = found.values()
    if written.states and maker is None:
        again, runs = with_buffers(at, made, seen, lists=True)
        if again is not made:
            return apply(at, node, again, runs)
    left_out(at, maker)
    at.scope.texts |= texts_in(at, made)
    at.scope.applied[site(node)] = made
    if maker is not None:
        at.scope.applied[site(node) + site(maker.node)] = made
    if any(it.is_spatial for it in operands):
        at.scope.fixed.add(SIZES_OF_SPACE)
    value = emit(at, node, written, made, maker)
    if isinstance(value, Flow) and value.rank == 2 and value.channels is None:
        return with_space(at, made, seen, value)
    return value


def with_space(at: Evaluator, made: Call, seen: list[Seen], value: Flow) -> Flow:
    """What Flatten gives, with its size, where the sizes of space were the same in all runs."""
    if len({space_of(it) for it in seen}) != 1:
        return value
    try:
        found = [fragment.sizes(at.scope.project.fragment(it, made, False)) for it in distinct(seen)]
    except Unsupported:
        return value
    texts = {text for (text, *_) in found}
    (text, *others) = texts
    return value if others or text is None else replace(value, channels=text, is_spatial=True)


def with_numbers_held(
    at: Evaluator, node: ast.expr, made: Call, seen: list[Seen], maker: Maker | None
) -> Any:  # fmt: skip
    """An expression whose lists of numbers are tensors that the port holds; None where that does not help."""
    if maker is not None or is_layer(seen[0].function):
        return None
    again, runs = with_buffers(at, made, seen, lists=True)
    try:
        return None if again is made else apply(at, node, again, runs)
    except NotPorted:
        return None


def texts_in(at: Evaluator, made: Call) -> set[str]:
    """The parameters that are texts which options of a layer are: `padding`, `activation`."""
    named = {
        it.text for key, it in made.options.items()
        if isinstance(it, Static) and not key.endswith(("_initializer", "_regularizer", "_constraint"))
    }  # fmt: skip
    given = at.scope.project.arguments_of(at.scope.name)
    values = {name: given.get(name, []) for name in named & at.scope.parameters}
    return {name for name, it in values.items() if any(isinstance(one, str) for one in it)}


def left_out(at: Evaluator, maker: Maker | None) -> None:
    """A note of what belongs to training: penalties and constraints of weights."""
    for it in maker.node.keywords if maker is not None else ():
        if str(it.arg).endswith(("_regularizer", "_constraint")) and ast.unparse(it.value) != "None":
            note = f"line {it.value.lineno}: {it.arg} is left out: it belongs to training"
            if note not in at.scope.notes:
                at.scope.notes.append(note)


def undecided(at: Evaluator, node: ast.expr, why: Unsupported | None, found: list[Any]) -> NotPorted:
    """Why an expression has no text that is right each time."""
    if why is not None:
        return NotPorted(node, why.why, why.advice)
    texts = [" ".join(filter(None, (text, *modules))) for text, modules in found[:2]]
    return NotPorted(
        node, f"is {texts[0]} in one run and {texts[-1]} in another",
        "make the number that it depends on an argument of the layer",
    )  # fmt: skip


def fixed_option(at: Evaluator, made: Call, seen: list[Seen]) -> Fragment | None:
    """A layer of which some options are the numbers that they were in all runs that were asked for.

    The parameters that it came from are then none of the port's. None where that does not help.
    """
    operands = list(leaves((*made.args, *made.kwargs.values())))
    asked = [it for it in seen if not it.is_varied]
    texts = {name: it for name, it in made.options.items() if isinstance(it, Static)}
    same = [name for name in texts if len({option_of(it, name) for it in asked}) == 1]
    for names in chain.from_iterable(combinations(same, count) for count in (1, 2, 3)):
        alike = [it for it in seen if all(option_of(it, name) == option_of(asked[0], name) for name in names)]
        plain = replace(made, options={key: it for key, it in made.options.items() if key not in names})
        for are_open in (True, False):
            try:
                found = [at.scope.project.fragment(it, plain, are_open) for it in distinct(alike)]
            except Unsupported:
                break
            if len({signature(at, it, operands) for it in found}) == 1:
                at.scope.fixed |= {it for name in names for it in reads(texts[name].text)}
                return found[0]
    return fixed_sizes(at, made, seen, operands)


def option_of(seen: Seen, name: str) -> str:
    return repr(config_of(seen.function).get(name))


def without_features(found: Mapping[Any, tuple[Fragment, list[Seen]]]) -> Fragment | None:
    """A matrix behind Flatten whose rows are as many as arguments make them: nn.LazyLinear counts them.

    None for what differs in more than that.
    """
    written = [it for it, _ in found.values()]
    modules = [it.modules for it in written]
    if not written or any(len(it) != 1 or it[0].module.cls != "nn.Linear" for it in modules):
        return None
    if len({(text, order) for text, _, order in found}) != 1:
        return None
    made = [replace(it.module, cls="nn.LazyLinear", args=it.module.args[1:]) for (it,) in modules]
    if len({repr((it.args, dict(it.kwargs))) for it in made}) != 1:
        return None
    first, module = written[0], made[0]

    def placed(node: Any) -> Any:
        return replace(node, module=module) if isinstance(node, Apply) else node

    steps = tuple(replace(it, value=rewrite(it.value, placed)) for it in first.definition.steps)
    return replace(first, definition=replace(first.definition, steps=steps))


def fixed_sizes(at: Evaluator, made: Call, seen: list[Seen], operands: list[Flow]) -> Fragment | None:
    """An expression that is right for the sizes alone that were asked for: a matrix behind Flatten."""
    try:
        asked = distinct([it for it in seen if not it.is_varied])
        found = [at.scope.project.fragment(it, made, False) for it in asked]
    except Unsupported:
        return None
    if len(texts := {signature(at, it, operands) for it in found}) != 1:
        return None
    spaces = {space_of(it) for it in asked}
    try:
        alike = distinct([it for it in seen if space_of(it) in spaces])
        others = {signature(at, at.scope.project.fragment(it, made, False), operands) for it in alike}
    except Unsupported:
        return None
    if others != texts:
        # another number than a size of space makes it another text
        return None
    at.scope.fixed.add(SIZES_OF_SPACE)
    return found[0]


def space_of(seen: Seen) -> tuple[Any, ...]:
    """The sizes of space of what a call was given."""
    return tuple(tuple(it.shape)[1:-1] for it in flat((seen.args, dict(seen.kwargs))) if is_tensor(it))


def signature(at: Evaluator, written: Fragment, operands: list[Flow]) -> Any:
    texts = texts_of(written, operands, lambda owner, role: f"{role or 'module'}", lambda text: text)
    alone, result = inlined(written.definition)
    return (
        "; ".join([*(f"{name} = {texts.text(it)}" for name, it in alone), text_of(result, texts)]),
        tuple(texts.constructor(it.module) for it in written.modules),
        tuple(it.order for it in written.outputs),
    )


def text_of(result: Any, texts: Texts) -> str:
    return texts.text(result)


def texts_of(written: Fragment, operands: list[Flow], attribute: Callable[[str, str], str],
    number: Callable[[str], str],
) -> Texts:  # fmt: skip
    names = dict(zip(written.graph.inputs, (it.text for it in operands), strict=True))
    return Texts(names, attribute, number)


def emit(at: Evaluator, node: ast.AST, written: Fragment, made: Call, maker: Maker | None) -> Any:
    """Its modules into `__init__`; what it gives."""
    scope, operands = at.scope, list(leaves((*made.args, *made.kwargs.values())))
    flowing = {it.text for it in sizes_in(made) if it.known is None}
    if written.states:
        raise NotPorted(node, "has numbers of its own that are no weights", "hand them over as an argument")
    kinds = {op.layer: op.kind for op in written.graph.ops}
    plain = texts_of(written, operands, lambda owner, role: role, lambda text: text)
    marks: dict[tuple[str, str], str] = {}
    several = len(written.modules) > 1
    for it in written.modules:
        base, given = attribute_of(at, maker, kinds.get(it.owner, ""))
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
    texts = texts_of(written, operands, lambda owner, role: marks[owner, role], number)
    alone, result = inlined(written.definition)
    for name, step in alone:
        own = unique(identifier(name.rpartition(".")[2]), set(scope.env))
        scope.env[own] = Flow(own, 0)
        scope.do(f"{own} = {in_loops(at, texts.text(step))}")
        texts.operands = {**texts.operands, name: own}
        texts.variable = lambda it, held=texts.operands: held.get(it, it)  # type: ignore[misc]
    if len(items := [it for it in walk(result) if isinstance(it, Item)]) == 1:
        # what a recurrent module gives, unpacked: `x, _ = self.lstm(x)`, `_, (h, _) = self.lstm(x)`
        (item,) = items
        asked = item is result and at.target is not None and at.target[0] is node
        own = at.target[1] if asked and at.target else unique(str(item.name), set(scope.env))
        held = in_loops(at, texts.text(item.value))
        scope.do(f"{fragment.unpacking(item.pattern, item.name, own)[1:-1]} = {held}")
        result = rewrite(result, lambda it: Code(own) if isinstance(it, Item) else it)
        scope.env.setdefault(own, Flow(own, 0))
    text = in_loops(at, texts.text(result))
    if isinstance(result, (tuple, list)) or len(written.outputs) > 1:
        sizes = [None if it in flowing else built(at, it) for it in fragment.sizes(written)]
        flows = tuple(
            Flow(f"{text}[{at}]", len(it.tensor.shape), size, it.order)
            for at, (it, size) in enumerate(zip(written.outputs, sizes, strict=True))
        )
        return Items(flows, text)
    (out,) = written.outputs
    (size,) = fragment.sizes(written)
    # a number that is that of a tensor whose size has no text has none either
    named = zip(written.graph.inputs, operands, strict=True)
    open_sizes = {written.graph.tensors[name].shape[-1:] for name, it in named if it.channels is None}
    size = None if size is not None and size.isdigit() and (int(size),) in open_sizes else size
    # what is made of weights alone has no axis of examples either
    is_weight = maker is None and bool(operands) and all(it.is_weight for it in operands)
    size = None if size in flowing else built(at, size)
    return Flow(text, len(out.tensor.shape), size, out.order, is_weight)


def built(at: Evaluator, size: str | None) -> str | None:
    """The text of a size as `__init__` has it: without the names that sizes have in `forward` alone."""
    held = {it: at.scope.env.get(it) for it in reads(size or "")}
    sizes = {name: it.known for name, it in held.items() if isinstance(it, Size) and it.known != name}
    if not sizes or size is None or None in sizes.values():
        return None if sizes else size
    for name, known in sizes.items():
        size = re.sub(rf"(?<![\w.]){name}\b", atom(str(known)), size)
    return size


def in_loops(at: Evaluator, text: str) -> str:
    """In a loop, modules are variables of it."""
    turns = {mark for loop in at.scope.loops for mark in loop.marks}
    return re.sub(r"\bself\.(__m\d+__)", lambda it: it[1] if it[1] in turns else it[0], text)


def attribute_of(at: Evaluator, maker: Maker | None, kind: str) -> tuple[str, bool]:
    """What a module is called: as the source calls the layer, else by its kind."""
    if maker is not None and maker.name:
        return maker.name, True  # the source numbers it itself
    if maker is not None and not at.scope.loops:
        said = next((it.value for it in maker.node.keywords if it.arg == "name"), None)
        if isinstance(said, ast.Constant) and isinstance(said.value, str) and said.value.isidentifier():
            return snake(said.value), True
    return noun_of(kind) or "layer", False


def distinct(seen: list[Seen]) -> list[Seen]:
    """Those of which shapes or options differ."""
    found: dict[str, Seen] = {}
    for it in seen:
        found.setdefault(option_text(it), it)
    return list(found.values())


def config_of(layer: Any) -> dict[str, Any]:
    """The options of a layer; none of one that does not tell them."""
    try:
        return dict(layer.get_config())
    except NotImplementedError:
        return {}


def option_text(seen: Seen) -> str:
    """What was called, the shapes that it was given, a layer's options, as text: equal where these are."""
    shapes = [
        tuple(it.shape) if is_tensor(it) or hasattr(it, "shape") else repr(it)
        for it in flat((seen.args, dict(seen.kwargs)))
    ]
    options = {}
    if is_layer(seen.function):
        config = config_of(seen.function)
        options = {key: it for key, it in config.items() if key not in ("name", "dtype")}
    kind = seen.function if hasattr(seen.function, "__qualname__") else type(seen.function)
    return repr((shapes, options, getattr(kind, "__qualname__", "")))


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [one for it in value.values() for one in flat(it)]
    if isinstance(value, (list, tuple)):
        return [one for it in value for one in flat(it)]
    return [value]


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
