"""The table of attention layers, EinsumDense, further norms and adaptive pooling."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case

QUERY, VALUE = "2 5 8", "2 7 6"
MASK = "y[..., 0] > -0.5"
ROWS = "x[..., 0] > 0"
NONE = "y[..., 0] > 99"
SCORES = ", return_attention_scores=True"


def layer(kind: str, options: str, call: str, x: Any = (QUERY, VALUE), **more: Any) -> Case:
    return Case(kind, {}, x, call=f"layers.{kind}({options})({call})", **more)


ATTENTION = [
    *(
        layer(kind, f"{options}, use_gate={gate}{more}, dtype='float64'", f"x, y{masks}", (QUERY, "2 7 8"))
        for kind, options in (("GroupQueryAttention", "4, 6, 2"), ("MultiHeadAttention", "2, 4, value_dim=3"))
        for gate, more, masks in (
            (True, "", ""), (True, ", use_bias=False", ", use_causal_mask=True"),
            (True, ", sliding_window=2, dropout=0.3", f", value_mask={MASK}"),
            (False, ", sliding_window=3", ""), (False, ", sliding_window=2", ", use_causal_mask=True"),
        )
    ),
    *(
        layer("MultiHeadAttention", "2, 4, dtype='float64'", f"x, y, attention_mask={mask}{more}",
              (QUERY, VALUE, "2 5 7"), of="tf_keras")
        for mask in ("z", "tf.cast(3 * z, 'int32')", "z > 0")
        for more in ("", ", use_causal_mask=True")
    ),
    *(
        layer("MultiHeadAttention", f"2, 4, output_shape=(2, 3), dtype='float64'{more}", f"x, y{masks}")
        for more, masks in (("", ""), (", use_bias=False", f", value_mask={MASK}"), (", dropout=0.3", ""))
    ),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", "x, x", QUERY),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", "x, y"),
    layer("MultiHeadAttention", "2, 4, value_dim=5, dtype='float64'", "x, y, use_causal_mask=True"),
    layer("MultiHeadAttention", "2, 4, use_bias=False, output_shape=11, dtype='float64'", "x, y, z",
          (QUERY, VALUE, "2 7 3")),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", f"x, y, value_mask={MASK}"),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", f"x, y, value_mask={MASK}, use_causal_mask=True"),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", "x, y, attention_mask=z > 0",
          (QUERY, VALUE, "2 5 7")),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", "x, y, attention_mask=z > 0",
          (QUERY, VALUE, "2 2 5 7")),
    layer("MultiHeadAttention", "2, 4, dropout=0.3, dtype='float64'", "x, y"),
    layer("MultiHeadAttention", "2, 4, dropout=0.3, dtype='float64'", "x, y, attention_mask=z > 0.5",
          (QUERY, VALUE, "2 5 7")),
    layer("MultiHeadAttention", "2, 4, dtype='float64'", "x, y, attention_mask=z > 9",
          (QUERY, VALUE, "2 5 7")),
    layer("MultiHeadAttention", "2, 4, dropout=0.3, dtype='float64'", "x, y, attention_mask=z > 9",
          (QUERY, VALUE, "2 5 7")),
    layer("GroupQueryAttention", "4, 6, 2, dropout=0.3, dtype='float64'", "x, y, attention_mask=z > 9",
          (QUERY, "2 7 8", "2 5 7")),
    *(
        layer("MultiHeadAttention", f"2, 4, dtype='float64'{axes}", "x, x", "2 5 3 8", sizes=sizes,
              within=1e-9, why="the gradient of the key's bias is zero, up to rounding")
        for axes in ("", ", attention_axes=(2,)", ", attention_axes=1", ", attention_axes=(1, 2)")
        for sizes in ("? 5 3 8", "? ? ? 8")
    ),
    layer("MultiHeadAttention", "2, 4, dtype='float64', attention_axes=-2", "x, y, z",
          ("2 5 3 8", "2 5 7 6", "2 5 7 4")),
    layer("MultiHeadAttention", "2, 4, value_dim=3, dtype='float64'", "x, y", ("2 5 3 8", "2 2 3 6")),
    layer("MultiHeadAttention", "2, 4, dropout=0.3, dtype='float64', attention_axes=(1, 3)", "x, y",
          ("2 5 3 2 8", "2 7 3 3 6")),
    Case("MultiHeadAttention", {}, (QUERY, VALUE),
         call="ops.concatenate([ops.reshape(it, (-1, 2)) for it in "
         "layers.MultiHeadAttention(2, 4, dtype='float64')(x, y, return_attention_scores=True)], axis=0)"),
    layer("MultiHeadAttention", "2, 3, dtype='float64'", "x, y", within=1e-6,
          why="TensorFlow makes a float32 of 1 / sqrt(3) first"),
    layer("GroupQueryAttention", "4, 6, 2, dtype='float64'", "x, y", (QUERY, "2 7 8"), within=1e-9,
          why="the gradient of the key's bias is zero, up to rounding"),
    layer("GroupQueryAttention", "4, 6, 2, dtype='float64'", "x, x, use_causal_mask=True", QUERY),
    layer("GroupQueryAttention", "4, 6, 1, dtype='float64'", f"x, y, value_mask={MASK}", (QUERY, "2 7 8")),
    *(
        Case(
            kind, {}, (QUERY, "2 7 8"),
            call=f"layers.{kind}({options}, dtype='float64'{more})(x, y, {masks}{scores}",
        )
        for kind, options in (("GroupQueryAttention", "4, 6, 2"), ("MultiHeadAttention", "2, 4"))
        for more, scores in (("", ")"), (", dropout=0.3", ")"), ("", f"{SCORES})[0]"), ("", f"{SCORES})[1]"))
        for masks in (f"query_mask={ROWS}", f"query_mask={ROWS}, value_mask={MASK}", f"value_mask={NONE}")
    ),
    *(
        layer(kind, f"{options}dtype='float64'", call, (QUERY, "2 7 8", "2 7 8")[: 3 if "z" in call else 2])
        for kind in ("Attention", "AdditiveAttention")
        for options in ("", "use_scale=True, ")
        for call in (
            "[x, y]", "[x, y, z]", "[x, y], use_causal_mask=True",
            f"[x, y], mask=[x[..., 0] > 0, {MASK}]",
            f"[x, y], mask=[x[..., 0] > 0, {MASK}], use_causal_mask=True",
        )
    ),
    *(
        Case(kind, {}, (QUERY, "2 7 8"), of=of,
             call=f"layers.{kind}({options}dtype='float64')([x, y], mask=[{ROWS}, {MASK}]{SCORES})[{at}]")
        for of in ("keras", "tf_keras")
        for kind, options in (("Attention", ""), ("Attention", "dropout=0.3, "), ("AdditiveAttention", ""))
        for at in (0, 1)
    ),
    *(layer("Attention", f"{options}score_mode='concat', dtype='float64'", "[x, y]", (QUERY, "2 7 8"))
      for options in ("", "use_scale=True, ")),
    Case("Attention", {}, (QUERY, "2 7 8"),
         call="ops.matmul(layers.Attention(dtype='float64')([x, y], return_attention_scores=True)[1], y)"),
]  # fmt: skip


def einsum(
    equation: str, output_shape: Any, x: str, bias_axes: str | None = None, of: str = "keras", **more: Any
) -> Case:
    options = {"equation": equation, "output_shape": output_shape, "bias_axes": bias_axes, **more}
    return Case("EinsumDense", options, x, of=of)


NO_DOUBLE: dict[str, Any] = {
    "dtype": "float32", "within": 1e-5, "why": "TensorFlow has no float64 kernel"
}  # fmt: skip

ATTENTION += [
    einsum("ab,bc->ac", 11, "2 5", "c"),
    einsum("abc,cd->abd", (None, 11), "2 5 3", "d", activation="relu"),
    einsum("...x,xy->...y", 11, "2 5 7 3", "y"),
    einsum("abc,cde->abde", (None, 2, 3), "2 5 7", "de"),
    einsum("abcd,cde->abe", (None, 11), "2 5 2 3", "e"),
    einsum("abc,dc->abd", (None, 11), "2 5 3"),
    einsum("abc,cd->adb", (11, None), "2 5 3"),
    einsum("abc,cde->abde", (None, 2, 3), "2 5 7", "e"),
    einsum("bc...,cd->bd...", 11, "2 5 3 7"),
    einsum("bc...,cd->bd...", (11, 3, 7), "2 5 3 7", "d"),
    einsum("abc...,bcd->ad...", 11, "2 5 3 7", "d", of="tf_keras"),
    einsum("abc,bde->acde", (None, 2, 3), "2 5 7", "d"),
    Case("RMSNormalization"),
    Case("RMSNormalization", {"axis": [2, 3]}),
    Case("RMSNormalization", {"epsilon": 0.125}, "2 5 3"),
    Case("RMSNormalization", {}, "2 5"),
    Case("UnitNormalization"),
    Case("UnitNormalization", {"axis": 1}),
    Case("UnitNormalization", {"axis": [1, 2]}),
    *(
        Case(
            f"Adaptive{kind}Pooling{len(size)}D", {"output_size": size}, x,
            **(NO_DOUBLE if len(size) == 3 else {}),
        )
        for kind in ("Average", "Max")
        for size, x in (((3,), "2 11 5"), ((3, 5), "2 11 7 3"), ((2, 3, 2), "2 5 7 4 3"))
    ),
]  # fmt: skip

WORDS = "layers.Embedding(5, 8, mask_zero=True, dtype='float64')(x)"
ATTENTION += [
    Case("MultiHeadAttention", {}, "4 7", below=5,
         call=f"layers.MultiHeadAttention(2, 4, dtype='float64')(*[{WORDS}] * 2)"),
    Case("Attention", {}, "4 7", below=5, call=f"layers.Attention(dtype='float64')([{WORDS}] * 2)"),
]  # fmt: skip
