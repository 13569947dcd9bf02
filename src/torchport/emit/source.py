"""model.py: a header, the helpers that are used, a class for each definition."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from torchport import __version__, nest
from torchport.emit import helpers
from torchport.emit.alike import Shared, shared
from torchport.emit.attributes import attribute_names
from torchport.emit.expression import Writer
from torchport.emit.forward import body
from torchport.emit.frozen import frozen_lines
from torchport.emit.models import model_nouns, own_output
from torchport.emit.texts import functions
from torchport.emit.variables import called
from torchport.errors import TorchportError
from torchport.names import class_name, identifier, is_automatic, unique
from torchport.program import (
    IN_A_ROW,
    REQUIRED,
    Apply,
    Definition,
    Fill,
    Inside,
    Load,
    Module,
    State,
    Step,
    Var,
    walk,
)
from torchport.shapes import Shapes

WIDTH = 100
#: Shapes that do not fit on one line.
BELOW = "\n    -> "


@dataclass(frozen=True)
class Class:
    """A definition with its names: of the class, its attributes, its inputs."""

    name: str
    definition: Definition
    attributes: dict[tuple[str, str], str]
    inputs: dict[str, str]
    parts: dict[str, Class] = field(default_factory=dict)
    #: What it is called without a number, where it is the user's own or in one.
    base: str = ""
    #: The text that it shares with others, and its numbers there.
    shared: Shared | None = None
    values: tuple[Any, ...] = ()


def name_classes(definition: Definition, name: str | None = None) -> Class:
    """The definition and all in it with names for everything a person reads; its own is `name` itself."""
    return _merged(_Naming().named(definition, name or class_name(definition.name)))


def _merged(root: Class) -> Class:
    """The classes, those of the user's own that differ in numbers alone as one."""
    made: dict[int, Class] = {}
    levels: dict[int, list[Class]] = {}

    def level(item: Class) -> int:
        height = 1 + max(map(level, item.parts.values()), default=0)
        if all(it is not item for it in levels.setdefault(height, [])):
            levels[height].append(item)
        return height

    level(root)
    for _, items in sorted(levels.items()):
        alike: dict[Any, list[tuple[Class, Class]]] = {}
        for item in items:
            new = replace(item, parts={key: made[id(it)] for key, it in item.parts.items()})
            made[id(item)] = new
            if item.base:
                alike.setdefault((item.base, _forward(new)), []).append((item, new))
        for group in alike.values():
            told = {it.name: [name for name, _ in it.shared.parameters]
                    for _, new in group for it in new.parts.values() if it.shared}  # fmt: skip
            constructors = [_constructor(new, False) for _, new in group]
            shapes = [_shapes(new, False) for _, new in group]
            if len(group) > 1 and (found := shared(constructors, shapes, told)) is not None:
                for (item, new), values in zip(group, found[1], strict=True):
                    made[id(item)] = replace(new, name=group[0][1].name, shared=found[0], values=values)
    return made[id(root)]


