"""TensorFlow in float64 where its own kernels are not: by others of its kernels, for as long as verify runs.

In float32 its own kernels run, unchanged.
"""

from __future__ import annotations

import functools
import inspect
import sys
from functools import cache
from typing import Any

import numpy as np

from torchport.nest import leaves
from torchport.read.dialect import shortest
from torchport.watch.spy import is_theirs, mapped

#: Functions of several tensors, by module.
SEVERAL = {
    "tensorflow": "add subtract multiply divide pow maximum minimum matmul einsum tensordot where concat "
    "stack clip_by_value".split(),
    "tensorflow:math": "add subtract multiply divide truediv pow maximum minimum divide_no_nan "
    "squared_difference".split(),
    "tensorflow:linalg": ["matmul", "einsum", "tensordot"],
    "tensorflow:nn": "conv1d conv2d conv3d depthwise_conv2d bias_add".split(),
}
#: Functions of one number that the port has as Python computes it: `NUMBERS` of watch/constants.py.
SINGLE = {"tensorflow": ("sqrt", "exp", "square"),
          "tensorflow:math": ("sqrt", "rsqrt", "exp", "log", "square", "reciprocal")}  # fmt: skip
OPERATORS = tuple(
    f"__{side}{name}__"
    for name in "add sub mul truediv pow matmul mod floordiv".split()
    for side in ("", "r")
)
MADE = {"tensorflow:random": ("normal", "uniform", "truncated_normal"),
        "tensorflow": ("zeros", "ones", "eye", "one_hot")}  # fmt: skip
#: Modules that have TensorFlow's functions too: tf-keras imports the second of them.
COMPATIBLE = ("tensorflow.compat.v1", "tensorflow.compat.v2")


def slope(tf: Any, original: Any) -> Any:
    """LeakyReLU with the slope that was asked for.

    TensorFlow's kernel keeps the slope as a float32 attribute in every dtype: 0.3 is 0.30000001192
    there (tensorflow/core/ops/nn_ops.cc, LeakyRelu).
    """

    def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
        x = tf.convert_to_tensor(features)
        if x.dtype != tf.float64:
            return original(features, alpha=alpha, name=name)
        return tf.where(x > 0, x, tf.constant(alpha, tf.float64) * x)

    return leaky_relu


def number(tf: Any, original: Any) -> Any:
    """Numbers of Python cast to float64 as they are.

    `tf.cast` makes a float32 of them first: the square root of 2 in gelu, the scale of an attention
    (tensorflow/python/ops/math_ops.py, cast).
    """

    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if isinstance(x, float) and tf.as_dtype(dtype) == tf.float64:
            return tf.constant(x, tf.float64)
        return original(x, dtype, name=name)

    return cast


@cache
def is_user(filename: str) -> bool:
    """Whether a file is the user's own code."""
    return is_theirs(filename)


def cast(tf: Any, original: Any) -> Any:
    """`cast` of tf or keras.ops as the user's own code calls it: fractions are float64 for float32.

    So are masks and single numbers; complex numbers are double. A class that says float32 of its tensors does
    not run on float64. Rows of whole numbers become float32 as it says: tables of positions are made of them,
    which the port has in float32.
    """

    def call(x: Any, dtype: Any, **named: Any) -> Any:
        if is_user(sys._getframe(1).f_code.co_filename):
            wanted, own = tf.as_dtype(dtype), getattr(x, "dtype", None)
            if wanted == tf.float32 and (own in (tf.float64, tf.complex128, tf.bool) or np.ndim(x) == 0):
                dtype = tf.float64
            elif wanted == tf.complex64 and own in (tf.float64, tf.complex128):
                dtype = tf.complex128
        return original(x, dtype, **named)

    return call


def made(tf: Any, original: Any) -> Any:
    """Random numbers, zeros and ones that the user's own code makes: float64 where they would be float32."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if tf.as_dtype(bound.arguments["dtype"] or tf.float32) == tf.float32:
            if is_user(sys._getframe(1).f_code.co_filename):
                bound.arguments["dtype"] = tf.float64
        return original(*bound.args, **bound.kwargs)

    return call


def numeric(tf: Any, original: Any) -> Any:
    """A function that the user's own code calls on a single number: in float64, as `tf.sqrt(0.5)`."""

    @functools.wraps(original)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        is_single = isinstance(x, float) or (
            isinstance(x, tf.Tensor) and x.dtype == tf.float32 and x.shape.rank == 0 and hasattr(x, "numpy")
        )
        if is_single and is_user(sys._getframe(1).f_code.co_filename):
            x = tf.constant(x if isinstance(x, float) else shortest(x.numpy()), tf.float64)
        return original(x, *args, **kwargs)

    return call


