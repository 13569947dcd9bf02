"""The layer that reads an input of text goes before the model; its numbers are the input.

before:  x = TextVectorization(text: string);  y = Embedding(x)
after:   y = Embedding(text: int64), and how the numbers of `text` are made
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Text, map_refs
from torchport.rules.refused import ENCODE, TEXT
from torchport.rules.text import text_of

KINDS = frozenset({"StringLookup", "TextVectorization"})


def lift_texts(graph: Graph) -> Graph:
    """The graph without those layers; whatever else has to do with text is marked as refused."""
    texts: dict[str, Text] = {}
    tensors = dict(graph.tensors)
    renamed: dict[str, str] = {}
    ops = []
    inputs = {name for name in graph.inputs if tensors[name].dtype == "string"}
    for op in graph.ops:
        try:
            if op.kind in KINDS and op.args and op.args[0] in [Ref(name) for name in inputs]:
                name = op.inputs[0]
                check(op, name, graph)
                text, tensor = text_of(op.kind, op.config, tensors[name].shape)
                texts[name] = replace(text, layer=op.layer, output=op.outputs[0])
                tensors[name] = replace(tensor, name=name)
                renamed[op.outputs[0]] = name
                continue
            if op.kind in KINDS or (op.kind != "Model" and inputs.intersection(op.inputs)):
                raise Unsupported(TEXT, ENCODE)
            if op.kind == "Model" and inputs.intersection(op.inputs):
                raise Unsupported("text in a nested model", "call its layer for text outside of it")
        except Unsupported as error:
            op = replace(op, refused=(error.why, error.advice))
        ops.append(op)

    def changed(name: str) -> Ref:
        return Ref(renamed.get(name, name))

    def rewired(op: Op) -> Op:
        return replace(op, args=map_refs(op.args, changed), kwargs=map_refs(op.kwargs, changed))

    return graph.replace(
        ops=tuple(map(rewired, ops)),
        outputs=tuple(renamed.get(name, name) for name in graph.outputs),
        structure=map_refs(graph.structure, changed), tensors=tensors, texts=texts,
        bodies=_without_text(graph.bodies),
    )  # fmt: skip


def check(op: Op, name: str, graph: Graph) -> None:
    """Raises Unsupported where not this call alone reads the text."""
    readers = sum(it.inputs.count(name) for it in graph.ops)
    if readers > 1 or name in graph.outputs:
        raise Unsupported("a text that several layers read", "give the model an input of text for each")
    if op.outputs[0] in graph.outputs:
        raise Unsupported("a model that gives back the numbers of a text as they are", ENCODE)


def _without_text(bodies: Mapping[str, Graph]) -> dict[str, Graph]:
    """Nested models, whose layers for text are refused."""

    def refused(body: Graph) -> Graph:
        ops = tuple(replace(op, refused=(TEXT, ENCODE)) if op.kind in KINDS else op for op in body.ops)
        return body.replace(ops=ops, bodies=_without_text(body.bodies))

    return {layer: refused(body) for layer, body in bodies.items()}