class _Naming:
    """Names given so far; a block's definition stands in many places and is one class."""

    def __init__(self) -> None:
        self.taken = helpers.names()
        self.known: dict[int, Class] = {}
        #: Classes of the user's own by their text, that of its tensors in the graph too.
        self.texts: dict[str, str] = {}

    def named(self, definition: Definition, name: str, is_own: bool = False) -> Class:
        """`is_own`: whether it is the user's, or a part of what is."""
        base, is_own = name, is_own or bool(definition.cls)
        if id(definition) in self.known:
            return self.known[id(definition)]
        if not definition.cls:
            name = unique(name, self.taken)
            self.taken.add(name)
        owned = [
            (node.owner, node.role if isinstance(node, State) else node.module.role, _kind(node, step))
            for step in definition.steps
            for node in walk(step.value)
            if isinstance(node, (Apply, State))
        ]
        constants = {
            (node.owner, node.role)
            for step in definition.steps
            for node in walk(step.value)
            if isinstance(node, State) and isinstance(node.load, Fill)
        }
        inputs: dict[str, str] = {}
        functions = called(definition)
        for spec in definition.inputs:
            automatic = is_automatic(spec.name, "InputLayer") or is_automatic(spec.name, "Input")
            if len(definition.inputs) == 1:  # what a Sequential model without an InputLayer calls it
                automatic |= any(spec.name == f"{step.layer}_input" for step in definition.steps)
            own = "x" if automatic else identifier(spec.name)
            if spec.name in definition.keys:
                own = identifier(definition.keys[spec.name])
            inputs[spec.name] = unique(own, functions | set(inputs.values()))
        told = {layer: own_name(layer, part) for layer, part in definition.parts.items()}
        models = model_nouns(definition)
        nouns = {layer: noun for layer, noun in models.items() if is_automatic(told.get(layer, ""), "Model")}
        parts = {
            layer: self.named(part, class_name(part.cls or nouns.get(layer) or told[layer]), is_own)
            for layer, part in definition.parts.items()
        }
        named = {layer: name for layer, name in told.items() if not definition.parts[layer].shapes}
        own = "" if definition.cls else definition.name
        attributes = attribute_names(owned, own, named, constants, models, definition.attributes)
        made = Class(name, definition, attributes, inputs, parts, base if is_own else "")
        made = self._once(made) if definition.cls else made
        self.known[id(definition)] = made
        return made

    def _once(self, made: Class) -> Class:
        """A class of the user's own under a name that no other class has, unless it stands there already."""
        text = _class(made, True, "", False)
        name = self.texts.get(text)
        if name is None:
            name = unique(made.name, self.taken)
            self.taken.add(name)
            self.texts[text] = name
        return replace(made, name=name)


def _kind(node: Apply | State, step: Step) -> str:
    """The kind of the op that holds something: of what stands where it is read, its own."""
    if isinstance(node, State):
        is_placed = node.owner != step.layer and isinstance(node.load, Fill)
        return "tf.constant" if is_placed else step.kind
    is_dropout = node.module.cls == "nn.Dropout" and is_automatic(node.owner, "Dropout")
    return "Dropout" if is_dropout else step.kind


def own_name(layer: str, part: Definition) -> str:
    """What a part is called: as its layer, but for TimeDistributed without a name of its own.

    There the model that it is around has one, maybe.
    """
    if part.shapes:
        return part.name
    is_wrapper = layer.startswith("time_distributed") and is_automatic(layer, "TimeDistributed")
    return part.name if is_wrapper and not is_automatic(part.name, "Model") else layer


def state(item: Class, prefix: str = "", inside: Inside | None = None) -> Iterator[tuple[str, Load | Fill]]:
    """Every entry of the state_dict and where it comes from, in the order of use.

    `inside`: the use of a block whose entries they are.
    """
    for (owner, role), node in owned(item.definition):
        found: Any = node if isinstance(node, State) else node.module
        if inside is not None:
            found = inside.modules.get((owner, role))
        if found is not None:
            yield from _entries(found, f"{prefix}{item.attributes[owner, role]}", item, owner)


def _entries(found: Module | State, path: str, item: Class, owner: str) -> Iterator[tuple[str, Load | Fill]]:
    if isinstance(found, State):
        yield path, found.load
    elif found.cls in IN_A_ROW:
        for at, inner in enumerate(found.args):
            yield from _entries(inner, f"{path}.{at}", item, owner)
    elif found.cls == "Model":
        yield from state(item.parts[owner], f"{path}.")
    elif found.inside is not None:
        yield from state(block_of(item, found), f"{path}.", found.inside)
    else:
        for name, load in found.loads.items():
            yield f"{path}.{name}", load


def block_of(item: Class, made: Module) -> Class:
    """The block that a module in a class is; a nested model, which has no shapes, may have the same name."""
    alike = [it for it in item.parts.values() if it.definition.name == made.cls]
    return next((it for it in alike if it.definition.shapes), alike[0])


