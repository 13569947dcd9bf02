"""Sizes as TensorFlow computes them, as arguments of functions."""

from __future__ import annotations

from pathlib import Path

from tests.source.test_kinds import port


def test_a_function_of_sizes(tmp_path: Path) -> None:
    """It is given no tensor of the network, and makes one."""
    found = port(
        tmp_path,
        """
        def causal_mask(batch_size, n_dest, n_src, dtype):
            i = tf.range(n_dest)[:, None]
            j = tf.range(n_src)
            mask = tf.reshape(tf.cast(i >= j - n_src + n_dest, dtype), [1, n_dest, n_src])
            mult = tf.concat([tf.expand_dims(batch_size, -1), tf.constant([1, 1], dtype=tf.int32)], 0)
            return tf.tile(mask, mult)


        class Scores(layers.Layer):
            def __init__(self, width):
                super().__init__()
                self.query = layers.Dense(width)

            def call(self, x):
                shape = tf.shape(x)
                mask = causal_mask(shape[0], shape[1], shape[1], tf.float32)
                return mask * tf.matmul(self.query(x), x, transpose_b=True)
        """,
        "Scores(6)(keras.Input((5, 6)))",
    )
    assert "def causal_mask(batch_size: int, n_dest: int, n_src: int) -> Tensor:" in found.code
    assert "causal_mask(x.shape[0], x.shape[1], x.shape[1])" in found.code
    assert ".float()" in found.code
    assert all(len(it.cases) > 3 for it in found.proofs.values())


def test_a_mask_of_true_and_false(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def later(count, dtype):
            return tf.cast(tf.range(count)[:, None] >= tf.range(count), dtype)


        class Kept(layers.Layer):
            def call(self, x):
                return tf.where(later(tf.shape(x)[1], tf.bool), x, 0.0)
        """,
        "Kept()(keras.Input((5, 5)))",
    )
    assert found.proofs["later"].cases and not found.proofs["later"].differences


def test_a_function_that_is_not_ported_is_not_copied(tmp_path: Path) -> None:
    """One that a class calls is a stub, and not TensorFlow's code in the port."""
    found = port(
        tmp_path,
        """
        def scaled(x):
            for _ in x:
                break
            return x * 2.0


        def other(x):
            return layers.Dense(3)(x)
        """,
        "scaled(tf.ones((2, 3)))",
        "other(keras.Input((4,)))",
        partial=True,
    )
    assert found.refusals and "tf." not in found.code and found.code.count("def scaled") == 1
