"""TimeDistributed becomes the layer itself, on all steps at once.

before:  y = TimeDistributed(x), layer=Conv2D
after:   x.steps = time:fold(x);  y.steps = Conv2D(x.steps);  y = time:unfold(y.steps, x)

A layer that looks at the last axis alone needs no folding. Keras 3 calls the layer step by step, which is the
same for all layers but those that keep something of what they see. For BatchNormalization an option `steps`
names tensors that have as many steps; `infer/steps.py` counts them.
Source: keras/src/layers/rnn/time_distributed.py, `call`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torchport.graph import Graph, Op, Ref, is_keras_2, map_refs

#: Layers that act on each value, or on the last axis, alike wherever they stand.
LAST = frozenset("Dense Activation ReLU LeakyReLU ELU Identity Rescaling ThresholdedReLU".split())
#: Wrapped layers that stay in their wrapper, which says why they are refused.
STAYS = frozenset("Functional Sequential Model".split())


def fold_steps(graph: Graph) -> Graph:
    """The graph without TimeDistributed, where what it wraps can be told."""
    bodies = {layer: fold_steps(body) for layer, body in graph.bodies.items()}
    if is_keras_2(graph.dialect):
        stepwise = {
            op.layer for op in graph.ops
            if op.kind == "Model" and _is_folded(op, graph) and not graph.bodies[op.layer].cls
        }  # fmt: skip
        bodies |= {layer: _moved_twice(bodies[layer]) for layer in stepwise}
    folded = graph.replace(ops=tuple(it for op in graph.ops for it in _folded(op, graph)))
    ops = [_alike(op, folded) for op in folded.ops]
    return graph.replace(ops=tuple(_without_detours(ops, graph)), bodies=bodies)


def _without_detours(ops: Sequence[Op], graph: Graph) -> Iterator[Op]:
    """The ops without steps that are unfolded to be folded again."""
    folded = {op.outputs[0]: op.inputs[0] for op in ops if op.kind == "time:unfold"}
    same: dict[str, str] = {}
    for op in ops:
        if op.kind == "time:fold" and op.inputs[0] in folded:
            same[op.outputs[0]] = folded[op.inputs[0]]
    kept = []
    for op in ops:
        if op.outputs[0] not in same:
            args = map_refs(op.args, lambda name: Ref(same.get(name, name)))
            kept.append(replace(op, args=args))
    # The second argument of an unfold only says how many steps there are: that of the first will do.
    read = {*graph.outputs}
    for op in kept:
        read.update(op.inputs[:1] if op.kind == "time:unfold" else op.inputs)
    steps = {op.outputs[0]: op.inputs[1] for op in kept if op.kind == "time:unfold"}

    def first(name: str) -> str:
        while name in steps:
            name = steps[name]
        return name

    for op in kept:
        if isinstance(op.config.get("steps"), tuple):
            op = replace(op, config={**op.config, "steps": tuple(map(first, op.config["steps"]))})
        if op.kind != "time:unfold":
            yield op
        elif op.outputs[0] in read:
            yield replace(op, args=(op.args[0], Ref(first(op.inputs[1]))))


def _alike(op: Op, graph: Graph) -> Op:
    """A layer or model at every step: what Keras 3 keeps of each step is told, or refused.

    Keras 2 runs a model twice, see `_moved_twice`: what turns its weights as it runs is refused as well.
    """
    if "steps" in op.config and op.kind == "BatchNormalization":  # an option of ours, of no file
        return replace(op, refused=(f"the option steps={op.config['steps']!r} is not ported", ""))
    folds = list(_folds(op.name, graph))
    if not folds or (is_keras_2(graph.dialect) and op.kind != "Model"):
        return op
    inside = [op] if op.kind != "Model" else list(_all_ops(graph.bodies[op.layer]))
    if any(it.kind == "state:assign" for it in inside):
        advice = "fold the steps into the batch in a layer of your own"
        return replace(op, refused=("state that `call` assigns, at every step", advice))
    if (why := next(filter(None, map(_carried, inside)), None)) is not None:
        return replace(op, refused=why)
    if any(map(_keeps_statistics, inside)) and not is_keras_2(graph.dialect):
        return replace(op, config={**op.config, "steps": tuple(fold.inputs[0] for fold in folds)})
    return op


#: What an op at every step of every step is called behind the name of the outer one.
INNER = ".inner"


def _folds(name: str, graph: Graph) -> Iterator[Op]:
    """The ops that fold the steps of an op, the innermost first."""
    yield from (it for it in graph.ops if it.name == f"{name}.fold")
    if name.endswith(INNER):
        yield from _folds(name.removesuffix(INNER), graph)


def _carried(op: Op) -> tuple[str, str] | None:
    """What a layer carries from one step to the next, where that is not ported, and what to do."""
    if op.kind == "SpectralNormalization" and op.is_in_training:
        return "SpectralNormalization at every step, which turns its kernel at each", "freeze it"
    if op.config.get("stateful"):
        return "a stateful layer at every step, whose states go from one to the next", "build it without"
    return None


def _is_folded(op: Op, graph: Graph) -> bool:
    """Whether a model is called at every step."""
    return any(it.name == f"{op.name}.fold" for it in graph.ops)


def _moved_twice(body: Graph) -> Graph:
    """A model whose running statistics move twice with each batch.

    TimeDistributed of Keras 2 runs a model a second time for its mask: what is kept is kept twice over.
    Source: tf_keras/src/layers/rnn/time_distributed.py, compute_mask; engine/functional.py, compute_mask.
    """
    ops = tuple(
        replace(op, config={**op.config, "momentum": op.config.get("momentum", 0.99) ** 2})
        if op.kind == "BatchNormalization"
        else op
        for op in body.ops
    )
    return body.replace(ops=ops, bodies={name: _moved_twice(it) for name, it in body.bodies.items()})


def _keeps_statistics(op: Op) -> bool:
    return op.kind == "BatchNormalization" and op.is_in_training


def _all_ops(graph: Graph) -> Iterator[Op]:
    yield from graph.ops
    for body in graph.bodies.values():
        yield from _all_ops(body)


def _folded(op: Op, graph: Graph) -> Iterator[Op]:
    entry = op.config.get("layer")
    if op.kind != "TimeDistributed" or not isinstance(entry, Mapping) or len(op.args) != 1:
        yield op
        return
    kind, config = str(entry.get("class_name")), entry.get("config")
    custom = ">" in str(entry.get("registered_name") or "")
    if not isinstance(config, Mapping) or kind in STAYS or custom:
        yield op
        return
    options = {key: value for key, value in config.items() if key != "name"}
    stored = {key.removeprefix("layer/"): weight for key, weight in op.stored.items()}
    inner = replace(op, kind=kind, config=options, stored=stored, kwargs={})
    if kind in LAST or (kind == "Dropout" and config.get("noise_shape") is None):
        yield inner
        return
    (output,), steps = op.outputs, f"{op.name}.steps"
    if (mask := op.kwargs.get("mask")) is not None:
        within = f"{op.name}.mask"
        yield Op(within, "time:fold", (mask,), (within,), layer=within)
        inner = replace(inner, kwargs={"mask": Ref(within)})
    yield Op(f"{op.name}.fold", "time:fold", op.args, (steps,), layer=f"{op.name}.fold")
    each = replace(inner, args=(Ref(steps),), outputs=(f"{output}.each",))
    if kind == "TimeDistributed":
        yield from _folded(replace(each, name=f"{op.name}{INNER}"), graph)
    else:
        yield each
    yield Op(
        f"{op.name}.unfold", "time:unfold", (Ref(f"{output}.each"), *op.args), (output,),
        layer=f"{op.name}.unfold",
    )  # fmt: skip