def owned(definition: Definition) -> Iterator[tuple[tuple[str, str], Apply | State]]:
    """What a class holds, each once, in the order of use: (owner, role) and where it is first used."""
    seen: set[tuple[str, str]] = set()
    for step in definition.steps:
        for node in walk(step.value):
            if isinstance(node, (Apply, State)):
                key = (node.owner, node.role if isinstance(node, State) else node.module.role)
                if key not in seen:
                    seen.add(key)
                    yield key, node


def ordered(item: Class) -> list[Class]:
    """The class and all that it is made of, each before its first user."""
    found: list[Class] = []
    for part in item.parts.values():
        found += [it for it in ordered(part) if it not in found]
    return [*found, item]


def whole_dtype(load: Load) -> str:
    """The dtype of a variable that is no fraction, as the source has it; fractions have that of the model."""
    dtype = load.source.dtype if load.source is not None else "float32"
    return "float32" if dtype.startswith(("float", "bfloat")) else dtype


def source(
    item: Class, pretrained: str = "model.safetensors", sharded: bool = False, marks: bool = False
) -> str:
    """The text of model.py, not yet formatted."""
    found: dict[str, Class] = {}
    for it in ordered(item):
        found.setdefault(it.name, it)
    classes = list(found.values())
    texts = [_class(it, marks, pretrained if it is item else "", sharded) for it in classes]
    texts = [*functions(item.definition, item.inputs), *texts]
    texts = [*helpers.used(texts), *texts]
    weights = f'WEIGHTS = Path(__file__).with_name("{pretrained}")'
    return "\n\n\n".join([f"{_header(item, texts)}\n\n{weights}", *texts]) + "\n"


def _header(item: Class, texts: Sequence[str]) -> str:
    found = [_names(text) for text in texts]
    lines = [
        f'"""{item.name}, ported from Keras by torchport {__version__}."""',
        *_types(any(is_any for _, is_any in found), any(".unflatten(" in text for text in texts)),
        "",
        "from __future__ import annotations",
        "",
    ]
    used = {name for names, _ in found for name in names}
    standard = [f"import {name}" for name in ("json", "math", "string") if name in used]
    if abstract := [name for name in ("Callable", "Sequence") if name in used]:
        standard.append(f"from collections.abc import {', '.join(abstract)}")
    standard.append("from pathlib import Path")
    if "Self" in used:
        standard.append("from typing import Self")
    lines += [*standard, ""]
    if "torch" in used:
        lines.append("import torch")
    if "F" in used:
        lines.append("import torch.nn.functional as F")
    lines += ["from safetensors.torch import load_file", "from torch import Tensor, nn"]
    return "\n".join(lines)


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[frozenset[str], bool]:
    """The names in a text, and whether a function of it returns what a module gives. Helpers come again."""
    nodes = list(ast.walk(ast.parse(text)))
    return frozenset(it.id for it in nodes if isinstance(it, ast.Name)), any(map(_is_any, nodes))


def _types(is_any: bool, is_untyped: bool) -> list[str]:
    """What tells mypy --strict that a module called gives Any, and that some of torch has no types."""
    codes = ["no-any-return"] * is_any + ["no-untyped-call"] * is_untyped
    return [f'# mypy: disable-error-code="{", ".join(codes)}"'] if codes else []


def _is_any(node: ast.AST) -> bool:
    """Whether a function returns what a module gives, as it gives it or taken on by operators."""
    if not isinstance(node, ast.Return):
        return False
    value = node.value
    while isinstance(value, (ast.BinOp, ast.Subscript, ast.IfExp, ast.Attribute)) or (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and _receiver(value) is not None
    ):
        if isinstance(value, ast.BinOp):
            value = value.left
        elif isinstance(value, ast.Call):
            value = _receiver(value)
        else:
            value = value.body if isinstance(value, ast.IfExp) else value.value
    return isinstance(value, ast.Name) or _is_module(value)


def _is_module(value: ast.AST | None) -> bool:
    """Whether an expression is `self.conv(...)`."""
    function = value.func if isinstance(value, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and (function.value.id == "self")
    )


