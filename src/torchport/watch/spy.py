"""What a user's `call` does while it runs: the layers and functions that it calls, nested as they are called.

The functions are TensorFlow's and Keras's own under their public names; everything else that happens to
tensors is in TensorFlow's graph, which the run builds.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchport import scripts
from torchport.nest import leaves
from torchport.normalise.function_table import FUNCTIONS
from torchport.normalise.functions import short
from torchport.rules import find
from torchport.watch.parts import is_at_every_step, is_variable, variable_of

#: Modules of TensorFlow whose functions are seen, and what their names start with.
MODULES = ("math", "nn", "linalg", "image", "signal", "random", "bitwise", "compat.v1.image", "compat.v1")
#: Functions of which nothing is to be seen: what they are is told by the graph.
UNSEEN = frozenset({"convert_to_tensor", "identity", "constant", "zeros", "ones", "fill", "range", "eye"})
#: The name of the event of a loop over time: watch/loops.py.
LOOP = "loop"


@dataclass
class Event:
    """One call of a layer or a function.

    `target`: the layer; of a function itself, `name` its public name. `args`, `kwargs`: as it was called.
    `called`: the arguments that a layer's `call` got, masks and modes among them. `mode`: the mode that the
    layers around a layer are in. `first`, `last`: the numbers of the operations that it added to the graph.
    `where`: the user's line.
    """

    target: Any
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    is_layer: bool
    mode: Any = None
    result: Any = None
    called: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    inside: list[Event] = field(default_factory=list)
    first: int = 0
    last: int = 0
    where: str = ""
    #: The arguments of `call` that have a mask, by the masks' ids.
    masked: dict[int, Any] = field(default_factory=dict)
    #: What the author calls the tensors: names of variables of `call`, by the tensors' ids.
    names: dict[int, str] = field(default_factory=dict)


def is_loop(event: Event) -> bool:
    """Whether an event is a loop over time of Keras's: watch/loops.py."""
    return event.name == LOOP and not event.is_layer


@functools.cache
def is_theirs(filename: str) -> bool:
    """Whether a Python file is the user's: no package, none of ours."""
    file = Path(filename)
    ours = any(it in file.parents for it in scripts.NOT_THEIRS)
    return "site-packages" not in file.parts and not ours and not filename.startswith("<")


