"""Layers of packages that are made of Keras's own become nested models of those.

before:  y = tcn>TCN(x), nb_filters=8, dilations=[1, 2]
after:   y = Model tcn(x);  tcn: a = Conv1D(x);  b = Activation(a);  ...

A file has such a layer's options and its weights, not its code: what it computes is known here, from the
package's source. What its options ask for and is not known is refused with what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from torchport.errors import Unsupported
from torchport.graph import Graph, Op
from torchport.normalise.composed.parts import Parts
from torchport.rules import find
from torchport.rules.refused import COMPOSED

Composition = Callable[[Parts], None]

CODE = "add --code FILE.py, or the name of the installed package, which is run: --code {package}"


def compose(graph: Graph, around: frozenset[str] = frozenset()) -> Graph:
    """The graph with every such layer as a nested model; one that is not known like this is refused.

    `around`: the kinds of layers of the models that it is in.
    """
    kinds = around | {op.kind for op in graph.ops}
    bodies = {layer: compose(body, kinds) for layer, body in graph.bodies.items()}
    ops = []
    for op in graph.ops:
        if op.kind in COMPOSED and find(op.kind) is None:
            op = _opened(op, graph.dialect, bodies, kinds)
        ops.append(op)
    return graph.replace(ops=tuple(ops), bodies=bodies)


def _opened(op: Op, dialect: str, bodies: dict[str, Graph], kinds: frozenset[str]) -> Op:
    package, name = op.kind.split(">")
    try:
        parts = Parts(op, dialect, kinds=kinds)
        composition: Composition = getattr(
            import_module(f"torchport.normalise.composed.{COMPOSED[op.kind]}"), function_name(name)
        )
        composition(parts)
        body = parts.graph(name)
        if bodies.setdefault(op.layer, body) != body:
            raise Unsupported("it is called in different ways", "make it a layer for each of them")
    except Unsupported as error:
        return replace(op, refused=(error.why, error.advice or CODE.format(package=package)))
    kwargs = {key: op.kwargs[key] for key in ("training",) if key in op.kwargs}
    return replace(
        op,
        kind="Model",
        args=tuple(parts.given),
        kwargs=kwargs,
        config={"name": op.layer},
        stored={},
        outputs=(*op.outputs, *(f"{op.outputs[0]}:{at}" for at in range(len(op.outputs), len(body.outputs)))),
    )


def function_name(name: str) -> str:
    """What composes a class: `TransformerEncoder` -> `transformer_encoder`."""
    letters = [f"_{it.lower()}" if it.isupper() and at and not name[at - 1].isupper() else it.lower()
               for at, it in enumerate(name)]  # fmt: skip
    return "".join(letters)