def _receiver(call: ast.Call) -> ast.expr | None:
    """Of `x.method(...)` the expression x; None for functions of a package and modules of the class."""
    assert isinstance(call.func, ast.Attribute)
    inside = call.func.value
    known = isinstance(inside, ast.Name) and inside.id in ("torch", "F", "nn", "math", "self")
    return None if known else inside


def _shapes(item: Class, is_model: bool) -> str:
    """What a class takes and gives, as its docstring says it."""
    definition = item.definition
    known = Shapes(definition.inputs)
    takes = ", ".join(
        known.text(spec) if item.inputs[spec.name] == "x" else f"{item.inputs[spec.name]} {known.text(spec)}"
        for spec in definition.inputs
    )
    return definition.shapes or f"{takes} -> {_gives(definition, is_model, known)}"


def _forward(item: Class) -> tuple[Any, ...]:
    """The text of `forward` of a nested model."""
    result = _result(item.definition, False)
    lines = body(item.definition, result, item.inputs, lambda owner, role: item.attributes[owner, role])
    return _parameters(item), nest.annotation(result), *lines


def class_text(item: Class, marks: bool) -> str:
    """The text of a nested model's class, not yet formatted."""
    return _class(item, marks, "", False)


def _class(item: Class, marks: bool, pretrained: str, sharded: bool) -> str:
    definition, known = item.definition, item.shared
    shapes = _shapes(item, bool(pretrained)) if known is None else known.shapes
    constructor = _constructor(item, bool(pretrained)) if known is None else known.lines
    docstring = [f'    """{shapes if len(shapes) <= WIDTH - 11 else _broken(shapes)}."""', ""]
    lines = [
        f"class {item.name}(nn.Module):",
        *(docstring if shapes else []),
        *(_initialiser(item, constructor) if constructor or not item.base else []),
        f"    def forward({_parameters(item)}) -> {nest.annotation(_result(definition, bool(pretrained)))}:",
        *(
            f"        {line}"
            for line in body(
                definition, _result(definition, bool(pretrained)), item.inputs,
                lambda owner, role: item.attributes[owner, role], marks,
            )
        ),
    ]  # fmt: skip
    if pretrained:
        lines += ["", *(f"    {line}" for line in _from_pretrained(item.name, sharded))]
    return "\n".join(lines)


def _broken(shapes: str) -> str:
    """What a class takes and gives on lines of their own, each of them broken between tensors."""
    lines: list[str] = []
    for part in shapes.replace(" -> ", BELOW).split("\n"):
        lines.append("")
        for tensor in re.split(r"(?<=,) (?![^()]*\))", part):
            if lines[-1] and len(lines[-1]) + len(tensor) > WIDTH - 12:
                lines.append(f"    {tensor}")
            else:
                lines[-1] = f"{lines[-1]} {tensor}" if lines[-1] else tensor
    return "\n".join(lines)


def _initialiser(item: Class, lines: Sequence[str]) -> list[str]:
    """The lines of a constructor; a class of the user's own that keeps nothing has none."""
    return [
        f"    def __init__({_constructor_parameters(item)}) -> None:",
        "        super().__init__()",
        *(f"        {line}" for line in lines),
        "",
    ]


def _constructor_parameters(item: Class) -> str:
    definition = item.definition
    if item.shared is not None:
        return ", ".join(["self", *(f"{name}: {kind}" for name, kind in item.shared.parameters)])
    writer = Writer(str, lambda owner, role: owner)
    given = [
        f"{it.name}: {it.annotation}" + ("" if it.default is REQUIRED else f" = {writer.text(it.default)}")
        for it in definition.parameters
    ]
    return ", ".join(["self", *given])


def _parameters(item: Class) -> str:
    return ", ".join(["self", *(f"{name}: Tensor" for name in item.inputs.values())])


def _result(definition: Definition, is_model: bool) -> Any:
    """What `forward` returns; of a nested model or a block, all their tensors in a row."""
    return definition.result if is_model else replace(definition, structure=None).result


