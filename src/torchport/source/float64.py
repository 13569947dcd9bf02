"""The user's code in float64, also where it, TensorFlow or Keras says float32.

Nothing of it outlasts the proof.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from torchport.read.dialect import shortest
from torchport.source import observe
from torchport.source.buffers import is_float
from torchport.source.observe import as_it_is


@contextmanager
def in_doubles(keras: Any) -> Iterator[None]:
    """The user's code computes in float64, also where it says float32; draws are the port's."""
    import tensorflow as tf

    from torchport.verify import patches
    from torchport.verify.frameworks import floats
    from torchport.verify.patches import doubles
    from torchport.watch.frameworks import fresh_names

    with ExitStack() as stack:
        stack.enter_context(as_it_is())
        stack.enter_context(floats(keras, "float64"))
        stack.enter_context(fresh_names(keras))
        numbers = [
            patches.Patch(module, name, lambda tf, original, note: of_number(tf, original))
            for module in ("tensorflow", "tensorflow:math")
            for name in OF_NUMBERS
            if hasattr(tf if module == "tensorflow" else tf.math, name)
        ]
        images = f"{patches.OPS}.image_ops_impl"
        numbers += [
            patches.Patch(
                f"{patches.OPS}.gen_image_ops", "resize_bilinear",
                lambda tf, original, note: bilinear(tf, original),
            ),
            # psnr writes log(10) and 10 / log(10) in float32
            patches.Patch(images, "np", lambda tf, original, note: Other(original, float32=Single)),
            patches.Patch(
                images, "math_ops", lambda tf, original, note: Other(original, log=log_of(tf, original.log))
            ),
            # psnr and ssim make float32 of what they are given
            patches.Patch(
                images, "convert_image_dtype",
                lambda tf, original, note: lambda image, dtype, *args, **kwargs:
                image if image.dtype == tf.float64 and dtype == tf.float32 else
                original(image, dtype, *args, **kwargs),
            ),
            patches.Patch(
                "tf_keras.src.layers.normalization.batch_normalization:BatchNormalizationBase",
                "_assign_moving_average", lambda tf, original, note: average(tf, original), optional=True,
            ),
        ]  # fmt: skip
        numbers.append(
            # a loss that was made before says float32
            patches.Patch(
                "keras.src.losses.loss:Loss", "dtype",
                lambda tf, original, note: property(lambda self: "float64"), optional=True,
            )
        )  # fmt: skip
        numbers += [
            patches.Patch(place, name, lambda tf, original, note: said_in_double(tf, original), optional=True)
            for place, name in SAID
        ]
        numbers += [
            patches.Patch("tensorflow", name, lambda tf, original, note: in_double(tf, original))
            for name in ("range", "cast", "linspace", "constant", "convert_to_tensor")
        ]
        stack.enter_context(
            patches.patched(tf, (*patches.DOUBLES, *numbers, *patches.KERNELS, *patches.DRAWS))
        )
        is_user = doubles.is_user
        # calls of the user's code go through the recorder
        doubles.is_user = lambda file: file == observe.__file__ or is_user(file)  # type: ignore[assignment]
        try:
            yield
        finally:
            doubles.is_user = is_user


class Single(np.float64):
    """A number that is written in float32, as the port writes it: by its shortest decimal."""

    def __new__(cls, value: Any) -> Any:
        return np.float64(shortest(np.float32(value)))


class Other:
    """A module of which some things are others."""

    def __init__(self, module: Any, **changed: Any) -> None:
        self._module = module
        vars(self).update(changed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def log_of(tf: Any, original: Any) -> Any:
    """The logarithm, of a number of Python's in float64."""
    return lambda x, *args, **kwargs: original(
        tf.constant(x, tf.float64) if isinstance(x, float) else x, *args, **kwargs
    )


#: Functions of TensorFlow that the port calls of `math` where they are given a number of Python's.
OF_NUMBERS = ("sqrt", "rsqrt", "exp", "log", "sin", "cos", "tanh", "square", "pow")


def of_number(tf: Any, original: Any) -> Any:
    """A function that the user's code gives a number of Python's: computed in float64, as `math` does."""
    from torchport.verify.patches import doubles

    @functools.wraps(original)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        is_number = isinstance(x, (float, np.floating))
        if is_number and doubles.is_user(sys._getframe(1).f_code.co_filename):
            x = tf.constant(x, tf.float64)
        return original(x, *args, **kwargs)

    return call


#: What a type of numbers is that has more digits.
WIDER = {"float32": "float64", "complex64": "complex128"}


