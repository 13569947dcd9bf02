"""Functions of TensorFlow that are given no tensor: ranges, zeros, random draws, and numbers as tensors."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.source.buffers import tensor_text
from torchport.source.lines import atom
from torchport.source.observe import Seen, is_tensor
from torchport.source.sites import NotPorted
from torchport.source.values import Flow, Group, Items, Maker, Row, Shape, Size, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator

#: Functions of one number that `math` has too.
MATH = {"sqrt": "sqrt", "log": "log", "exp": "exp", "cos": "cos", "sin": "sin", "pow": "pow"}
#: Those of one number that an operator writes.
POWERS = {"square": 2}
#: What makes a tensor of a shape, by the function's name: the text, and its other arguments by name.
FILLED = {
    "zeros": ("torch.zeros({})", {}), "ones": ("torch.ones({})", {}),
    "random_uniform": ("torch.rand({})", {"minval": 0, "maxval": 1}),
    "random_normal": ("torch.randn({})", {"mean": 0, "stddev": 1}),
    "uniform": ("torch.rand({})", {"minval": 0, "maxval": 1}),
    "normal": ("torch.randn({})", {"mean": 0, "stddev": 1}),
}  # fmt: skip


#: What makes one of the shape of a tensor.
LIKE = {
    "torch.zeros({})": "torch.zeros_like", "torch.ones({})": "torch.ones_like",
    "torch.rand({})": "torch.rand_like", "torch.randn({})": "torch.randn_like",
}  # fmt: skip


def constant(at: Evaluator, node: ast.Call) -> Any:
    """What a call gives that is given no tensor; None for other calls."""
    seen = at.scope.seen(node)
    if not seen or not is_tensor(seen[0].result) or at.unit_of(seen[0].function) is not None:
        return None
    module = str(getattr(seen[0].function, "__module__", ""))
    if not module.startswith(("tensorflow", "keras", "tf_keras")) or isinstance(seen[0].function, type):
        return None
    name = getattr(seen[0].function, "__name__", "")
    is_like = f"torch.{name.removesuffix('_v2')}" in LIKE.values()
    if is_like and node.args and isinstance(flow := at.value(node.args[0]), Flow):
        return replace(flow, text=f"torch.{name.removesuffix('_v2')}({flow.text})", is_weight=False)
    known = (
        name in MATH
        or name in POWERS
        or name in FILLED
        or name in ("range", "arange", "cast", "constant", "convert_to_tensor")
    )
    if not known or hasattr(seen[0].function, "get_config"):
        return None
    names = [it for it in node.args if not isinstance(it, ast.Starred)]
    first = at.value(names[0]) if names else None
    if isinstance(first, Flow) or first is not None and is_number_of_tensor(first):
        return None
    rank = len(seen[0].result.shape)
    if name == "arange":
        return arange(at, node)
    if name in FILLED:
        return filled(at, node, name, rank, first)
    if name == "range":
        return arange(at, node)
    if rank == 0 and isinstance(first, (Static, Size)):
        return number(at, node, name, first)
    if name in ("constant", "convert_to_tensor", "cast") and isinstance(first, Static):
        return tensor(at, first, seen[0])
    return None


def tensor(at: Evaluator, value: Static, seen: Seen) -> Flow:
    """Nested lists, or an array, as a tensor."""
    result, given = seen.result, next(iter((*seen.args, *seen.kwargs.values())))
    is_float = "float" in str(getattr(result.dtype, "name", result.dtype))
    # fractions in lists are floats by themselves
    is_told = is_float and not (value.is_literal and np.asarray(given).dtype.kind == "f")
    sizes = tuple(map(str, result.shape)) if value.is_literal else ()
    text = tensor_text(value.text, is_told, "" if at.scope.in_init else device(at))
    return Flow(text, len(result.shape), sizes[-1] if sizes else None, is_weight=True, sizes=sizes)


def is_number_of_tensor(value: Any) -> bool:
    """Whether a value holds tensors."""
    return isinstance(value, Items) and any(isinstance(it, (Flow, Items)) for it in value.items)


def number(at: Evaluator, node: ast.Call, name: str, value: Static | Size) -> Any:
    """A number as a tensor is a number: `tf.cast(64, tf.float32)`, `tf.math.sqrt(64.0)`."""
    if name in POWERS and isinstance(value, Static):
        return Static(f"{atom(value.text)} ** {POWERS[name]}")
    if name not in MATH:
        return value
    others = [at.value(it) for it in node.args[1:]]
    if not all(isinstance(it, (Static, Size)) for it in others):
        return None
    if all(isinstance(it, Static) for it in (value, *others)):
        return Static(f"math.{MATH[name]}({', '.join(it.text for it in (value, *others))})")
    return Size(f"math.{MATH[name]}({', '.join(map(at.forward, (value, *others)))})")


def device(at: Evaluator) -> str:
    """Where what a function makes has to lie: where its first tensor does."""
    flows = [it for it in at.scope.env.values() if isinstance(it, Flow)]
    flow = next((it for it in flows if it.text.isidentifier()), None)
    if flow is None and at.scope.in_method:
        flow = next((it for it in flows if it.is_weight and it.text.startswith("self.")), None)
        if flow is None and any(isinstance(it, (Maker, Group, Row)) for it in at.scope.env.values()):
            return "device=next(self.parameters()).device"
    return f"device={flow.text}.device" if flow is not None else ""


def arange(at: Evaluator, node: ast.Call) -> Flow:
    given = [at.value(it) for it in node.args]
    named = {it.arg: at.value(it.value) for it in node.keywords if it.arg}
    named.pop("dtype", None)
    # what keras.ops has other names for
    named = {{"stop": "limit", "step": "delta"}.get(key, key): it for key, it in named.items()}
    if len(given) == 1 and "limit" not in named:
        given, named = [], {**named, "limit": given[0]}
    found = dict(zip(("start", "limit", "delta"), given, strict=False)) | named
    if "limit" not in found and "start" in found:
        found = {"limit": found["start"]}
    if not all(isinstance(it, (Static, Size)) for it in found.values()):
        raise NotPorted(node, "is a range that depends on a tensor")
    texts = {key: at.forward(it) for key, it in found.items()}
    if texts.get("delta") == "1":
        del texts["delta"]
    if texts.get("start") == "0" and "delta" not in texts:
        del texts["start"]
    order = [texts[it] for it in ("start", "limit", "delta") if it in texts]
    if "delta" in texts and "start" not in texts:
        order.insert(0, "0")
    return Flow(f"torch.arange({', '.join(filter(None, [*order, device(at)]))})", 1)


def filled(at: Evaluator, node: ast.Call, name: str, rank: int, first: Any) -> Flow:
    """A tensor of a shape that is written there."""
    text, defaults = FILLED[name]
    named = {it.arg: it.value for it in node.keywords if it.arg}
    shape = first if first is not None else at.value(named["shape"])
    order = [*defaults]
    others = dict(zip(order, node.args[1:], strict=False)) | {
        key: it for key, it in named.items() if key in order
    }
    for key, it in others.items():
        value = at.value(it)
        if (
            not isinstance(value, Static)
            or not value.is_literal
            or float(ast.literal_eval(value.text)) != defaults[key]
        ):
            raise NotPorted(it, f"is another {key} than {defaults[key]}", "scale what it gives")
    if isinstance(shape, Shape) and (like := LIKE.get(text)) is not None:
        of = shape.flow
        return Flow(f"{like}({of.text})", of.rank, of.channels, of.order)
    if isinstance(shape, Items):
        inside = ", ".join(map(at.forward, shape.items))
        last = shape.items[-1] if shape.items else None
        size = last.text if isinstance(last, Static) else last.known if isinstance(last, Size) else None
    elif isinstance(shape, (Static, Size)):
        inside, size = at.forward(shape), None
    else:
        raise NotPorted(node, "is of a shape that is not written there", "write the sizes one by one")
    return Flow(text.replace("{}", ", ".join(filter(None, [inside, device(at)]))), rank, size)


__all__ = ["constant"]