def _gives(definition: Definition, is_model: bool, known: Shapes) -> str:
    """What `forward` returns, in a docstring: `steer (n, 1), coll (n, 1)`."""
    specs = {spec.name: spec for spec in definition.outputs}
    result = _result(definition, is_model)
    kinds = {name: step for step in definition.steps for name in step.outputs}

    def leaf(var: Var) -> str:
        spec = specs[var.tensor]
        step = kinds.get(spec.tensor.name)
        text = known.text(spec)
        if len(specs) < 2 or step is None:
            return text
        if own := own_output(definition.parts.get(step.layer), step, var.tensor):
            return f"{own} {text}"
        name = spec.tensor.name
        of_layer = {it.kind for it in definition.steps if it.layer.removesuffix(".activation") == name}
        is_named = not any(is_automatic(name, kind) for kind in {step.kind, "Activation", *of_layer})
        return f"{identifier(spec.tensor.name)} {text}" if is_named else text

    if isinstance(result, tuple):
        return ", ".join(nest.described(it, leaf) for it in result)
    return nest.described(result, lambda var: known.text(specs[var.tensor]))


def _constructor(item: Class, is_model: bool) -> list[str]:
    """An assignment for every attribute, in the order of use; what does not train is frozen."""
    writer = Writer(lambda name: name, lambda owner, role: item.attributes[owner, role])
    lines = [f"{name} = {text}" for name, text in item.definition.locals]
    lines += [f"self.{name} = {text}" for name, text in item.definition.flags]
    held = list(owned(item.definition))
    names = {it.definition.name: it.name for it in item.parts.values() if it.definition.shapes}
    for key, node in held:
        if isinstance(node, State):
            lines.append(_state_line(item.attributes[key], node, key[0] in item.definition.frozen, writer))
            continue
        made = _named_as(node.module, names)
        if made.cls == "Model":
            made = replace(made, cls=item.parts[key[0]].name, args=item.parts[key[0]].values)
        lines.append(f"self.{item.attributes[key]} = {writer.constructor(made)}")
    return lines + frozen_lines(item, held, is_model)


def _named_as(made: Module, names: Mapping[str, str]) -> Module:
    """A module with blocks by the names of their classes, which others of the user's own may have taken."""
    args = tuple(_named_as(it, names) if isinstance(it, Module) else it for it in made.args)
    return replace(made, cls=names.get(made.cls, made.cls), args=args)


def _state_line(name: str, node: State, frozen: bool, writer: Writer) -> str:
    shape = ", ".join(map(writer.text, node.shape)) if node.shape else "()"
    dtype = node.load.dtype if isinstance(node.load, Fill) else whole_dtype(node.load)
    zeros = f"torch.zeros({shape}{'' if dtype == 'float32' else f', dtype=torch.{dtype}'})"
    if not node.trainable:
        return f"self.{name} = nn.Buffer({zeros})"
    return f"self.{name} = nn.Parameter({zeros}{', requires_grad=False' if frozen else ''})"


def _from_pretrained(name: str, sharded: bool) -> list[str]:
    head = [
        "@classmethod",
        f"def from_pretrained(cls, path: str | Path = WEIGHTS) -> {name}:",
        '    """Load the ported weights; in evaluation mode."""',
        "    model = cls()",
    ]
    if not sharded:
        return [*head, "    model.load_state_dict(load_file(path))", "    return model.eval()"]
    return [
        *head,
        '    index = json.loads(Path(path).read_text())["weight_map"]',
        "    for shard in sorted(set(index.values())):",
        "        model.load_state_dict(load_file(Path(path).with_name(shard)), strict=False)",
        "    return model.eval()",
    ]


def formatted(text: str) -> str:
    """The text as ruff formats it, at 100 columns."""
    command = ["ruff", "format", "--isolated", f"--line-length={WIDTH}", "-"]
    try:
        import ruff

        command[0] = ruff.find_ruff_bin()
        return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True).stdout
    except subprocess.CalledProcessError as error:
        raise TorchportError(f"the generated source does not parse: {error.stderr}\n{text}") from error