def in_double(tf: Any, original: Any) -> Any:
    """A function that makes float32 where the user's code says so, or says nothing: float64."""
    from torchport.verify.patches import doubles

    def wider(value: Any) -> Any:
        if isinstance(value, (tf.DType, str)):
            name = getattr(value, "name", value)
            return tf.as_dtype(WIDER[name]) if name in WIDER else value
        if isinstance(value, (list, tuple)) and is_float(value):
            return np.asarray(value)
        return tf.constant(value, tf.float64) if isinstance(value, float) else value

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        wanted = WIDER.get(found.dtype.name)
        if wanted is None or not doubles.is_user(sys._getframe(1).f_code.co_filename):
            return found
        again = original(*map(wider, args), **{key: wider(it) for key, it in kwargs.items()})
        return tf.cast(again, wanted)

    return call


#: Initialisers that are told the type of what they make, by their modules.
INITIALIZERS = {
    "tensorflow.python.ops.init_ops_v2":
    "Zeros Ones Constant RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal Identity",
    "tf_keras.src.initializers.initializers":
    "Zeros Ones Constant RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal Identity",
    "keras.src.initializers.constant_initializers": "Zeros Ones Constant Identity",
    "keras.src.initializers.random_initializers":
    "RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal",
}  # fmt: skip

#: Where Keras takes the type of numbers that the author says for an input or a layer.
SAID = (
    ("keras.src.layers.core.input_layer:InputLayer", "__init__"),
    ("keras.src.dtype_policies", "get"),
    ("tf_keras.src.engine.input_layer:InputLayer", "__init__"),
    ("tf_keras.src.engine.base_layer:Layer", "_set_dtype_policy"),
    *((f"{module}:{name}", "__call__") for module, names in INITIALIZERS.items() for name in names.split()),
)


def said_in_double(tf: Any, original: Any) -> Any:
    """A function that is told the type of its numbers: float64 for float32, and where it is not told."""
    signature = inspect.signature(original)
    default = getattr(signature.parameters.get("dtype"), "default", None)
    at = list(signature.parameters).index("dtype") if default is tf.float32 else 0

    def wider(value: Any) -> Any:
        return "float64" if value in ("float32", tf.float32, np.float32) else value

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if default is tf.float32 and len(args) <= at:
            kwargs.setdefault("dtype", "float64")
        return original(
            *(wider(it) if isinstance(it, (str, tf.DType, type)) else it for it in args),
            **{key: wider(it) if key == "dtype" else it for key, it in kwargs.items()},
        )

    # Keras looks at signatures without following what wraps a function
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def average(tf: Any, original: Any) -> Any:
    """A moving average in float64: Keras 2 makes float32 of 1 - momentum."""

    def call(self: Any, variable: Any, value: Any, momentum: Any, inputs_size: Any) -> Any:
        is_number = isinstance(momentum, float) and variable.dtype == tf.float64
        exact = tf.constant(momentum, tf.float64) if is_number else momentum
        return original(self, variable, value, exact, inputs_size)

    return call


def bilinear(tf: Any, original: Any) -> Any:
    """Images of float64 resized in float64: TensorFlow's kernel gives float32.

    Source: tensorflow/core/kernels/image/resize_bilinear_op.cc, compute_interpolation_weights.
    """

    def weights(wanted: int, given: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
        scale = (given - 1) / (wanted - 1) if align_corners and wanted > 1 else given / wanted
        shift = 0.5 if half_pixel_centers else 0.0
        places = (np.arange(wanted) + shift) * scale - shift
        low = np.floor(places).astype(int)
        made = np.zeros((wanted, given))
        rows = np.arange(wanted)
        np.add.at(made, (rows, np.clip(low, 0, given - 1)), 1 - (places - low))
        np.add.at(made, (rows, np.clip(low + 1, 0, given - 1)), places - low)
        return made

    @functools.wraps(original)
    def call(
        images: Any,
        size: Any,
        align_corners: bool = False,
        half_pixel_centers: bool = False,
        name: Any = None,
    ) -> Any:
        wanted = tf.get_static_value(size)
        height, width = images.shape[1:3]
        if images.dtype != tf.float64 or wanted is None or None in (height, width):
            return original(images, size, align_corners, half_pixel_centers, name)
        rows = weights(int(wanted[0]), height, align_corners, half_pixel_centers)
        columns = weights(int(wanted[1]), width, align_corners, half_pixel_centers)
        return tf.einsum("ij,bjwc,kw->bikc", tf.constant(rows), images, tf.constant(columns))

    return call
