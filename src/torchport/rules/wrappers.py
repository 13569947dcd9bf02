"""Layers around layers: Bidirectional, TimeDistributed, SpectralNormalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Apply, Item, Load, call, module, rewrite
from torchport.rules.cells import Cell, cells_of, serialized
from torchport.rules.facts import RECURRENT, Gives, Masks, Reads, Training
from torchport.rules.recurrent import (
    as_mask,
    check,
    initial,
    layer_products,
    layer_shape,
    layer_weights,
    run,
    zeroed,
)
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Bound, Value, Wants, rule, rule_for
from torchport.rules.window import Reading, Whole

DIRECTIONS = ("LSTM", "GRU", "SimpleRNN", "RNN", "CuDNNLSTM", "CuDNNGRU")


@dataclass(frozen=True)
class Direction:
    """One of the two layers: its cells and what it returns."""

    cells: tuple[Cell, ...]
    backwards: bool
    return_sequences: bool
    return_state: bool

    def like(self) -> tuple[Cell, ...]:
        """Its cells whatever their weights are called."""
        return tuple(replace(cell, prefix="") for cell in self.cells)


def directions(layer: Any, backward_layer: Any) -> tuple[Direction, Direction]:
    """The forward and the backward layer; Keras makes the second of the first where none is given."""
    forward = direction(layer, "layer", "forward_layer/")
    if backward_layer is None:
        cells = direction(layer, "layer", "backward_layer/").cells
        backward = replace(forward, cells=cells, backwards=True)
    else:
        backward = direction(backward_layer, "backward_layer", "backward_layer/")
    if forward.backwards or not backward.backwards:
        raise Unsupported("a forward layer with go_backwards=True", "swap the two layers")
    return forward, backward


def direction(entry: Any, what: str, prefix: str) -> Direction:
    kind, config = serialized(entry, what)
    if kind not in DIRECTIONS:
        raise Unsupported(f"{what}={kind} is not ported", f"{', '.join(DIRECTIONS)} are")
    options = rule_for(kind).accept(config)
    check(options["stateful"], "in both directions")
    kept = {key: options[key] for key in ("return_sequences", "return_state")}
    return Direction(cells_of(kind, options, prefix), options["go_backwards"], **kept)


def bidirectional_shape(
    x: Tensor, *states: Any, layer: Any, backward_layer: Any, merge_mode: str | None
) -> Any:
    forward, backward = directions(layer, backward_layer)
    shapes = [layer_shape(x, it.cells, it.return_sequences, True) for it in (forward, backward)]
    outputs = outputs_of([shape[0] for shape in shapes], merge_mode)
    ends = [it for shape in shapes for it in shape[1:]] if forward.return_state else []
    return [*outputs, *ends]


def outputs_of(shapes: list[Shape], merge_mode: str | None) -> list[Shape]:
    """The shapes of what `merged` gives of the outputs of both directions."""
    if merge_mode is None:
        return shapes
    if merge_mode == "concat":
        return [(*shapes[0][:-1], (shapes[0][-1] or 0) + (shapes[1][-1] or 0))]
    return shapes[:1]


def bidirectional_weights(x: Tensor, *states: Any, layer: Any, backward_layer: Any) -> Mapping[str, Shape]:
    forward, backward = directions(layer, backward_layer)
    return {**layer_weights(x, forward.cells), **layer_weights(x, backward.cells)}


def bidirectional_reads(x: Tensor, *states: Any, layer: Any, backward_layer: Any) -> Mapping[int, Reading]:
    """Each step knows of all others."""
    forward, _ = directions(layer, backward_layer)
    return {1: Whole(keeps=True)} if forward.return_sequences else {}


def bidirectional_products(x: Tensor, *states: Any, layer: Any, backward_layer: Any) -> int:
    return sum(
        layer_products(x, weight_shapes=layer_weights(x, it.cells))
        for it in directions(layer, backward_layer)
    )


@rule(
    "Bidirectional", wants=SOURCE, shape=bidirectional_shape, weights=bidirectional_weights,
    masks=RECURRENT, reads=bidirectional_reads, products=bidirectional_products,
)  # fmt: skip
def bidirectional(
    x: Value, *states: Any, layer: Any, backward_layer: Any = None, merge_mode: str | None = "concat",
    initial_state: Any = None, mask: Any = None,
) -> Any:  # fmt: skip
    """nn.LSTM(bidirectional=True) where both directions are alike; else a module for each."""
    forward, backward = directions(layer, backward_layer)
    start = initial(states, initial_state)
    mask = None if mask is None else as_mask(mask)
    if is_one_module(forward, backward, start, mask):
        outputs, ends, is_merged = together(x, forward, backward, start, mask)
    else:
        outputs, ends = apart(x, forward, backward, start, mask)
        is_merged = False
    if is_merged and merge_mode == "concat":
        result = tuple(outputs)
    else:
        if is_merged:
            units = forward.cells[-1].units
            outputs = [outputs[0][..., :units], outputs[0][..., units:]]
        result = merged(outputs, merge_mode)
    found = (*result, *ends) if forward.return_state else result
    return found if len(found) > 1 else found[0]


def merged(outputs: Sequence[Any], merge_mode: str | None, dim: int = -1) -> tuple[Any, ...]:
    """What becomes of the outputs of both directions, whose last axis in the source is `dim`."""
    y, z = outputs
    if merge_mode is None:
        return (y, z)
    if merge_mode == "concat":
        return (call("torch.cat", [y, z], dim=dim),)
    if merge_mode == "mul":
        return (y * z,)
    if merge_mode in ("sum", "ave"):
        return ((y + z) if merge_mode == "sum" else (y + z) / 2,)
    raise Unsupported(f"merge_mode={merge_mode!r}")


def is_one_module(forward: Direction, backward: Direction, start: Sequence[Any], mask: Any) -> bool:
    """Whether one module of PyTorch does both directions."""
    cell = forward.cells[0]
    if len(forward.cells) > 1 or forward.like() != backward.like() or not cell.is_plain or cell.dropout:
        return False
    # The last output of a sequence that is masked as a whole is zero, its state is not.
    return not (mask is not None and start and not forward.return_sequences)


def together(
    x: Value, forward: Direction, backward: Direction, start: Sequence[Any], mask: Any
) -> tuple[list[Any], list[Any], bool]:
    """One module: its outputs, last states, and whether the outputs are laid end to end already."""
    cell = forward.cells[0]
    made = cell.module(features(x), "", backward.cells[0])
    if mask is not None and not forward.return_state and not start:
        kept = {"ahead": call("kept_steps", x, mask), "back": call("kept_steps", x, mask, at_end=True)}
        runs = [Item(made(it), (name, "h"), name) for name, it in kept.items()]
        if forward.return_sequences:
            return [call("join_kept", *runs, mask)], [], True
        last = call("last_kept", *runs, mask)
        return [Item(last, ("ahead", "back"), it) for it in ("ahead", "back")], [], False
    count = len(cell.states)
    pairs = [call("torch.stack", [start[at], start[at + count]]) for at in range(count)] if start else []
    state = [pairs[0] if count == 1 else tuple(pairs)] if start else []
    output, ends = cell.called(made, x, state, start, mask, directions=2)
    if forward.return_sequences:
        return [output if mask is None else zeroed(output, mask, True, False)], ends, True
    return [ends[0], ends[count]], ends, False


def apart(
    x: Value, forward: Direction, backward: Direction, start: Sequence[Any], mask: Any
) -> tuple[list[Any], list[Any]]:
    """A module for each direction; what goes backwards is turned round."""
    half = len(start) // 2
    outputs: list[Any] = []
    ends: list[Any] = []
    for it, states, role in ((forward, start[:half], "forward"), (backward, start[half:], "backward")):
        made = run(
            it.cells,
            x,
            states=states,
            mask=mask,
            backwards=it.backwards,
            role=role,
            ends_read=it.return_state or not it.return_sequences,
        )
        ends += made.states
        if not it.return_sequences:
            outputs.append(made.last)
        else:
            outputs.append(call(".flip", made.outputs, 1) if it.backwards else made.outputs)
    if mask is not None and forward.return_sequences:
        outputs = [zeroed(it, mask, True, False) for it in outputs]
    return outputs, ends


def time_distributed_shape(x: Tensor, *, layer: Any, mask: Any) -> Shape:
    """None: what is left of the wrapper after `normalise/folded.py` is refused."""
    kind, _ = serialized(layer, "layer")
    if mask is not None:
        raise Unsupported(f"a mask for {kind} at every step")
    raise Unsupported(f"layer={kind} is not ported", "wrap each of its layers in TimeDistributed instead")


@rule(
    "TimeDistributed", wants=SOURCE, shape=time_distributed_shape,
    masks=Masks(Reads.INNER, Gives.FIRST, keras_2=Masks(Reads.INNER, Gives.INNER)),
)  # fmt: skip
def time_distributed(x: Value, *, layer: Any, mask: Any = None) -> Any:
    """The layer itself, on all steps at once."""
    return x


def pipeline_shape(x: Tensor, *, layers: Any, mask: Any) -> Shape:
    """None: what is left of it after `normalise/pipelines.py` is refused."""
    what = "it is called with a mask" if mask is not None else "its layers' weights cannot be told apart"
    raise Unsupported(what, "put its layers into the model one by one")


@rule("Pipeline", wants=SOURCE, shape=pipeline_shape)
def pipeline(x: Value, *, layers: Any, mask: Any = None) -> Any:
    """Its layers, one by one."""
    return x


def fold_shape(x: Tensor) -> Shape:
    if len(x.shape) < 3:
        raise Unsupported("a mask of one value for every step, at a layer that looks into the steps")
    return (None, *x.shape[2:])


@rule("time:fold", wants=SOURCE, shape=fold_shape)
def fold(x: Value) -> Any:
    """Steps as a part of the batch: x.flatten(0, 1)."""
    return call(".flatten", x, 0, 1)


def unfold_shape(y: Tensor, x: Tensor) -> Shape:
    return (*x.shape[:2], *y.shape[1:])


@rule("time:unfold", wants=SOURCE, shape=unfold_shape)
def unfold(y: Value, x: Value) -> Any:
    """The inverse of fold."""
    steps = x.shape[1]
    sizes = (-1, steps) if steps is not None else (call(".size", x, 0), -1)
    return call(".unflatten", y, 0, sizes)


#: Layers whose kernel is a matrix with what torch has as its rows along the last axis.
KERNELS = (
    "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Dense",
    "DepthwiseConv1D", "DepthwiseConv2D",
)  # fmt: skip


def normalised(layer: Any, **reserved: Any) -> Bound:
    """The layer whose kernel is normalised."""
    kind, config = serialized(layer, "layer")
    if kind not in KERNELS:
        raise Unsupported(f"layer={kind} is not ported", f"{', '.join(KERNELS)} are")
    return rule_for(kind).bind(config, **reserved)


def spectral_wants(x: Tensor, *, layer: Any) -> Wants:
    return normalised(layer).wants(x, y=None)


def spectral_shape(x: Tensor, *, layer: Any) -> Shape:
    return normalised(layer).shape(x)  # type: ignore[no-any-return]


def spectral_reads(x: Tensor, *, layer: Any) -> Any:
    return normalised(layer).reads(x)


def spectral_products(x: Tensor, *, layer: Any, out: Tensor) -> int | None:
    return normalised(layer).products(x, y=out)


def spectral_weights(x: Tensor, *, layer: Any) -> Mapping[str, Shape]:
    inner = normalised(layer)
    shapes = inner.sizes(x, y=Tensor("y", inner.shape(x)))
    u = {"vector_u": (1, shapes["kernel"][-1])}
    return {"kernel": shapes["kernel"], **u, **shapes}


@rule(
    "SpectralNormalization", wants=spectral_wants, shape=spectral_shape, weights=spectral_weights,
    activation=True, ignores="data_format", training=Training(rests=None), statistics="vector_u",
    products=spectral_products, reads=spectral_reads,
)  # fmt: skip
def spectral_normalization(
    x: Value, *, out: Value, layer: Any, power_iterations: int = 1, dialect: str = ""
) -> Any:
    """The layer in a module that divides its kernel in place: torch's spectral_norm divides a copy.

    Source: keras/src/layers/normalization/spectral_normalization.py, call and normalized_weights.
    """
    regroup = out.regroup if out.rank == 2 else ()
    # tf.math.l2_normalize takes 1e-12 of the square, keras.ops.normalize 1e-7 of the root.
    eps = 1e-6 if is_keras_2(dialect) else None

    def wrapped(node: Any) -> Any:
        if not isinstance(node, Apply):
            return node
        made = node.module
        size = spectral_weights(x.tensor, layer=layer)["vector_u"][1]
        loads = {f"layer.{name}": it for name, it in made.loads.items()}
        loads["u"] = Load.of("vector_u", "1 o -> o", (1, regroup))
        args = (replace(made, loads={}), size, *([power_iterations] if power_iterations > 1 else []))
        return replace(node, module=module("SpectralNorm", *args, eps=eps, loads=loads))

    return rewrite(normalised(layer, dialect=dialect).expression(x, y=out), wrapped)


def weight_norm_weights(x: Tensor, *, layer: Any, data_init: bool | None) -> Mapping[str, Shape]:
    """The layer's, g, and unless `data_init` is None whether g was set, and those of the copy that set it."""
    inner = normalised(layer)
    if serialized(layer, "layer")[0].startswith("Depthwise"):
        raise Unsupported("layer is a depthwise one, whose norms run over its channels")
    shapes = inner.sizes(x, y=Tensor("y", inner.shape(x)))
    bias = {"bias": shapes["bias"]} if "bias" in shapes else {}
    copy = {"kernel": shapes["kernel"], **bias} if data_init else {}
    return {
        "g": shapes["kernel"][-1:], "kernel": shapes["kernel"],
        **{f"layer/{name}": shape for name, shape in bias.items()},
        **({} if data_init is None else {"initialized": ()}),
        **{f"_naked_clone_layer/naked_{name}": shape for name, shape in copy.items()},
    }  # fmt: skip


