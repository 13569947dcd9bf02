"""TensorFlow's operations where a CPU has no kernel for them, by others of its kernels.

TensorFlow computes channels first on a GPU alone: on a CPU an operation or its gradient is missing
(tensorflow/core/kernels/conv_ops.cc, maxpooling_op.cc, fused_batch_norm_op.cc), or there only with oneDNN.
Computed channels last, the numbers are the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

#: Options of one number for each axis.
WINDOWS = ("strides", "dilations", "ksize")
#: Operations that have a `data_format`, with the argument that is the tensor in that order.
OPERATIONS: Mapping[str, str] = {
    "conv2d": "input",
    "conv3d": "input",
    "depthwise_conv2d_native": "input",
    "conv2d_backprop_input": "out_backprop",
    "conv3d_backprop_input_v2": "out_backprop",
    "max_pool": "input",
    "max_pool3d": "input",
    "avg_pool": "value",
    "avg_pool3d": "value",
    "fused_batch_norm_v3": "x",
    "bias_add": "value",
}
BLOCKS: Mapping[str, str] = {"space_to_depth": "input", "depth_to_space": "input"}

NOTE = "TensorFlow lacks kernels for channels first on a CPU: its side is computed channels last"


def channels_last(
    tf: Any, original: Callable[..., Any], tensor: str, note: Callable[[str], None]
) -> Callable[..., Any]:
    """An operation that computes channels last where it is asked for channels first."""
    signature = inspect.signature(original)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        form = given.get("data_format")
        form = form.decode() if isinstance(form, bytes) else form
        if form not in ("NCHW", "NCDHW"):
            return original(*args, **kwargs)
        x = tf.convert_to_tensor(given[tensor])
        rank = x.shape.rank
        last, first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
        given["data_format"] = "NHWC" if form == "NCHW" else "NDHWC"
        given[tensor] = tf.transpose(x, last)
        for name in WINDOWS:
            if name in given and len(given[name]) == rank:
                given[name] = [given[name][at] for at in last]
        if len(pads := given.get("explicit_paddings") or ()) == 2 * rank:
            given["explicit_paddings"] = [it for at in last for it in pads[2 * at : 2 * at + 2]]
        if "input_sizes" in given:
            given["input_sizes"] = tf.gather(tf.convert_to_tensor(given["input_sizes"]), last)
        note(NOTE)
        found = original(*bound.args, **bound.kwargs)
        if hasattr(found, "_replace"):  # fused_batch_norm_v3: the first is the tensor, others statistics
            return found._replace(y=tf.transpose(found.y, first))
        return tf.transpose(found, first)

    return call


def strided(tf: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """A convolution of one pixel with a stride: as one without, of every such pixel.

    oneDNN frees memory twice in its gradient for the kernel: the process dies (Conv2DBackpropFilter, seen
    with TensorFlow 2.21 for 8 channels). The numbers are the same.
    """
    signature = inspect.signature(original)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        steps, form = list(given["strides"]), given.get("data_format") or "NHWC"
        window = given["filter"].shape[:2]
        plain = given["padding"] in ("VALID", "SAME", b"VALID", b"SAME") and len(steps) == 4
        if not plain or form not in ("NHWC", b"NHWC") or tuple(window) != (1, 1) or set(steps) == {1}:
            return original(*args, **kwargs)
        given["input"] = tf.convert_to_tensor(given["input"])[:, :: steps[1], :: steps[2]]
        given["strides"] = [1, 1, 1, 1]
        return original(*bound.args, **bound.kwargs)

    return call
