"""A live model of a class of the user's own as a functional one: its `call`, run once on symbols.

`Model(Input(...), model.call(Input(...), training=None))` is a functional model that shares the layers, in
Keras 3 and in tf_keras. It stands for the model where running `call` with training=True and with
training=False gives the same graph; else something would be lost, and the model is refused with the reason.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from torchport.errors import Refusal, Refused
from torchport.read.groups import snake_case

#: What to do.
FUNCTIONAL = "build the same layers with the functional API, keras.Model(inputs, outputs), and convert that"
LAYER = f"make what is random a layer of Keras's, such as GaussianNoise; or {FUNCTIONAL}"
HAND_ON = (
    "call the same layers in both modes and hand `training` on, self.drop(x, training=training); or "
    f"{FUNCTIONAL}"
)
KINDS = ("Sequential", "Functional")


def functional(model: Any) -> Any:
    """The functional model of a live one: itself, where it is one. Raises Refused where there is none."""
    kind = class_of(model)
    if kind is not None and type(model).__module__ == kind.__module__:
        return model
    if kind is not None and not overrides(type(model), kind):
        return as_plain(model, kind)
    return traced(model)


def class_of(model: Any) -> Any:
    """Keras's own class of models that are described by their layers, if the model's is one."""
    return next(
        (it for it in type(model).__mro__ if it.__name__ in KINDS and package_of(it) is not None), None
    )


def package_of(cls: type) -> Any:
    """The package that Keras's own classes come from: keras, tf_keras; else None."""
    name = cls.__module__.split(".")[0]
    return sys.modules.get(name) if name in ("keras", "tf_keras", "tensorflow") else None


def package_behind(cls: type) -> Any:
    """The first Keras that one of a class's bases, or itself, belongs to; None where none does."""
    return next(filter(None, map(package_of, cls.__mro__)), None)


def keras_of(value: Any) -> Any:
    """The Keras that a layer, a model, a function of its own, or a module of the user's is made with.

    The first that is found among a value's classes, or in what a module has; keras, where there is none.
    """
    if isinstance(value, ModuleType):
        held = [
            it if isinstance(it, ModuleType) else getattr(it, "__module__", "") for it in vars(value).values()
        ]
        roots = {str(getattr(it, "__name__", it)).partition(".")[0] for it in held}
        return import_module("tf_keras" if "tf_keras" in roots else "keras")
    own = sys.modules.get(str(getattr(value, "__module__", "")).partition(".")[0])
    return package_behind(type(value)) or own or sys.modules["keras"]


def overrides(cls: type, kind: type) -> bool:
    """Whether a class changes what a model computes."""
    return any(getattr(cls, name) is not getattr(kind, name) for name in ("call", "__call__"))


def as_plain(model: Any, kind: Any) -> Any:
    """The same model as one of Keras's own class: what its class adds is about training."""
    name = name_of(model)
    if kind.__name__ == "Sequential":
        inputs = getattr(model, "inputs", None) or []
        shapes = [(tuple(it.shape), it.dtype) for it in inputs]
        start = [package_of(kind).Input(batch_shape=shape, dtype=dtype) for shape, dtype in shapes]
        return kind([*start, *model.layers], name=name)
    return kind(ends(model, "inputs"), ends(model, "outputs"), name=name)


def ends(model: Any, which: str) -> Any:
    """The inputs or outputs of a functional model, nested as they are."""
    names = (f"_{which}_struct", f"_nested_{which}", which)
    return next(found for name in names if (found := getattr(model, name, None)) is not None)


def name_of(model: Any) -> str:
    """A model's name; that of its class, where Keras made it of that."""
    own = type(model).__name__
    made = snake_case(own, "3")
    return own if re.fullmatch(rf"{re.escape(made)}(_\d+)?", str(model.name)) else str(model.name)


def traced(model: Any) -> Any:
    """The functional model that `call` gives, with training=None."""
    keras = package_behind(type(model))
    if keras is None:
        raise refused(model, "a model class of its own, not one of Keras's", FUNCTIONAL)
    start = inputs_of(model, keras)
    made, learning, inferring = (run(model, keras, start, training) for training in (None, True, False))
    for other in (learning, inferring):
        if (what := difference(made, other)) is None:
            continue
        if difference(made, run(model, keras, start, None)) is not None:
            raise refused(
                model, "its `call` gives another graph each time: random numbers, or a count", LAYER
            )
        why = f"its `call` is Python code that does something else in training: {what}"
        raise refused(model, why, HAND_ON)
    fixed = sorted(set(constants(learning, inferring))) if keras.__version__.startswith("3") else []
    if fixed:
        why = f"its `call` runs {', '.join(fixed)} in one mode, whatever the model's own mode is"
        raise refused(model, why, FUNCTIONAL)
    check_variables(model, made)
    return made


def refused(model: Any, why: str, advice: str) -> Refused:
    return Refused((Refusal(str(model.name), type(model).__name__, why, advice),))


def inputs_of(model: Any, keras: Any) -> Any:
    """Symbols of the shapes that a model was called with, nested as they were."""
    names = [
        it.name
        for it in inspect.signature(model.call).parameters.values()
        if it.default is it.empty
        and it.kind in (it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD)
        and it.name not in ("training", "mask")
    ]
    if len(names) > 1:
        why = f"its `call` takes {len(names)} arguments, {', '.join(names)}"
        raise refused(model, why, f"take them as one list or dictionary; or {FUNCTIONAL}")
    if class_of(model) is not None:
        return symbols(ends(model, "inputs"), names[0] if names else "x", keras)
    shapes = getattr(model, "_saved_model_inputs_spec", None)
    if shapes is None:
        built = getattr(model, "_build_shapes_dict", None) or {}
        shapes = next(iter(built.values()), None) if len(built) == 1 else None
    if shapes is None:
        shapes = getattr(model, "_build_input_shape", None)
    if shapes is None or not getattr(model, "built", False):
        advice = "call it once on data, model(x), and convert it then"
        raise refused(model, "its shapes are not known: it was never called", advice)
    return symbols(shapes, names[0] if names else "x", keras)


