"""Functions that a file names and Keras does not have: what they compute, written in TensorFlow.

Keras does not load a file that names TensorFlow's own functions, or those of a package, unless it is handed
them. Those that torchport ports by name are defined here, apart from the rules that port them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torchport.graph import Graph
from torchport.normalise.activations import FUNCTIONS_OF_ONE, KNOWN, NUMPY
from torchport.rules import TABLE
from torchport.verify.frameworks import tensorflow

Function = Callable[[Any], Any]


def of_packages(tf: Any) -> dict[str, Function]:
    """Functions of packages, by the names that files have for them.

    Sources: the documentation of tensorflow_addons.activations; transformers/activations_tf.py.
    """

    def tanh_gelu(x: Any) -> Any:
        return tf.nn.gelu(x, approximate=True)

    def soft_shrink(x: Any) -> Any:
        return tf.where(x > 0.5, x - 0.5, tf.where(x < -0.5, x + 0.5, tf.zeros_like(x)))

    return {
        "Addons>mish": lambda x: x * tf.tanh(tf.math.softplus(x)),
        "Addons>gelu": tanh_gelu,
        "Addons>lisht": lambda x: x * tf.tanh(x),
        "Addons>snake": lambda x: x + tf.square(tf.sin(x)),
        "Addons>hardshrink": lambda x: tf.where(tf.abs(x) > 0.5, x, tf.zeros_like(x)),
        "Addons>softshrink": soft_shrink,
        "Addons>tanhshrink": lambda x: x - tf.tanh(x),
        **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), tanh_gelu),
        "quick_gelu": lambda x: x * tf.sigmoid(tf.cast(1.702, x.dtype) * x),
        "identity": tf.identity,
        "cbrt": lambda x: tf.sign(x) * tf.abs(x) ** tf.cast(1 / 3, x.dtype),
        "exp2": lambda x: tf.cast(2.0, x.dtype) ** x,
        "log2": lambda x: tf.math.log(x) / tf.math.log(tf.cast(2.0, x.dtype)),
        "log10": lambda x: tf.math.log(x) / tf.math.log(tf.cast(10.0, x.dtype)),
        "trunc": lambda x: tf.sign(x) * tf.floor(tf.abs(x)),
        "sinc": lambda x: tf.where(x == 0, tf.ones_like(x), tf.experimental.numpy.sinc(x)),
    }


def definition(name: str, tf: Any) -> Function | None:
    """A function by the name that a file has for it: of a package, or TensorFlow's own."""
    if found := of_packages(tf).get(name):
        return found
    plain = name.removesuffix("_v2")
    plain = f"a{plain[3:]}" if plain.startswith("arc") else {"absolute": "abs"}.get(plain, plain)
    for owner in (tf.nn, tf.math, tf):
        if callable(function := getattr(owner, plain, None)) and not isinstance(function, type):
            return function  # type: ignore[no-any-return]
    return None


def named(value: Any) -> Iterator[str]:
    """The names of functions in a configuration."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "function" and isinstance(value.get("config"), str):
            yield value["config"]
        for key, item in value.items():
            if str(key).endswith("activation") and isinstance(item, str):
                yield item
            yield from named(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from named(item)


def is_ported(name: str) -> bool:
    """Whether torchport has a rule for a function of this name."""
    return name in KNOWN or name in FUNCTIONS_OF_ONE or name in NUMPY or f"activation:{name}" in TABLE


def definitions(keras: Any, graph: Graph) -> tuple[dict[str, Function], tuple[str, ...]]:
    """The functions that a graph's source names and its Keras has not, by name; and what to note of them."""
    tf, found = tensorflow(), dict[str, Function]()
    for name in named(graph.entry):
        missing = is_ported(name) and not hasattr(keras.activations, name)
        if missing and (function := definition(name, tf)):
            found[name] = function
    if not found:
        return {}, ()
    names = ", ".join(found)
    return found, (f"{keras.__name__} does not have {names}: its side has torchport's definition of that",)
