"""What the user's code does under TensorFlow: what each place in it was given and gave, each time."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import operator
import sys
import time
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from torchport import scripts
from torchport.errors import TorchportError
from torchport.read.subclass import keras_of
from torchport.source.instrument import OPERATOR, SEEN, TURN, UNIT, VALUE, instrumented
from torchport.source.sites import Site, SourceFile
from torchport.watch.frameworks import fresh_names

#: For how long a call with arguments that nobody asked for may run at least, in seconds.
SECONDS = 20.0
#: After how many such calls of one function that did not end no more are tried.
STOPPED = 2


@dataclass(frozen=True)
class Seen:
    """One evaluation of an expression: of a call, what was called with what; what it gave."""

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    #: Whether the arguments of the run were other ones than those that were asked for.
    is_varied: bool = False
    #: The number of the call of the user's function that it was in; 0: of none.
    owner: int = 0


@dataclass(frozen=True)
class UnitCall:
    """One call of a function or method of the user's: `arguments` by name, defaults among them."""

    name: str
    arguments: Mapping[str, Any]
    result: Any
    number: int = 0


class Endless(BaseException):
    """A run that nobody asked for takes too long. No `except Exception` of the user's takes it."""


@dataclass
class Recorder:
    """All that was seen; `order` is the layers that were called, each once, in the order of first calls."""

    sites: dict[Site, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    units: dict[str, list[UnitCall]] = field(default_factory=lambda: defaultdict(list))
    #: All calls in the order in which they began; those that raised have none.
    calls: list[tuple[Site, Seen | None]] = field(default_factory=list)
    #: Calls of methods of the user's classes, in the order in which they began: the name, the object.
    entered: list[tuple[str, Any]] = field(default_factory=list)
    #: By the identity of an object, from which to which of the calls its `call` went, the first time.
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: The numbers of the calls of the user's functions that have begun and not ended; how many there were.
    open: list[int] = field(default_factory=lambda: [0])
    count: int = 0
    is_on: bool = True
    is_varied: bool = False
    #: When a run that nobody asked for is stopped, by the clock `monotonic`. None: whenever it ends.
    deadline: float | None = None
    #: The arguments of runs that were stopped, by the function that was called.
    stopped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """The user's code is stopped after so long: at a call, or at a turn of a loop. Raises Endless."""
        self.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self.deadline = None

    def is_endless(self, name: str) -> bool:
        """Whether no more other arguments are tried."""
        return len(self.stopped.get(name, ())) >= STOPPED

    def turn(self) -> bool:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Endless
        return True

    def seen(self, key: Site, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.turn()
        if not self.is_on:
            return function(*args, **kwargs)
        # calls inside of this one come behind it
        at = len(self.calls)
        self.calls.append((key, None))
        result = function(*args, **kwargs)
        found = Seen(function, args, kwargs, held(result), self.is_varied, self.open[-1])
        self.sites[key].append(replace_lists(found))
        self.calls[at] = key, found
        return result

    def value(self, key: Site, result: Any) -> Any:
        if self.is_on:
            self.sites[key].append(Seen(None, (), {}, held(result), self.is_varied, self.open[-1]))
        return result

    def operator(self, key: Site, name: str, left: Any, right: Any) -> Any:
        """An operator between two values, an index among them."""
        function = getattr(operator, name)
        result = function(left, right)
        if self.is_on:
            given = (held(left), right)
            self.sites[key].append(Seen(function, given, {}, held(result), self.is_varied, self.open[-1]))
        return result

    def unit(self, name: str) -> Callable[[Callable[..., Any]], Any]:
        def entered(function: Callable[..., Any]) -> Any:
            if not isinstance(function, types.FunctionType) or name.endswith(".build"):
                # Keras wraps `build` itself, and then counts its parameters
                return function
            signature = inspect.signature(function)

            @functools.wraps(function)
            def called(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                given = {key: held(it) for key, it in bound.arguments.items()}
                is_method, start = self.is_on and "self" in given, len(self.calls)
                if is_method:
                    self.entered.append((name, given["self"]))
                self.count += 1
                number = self.count
                self.open.append(number)
                try:
                    result = function(*args, **kwargs)
                finally:
                    self.open.pop()
                if is_method and name.endswith(".call"):
                    self.spans.setdefault(id(given["self"]), (start, len(self.calls)))
                if self.is_on:
                    self.units[name].append(UnitCall(name, given, held(result), number))
                return result

            # Keras looks at signatures without following what wraps a function
            called.__signature__ = signature  # type: ignore[attr-defined]
            return called

        return entered


def whole(function: Any) -> Any:
    """What a partial function calls in the end."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def held(value: Any) -> Any:
    """Lists as they are now: they may grow."""
    return list(value) if type(value) is list else value


def replace_lists(found: Seen) -> Seen:
    kwargs = {key: held(it) for key, it in found.kwargs.items()}
    return replace(found, args=tuple(map(held, found.args)), kwargs=kwargs)


@dataclass
class Watched:
    """The user's module, run, and what its functions were seen doing."""

    source: SourceFile
    module: types.ModuleType
    recorder: Recorder
    #: Names that statements were not run for, and why.
    missing: dict[str, str]
    #: How long the longest of the author's own calls took.
    took: float = 0.0

    @property
    def patience(self) -> float:
        """For how many seconds a call with other arguments may run."""
        return max(SECONDS, 10 * self.took)

    def evaluate(self, call: str) -> Any:
        """What an expression gives in the user's module. Raises TorchportError for what it raises."""
        start = time.monotonic()
        with scripts.blame(self.source.path), as_it_is(), fresh_names(keras_of(self.module)):
            try:
                return eval(compile(call, "<call>", "eval"), vars(self.module))
            except NameError as error:
                why = next((it for name, it in self.missing.items() if name in str(error)), "")
                advice = f"{why}; give a --call that says it" if why else "give a --call that does without it"
                raise TorchportError(f"{call}: {error}", where=str(self.source.path), advice=advice) from None
            finally:
                self.took = max(self.took, time.monotonic() - start)

    def attempt(self, function: Callable[[], Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Runs what nobody asked for: the source may refuse it. What does not end is noted by `name`."""
        with as_it_is(), fresh_names(keras_of(self.module)):
            try:
                with self.recorder.limited(self.patience):
                    function()
            except Endless:
                self.recorder.stopped[name].append(told(arguments))
            except scripts.RAISED:  # arguments of our own
                return


def watch(source: SourceFile) -> Watched:
    """The user's module: its imports, definitions and constants are run, its scripts are not."""
    name = f"torchport_source_{source.path.stem}"
    module = types.ModuleType(name)
    module.__file__ = str(source.path.resolve())
    sys.modules[name] = module
    recorder = Recorder()
    space = vars(module)
    space.update(
        {
            SEEN: recorder.seen,
            VALUE: recorder.value,
            UNIT: recorder.unit,
            OPERATOR: recorder.operator,
            TURN: recorder.turn,
        }
    )
    missing: dict[str, str] = {}
    with scripts.beside(source.path), scripts.blame(source.path), as_it_is():
        for node in instrumented(source).body:
            if not is_definition(node, space):
                missing |= dict.fromkeys(names_of(node), f"line {node.lineno} is not run")
                continue
            try:
                exec(compile(ast.Module([node], []), str(source.path.resolve()), "exec"), space)
            except NameError as error:
                if (why := missing.get(str(error.name))) is None:
                    raise
                # it needs what a script made: it is missing too, and the rest of the file may do without
                missing |= dict.fromkeys(names_of(node), why)
    return Watched(source, module, recorder, missing)


def names_of(node: ast.stmt) -> set[str]:
    """The names that a statement gives something to."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    stored = (it for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store))
    return {it.id for it in stored}


def is_definition(node: ast.stmt, space: Mapping[str, Any]) -> bool:
    """Whether a statement of a file is part of what its functions need: no script, nothing that is loaded."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    calls = (it for it in ast.walk(node.value) if isinstance(it, ast.Call))
    if not all(is_plain(it, space) for it in calls):
        return False
    read = {it.id for it in ast.walk(node.value) if isinstance(it, ast.Name)}
    return all(it in space or hasattr(builtins, it) or it in PLAIN for it in read)


def is_plain(node: ast.Call, space: Mapping[str, Any]) -> bool:
    """Whether a call makes a constant: by Python's own functions, by NumPy's or Keras's, or is of settings.

    `keras.initializers.RandomNormal(0.0, 0.02)`, `np.sqrt(2)`, `Config()`, `partial(Conv2D, padding="same")`;
    never what reads or trains.
    """
    if ast.unparse(node.func) in ("partial", "functools.partial"):
        return True
    if isinstance(node.func, ast.Name):
        own = space.get(node.func.id)
        is_settings = (
            isinstance(own, type) and own.__bases__ == (object,) and not (node.args or node.keywords)
        )
        return node.func.id in PLAIN or is_settings
    path = ast.unparse(node.func).split(".")
    return any(it in MAKERS for it in path[:-1]) or path[0] in ("np", "numpy", "math") and path[-1] in NUMBERS


#: Modules of Keras whose classes make constants, and functions of NumPy that do.
MAKERS = frozenset({"initializers", "regularizers", "constraints", "activations", "losses"})
NUMBERS = frozenset({"sqrt", "log", "log2", "exp", "ceil", "floor", "prod", "array", "linspace", "arange"})
#: Functions that a constant may be made with.
PLAIN = frozenset({"dict", "list", "tuple", "range", "len", "int", "float", "max", "min", "sum", "set"})


@contextmanager
def as_it_is() -> Iterator[None]:
    """The user's code runs as Python: TensorFlow does not rewrite it."""
    from tensorflow.python.autograph.core.ag_ctx import ControlStatusCtx, Status

    with ControlStatusCtx(Status.DISABLED), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def told(arguments: Mapping[str, Any]) -> str:
    """Arguments as a person reads them; tensors are left out."""
    return ", ".join(f"{name}={it!r}" for name, it in arguments.items() if not is_tensor(it))


def is_symbol(tensor: Any) -> bool:
    """Whether a tensor is one of a model that is being built."""
    return type(tensor).__name__ == "KerasTensor"


def builds_models(calls: Iterable[UnitCall]) -> bool:
    """Whether calls were given, or gave, tensors of a model that is being built."""
    return any(is_symbol(it) for call in calls for it in tensors((call.arguments, call.result)))


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor: Keras's symbol, or TensorFlow's."""
    if is_symbol(value):
        return True
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and type(value).__module__.startswith("tensorflow")
    )


def is_scalar(value: Any) -> bool:
    """Whether a value is one whole number that TensorFlow computes."""
    return (
        is_tensor(value) and value.shape.rank == 0 and value.dtype.is_integer
        if hasattr(getattr(value, "shape", None), "rank")
        else False
    )


def tensors(value: Any) -> Iterator[Any]:
    """The tensors in a value, in the order of its lists."""
    if is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        for it in value.values():
            yield from tensors(it)
    elif isinstance(value, (list, tuple)):
        for it in value:
            yield from tensors(it)
