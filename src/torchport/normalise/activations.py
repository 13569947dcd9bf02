"""Fused activations become ops of their own.

before:  conv1 = Conv2D(image)  with activation="relu"
after:   conv1.linear = Conv2D(image);  conv1 = activation:relu(conv1.linear)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.graph import Graph, Op, Ref
from torchport.names import identifier
from torchport.normalise.function_table import FUNCTIONS, by_words
from torchport.normalise.operations import PREFIX
from torchport.rules import find


def split_activations(graph: Graph) -> Graph:
    """The graph with an op for every activation that is more than the identity."""
    bodies = {layer: split_activations(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(it for op in graph.ops for it in _split(op)), bodies=bodies)


def _split(op: Op) -> Iterator[Op]:
    if op.kind == "Activation":
        kind, options = activation(op.config.get("activation"))
        rest = {key: value for key, value in op.config.items() if key != "activation"}
        refused = op.refused or unknown(kind)
        yield replace(op, kind=kind, config={**rest, **options}, refused=refused)
        return
    entry = find(op.kind)
    if entry is None or not entry.splits_activation or "activation" not in op.config:
        yield op
        return
    config = dict(op.config)
    kind, options = activation(config.pop("activation"))
    if kind == "activation:linear":
        yield replace(op, config=config)
        return
    (output,) = op.outputs
    inner = f"{output}.linear"
    yield replace(op, config=config, outputs=(inner,))
    name, layer = f"{op.name}.activation", f"{op.layer}.activation"
    yield Op(name, kind, (Ref(inner),), (output,), options, layer=layer, refused=unknown(kind))


#: Functions of one number of tf and keras.ops, by the name that a config has of them.
FUNCTIONS_OF_ONE = (
    "sin cos tan sinh cosh asin acos atan asinh acosh atanh exp expm1 log log1p sqrt rsqrt square abs "
    "negative reciprocal erf erfc sign floor ceil round rint lgamma digamma bessel_i0 bessel_i0e bessel_i1 "
    "bessel_i1e"
).split()
#: The same under numpy's names.
NUMPY = "arcsin arccos arctan arcsinh arccosh arctanh absolute cbrt exp2 log2 log10 sinc trunc".split()
#: Functions of packages whose definition is certain, and other names of Keras's own.
KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "log_softmax_v2": ("activation:log_softmax", {}), "softmax_v2": ("activation:softmax", {}),
    "identity": ("activation:linear", {}), "crelu_v2": ("tf.nn.crelu", {}), "crelu": ("tf.nn.crelu", {}),
    # transformers/activations_tf.py
    **{name: ("activation:gelu", {"approximate": True})
       for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")},
    "quick_gelu": ("tf.nn.silu", {"beta": 1.702}),
    # tensorflow_addons/activations
    "Addons>mish": ("activation:mish", {}), "Addons>gelu": ("activation:gelu", {"approximate": True}),
    "Addons>hardshrink": ("activation:hard_shrink", {}), "Addons>softshrink": ("activation:soft_shrink", {}),
    "Addons>tanhshrink": ("activation:tanh_shrink", {}), "Addons>lisht": ("activation:Addons>lisht", {}),
    "Addons>snake": ("activation:Addons>snake", {}),
}  # fmt: skip


def by_name(name: str) -> tuple[str, dict[str, Any]]:
    """The kind and options of a function's name: Keras's, TensorFlow's, a package's, or unknown."""
    kind = f"activation:{name}"
    if find(kind):
        return kind, {}
    if name in KNOWN:
        return KNOWN[name]
    if name in FUNCTIONS_OF_ONE:
        found = FUNCTIONS[name].kind
        return (found if found.startswith("tf.") else f"{PREFIX}{found}"), {}
    if name in NUMPY:
        return f"{PREFIX}{by_words(name)}", {}
    return kind, {}


def by_owner(name: str, owner: str) -> tuple[str, dict[str, Any]]:
    """The kind of a live model's function that is not the one its name says (`read.live.tell_functions`)."""
    if owner.startswith("keras.src.ops"):
        return f"{PREFIX}{by_words(name)}", {}
    if owner.startswith("keras.src") and (found := ALIKE.get(name)):
        return found
    known = not unknown(by_name(name)[0])
    return f"activation:{owner}.{name}" if known else f"activation:{name}", {}


#: Functions of Keras 3 that Keras 2 has others of the same name of.
ALIKE: dict[str, tuple[str, dict[str, Any]]] = {
    "gelu": ("activation:gelu", {}),
    "hard_sigmoid": (f"{PREFIX}HardSigmoid", {}),
}


def unknown(kind: str) -> tuple[str, str] | None:
    """Why an activation is not ported, and what to do; None where there is a rule for it."""
    if find(kind) or not kind.startswith("activation:"):
        return None
    name = kind.removeprefix("activation:")
    why = f"its activation {name!r} is a function of its own, which is not in the file"
    if name == LAMBDA:
        why = "its activation is a lambda, which is Python code; all lambdas of a file share this name"
    return (
        why,
        f"put these lines into my_rules.py, write what it computes, and add --rules my_rules.py:\n\n"
        f"    from torchport.rules import call, rule\n\n    @rule({kind!r})\n"
        f"    def {identifier(name)}(x):\n        return call('torch.your_function', x)",
    )


#: What a lambda is called.
LAMBDA = "<lambda>"


def activation(spec: Any) -> tuple[str, dict[str, Any]]:
    """The kind and options that an `activation` in a config stands for: a name, or an object."""
    if spec is None:
        return "activation:linear", {}
    if isinstance(spec, str):
        return by_name(spec)
    if isinstance(spec, Mapping):
        name, config = spec.get("class_name"), spec.get("config")
        if name == "function" and isinstance(config, str):
            return by_owner(config, str(spec["owner"])) if spec.get("owner") else by_name(config)
        if name == "Activation" and isinstance(config, Mapping):
            return activation(config.get("activation"))
        if isinstance(name, str) and name != "__lambda__":
            options = dict(config) if isinstance(config, Mapping) else {}
            return name, {key: value for key, value in options.items() if key != "name"}
    return f"activation:{LAMBDA}", {}