def symbols(shapes: Any, name: str, keras: Any) -> Any:
    """Inputs of these shapes, or TensorSpecs, called by their keys and places."""
    if isinstance(shapes, Mapping):
        return {key: symbols(it, str(key), keras) for key, it in shapes.items()}
    sizes = getattr(shapes, "shape", shapes)
    if not is_shape(sizes):
        return [symbols(it, f"{name}_{at}", keras) for at, it in enumerate(sizes)]
    dtype = getattr(shapes, "dtype", None)
    return keras.Input(tuple(sizes)[1:], name=name, dtype=getattr(dtype, "name", dtype))


def is_shape(value: Any) -> bool:
    """A shape, and not a list of some."""
    return hasattr(value, "as_list") or all(it is None or isinstance(it, int) for it in value)


def run(model: Any, keras: Any, start: Any, training: bool | None) -> Any:
    """The functional model of one mode, which layers are told as they are inside of the model's own call."""
    options = {"training": training} if "training" in inspect.signature(model.call).parameters else {}
    context = model._get_call_context() if hasattr(model, "_get_call_context") else None
    try:
        if context is not None:
            context.training = training
        made = keras.Model(start, model.call(start, **options), name=name_of(model))
        made.get_config()
    except Exception as error:  # the code is the user's: it may raise anything
        first = str(error).strip().split("\n")[0][:200]
        why = f"its `call` is Python code that cannot be run on symbols ({type(error).__name__}: {first})"
        raise refused(model, why, FUNCTIONAL) from error
    finally:
        if context is not None:
            model._maybe_reset_call_context()
    return made


Row = tuple[str, str, Any]


def described(model: Any) -> Iterator[Row]:
    """(layer, class, calls) of each layer, operations by their turn: those have another name in each run."""
    entries = model.get_config()["layers"]
    inside = {it.name for it in model.layers}
    names: dict[str, str] = {}
    for at, entry in enumerate(entries):
        name = entry.get("name", entry["config"].get("name"))
        is_layer = name in inside and "Op" not in str(entry["class_name"])
        names[name] = name if is_layer and "Input" not in str(entry["class_name"]) else f"#{at}"
    for entry in entries:
        name = names[entry.get("name", entry["config"].get("name"))]
        yield name, str(entry["class_name"]), plain(entry.get("inbound_nodes", []), names.get)
    yield "outputs", "", plain(model.get_config()["output_layers"], names.get)


def plain(value: Any, name: Callable[[str], str | None]) -> Any:
    """The calls of a layer with the layers by their names here, without the mode."""
    if isinstance(value, Mapping):
        return tuple(
            (str(key), plain(value[key], name)) for key in sorted(value) if key not in ("training", "name")
        )
    if isinstance(value, (list, tuple)):
        return tuple(plain(it, name) for it in value)
    if isinstance(value, str):
        return name(value) or value
    return repr(value)


def difference(one: Any, other: Any) -> str | None:
    """What two runs do not have in common; None if nothing."""
    ours, theirs = list(described(one)), list(described(other))
    if ours == theirs:
        return None
    for rows, others in ((ours, theirs), (theirs, ours)):
        there = {name for name, _, _ in others}
        for name, kind, _ in rows:
            if name not in there and not name.startswith("#"):
                return f"{name} ({kind}) is called in one mode only"
    for (_, kind, _), (_, theirs_kind, _) in zip(ours, theirs, strict=False):
        if kind != theirs_kind:
            return f"{kind} stands where {theirs_kind} does in the other mode"
    changed = [kind or name for (name, kind, a), (_, _, b) in zip(ours, theirs, strict=False) if a != b]
    return f"{changed[0] if changed else 'a layer'} is given something else"


def constants(learning: Any, inferring: Any) -> Iterator[str]:
    """The layers of Keras 3 that are called with the same `training` in both modes."""
    for ours, theirs in zip(learning.get_config()["layers"], inferring.get_config()["layers"], strict=True):
        for one, other in zip(ours["inbound_nodes"], theirs["inbound_nodes"], strict=True):
            flags = [it["kwargs"].get("training") for it in (one, other)]
            if flags[0] is not None and flags[0] == flags[1]:
                yield ours["config"]["name"]


def check_variables(model: Any, made: Any) -> None:
    """Raises Refused where a model has variables that are not those of its layers, or of layers left out.

    And where its `call` calls layers that are not its own: it does not train them.
    """
    own = {id(it) for it in model.trainable_variables}
    if any(id(it) not in own for it in made.trainable_variables):
        raise refused(
            model, "its `call` calls layers that are none of its own", "make them attributes of the class"
        )
    inside = {id(it) for it in made.weights}
    left = [str(getattr(it, "path", it.name)) for it in model.weights if id(it) not in inside]
    if left:
        why = f"its variables {', '.join(left[:3])} belong to no layer that its `call` calls"
        raise refused(
            model, why, f"put them into a layer, and leave out layers that are not used; or {FUNCTIONAL}"
        )
