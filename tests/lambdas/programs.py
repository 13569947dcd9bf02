"""Functions as people write them in Lambda layers, compiled by several versions of Python.

Run by each of them, `python programs.py > bytes_VERSION.json`: it imports the standard library alone, and
calls none of the functions.
"""

import base64
import json
import marshal
import sys

#: More constants than a byte can count.
MANY = ", ".join(map(str, range(300)))
#: (name, source): `f` is the function of the layer, and all that the file has beside it are its defaults.
PROGRAMS = {
    "scale": "f = lambda x: x / 127.5 - 1.0",
    "normalize": "f = lambda x: K.l2_normalize(x, axis=1)",
    "slice": "f = lambda x: x[:, 1:, ::-1]",
    "last": "f = lambda x: x[:, -1]",
    "keywords": "f = lambda x: tf.reduce_mean(x, axis=[1, 2], keepdims=True)",
    "method": "f = lambda x: tf.reshape(x, [-1] + x.get_shape().as_list()[2:])",
    "chosen": "f = lambda x: x * 2 if K.ndim(x) == 3 else K.expand_dims(x)",
    "both": "f = lambda x: x if K.ndim(x) > 2 and x.shape[-1] == 4 else -x",
    "comprehension": "f = lambda x: K.concatenate([x[:, n] * n for n in range(3)], axis=-1)",
    "nested": "f = lambda x: (lambda y, k=3: y * k + x)(x)",
    "starred": "f = lambda x: tf.add(*[x, x]) + tf.clip_by_value(x, **dict(clip_value_min=0.0, axis=1))",
    "compared": "f = lambda x: tf.cast(x > 0.5, tf.float32) * x",
    "defaults": "f = lambda x, factor=3.0: x * factor ** 2",
    "many": "f = lambda x: K.concatenate([x + n for n in ({})], axis=-1)".format(
        ", ".join(map(str, range(300)))
    ),
    "unpacked": (
        "def f(args):\n"
        "    left, right = args[:, 0], args[:, 1]\n"
        "    total = left\n"
        "    for scale in (0.5, 0.25):\n"
        "        total = total + right * scale\n"
        "    return total\n"
    ),
    "parts": (
        "def f(args):\n    mean, deviation = [args, args[:, 0]]\n    return mean + K.exp(0.5 * deviation)\n"
    ),
    "imported": (
        "def f(x):\n"
        "    import tensorflow as tf\n"
        "    from keras import backend as K\n"
        "    return tf.nn.relu(x) + K.abs(x)\n"
    ),
    "inner": (
        "def f(x):\n"
        "    def scaled(y, by=2.0):\n"
        "        return (y - K.mean(y, axis=1, keepdims=True)) * by + offset\n"
        "    offset = 1.0\n"
        "    if K.ndim(x) is not None and 'a' not in ('b', 'c'):\n"
        "        return scaled(x, by=3.0)\n"
        "    raise ValueError\n"
    ),
}


def compiled(source):
    """What Keras would store of a function: its code, in base64, and its defaults."""
    module = {}
    exec(compile(source, "model.py", "exec"), module)
    made = module["f"]
    return [base64.b64encode(marshal.dumps(made.__code__)).decode(), list(made.__defaults__ or [])]


def everything():
    return json.dumps({name: compiled(source) for name, source in PROGRAMS.items()})


if __name__ == "__main__":
    sys.stdout.write(everything() + "\n")
