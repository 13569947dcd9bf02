"""Rules of the user's own: a Python file, or a package with an entry point `torchport.rules`.

They are entered in the same table as ours, and may not replace any of them. A rule for `Scale` serves every
custom class of that name; one for `shop>Scale`, the name under which Keras registered it, that one alone.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from torchport.errors import TorchportError, Unsupported
from torchport.graph import Graph, Op, Ref, Shape
from torchport.names import identifier, short_name
from torchport.rules.refused import KERAS, REFUSED
from torchport.rules.refused_operations import REFUSED_OPERATIONS
from torchport.rules.table import IGNORED, TABLE, find

#: Source text of functions and classes that a port may need, by name.
HELPERS: dict[str, str] = {}
#: What each file of rules entered, and the text that did.
LOADED: dict[Path, tuple[bytes, tuple[str, ...], tuple[str, ...]]] = {}
GROUP = "torchport.rules"
#: Functions, and operations between layers.
NAMESPACES = ("activation:", "keras.", "tensorflow.", "tf.")
#: A value of a config that is longer is not shown.
LONGEST = 60


def helper(text: str) -> None:
    """Source text of functions and classes that stands in a port as it is, once, where a rule uses its name.

    It may use `torch`, `F`, `nn`, `Tensor` and `math`.
    """
    for node in ast.parse(text).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            raise TorchportError("a helper is a function or a class", advice=text[:LONGEST])
        if HELPERS.get(node.name, text) != text:
            raise TorchportError(f"there already is a helper {node.name}")
        HELPERS[node.name] = ast.get_source_segment(text, node) or ""


def load(path: str | Path) -> None:
    """Run a file of rules; once, unless it has changed. Raises TorchportError where it fails.

    What a failing file has entered is taken out again.
    """
    path = Path(path).resolve()
    try:
        text = path.read_bytes()
    except OSError as error:
        advice = "give a Python file with rules: docs/custom-layers.md has one"
        raise TorchportError(f"cannot be read ({error.strerror})", where=str(path), advice=advice) from error
    known = LOADED.pop(path, None)
    if known is not None:
        if known[0] == text:
            LOADED[path] = known
            return
        _forget(known[1], known[2])
    kinds, helpers = set(TABLE), set(HELPERS)
    try:
        _run(path)
    except Exception as error:  # the file is the user's: it may raise anything
        _forget(TABLE.keys() - kinds, HELPERS.keys() - helpers)
        if isinstance(error, TorchportError):
            raise TorchportError(error.what, where=str(path), advice=error.advice) from error
        what = f"fails with {type(error).__name__}: {error}"
        raise TorchportError(what, where=str(path), advice="correct the file of rules") from error
    LOADED[path] = (text, tuple(TABLE.keys() - kinds), tuple(HELPERS.keys() - helpers))


def _run(path: Path) -> None:
    name = f"torchport_rules_{identifier(path.stem)}_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TorchportError("is not a Python file", advice="its name should end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _forget(kinds: Any, helpers: Any) -> None:
    for kind in list(kinds):
        TABLE.pop(kind, None)
    for name in list(helpers):
        HELPERS.pop(name, None)


def plugins(graph: Graph) -> None:
    """Load the rules of installed packages, if the graph has a kind for which there is none yet."""
    if any(is_unknown(op.kind) for op in graph.ops):
        _plugins()
    for body in graph.bodies.values():
        plugins(body)


@cache
def _plugins() -> None:
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            point.load()
        except TorchportError:
            raise
        except Exception as error:  # somebody's package: it may raise anything
            where = f"{point.name} = {point.value}"
            what = f"the rules of an installed package fail with {type(error).__name__}: {error}"
            raise TorchportError(what, where=where, advice="update or uninstall it") from error


def is_unknown(kind: str) -> bool:
    """Whether this is somebody's own class, and nobody has a rule for it."""
    is_keras = kind in KERAS or kind == "Model" or kind.startswith(NAMESPACES)
    return not is_keras and find(kind) is None


def check(op: Op) -> None:
    """Raises Unsupported, and says what to do, where there is no rule for an op."""
    refused = REFUSED.get(op.kind) or REFUSED_OPERATIONS.get(op.kind.removeprefix("keras.ops."))
    if refused and op.kind not in TABLE:
        raise Unsupported(*refused)
    if not is_unknown(op.kind):
        return
    facts = [f"options {shown(op.config)}"] if shown(op.config) else []
    if op.stored:
        facts.append(f"weights {', '.join(f'{name} {shape}' for name, shape in weights_of(op).items())}")
    known = f" ({'; '.join(facts)})" if facts else ""
    raise Unsupported(
        f"a class of its own, {op.kind}, for which there is no rule{known}",
        "put these lines into my_rules.py, write what its `call` computes, and add --rules my_rules.py "
        f"(docs/custom-layers.md):\n\n{skeleton(op)}",
    )


def shown(config: Any) -> str:
    """The options of a layer that may matter to what it computes."""
    return ", ".join(f"{key}={_brief(value)}" for key, value in _options(config))


def _options(config: Any) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if key not in IGNORED:
            yield key, value


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def weights_of(op: Op) -> dict[str, Shape]:
    """A layer's weights by names that a rule can have: the file's where it has some."""
    found: dict[str, Shape] = {}
    for at, (key, weight) in enumerate(op.stored.items()):
        if key.isdigit():
            own = identifier(weight.name.rpartition("/")[2].partition(":")[0])
            name = own if own not in found and not weight.name.endswith(f"/{key}") else f"weight_{key}"
        else:
            path, _, number = key.rpartition("/")
            name = f"{path.removesuffix('vars')}weight_{number if number.isdigit() else at}"
        found[name] = weight.shape
    return found


def skeleton(op: Op) -> str:
    """A rule for a custom class, all but what it computes."""
    weights = weights_of(op)
    tensors = ["x" if isinstance(it, Ref) else "xs" for it in op.args]
    tensors = [f"{it}{at or ''}" for at, it in enumerate(tensors)]
    options = [key for key, _ in _options({**op.config, **op.kwargs}) if key.isidentifier()]
    head = ["wants=SOURCE"]
    if weights:
        entries = ", ".join(f"{name!r}: {shape!r}" for name, shape in weights.items())
        head.append(f"weights=lambda {', '.join(tensors)}: {{{entries}}}")
    arguments = ", ".join(f"{it}: Value" if it.startswith("x") and "s" not in it else it for it in tensors)
    if options:
        arguments += ", *, " + ", ".join(options)
    own = identifier(short_name(op.kind))
    lines = [
        "from torchport.rules import SOURCE, Load, State, Value, call, rule",
        "",
        f"@rule({short_name(op.kind)!r}, {', '.join(head)})",
        f"def {own.lower()}({arguments}):",
        f'    """What {own} computes, in PyTorch."""',
        *(f"    {_variable(key)} = {_state(key, shape)}" for key, shape in weights.items()),
        f"    return call('torch.your_function', {', '.join([*tensors, *map(_variable, weights)])})",
    ]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def _variable(name: str) -> str:
    return identifier(name.replace("/", "_"))


def _state(name: str, shape: Shape) -> str:
    axes = " ".join("abcdefghijklmnop"[: len(shape)])
    return f'State("{_variable(name)}", Load.of("{name}", "{axes} -> {axes}"), {shape!r})'
