"""cuDNN's recurrent operation by TensorFlow's elementary ones: it has a kernel on a GPU alone.

The numbers are those of NVIDIA's definition of cudnnRNNForward, which tf-keras repeats where it converts
weights of CuDNNLSTM and CuDNNGRU into those of LSTM and GRU
(tf_keras/src/saving/legacy/hdf5_format.py, _convert_rnn_weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NOTE = "TensorFlow runs CuDNNLSTM and CuDNNGRU on a GPU alone: its side is computed by elementary operations"


@contextmanager
def by_name(keras: Any) -> Iterator[None]:
    """Both classes as `tf_keras.layers.CuDNNLSTM`, where tf-keras looks for what it rebuilds.

    It names them in TensorFlow 1's API alone (tf_keras/src/saving/serialization_lib.py,
    _retrieve_class_or_fn).
    """
    if keras.__name__ != "tf_keras":
        yield
        return
    from tf_keras.src.layers.rnn import cudnn_gru, cudnn_lstm

    classes = {"CuDNNLSTM": cudnn_lstm.CuDNNLSTM, "CuDNNGRU": cudnn_gru.CuDNNGRU}
    missing = {name: cls for name, cls in classes.items() if not hasattr(keras.layers, name)}
    for name, cls in missing.items():
        setattr(keras.layers, name, cls)
    try:
        yield
    finally:
        for name in missing:
            delattr(keras.layers, name)


def cudnn_rnn(tf: Any, note: Callable[[str], None]) -> Callable[..., Any]:
    """`tf.raw_ops.CudnnRNNV3` for one layer in one direction, as CuDNNLSTM and CuDNNGRU call it: time first.

    LSTM and GRU trace it batch first, for a graph of which a CPU runs the other branch
    (tf_keras/src/layers/rnn/lstm.py, gpu_lstm): that stays TensorFlow's.

    input: (t, n, inputs); input_h, input_c: (1, n, units); params: all kernels, row by row, each
    (units, inputs) or (units, units), gate by gate; then biases of the inputs and of the states. Gives the
    outputs (t, n, units) and the last states.
    """

    original = tf.compat.v2.raw_ops.CudnnRNNV3

    def call(
        *, input: Any, input_h: Any, input_c: Any, params: Any, rnn_mode: str = "lstm", **options: Any
    ) -> Any:
        if not options.get("time_major", True):
            return original(
                input=input, input_h=input_h, input_c=input_c, params=params, rnn_mode=rnn_mode, **options
            )
        note(NOTE)
        units, features = input_h.shape[-1], input.shape[-1]
        gates = 4 if rnn_mode == "lstm" else 3
        sizes = [units * features] * gates + [units * units] * gates + [units] * 2 * gates
        pieces = tf.split(params, sizes)
        kernels = [tf.reshape(it, (units, features)) for it in pieces[:gates]]
        recurrent = [tf.reshape(it, (units, units)) for it in pieces[gates : 2 * gates]]
        biases, recurrent_biases = pieces[2 * gates : 3 * gates], pieces[3 * gates :]
        h, c = input_h[0], input_c[0] if rnn_mode == "lstm" else None
        outputs = []
        for x in tf.unstack(input):
            read, kept = applied(tf, x, kernels, biases), applied(tf, h, recurrent, recurrent_biases)
            if rnn_mode == "lstm":
                i, f, g, o = (a + b for a, b in zip(read, kept, strict=True))
                c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
                h = tf.sigmoid(o) * tf.tanh(c)
            else:
                r, z = (tf.sigmoid(a + b) for a, b in zip(read[:2], kept[:2], strict=True))
                h = (1 - z) * tf.tanh(read[2] + r * kept[2]) + z * h
            outputs.append(h)
        return tf.stack(outputs), h[None], c[None] if c is not None else input_c, None, None

    return call


def applied(tf: Any, x: Any, kernels: Any, biases: Any) -> list[Any]:
    """What each gate makes of an input or a state."""
    pairs = zip(kernels, biases, strict=True)
    return [tf.linalg.matmul(x, kernel, transpose_b=True) + bias for kernel, bias in pairs]