def line() -> str:
    """The user's line that is running: `layers.py:12`."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_theirs(frame.f_code.co_filename):
            return f"{scripts.shown(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@dataclass
class Spy:
    """Sees the calls of one run. `graph`: TensorFlow's; `is_open`: whether to look into a layer."""

    keras: Any
    graph: Any
    is_open: Callable[[Any], bool]
    root: Event = field(default_factory=lambda: Event(None, "", (), {}, False))
    stack: list[Event] = field(default_factory=list)
    #: Tensors that were given or made so far: one that a layer hands on gets an identity of its own.
    seen: dict[int, Any] = field(default_factory=dict)
    #: Numbers of Python by the names of the nodes that hold them.
    exact: dict[str, float] = field(default_factory=dict)
    #: Layers that add a loss, and where.
    losses: dict[str, str] = field(default_factory=dict)
    #: The calls that ran when something was raised.
    broken: list[Event] = field(default_factory=list)
    opened: list[bool] = field(default_factory=lambda: [True])

    def __post_init__(self) -> None:
        self.stack = [self.root]

    @property
    def count(self) -> int:
        return len(self.graph.get_operations())

    @contextmanager
    def entered(self, event: Event, is_open: bool) -> Iterator[None]:
        self.stack[-1].inside.append(event)
        self.stack.append(event)
        self.opened.append(is_open)
        event.first, event.where = self.count, line()
        try:
            yield
        except BaseException:
            self.broken = self.broken or list(self.stack)
            raise
        finally:
            event.last = self.count
            self.stack.pop()
            self.opened.pop()

    @contextmanager
    def watching(self, modules: list[types.ModuleType]) -> Iterator[None]:
        """Layers and functions are seen. `modules`: the user's, who may import functions by name."""
        base = self.keras.layers.Layer
        original = base.__call__
        replaced: list[tuple[dict[str, Any], str, Any]] = []
        wrapped: dict[int, Any] = {}
        for name, it in functions(self.keras).items():
            wrapped.setdefault(id(it), self.function(name, it))
        for module in (*api_modules(self.keras), *modules):
            space = vars(module)
            for name, value in list(space.items()):
                if id(value) in wrapped and isinstance(value, types.FunctionType):
                    replaced.append((space, name, value))
                    space[name] = wrapped[id(value)]

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return self.layer(original, layer, args, kwargs)

        from tensorflow.python.framework import constant_op

        make = constant_op.constant

        def constant(value: Any, *args: Any, **kwargs: Any) -> Any:
            made = make(value, *args, **kwargs)
            if isinstance(value, float) and hasattr(made, "graph") and made.dtype.is_floating:
                self.exact[made.op.name] = float(value)
            return made

        add = base.add_loss

        def add_loss(layer: Any, *args: Any, **kwargs: Any) -> None:
            if self.opened[-1]:
                self.losses[str(layer.name)] = line()

        base.__call__, base.add_loss, constant_op.constant = call, add_loss, constant
        try:
            with known_values():
                yield
        finally:
            base.__call__, base.add_loss, constant_op.constant = original, add, make
            for space, name, value in replaced:
                space[name] = value

    def function(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.opened[-1]:
                return original(*args, **kwargs)
            given, named = held((args, kwargs))
            event = Event(original, name, given, named, False)
            with self.entered(event, True):
                event.result = original(*args, **kwargs)
            return event.result

        return call

    def layer(self, original: Any, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.opened[-1]:
            return original(layer, *args, **kwargs)
        given, named = held((args, kwargs))
        event = Event(layer, str(layer.name), given, named, True, mode_around(self.keras))
        opened = self.is_open(layer)
        if opened:  # sizes go from layer to layer as the numbers that they are
            args, kwargs = mapped(read_variables((args, kwargs)), size_or_tensor)
            event.args, event.kwargs = held((args, kwargs))
        for tensor in leaves((args, kwargs)):
            self.seen[id(tensor)] = tensor
        if opened and is_at_every_step(layer):
            with self.entered(event, opened):
                event.result = self.own(applied(layer, *args, **kwargs))
            return event.result
        with self.entered(event, opened), self.spied(event, layer) if opened else nullcontext():
            event.result = self.own(original(layer, *args, **kwargs))
        if opened and len(self.stack) > 1:
            event.result = mapped(event.result, size_or_tensor)
        return event.result

    @contextmanager
    def spied(self, event: Event, layer: Any) -> Iterator[None]:
        """The arguments of the layer's `call` are kept."""
        own = layer.call

        @functools.wraps(own)
        def call(*args: Any, **kwargs: Any) -> Any:
            if event.called is None:
                args, kwargs = self.apart((args, kwargs), set())
                event.called = (args, dict(kwargs))
                for tensor in leaves((args, kwargs)):
                    self.seen[id(tensor)] = tensor
                    if (mask := getattr(tensor, "_keras_mask", None)) is not None:
                        event.masked[id(mask)] = tensor
                        self.keep(mask)
                with names_of(event, own):
                    return own(*args, **kwargs)
            return own(*args, **kwargs)

        had = "call" in vars(layer)
        object.__setattr__(layer, "call", call)
        try:
            yield
        finally:
            if had:
                object.__setattr__(layer, "call", own)
            else:
                object.__delattr__(layer, "call")

    def own(self, result: Any) -> Any:
        """The result of a layer, where it is a tensor that was there before as a tensor of its own."""
        return mapped(result, lambda value: self.fresh(value) if id(value) in self.seen else self.keep(value))

    def apart(self, arguments: Any, met: set[int]) -> Any:
        """Arguments of which each is a tensor of its own, where one was given twice."""

        def one(value: Any) -> Any:
            value = self.fresh(value) if id(value) in met else value
            met.add(id(value))
            return value

        return mapped(arguments, one)

    def keep(self, value: Any) -> Any:
        self.seen[id(value)] = value
        return value

    def fresh(self, value: Any) -> Any:
        """The same values as a tensor of its own, with the mask that Keras keeps with it."""
        import tensorflow as tf

        made = tf.raw_ops.Identity(input=value)
        if (mask := getattr(value, "_keras_mask", None)) is not None:
            made._keras_mask = mask
        return self.keep(made)


def applied(layer: Any, inputs: Any, mask: Any = None, training: Any = None) -> Any:
    """What TimeDistributed gives, its layer called once: x: (n, t, ...) -> (n * t, ...) -> (n, t, ...)."""
    import tensorflow as tf

    raw = tf.raw_ops
    sizes = raw.Shape(input=inputs)
    steps = raw.StridedSlice(input=sizes, begin=[0], end=[2], strides=[1])
    folded = raw.Reshape(tensor=inputs, shape=raw.ConcatV2(values=[[-1], behind(sizes, 2)], axis=0))
    folded.set_shape((None, *inputs.shape[2:]))
    result = layer.layer(folded, **({} if training is None else {"training": training}))
    if not hasattr(result, "shape"):
        raise TypeError("TimeDistributed around a layer that gives several tensors")
    shape = raw.ConcatV2(values=[steps, behind(raw.Shape(input=result), 1)], axis=0)
    unfolded = raw.Reshape(tensor=result, shape=shape)
    unfolded.set_shape((*inputs.shape[:2], *result.shape[1:]))
    return unfolded


def behind(sizes: Any, start: int) -> Any:
    """The sizes from an axis on."""
    import tensorflow as tf

    return tf.raw_ops.StridedSlice(input=sizes, begin=[start], end=[0], strides=[1], end_mask=1)


@contextmanager
def known_values() -> Iterator[None]:
    """Tensors of the graph whose value is known answer Python's `len`, `if` and `for`.

    AutoGraph, which Keras 2 runs `call` through, does the same: `(1,) * (len(tf.shape(x)) - 1)`.
    """
    from tensorflow.python.framework.tensor import Tensor
    from tensorflow.python.ops import cond as conditions

    own = {name: getattr(Tensor, name) for name in ("__len__", "__bool__", "__iter__")}

    def length(tensor: Any) -> int:
        size = tensor.shape[0] if tensor.shape.rank else None
        return own["__len__"](tensor) if size is None else int(size)

    def truth(tensor: Any) -> bool:
        found = known(tensor)
        return own["__bool__"](tensor) if found is None else bool(found)

    choose = conditions.cond

    def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = pred if isinstance(pred, bool) else known(pred) if isinstance(pred, Tensor) else None
        if found is None or true_fn is None or false_fn is None:
            return choose(pred, true_fn, false_fn, *args, **kwargs)
        return true_fn() if found else false_fn()

    def items(tensor: Any) -> Any:
        size = tensor.shape[0] if tensor.shape.rank else None
        return own["__iter__"](tensor) if size is None else iter([tensor[at] for at in range(size)])

    for name, change in (("__len__", length), ("__bool__", truth), ("__iter__", items)):
        setattr(Tensor, name, change)
    conditions.cond = cond
    try:
        yield
    finally:
        conditions.cond = choose
        for name, before in own.items():
            setattr(Tensor, name, before)


#: What is computed of sizes to decide by.
DECIDES: Mapping[str, Callable[..., Any]] = {
    "Less": operator.lt, "LessEqual": operator.le, "Greater": operator.gt, "GreaterEqual": operator.ge,
    "Equal": operator.eq, "NotEqual": operator.ne, "LogicalAnd": operator.and_, "LogicalOr": operator.or_,
    "LogicalNot": operator.not_, "AddV2": operator.add, "Sub": operator.sub, "Mul": operator.mul,
    "FloorMod": operator.mod, "FloorDiv": operator.floordiv, "Maximum": max, "Minimum": min,
}  # fmt: skip


def known(tensor: Any) -> Any:
    """The number that a tensor is in every run; of sizes of the model, and what is computed of them, too."""
    import tensorflow as tf

    found = tf.get_static_value(tensor)
    if tensor.shape.rank != 0 or found is not None:
        return found
    if isinstance(size := size_or_tensor(tensor), int):
        return size
    if tensor.op.type in ("Identity", "Cast") and not tensor.dtype.is_floating:
        return known(tensor.op.inputs[0])
    if tensor.op.type not in DECIDES:
        return None
    inside = [known(it) for it in tensor.op.inputs]
    return None if any(it is None for it in inside) else DECIDES[tensor.op.type](*inside)


def size_or_tensor(tensor: Any) -> Any:
    """The number that `tf.shape(x)[1]` is, where the shape says it; any other tensor as it is."""
    import tensorflow as tf

    op = getattr(tensor, "op", None)
    while op is not None and op.type == "Identity":
        op = op.inputs[0].op
    if op is None or op.type != "StridedSlice" or op.inputs[0].op.type != "Shape" or tensor.shape.rank:
        return tensor
    at = tf.get_static_value(op.inputs[1])
    shape = op.inputs[0].op.inputs[0].shape
    if at is None or shape.rank is None or shape[int(at[0])] is None:
        return tensor
    return int(shape[int(at[0])])


def read_variables(tree: Any) -> Any:
    """Nested arguments with the values of variables: what a layer is given is a tensor for it."""
    import tensorflow as tf

    if is_variable(tree):
        return tf.convert_to_tensor(variable_of(tree))
    if isinstance(tree, dict):
        return {key: read_variables(item) for key, item in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map(read_variables, tree))
    return tree


def held(arguments: Any) -> Any:
    """Arguments as they are now: a list or a dictionary may be changed once it was handed over."""
    return mapped(arguments, lambda tensor: tensor)


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """Nested arguments with each of their tensors changed."""
    import tensorflow as tf

    if isinstance(tree, tf.Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: mapped(item, change) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [mapped(item, change) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


@contextmanager
def names_of(event: Event, call: Any) -> Iterator[None]:
    """What the author calls each tensor of `call` is kept: the first variable that it is put into.

    The `call` of a layer in another one is followed by itself; the outer one goes on behind it.
    """
    import tensorflow as tf

    code = getattr(getattr(call, "__func__", call), "__code__", None)
    before = sys.gettrace()
    kept: list[Any] = []

    def look(frame: types.FrameType) -> None:
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, tf.Tensor) and id(value) not in event.names:
                event.names[id(value)] = name
                kept.append(value)

    def trace(frame: types.FrameType, kind: str, argument: Any) -> Any:
        if frame.f_code is not code:
            return None
        look(frame)
        return trace

    ours = before is None or getattr(before, "__qualname__", "") == trace.__qualname__
    if code is None or not is_theirs(code.co_filename) or not ours:  # a debugger's is left alone
        yield
        return
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def mode_around(keras: Any) -> Any:
    """What the layers that are running say of training; None where none does."""
    if keras.__version__.startswith("3"):
        from keras.src.backend.common import global_state

        return getattr(global_state.get_global_attribute("current_call_ctx"), "training", None)
    from tf_keras.src.engine import base_layer_utils

    return base_layer_utils.call_context().training


def functions(keras: Any) -> dict[str, Any]:
    """Public functions that our tables have, by name: `math.reduce_mean`, `keras.ops.mean`."""
    import tensorflow as tf

    found: dict[str, Any] = {}
    for module in ("", *MODULES):
        place: Any = tf
        for part in module.split(".") if module else ():
            place = getattr(place, part)
        for name, value in list(vars(place).items()):
            full = f"{module}.{name}" if module else name
            if not isinstance(value, types.FunctionType) or short(full) in UNSEEN:
                continue
            if short(full) in FUNCTIONS or find(f"tf.{full}") or short(full) in ("add_n", "einsum"):
                found.setdefault(full, value)
    if keras.__version__.startswith("3"):
        for name in ("normal", "uniform", "truncated_normal"):
            found[f"keras.random.{name}"] = getattr(keras.random, name)
        for place in (keras.ops, keras.ops.image):
            for name, value in vars(place).items():
                if isinstance(value, types.FunctionType) and name not in KERAS_UNSEEN:
                    found[f"keras.ops.{name}"] = value
    return found


#: Functions of keras.ops that make no operation of a tensor.
KERAS_UNSEEN = frozenset(
    "shape convert_to_tensor convert_to_numpy is_tensor cond while_loop fori_loop map scan associative_scan "
    "switch vectorized_map stop_gradient custom_gradient dtype zeros ones full arange eye linspace".split()
)


def api_modules(keras: Any) -> Iterator[types.ModuleType]:
    """Where public functions are looked up."""
    roots = (
        "tensorflow._api",
        "keras.ops",
        "keras.random",
        "keras.src.ops",
        "keras.src.random",
        "keras._tf_keras",
    )
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType) and (name == "tensorflow" or name.startswith(roots)):
            yield module
