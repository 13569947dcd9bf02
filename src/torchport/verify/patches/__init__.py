"""What of TensorFlow and Keras is replaced while verify runs, all of it: one table.

In float32 TensorFlow's own kernels run, except where a CPU has none. DOUBLES: in float64 what computes with
fewer digits than that. KERNELS: what has no kernel on a CPU, by others that have one. DRAWS: the numbers
that a model draws are the same on both sides. MODES: each layer is in the mode that its author said.
INITIAL: weights that another model's replace are not drawn. LEGACY: tf-keras finds itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torchport.verify.patches import cudnn, doubles, draws, kernels, legacy, modes

#: Told what is computed in another way than it was asked to.
Note = Callable[[str], None]
OPS = "tensorflow.python.ops"


@dataclass(frozen=True)
class Patch:
    """A function that another one stands for.

    `place`: its module, or with a colon a class or a namespace in it. `make`: of tensorflow, the original and
    `note` the replacement. `optional`: only where the module has been imported, and has it.
    """

    place: str
    name: str
    make: Callable[[Any, Any, Note], Any]
    optional: bool = False

    def owner(self) -> Any:
        """What has the function as an attribute; None if it is optional, and not there."""
        module, _, inside = self.place.partition(":")
        if self.optional and module not in sys.modules:
            return None
        found = importlib.import_module(module)
        for part in filter(None, inside.split(".")):
            found = getattr(found, part)
        return found if hasattr(found, self.name) or not self.optional else None


def volumes(flat: str) -> Callable[[Any, Any, Note], Any]:
    """Pooling of volumes by TensorFlow's pooling of planes."""
    return lambda tf, original, note: doubles.pooling(tf, getattr(tf.nn, flat), original)


DOUBLES: tuple[Patch, ...] = (
    # Below tf.nn: layers hold that function itself, as their activation.
    Patch(f"{OPS}.gen_nn_ops", "leaky_relu", lambda tf, original, note: doubles.slope(tf, original)),
    *(Patch(module, "cast", lambda tf, original, note: doubles.number(tf, original), optional=True)
      for module in ("tensorflow", f"{OPS}.math_ops", *doubles.COMPATIBLE)),
    Patch("keras.src.backend.tensorflow.nn", "dot_product_attention",
          lambda tf, original, note: doubles.scaled(original), optional=True),
    Patch("tf_keras.src.layers.normalization.batch_normalization:BatchNormalizationBase",
          "_renorm_correction_and_moments",
          lambda tf, original, note: doubles.renormalised(tf, original), optional=True),
    Patch("tensorflow", "cast", lambda tf, original, note: doubles.cast(tf, original)),
    Patch("keras.ops", "cast", lambda tf, original, note: doubles.cast(tf, original), optional=True),
    *(Patch(module, name, lambda tf, original, note: doubles.made(tf, original))
      for module, names in doubles.MADE.items() for name in names),
    *(Patch(f"{OPS}.gen_image_ops", name, doubles.noted) for name in doubles.IMAGES),
    *(Patch(module, name, lambda tf, original, note: doubles.numeric(tf, original))
      for module, names in doubles.SINGLE.items() for name in names),
    *(Patch(module, name, lambda tf, original, note: doubles.promoted(tf, original))
      for module, names in doubles.SEVERAL.items() for name in names),
    *(Patch("tensorflow.python.framework.tensor:Tensor", name,
            lambda tf, original, note: doubles.promoted(tf, original)) for name in doubles.OPERATORS),
    *(Patch(f"{OPS}.gen_nn_ops", f"{name}3d", volumes(f"{name}2d")) for name in ("max_pool", "avg_pool")),
)  # fmt: skip


def last(tensor: str) -> Callable[[Any, Any, Note], Any]:
    """An operation whose argument `tensor` has channels, computed channels last."""
    return lambda tf, original, note: kernels.channels_last(tf, original, tensor, note)


KERNELS: tuple[Patch, ...] = (
    Patch(f"{OPS}.gen_nn_ops", "conv2d", lambda tf, original, note: kernels.strided(tf, original)),
    *(Patch(f"{OPS}.gen_nn_ops", name, last(tensor)) for name, tensor in kernels.OPERATIONS.items()),
    *(Patch(f"{OPS}.gen_array_ops", name, last(tensor)) for name, tensor in kernels.BLOCKS.items()),
    # As tf-keras imports TensorFlow.
    Patch("tensorflow:compat.v2.raw_ops", "CudnnRNNV3", lambda tf, original, note: cudnn.cudnn_rnn(tf, note)),
)

DRAWS: tuple[Patch, ...] = tuple(
    Patch(f"{OPS}.{module}", name, partial(draws.tensorflow_draw, numbers), optional=True)
    for module in draws.MODULES
    for name, numbers in draws.TENSORFLOW.items()
)
#: Weights that another model's take the place of at once need not be drawn: of large ones that takes seconds,
#: and three times their room.
INITIAL: tuple[Patch, ...] = tuple(
    Patch(f"{module}:{name}", "__call__", lambda tf, original, note: draws.zeros(tf, original), optional=True)
    for module in ("keras.src.initializers.random_initializers", "tf_keras.src.initializers.initializers")
    for name in ("VarianceScaling", "RandomNormal", "RandomUniform", "TruncatedNormal", "Orthogonal")
)
LEGACY: tuple[Patch, ...] = (
    Patch("tf_keras.src.layers.normalization.spectral_normalization", "tf",
          lambda tf, original, note: legacy.Legacy(original), optional=True),
)  # fmt: skip
MODES: tuple[Patch, ...] = (
    Patch("keras.src.models.functional", "operation_fn",
          lambda tf, original, note: modes.own_word(original), optional=True),
)  # fmt: skip


@contextmanager
def patched(tf: Any, patches: Sequence[Patch], note: Note = lambda text: None) -> Iterator[None]:
    """Those stand for the originals for as long as it lasts; of two of one function the later is outside."""
    replaced: list[tuple[Any, str, Any]] = []
    try:
        for it in patches:
            if (owner := it.owner()) is not None:
                original = getattr(owner, it.name)
                made = it.make(tf, original, note)
                replaced.append((owner, it.name, original))
                setattr(owner, it.name, made)
        yield
    finally:
        for owner, name, original in reversed(replaced):
            setattr(owner, name, original)
