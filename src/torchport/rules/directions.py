"""Bidirectional around ConvLSTM: a module for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Apply, Load, call, rewrite
from torchport.rules.cells import serialized
from torchport.rules.recurrent import check, initial
from torchport.rules.table import Rule, Value, Wants, apply, rule, rule_for
from torchport.rules.wrappers import merged, outputs_of


@dataclass(frozen=True)
class Direction:
    """One of the two layers: its rule, its options, and where its weights are."""

    rule: Rule
    options: Mapping[str, Any]
    role: str

    def weights(self, *args: Any) -> dict[str, Shape]:
        """Names and shapes of its weights, by their place in the wrapper."""
        assert self.rule.weights
        found = apply(self.rule.weights, args, self.options)
        return {f"{self.role}_layer/{name}": shape for name, shape in found.items()}

    def write(self, *args: Any) -> tuple[Any, ...]:
        """What it gives, in its own order of time: the output, and its states where it returns them."""

        def placed(node: Any) -> Any:
            if not isinstance(node, Apply):
                return node
            loads = {
                key: replace(it, weight=f"{self.role}_layer/{it.weight}") if isinstance(it, Load) else it
                for key, it in node.module.loads.items()
            }
            return replace(node, module=replace(node.module, loads=loads, role=self.role))

        result = rewrite(apply(self.rule.write, args, self.options), placed)
        return result if isinstance(result, tuple) else (result,)


def directions(layer: Any, backward_layer: Any) -> tuple[Direction, Direction]:
    """The forward and the backward layer; Keras makes the second of the first where none is given."""
    forward = direction(layer, "layer", "forward")
    if backward_layer is None:
        turned = {**forward.options, "go_backwards": True}
        backward = replace(forward, options=turned, role="backward")
    else:
        backward = direction(backward_layer, "backward_layer", "backward")
    if forward.options["go_backwards"] or not backward.options["go_backwards"]:
        raise Unsupported("a forward layer with go_backwards=True", "swap the two layers")
    return forward, backward


def direction(entry: Any, what: str, role: str) -> Direction:
    kind, config = serialized(entry, what)
    options = rule_for(kind).accept(config)
    check(options["stateful"], "in both directions")
    return Direction(rule_for(kind), options, role)


def wanted(x: Tensor, *states: Any, layer: Any) -> Wants:
    inner = direction(layer, "layer", "forward")
    assert callable(inner.rule.wants)
    return apply(inner.rule.wants, [x], inner.options)  # type: ignore[no-any-return]


def both_shape(x: Tensor, *states: Any, layer: Any, backward_layer: Any, merge_mode: str | None) -> Any:
    shapes = []
    for it in directions(layer, backward_layer):
        assert it.rule.shape
        found = apply(it.rule.shape, [x], it.options)
        shapes.append(found if isinstance(found, list) else [found])
    outputs = outputs_of([shape[0] for shape in shapes], merge_mode)
    return [*outputs, *(it for shape in shapes for it in shape[1:])]


def both_weights(x: Tensor, *states: Any, layer: Any, backward_layer: Any) -> Mapping[str, Shape]:
    forward, backward = directions(layer, backward_layer)
    return {**forward.weights(x), **backward.weights(x)}


@rule("both:ConvLSTM", wants=wanted, shape=both_shape, weights=both_weights)
def both_conv_lstm(
    x: Value, *states: Any, out: Any, layer: Any, backward_layer: Any = None,
    merge_mode: str | None = "concat", initial_state: Any = None,
) -> Any:  # fmt: skip
    """Each direction in its module; what goes backwards is turned round, and both are merged.

    Source: keras/src/layers/rnn/bidirectional.py, call: outputs are laid end to end along the last axis,
    whichever that is.
    """
    pair = directions(layer, backward_layer)
    start = initial(states, initial_state)
    half = len(start) // 2
    found = [it.write(x, *given) for it, given in zip(pair, (start[:half], start[half:]), strict=True)]
    first = out[0] if isinstance(out, list) else out
    outputs = [it[0] for it in found]
    if pair[0].options["return_sequences"]:
        outputs[1] = call(".flip", outputs[1], first.dim(1))
    ends = [it for result in found for it in result[1:]]
    result = (*merged(outputs, merge_mode, first.dim(-1)), *ends)
    return result if len(result) > 1 else result[0]
