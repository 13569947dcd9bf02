"""SpectralNormalization shows its inner activation, and its weights in one order, however they were saved.

before:  y = SpectralNormalization(x), layer=Conv2D(activation="relu")
after:   y = SpectralNormalization(x), layer=Conv2D, activation="relu"; stored: kernel, vector_u, bias

An archive of Keras 3 has the kernel twice, `layer/vars/0` and `vars/0`; an HDF5 file has `vector_u` last,
as what does not train; a live model behind the kernel.

A WeightNormalization that keeps nothing of how its g was set, as people's own copies of it do, has
`data_init=None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torchport.graph import Graph, Op, Weight

#: Layers around a layer whose kernel they norm.
NORMS = ("SpectralNormalization", "Addons>WeightNormalization")


def show_spectral(graph: Graph) -> Graph:
    """The graph with every SpectralNormalization in that form."""
    bodies = {layer: show_spectral(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(_shown, graph.ops)), bodies=bodies)


def _shown(op: Op) -> Op:
    entry = op.config.get("layer")
    if op.kind not in NORMS or not isinstance(entry, Mapping):
        return op
    inner = entry.get("config")
    if not isinstance(inner, Mapping):
        return op
    rest = {key: value for key, value in inner.items() if key != "activation"}
    config = {
        **op.config, "layer": {**entry, "config": rest}, "activation": inner.get("activation"),
        "data_format": inner.get("data_format"),
    }  # fmt: skip
    if op.kind != "SpectralNormalization":
        if len(op.stored) <= 3 and all(it.dtype != "bool" for it in op.stored.values()):
            config["data_init"] = None
        return replace(op, config=config, refused=op.refused or _unset(op.stored))
    weights = _ordered(op.stored)
    return replace(op, config=config, stored={str(at): it for at, it in enumerate(weights)})


def _unset(stored: Mapping[str, Weight]) -> tuple[str, str] | None:
    """Why a WeightNormalization is refused whose g was never set: the first batch that it sees sets it."""
    if all(it.load().all() for it in stored.values() if it.dtype == "bool"):
        return None
    return "its g is set by the first batch that it sees", "call the model on data, and save it again"


def _ordered(stored: Mapping[str, Weight]) -> list[Weight]:
    """The kernel, `vector_u`, and the bias if there is one."""
    own = [weight for key, weight in stored.items() if key.startswith("vars/")]
    inner = [weight for key, weight in stored.items() if not key.startswith("vars/")]
    if not own:  # a flat list: what else is a matrix than the kernel
        own = [weight for weight in inner[1:] if len(weight.shape) == 2]
        inner = [*inner[:1], *(weight for weight in inner[1:] if len(weight.shape) != 2)]
    return [*inner[:1], *own[-1:], *inner[1:]]