#: Kernels of images that give float32 whatever they are given, nearest neighbours apart.
IMAGES = ("resize_bilinear", "resize_bicubic", "resize_area", "scale_and_translate", "crop_and_resize")
SINGLE_IMAGES = "TensorFlow resizes images in float32: float32's limit applies"


def noted(tf: Any, original: Any, note: Any) -> Any:
    """A kernel that says so where it is given float64."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(getattr(it, "dtype", None) == tf.float64 for it in (*args, *kwargs.values())):
            note(SINGLE_IMAGES)
        return original(*args, **kwargs)

    return call


def promoted(tf: Any, original: Any) -> Any:
    """A function that is given float64 and float32 together, which TensorFlow refuses: all as float64.

    So numbers and tables that the user's code made as float32 meet the tensors of the model. A single number
    is the one by its shortest decimal, as the port has it; it makes no table float64.
    """

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except (TypeError, ValueError, tf.errors.InvalidArgumentError):
            kinds = {it.dtype for it in leaves((list(args), kwargs)) if isinstance(it, tf.Tensor)}
            if not kinds.issuperset((tf.float32, tf.float64)):
                raise
        given = [it for it in leaves((list(args), kwargs)) if isinstance(it, tf.Tensor)]
        tables = any(it.dtype == tf.float32 and it.shape.rank for it in given)
        single = not any(it.dtype == tf.float64 and it.shape.rank for it in given)
        change = functools.partial(single_as, tf) if tables and single else functools.partial(double, tf)
        return original(*mapped(list(args), change), **mapped(kwargs, change))

    return call


def double(tf: Any, tensor: Any) -> Any:
    """A float32 tensor as float64."""
    if tensor.dtype != tf.float32:
        return tensor
    is_number = tensor.shape.rank == 0 and hasattr(tensor, "numpy")
    return tf.constant(shortest(tensor.numpy()), tf.float64) if is_number else tf.cast(tensor, tf.float64)


def single_as(tf: Any, tensor: Any) -> Any:
    """A float64 tensor as float32."""
    return tf.cast(tensor, tf.float32) if tensor.dtype == tf.float64 else tensor


def scaled(original: Any) -> Any:
    """keras.ops.dot_product_attention with the scale that it stands for.

    Keras takes the root in float32 (keras/src/backend/tensorflow/nn.py, dot_product_attention).
    """

    def attention(query: Any, key: Any, value: Any, **options: Any) -> Any:
        if options.get("scale") is None:
            options["scale"] = key.shape[-1] ** -0.5
        return original(query, key, value, **options)

    return attention


def renormalised(tf: Any, original: Any) -> Any:
    """Batch renormalisation of tf-keras, with its epsilon in float64.

    tf-keras takes the root of a float32 (tf_keras/src/layers/normalization/batch_normalization.py), which
    TensorFlow does not compare with a float64.
    """

    def correction(self: Any, mean: Any, *rest: Any) -> Any:
        if mean.dtype != tf.float64:
            return original(self, mean, *rest)
        epsilon = self.epsilon
        self.epsilon = tf.constant(epsilon, tf.float64)
        try:
            return original(self, mean, *rest)
        finally:
            self.epsilon = epsilon

    return correction


def pooling(tf: Any, flat: Any, original: Any) -> Any:
    """3D pooling of (n, d, h, w, c) as one over the planes, and one along the depth of what that gives.

    TensorFlow's own is for float32 and less (tensorflow/core/kernels/pooling_ops_3d.cc). A maximum of maxima
    is the maximum; an average of averages is the average, since every window of a plane holds as many pixels
    at each depth. Of equal maxima the first takes the gradient, as in cuDNN and in torch; TensorFlow's kernel
    for the CPU gives it whole to each of them (there, LaunchMaxPooling3dGradOp).
    """

    def pool(
        x: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None,
        data_format: str = "NDHWC", name: str | None = None, **named: Any,
    ) -> Any:  # fmt: skip
        (x,) = named.values() or (x,)  # TensorFlow calls it `input` here, `value` there
        x = tf.convert_to_tensor(x)
        if x.dtype != tf.float64 or data_format != "NDHWC":
            return original(x, ksize, strides, padding, data_format=data_format, name=name)
        (deep, *window), (far, *step) = (three(it) for it in (ksize, strides))
        n, d, h, w, c = tf.unstack(tf.shape(x))
        planes = flat(tf.reshape(x, (n * d, h, w, c)), window, step, padding)
        height, width = tf.unstack(tf.shape(planes))[1:3]
        rows = tf.reshape(planes, (n, d, height * width, c))
        pooled = flat(rows, (deep, 1), (far, 1), padding)
        return tf.reshape(pooled, (n, tf.shape(pooled)[1], height, width, c))

    return pool


def three(sizes: Any) -> tuple[int, ...]:
    """Depth, height and width of a window of (n, d, h, w, c)."""
    return tuple(sizes)[1:4]