@rule(
    "Addons>WeightNormalization", wants=spectral_wants, shape=spectral_shape, weights=weight_norm_weights,
    activation=True, ignores="data_format", statistics="initialized naked_kernel naked_bias",
    products=spectral_products, reads=spectral_reads,
)  # fmt: skip
def weight_normalization(
    x: Value, *, out: Value, layer: Any, data_init: bool | None = True, dialect: str = ""
) -> Any:
    """torch's weight_norm. A kernel of zeros alone, which TensorFlow leaves, has no direction there.

    Source: tensorflow_addons/layers/wrappers.py, WeightNormalization.call.
    """
    regroup = out.regroup if out.rank == 2 else ()

    def wrapped(node: Any) -> Any:
        if not isinstance(node, Apply):
            return node
        loads = dict(node.module.loads)
        kernel = loads.pop("weight")
        assert isinstance(kernel, Load)
        ones = " 1" * (len(kernel.turn.pattern.partition("->")[2].split()) - 1)
        if isinstance(bias := loads.get("bias"), Load):
            loads["bias"] = replace(bias, weight="layer/bias")
        loads["parametrizations.weight.original0"] = Load.of("g", f"o -> o{ones}", (0, regroup))
        loads["parametrizations.weight.original1"] = kernel
        made = replace(node.module, loads={})
        return replace(node, module=module("nn.utils.parametrizations.weight_norm", made, loads=loads))

    return rewrite(normalised(layer, dialect=dialect).expression(x, y=out), wrapped)
