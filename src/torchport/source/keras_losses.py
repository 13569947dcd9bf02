"""Losses of Keras that a function of the user's calls: `keras.losses.binary_crossentropy(y_true, y_pred)`.

Given the predictions themselves: in a function of tensors there is no layer before them that has logits.
Source: keras/src/losses/losses.py, keras/src/backend/tensorflow/nn.py; tf_keras/src/losses.py, backend.py.
"""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from torchport.axes import position
from torchport.names import unique
from torchport.read.subclass import keras_of
from torchport.source.lines import atom
from torchport.source.observe import Seen
from torchport.source.sites import NotPorted
from torchport.source.values import Flow, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator

#: Functions that are ported here, by what Keras calls them; the classes of the same losses.
FUNCTIONS = frozenset({"binary_crossentropy", "categorical_crossentropy"})
CLASSES = {
    "BinaryCrossentropy": "binary_crossentropy", "CategoricalCrossentropy": "categorical_crossentropy",
    "MeanSquaredError": "mean_squared_error", "MeanAbsoluteError": "mean_absolute_error",
}  # fmt: skip
#: How a loss object makes one number of its examples. Source: keras/src/losses/loss.py.
REDUCTIONS = {"sum_over_batch_size": ".mean()", "auto": ".mean()", "mean": ".mean()", "sum": ".sum()"}
NONE = {"none": "", "None": ""}


def loss_of(at: Evaluator, node: ast.Call, seen: list[Seen]) -> Flow | None:
    """What a call of a loss of Keras gives; None for other calls."""
    function = seen[0].function
    module = str(getattr(function, "__module__", "") or type(function).__module__)
    name = getattr(function, "__name__", "")
    kind, reduction = (name if name in FUNCTIONS else ""), ""
    options: dict[str, Any] = {}
    if kind == "" and type(function).__name__ in CLASSES:
        kind, module = CLASSES[type(function).__name__], type(function).__module__
        config = function.get_config()
        options = {key: config[key] for key in ("from_logits", "label_smoothing", "axis") if key in config}
        said = str(config.get("reduction", "auto"))
        if said not in REDUCTIONS | NONE:
            raise NotPorted(node, f"has the reduction {said}", "use sum_over_batch_size")
        reduction = (REDUCTIONS | NONE)[said]
    if not kind or module.split(".")[0] not in ("keras", "tf_keras"):
        return None
    args, kwargs = at.arguments(node)
    target = getattr(keras_of(at.scope.project.watched.module).losses, kind)
    names = list(inspect.signature(target).parameters)
    given = dict(zip(names, args, strict=False)) | kwargs
    options |= {key: it for key, it in given.items() if key not in names[:2]}
    true, predicted = (given.get(it) for it in names[:2])
    if not isinstance(true, Flow) or not isinstance(predicted, Flow) or true.rank != predicted.rank:
        return None
    return written(at, kind, true, predicted, options, reduction, node)


def written(
    at: Evaluator, kind: str, true: Flow, predicted: Flow, options: dict[str, Any], reduction: str,
    node: ast.Call,
) -> Flow:  # fmt: skip
    """A loss as text: over the last axis, and then as the object says."""
    values = {key: literal(it, node) for key, it in options.items()}
    if values.get("axis", -1) not in (-1, predicted.rank - 1) or values.get("label_smoothing", 0.0):
        raise NotPorted(node, "is a loss over another axis, or of smoothed labels", "write its formula")
    dim = position(predicted.rank - 1, predicted.rank, predicted.order)
    y, p = at.scope.ordered(true, predicted.order).text, predicted.text
    keras = keras_of(at.scope.project.watched.module)
    epsilon = keras.backend.epsilon()
    if kind.startswith("mean_"):
        text = f"({atom(p)} - {atom(y)}).{'square' if 'squared' in kind else 'abs'}().mean(dim={dim})"
    elif kind == "categorical_crossentropy":
        if values.get("from_logits"):
            text = f"-({atom(y)} * F.log_softmax({p}, dim={dim})).sum(dim={dim})"
        else:
            share = f"({atom(p)} / {atom(p)}.sum(dim={dim}, keepdim=True)).clamp({epsilon}, 1 - {epsilon})"
            text = f"-({atom(y)} * torch.log({share})).sum(dim={dim})"
    elif values.get("from_logits"):
        text = f'F.binary_cross_entropy_with_logits({p}, {y}, reduction="none").mean(dim={dim})'
    elif keras.__name__ == "tf_keras":
        own = unique("p", set(at.scope.env))
        at.scope.env[own] = Flow(own, 0)
        at.scope.do(f"{own} = {atom(p)}.clamp({epsilon}, 1 - {epsilon})")
        chances = (
            f"{atom(y)} * torch.log({own} + {epsilon}) + (1 - {atom(y)}) * torch.log(1 - {own} + {epsilon})"
        )
        text = f"-({chances}).mean(dim={dim})"
    else:
        inside = f"{atom(p)}.clamp({epsilon}, 1 - {epsilon})"
        text = f'F.binary_cross_entropy({inside}, {y}, reduction="none").mean(dim={dim})'
    rank = 0 if reduction else predicted.rank - 1
    return Flow(f"{atom(text) if reduction else text}{reduction}", rank)


def literal(value: Any, node: ast.Call) -> Any:
    """An option that is a literal."""
    if not isinstance(value, Static):
        return value
    if not value.is_literal:
        raise NotPorted(node, "has an option that is no literal", "write it there")
    return ast.literal_eval(value.text)
