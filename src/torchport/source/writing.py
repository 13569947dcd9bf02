"""The text of a unit: its class or function, of the lines that its stage gave."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torchport.source.activations import argument_text
from torchport.source.lines import INDENT, Line, named, prune, reads, with_elif
from torchport.source.module import names_in
from torchport.source.observe import is_scalar
from torchport.source.sites import NotPorted
from torchport.source.stage import Stage
from torchport.source.unit import Parameter, Unit, class_name
from torchport.source.values import Items

if TYPE_CHECKING:
    from torchport.source.project import Project


#: Annotations that mean the same in a port.
PLAIN = frozenset({"nn.Module", "nn.Module | None", "int", "float", "bool", "str", "tuple", "list", "dict"})


def declared(it: Parameter, values: Sequence[Any] = ()) -> str:
    """A parameter as text. `values`: what it was given, which says its type where the source does not."""
    annotation = it.annotation if it.annotation.partition("[")[0] in PLAIN else type_of(values)
    text = f"{it.name}: {annotation}" if annotation else it.name
    if it.default is None:
        return text
    return f"{text} = {it.default}" if annotation else f"{text}={it.default}"


def type_of(values: Sequence[Any]) -> str:
    """The type of all these values; empty where it is no plain one."""
    kinds = {int if is_scalar(it) else type(it) for it in values}
    optional = " | None" if kinds and type(None) in kinds else ""
    kinds -= {type(None)}
    if kinds and kinds <= {list, tuple}:
        entries = {type_of([one]) for it in values if it is not None for one in it}
        inside = entries.pop() if len(entries) == 1 and "" not in entries else ""
        found = f"Sequence[{inside}]" if inside else "Sequence"
        found = f"tuple[{inside}, ...]" if inside and kinds == {tuple} else found
    elif kinds == {int, float}:
        found = "float"
    else:
        found = next(iter(kinds)).__name__ if len(kinds) == 1 and kinds <= {int, float, bool, str} else ""
    return f"{found}{optional}" if found else ""


def finished(
    project: Project,
    node: ast.FunctionDef | ast.ClassDef,
    stage: Stage,
    known: tuple[Parameter, ...],
    kind: str,
) -> Unit:
    """The unit that a walk through a function or class gave."""
    scope = stage.scope
    if stage.result is None:
        raise NotPorted(node, "returns no tensor")
    results = tuple(stage.result.items) if isinstance(stage.result, Items) else (stage.result,)
    unused = {id(it) for it in scope.waiting.values()}
    init = [it for it in scope.init if id(it) not in unused]
    asked = {name for it in results if it.channels for name in reads(it.channels)}
    own = {it.channels for it in stage.inputs if it.channels} | {it.name for it in known}
    own |= {size for it in stage.inputs for size in it.extents.values()}
    exposes = kind in ("block", "layer", "factory") and bool(asked - own - set(vars(project.watched.module)))
    if exposes:
        init = prune(init, {*asked, *scope.kept})
        text = [str(it.channels) for it in results]
        sizes_of = text[0] if len(text) == 1 else f"({', '.join(text)})"
        init.append(Line(0, f"self.out_channels = {sizes_of}"))
    init = prune(init, scope.kept)
    init, scope.forward = with_elif(init), with_elif(prune(scope.forward, ()))
    read = {name for it in init for name in reads(it.text)} | set(scope.kept)
    flowing = {name for it in scope.forward for name in reads(it.text)}
    flowing |= {name for method in scope.methods.values() for it in method.lines for name in reads(it)}
    if kind == "function":
        read |= flowing
    sizes = tuple(size for it in stage.inputs for size in (*it.extents.values(), it.channels) if size in read)
    sizes = sizes if kind != "function" else ()
    parameters = tuple(it for it in known if it.name in read or it.name in own and it.name in flowing)
    if half := [it.name for it in parameters if it.name in scope.fixed]:
        why = f"{half[0]} is a number in one place that only some values of it are right for"
        raise NotPorted(node, why, f"leave {half[0]} out, or give each use an argument of its own")
    if kind != "function":
        init = [*guards(project, stage, node.name, parameters), *init]
    others = [it for it in project.source.definitions() if it is not node]
    taken = [it.name if isinstance(it, ast.ClassDef) else class_name(it.name) for it in others]
    is_named = kind == "function" or isinstance(node, ast.ClassDef)
    cls = node.name if is_named else class_name(node.name, taken)
    made = Unit(
        node.name, cls, kind,
        tuple(stage.inputs), parameters, known, sizes, results, isinstance(stage.result, Items), exposes,
        applied=scope.applied, rows=scope.rows, chains=frozenset(scope.chains),
        modules=scope.modules, keys=stage.keys,
        dropped=tuple(it.name for it in known if it not in parameters), weights=tuple(scope.weights),
        fixed=tuple(sorted(scope.fixed)), notes=scope.notes, line=node.lineno,
    )  # fmt: skip
    made.parameters = tuple(with_module(project, made, it) for it in made.parameters)
    # proofs compute in float64, see port_run.in_doubles
    made.text = text_of(made, node, stage, init).replace(".to(torch.get_default_dtype())", ".float()")
    for name in names_in(made.text):
        module = getattr(project.watched.module, name, None)
        root = str(getattr(module, "__name__", "")).partition(".")[0]
        if isinstance(module, ModuleType) and root in ("tensorflow", "keras", "tf_keras"):
            raise NotPorted(node, f"needs {name} where the model is built", f"give it what {name} makes")
    return made


def guards(project: Project, stage: Stage, name: str, parameters: Sequence[Parameter]) -> list[Line]:
    """Lines that refuse a text which no call gave, where what is written for it is right for those alone."""
    lines = []
    for it in parameters:
        if it.name in stage.scope.texts and it.name not in stage.scope.modules:
            values = list(dict.fromkeys(project.arguments_of(name)[it.name]))
            test = f"not in {tuple(values)!r}" if len(values) > 1 else f"!= {values[0]!r}"
            lines.append(Line(0, f"if {it.name} {test}:"))
            lines.append(Line(1, f"raise NotImplementedError({it.name})"))
    return lines


def with_module(project: Project, unit: Unit, it: Parameter) -> Parameter:
    """A parameter that is an activation: a module, its default too."""
    if it.name not in unit.modules:
        return it
    values = project.arguments_of(unit.name)[it.name]
    annotation = "nn.Module | None" if any(one is None for one in values) else "nn.Module"
    if it.default is None:
        return replace(it, annotation=annotation)
    target = getattr(project.watched.module, unit.name)
    default = inspect.signature(target).parameters[it.name].default
    text = argument_text(unit.modules[it.name], default)
    return replace(it, annotation=annotation, default=text)


def text_of(unit: Unit, node: ast.FunctionDef | ast.ClassDef, stage: Stage, init: list[Any]) -> str:
    """The source of a unit."""
    scope = stage.scope
    given = scope.project.arguments_of(unit.name)
    attributes = {name for it in init for name in attributes_in(it.text)}
    names = scope.names.settled({*attributes, *scope.kept})
    docstring = doc(node)
    result = "Tensor" if not unit.is_tuple else f"tuple[{', '.join(['Tensor'] * len(unit.results))}]"
    inputs = ", ".join(
        f"{name}: {'list[Tensor]' if isinstance(it, list) else 'Tensor'}"
        for name, it in unit.grouped([""] * len(unit.inputs)).items()
    )
    if unit.kind == "function":
        taken = ", ".join(
            filter(None, [inputs, *(declared(it, given.get(it.name, ())) for it in unit.parameters)])
        )
        lines = [f"def {unit.cls}({taken}) -> {result}:", *indented(docstring, 1)]
        lines += [INDENT + str(it) if it.text else "" for it in scope.forward]
        return named("\n".join(lines), names)
    defaults = {it.channels: it.default for it in unit.inputs}
    sizes = [f"{it}: int" + (f" = {defaults[it]}" if defaults.get(it) else "") for it in unit.sizes]
    plain = [declared(it, given.get(it.name, ())) for it in unit.parameters]
    given_first = [it for it in sizes if "=" not in it] + [it for it in plain if "=" not in it]
    given_last = [it for it in sizes if "=" in it] + [it for it in plain if "=" in it]
    lines = [f"class {unit.cls}(nn.Module):", *indented(docstring, 1)]
    if docstring:
        lines.append("")
    if init or given_first or given_last or scope.kept:
        lines += [
            f"{INDENT}def __init__({', '.join(['self', *given_first, *given_last])}) -> None:",
            f"{INDENT * 2}super().__init__()",
        ]
        own = ({it.name for it in unit.parameters} | set(unit.sizes)) - scope.changed
        lines += [f"{INDENT * 2}self.{it} = {it}" for it in scope.kept if it in own]
        lines += [INDENT * 2 + str(it) if it.text else "" for it in init]
        lines += [f"{INDENT * 2}self.{it} = {it}" for it in scope.kept if it not in own]
        lines.append("")
    forward = [f"{INDENT}def forward(self, {inputs}) -> {result}:"]
    forward += [INDENT * 2 + str(it) if it.text else "" for it in scope.forward]
    bodies = {name: [INDENT + it if it else "" for it in held.lines] for name, held in scope.methods.items()}
    bodies["call"] = forward
    inside = [it.name for it in node.body if isinstance(it, ast.FunctionDef) and it.name in bodies]
    lines += "\n\n".join("\n".join(bodies[it]) for it in inside or ["call"]).split("\n")
    return named("\n".join(lines), names)


def attributes_in(text: str) -> set[str]:
    import re

    # None stands for a layer that is not made
    return set() if text.endswith(" = None") else set(re.findall(r"\bself\.([A-Za-z]\w*) =", text))


def doc(node: ast.FunctionDef | ast.ClassDef) -> str:
    found = ast.get_docstring(node)
    if not found:
        return ""
    return f'"""{found}"""' if "\n" not in found else f'"""{found}\n"""'


def indented(text: str, depth: int) -> list[str]:
    return [INDENT * depth + it if it else "" for it in text.splitlines()]
