"""The table of operations between layers: `keras.ops`, and the operators of Python."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case

#: Numbers are float32 before they are cast, or the kernel has no float64.
FLOAT32 = "a number is a float32 first"


def op(kind: str, call: str, x: str | tuple[str, ...] = "2 5 7 3", **more: Any) -> Case:
    return Case(f"keras.ops.{kind}", {}, x, call=call, **more)


def apart(number: float = 1e-6) -> dict[str, Any]:
    return {"within": number, "why": FLOAT32}


PAIR = ("2 5 7 3", "2 5 7 3")
UNARY = {
    "Exp": "exp", "Exp2": "exp2", "Expm1": "expm1", "Sin": "sin", "Cos": "cos", "Tan": "tan",
    "Arctan": "arctan", "Sinh": "sinh", "Cosh": "cosh", "Tanh": "tanh", "Arcsinh": "arcsinh",
    "Erf": "erf", "Sigmoid": "sigmoid", "Absolute": "absolute", "Abs": "abs", "Negative": "negative",
    "Square": "square", "Floor": "floor", "Ceil": "ceil", "Trunc": "trunc", "Sign": "sign",
    "Deg2rad": "deg2rad", "Rad2deg": "rad2deg", "Copy": "copy", "Reciprocal": "reciprocal",
}  # fmt: skip
POSITIVE = {
    "Log": "log", "Log2": "log2", "Log10": "log10", "Log1p": "log1p", "Sqrt": "sqrt", "Rsqrt": "rsqrt",
}  # fmt: skip
WITHIN_ONE = {"Arcsin": "arcsin", "Arccos": "arccos", "Arctanh": "arctanh", "Erfinv": "erfinv"}

ELEMENTWISE = [
    *(op(kind, f"ops.{name}(x)", within=1e-6 if "2" in name and "ra" in name else 1e-10,
         why="TensorFlow has pi in float32" if "2" in name and "ra" in name else "")
      for kind, name in UNARY.items()),
    *(op(kind, f"ops.{name}(ops.square(x) + 0.5)") for kind, name in POSITIVE.items()),
    *(op(kind, f"ops.{name}(ops.sin(x) * 0.5)") for kind, name in WITHIN_ONE.items()),
    op("Arccosh", "ops.arccosh(ops.square(x) + 1.5)"),
    op("Round", "ops.round(x * 4) + x"),
    op("StopGradient", "ops.stop_gradient(x) * x"),
    op("Add", "x + y", PAIR),
    op("Add", "x + 1"),
    op("Add", "0.5 + x"),
    op("Add", "x + np.arange(3, dtype='float32')"),
    op("Add", "x + np.arange(21, dtype='float32').reshape(7, 3)"),
    op("Add", "x + y", ("2 5 3", "2 5 1")),
    op("Add", "x + y", ("2 5 7 3", "2 1 1 3")),
    op("Add", "x + ops.sum(y, axis=0)", ("2 5 3", "2 5 3")),
    op("Add", "x + ops.sum(y, axis=(0, 1))", ("2 5 3", "2 5 3")),
    op("Add", "x + ops.sum(y, axis=0)", ("2 4 5 3", "2 4 5 3")),
    op("Subtract", "1 - x"),
    op("Subtract", "x - (y - x)", PAIR),
    op("Multiply", "2 * x * y", PAIR),
    op("Divide", "x / (ops.square(y) + 1)", PAIR),
    op("TrueDivide", "ops.true_divide(x, 4)"),
    op("FloorDivide", "x // 0.75 + x"),
    op("Mod", "x % 0.75"),
    op("Power", "x ** 2"),
    op("Power", "(-x) ** 3 - 2 ** x"),
    op("Maximum", "ops.maximum(x, y)", PAIR),
    op("Maximum", "ops.maximum(x, 0.25)"),
    op("Minimum", "ops.minimum(0.25, x)"),
    op("Minimum", "ops.minimum(x, y)", PAIR),
    op("Clip", "ops.clip(x, -0.5, 0.75)"),
    op("Equal", "ops.cast(ops.equal(ops.round(x), 1), 'float64') * x"),
    op("NotEqual", "ops.cast(ops.not_equal(ops.round(x), ops.round(y)), 'float64') * x", PAIR),
    op("Greater", "ops.where(x > y, x, y * 2)", PAIR),
    op("GreaterEqual", "ops.where(x >= 0, x, 0.0)"),
    op("Less", "ops.where(ops.less(x, 0.5), 1.0, x)"),
    op("LessEqual", "ops.where(ops.equal(x <= y, x < 0), x, y)", PAIR),
    op("Where", "ops.where(ops.round(x), x, y)", ("2 5 7 3", "2 1 1 3")),
    op("LogicalAnd", "ops.where(ops.logical_and(x > 0, y > 0), x, y)", PAIR),
    op("LogicalOr", "ops.where(ops.logical_or(x > 0, y > 0), x, y)", PAIR),
    op("LogicalXor", "ops.where(ops.logical_xor(x > 0, y > 0), x, y)", PAIR),
    op("LogicalNot", "ops.where(ops.logical_not(x > 0), x, -2 * x)"),
    op("BitwiseAnd", "ops.where((x > 0) & (y > 0), x, y)", PAIR),
    op("BitwiseOr", "ops.where((x > 0) | (y > 0), x, y)", PAIR),
    op("Isnan", "ops.where(ops.isnan(ops.log(x)), x, 1)"),
    op("Isinf", "ops.where(ops.isinf(x), 1, x)"),
    op("Isfinite", "ops.where(ops.isfinite(ops.log(x)), x, 1)"),
    op("Arctan2", "ops.arctan2(x, y)", PAIR),
    op("Logaddexp", "ops.logaddexp(x, y)", PAIR),
    op("Hypot", "ops.hypot(x, y)", PAIR),
    op("Cast", "ops.cast(ops.cast(x * 3, 'int32'), 'float64') * x"),
    op("OnesLike", "ops.ones_like(x) + x"),
    op("ZerosLike", "ops.zeros_like(x) + x"),
]  # fmt: skip

COMPLEX = {"within": 1e-6, "why": "Keras casts to complex64"}
WHOLE = {
    "BitwiseXor": "bitwise_xor", "Gcd": "gcd", "Lcm": "lcm", "BitwiseLeftShift": "bitwise_left_shift",
    "LeftShift": "left_shift", "BitwiseRightShift": "bitwise_right_shift", "RightShift": "right_shift",
}  # fmt: skip
ELEMENTWISE += [
    *(op(kind, f"ops.cast(ops.{name}(x, y), 'float64')", PAIR, below=9) for kind, name in WHOLE.items()),
    *(op(kind, f"ops.cast(ops.{name}(x), 'float64')", below=9)
      for kind, name in {"BitwiseInvert": "bitwise_invert", "BitwiseNot": "bitwise_not"}.items()),
    *(op(kind, f"ops.{name}(x)") for kind, name in {
        "Erfc": "erfc", "Sinc": "sinc", "I0": "i0", "Fabs": "fabs", "Cbrt": "cbrt", "Real": "real",
        "Conjugate": "conjugate"}.items()),
    op("Angle", "ops.angle(x) + x", **apart()),
    op("Imag", "ops.imag(x) + x"),
    op("Isposinf", "ops.where(ops.isposinf(1 / ops.relu(x)), 1.0, x)"),
    op("Isneginf", "ops.where(ops.isneginf(-1 / ops.relu(x)), 1.0, x)"),
    op("Isreal", "ops.where(ops.isreal(x), x, 0.0)"),
    op("Signbit", "ops.where(ops.signbit(x), x, 2 * x)"),
    *(op(kind, f"ops.{name}(x, y)", PAIR) for kind, name in {
        "Fmax": "fmax", "Fmin": "fmin", "Fmod": "fmod",
        "DivideNoNan": "divide_no_nan", "Heaviside": "heaviside"}.items()),
    op("DivideNoNan", "ops.divide_no_nan(x, ops.relu(y))", PAIR),
    op("Logaddexp2", "ops.logaddexp2(x, y)", PAIR, within=1e-8, why="Keras has log(2) in float32"),
    op("Heaviside", "ops.heaviside(ops.relu(x), y)", PAIR),
    op("Nextafter", "ops.where(ops.nextafter(x, y) > x, x, y)", PAIR),
    op("Ldexp", "ops.ldexp(x, ops.cast(y * 3, 'int32'))", PAIR),
    op("Isclose", "ops.where(ops.isclose(ops.round(x), ops.round(y)), x, y)", PAIR),
    op("Isclose", "ops.where(ops.isclose(x, y, rtol=0.5, atol=0.25), x, y)", PAIR),
    op("AllClose", "ops.where(ops.allclose(x, y), x, 2 * y)", PAIR),
    op("Select", "ops.select([x > 1, x > 0], [x, 2 * y], 0.5)", PAIR),
    op("Select", "ops.select([x > 1, y > 0], [x, 2 * y], 0.5 * x)", PAIR),
    op("NanToNum", "ops.nan_to_num(ops.where(x > 1, 1 / ops.zeros_like(x), x), posinf=3.0)"),
    op("NanToNum", "ops.nan_to_num(ops.where(x > 1, ops.log(x), ops.where(y > 1, np.nan, y)))", PAIR),
    *(op(kind, f"ops.{name}(ops.polar(x, y)) + x", ("2 5 3", "2 5 3"), **COMPLEX)
      for kind, name in {"Real": "real", "Imag": "imag", "Absolute": "absolute", "Angle": "angle"}.items()),
    op("Conjugate", "ops.view_as_real(ops.conj(ops.polar(x, y)))", ("2 5 3", "2 5 3"), **COMPLEX),
    op("ViewAsReal", "ops.view_as_real(ops.multiply(ops.polar(x, y), ops.polar(y, x)))",
       ("2 5 3", "2 5 3"), **COMPLEX),
    op("Polar", "ops.view_as_real(ops.polar(x, y))", ("2 5 3", "2 5 3"), **COMPLEX),
    op("SaturateCast", "ops.cast(ops.saturate_cast(x * 200, 'uint8'), 'float64') * x"),
    op("FullLike", "ops.full_like(x, 3) * x"),
    op("Size", "ops.cast(ops.size(x), 'float64') * x"),
    op("IsIn", "ops.where(ops.isin(ops.round(x), [1.0, 2.0]), x, y)", PAIR),
    op("IsIn", "ops.where(ops.isin(x, y, invert=True), 1.5, ops.cast(x, 'float64'))", PAIR, below=9),
]  # fmt: skip

KEEP = ", keepdims=True"
AXES = ("1", "-1", "(1, 2)", "(2, 3)", f"-2{KEEP}", f"-1{KEEP}", "None", f"None{KEEP}")
REDUCE = [
    *(op("Mean", f"ops.mean(x, axis={axis})") for axis in (*AXES, "0", "(0, 1)")),
    *(op("Sum", f"ops.sum(x, axis={axis})") for axis in AXES),
    *(op("Max", f"ops.max(x, axis={axis})") for axis in AXES),
    *(op("Amax", f"ops.amax(x, axis={axis})") for axis in AXES[:3]),
    *(op("Amin", f"ops.amin(x, axis={axis})") for axis in AXES[:3]),
    *(op("Min", f"ops.min(x, axis={axis})") for axis in AXES[:3]),
    *(op("Var", f"ops.var(x, axis={axis})") for axis in AXES),
    *(op("Std", f"ops.std(x, axis={axis})") for axis in AXES),
    *(op("Prod", f"ops.prod(x, axis={axis})") for axis in AXES),
    *(op("Logsumexp", f"ops.logsumexp(x, axis={axis})") for axis in AXES),
    *(op("Norm", f"ops.norm(x, axis={axis})") for axis in ("1", "-1", "-1, keepdims=True")),
    op("Norm", "ops.norm(x, ord=1, axis=-1)"),
    op("Any", "ops.where(ops.any(x > 1, axis=-1, keepdims=True), x, 0.0)"),
    op("All", "ops.where(ops.all(x > -1, axis=(1, 2), keepdims=True), x, 0.0)"),
    op("Argmax", "ops.cast(ops.argmax(x, axis=-1), 'float64') * ops.sum(x, axis=-1)"),
    op("Argmax", "ops.cast(ops.argmax(x, axis=1), 'float64') * ops.sum(x, axis=1)"),
    op("Argmin", "ops.cast(ops.argmin(x, axis=2, keepdims=True), 'float64') * x"),
    op("Cumsum", "ops.cumsum(x, axis=1)"),
    op("Cumsum", "ops.cumsum(x, axis=-1)"),
    op("Cumprod", "ops.cumprod(x, axis=2)"),
    op("Sort", "ops.sort(x, axis=1)"),
]
MISSING = "ops.where(x > 1, np.nan, x)"
NAN = {"Nansum": "nansum", "Nanmean": "nanmean", "Nanmax": "nanmax", "Nanmin": "nanmin", "Nanvar": "nanvar",
       "Nanstd": "nanstd", "Nanprod": "nanprod"}  # fmt: skip
QUANTILE = {"Quantile": "quantile", "Nanquantile": "nanquantile"}
PERCENT = {"Percentile": "percentile", "Nanpercentile": "nanpercentile"}
SORTED = [
    *(op(kind, f"ops.{name}({MISSING}, axis={axis})")
      for kind, name in NAN.items() for axis in ("1", "(1, 2)", f"(1, -1){KEEP}", "None")),
    *(op("CountNonzero", f"ops.cast(ops.count_nonzero(ops.relu(x), axis={axis}), 'float64')")
      for axis in ("1", "(1, 2)", "None")),
    *(op("Ptp", f"ops.ptp(x, axis={axis})") for axis in ("1", f"-1{KEEP}", "None")),
    *(op("Moments", f"ops.subtract(*ops.moments(x, axes={axis}))") for axis in ("[1, 2]", "[-1]")),
    op("Moments", "ops.moments(x, axes=[1], keepdims=True)[1]"),
    op("Average", "ops.average(x, axis=1)"),
    op("Average", "ops.average(x, weights=y, axis=2)", ("2 5 7 3", "2 5 7 3")),
    op("Average", "ops.average(x, weights=np.arange(7, dtype='float32'), axis=2)"),
    *(op(kind, f"ops.{name}({x}, axis={axis})")
      for kind, name in {"Median": "median", "Nanmedian": "nanmedian"}.items()
      for x, axis in (("x", 1), ("x", "-1, keepdims=True"), (MISSING if "n" in name[:1] else "x", "None"))),
    *(op(kind, f"ops.{name}(x, {q}, axis=1)") for kind, name in QUANTILE.items()
      for q in (0.25, [0.25, 0.75])),
    *(op(kind, f"ops.{name}(x, {q}, axis=1)") for kind, name in PERCENT.items() for q in (25, [25, 75])),
    *(op("Percentile", f"ops.percentile(x, 37.5, axis=2, method='{method}')")
      for method in ("lower", "higher", "nearest", "midpoint")),
    op("Nancumsum", f"ops.nancumsum({MISSING}, axis=1)"),
    op("Nancumprod", f"ops.nancumprod({MISSING}, axis=-1)"),
    *(op("Norm", f"ops.norm(x, ord={order}, axis=-1)") for order in ("np.inf", "-np.inf", "2")),
    *(op("Norm", f"ops.norm(x, ord={order}, axis=(1, 2))")
      for order in ("None", "'fro'", "1", "-1", "np.inf", "-np.inf")),
    *(op("Norm", f"ops.norm(x, ord={order}, axis=(-1, -2), keepdims=True)")
      for order in ("'nuc'", "2", "-2", "1")),
    op("Argsort", "ops.cast(ops.argsort(ops.relu(x), axis=1), 'float64')"),
    op("Argsort", "ops.cast(ops.argsort(x), 'float64') * x"),
    op("TopK", "ops.add(ops.top_k(x, 2)[0], ops.cast(ops.top_k(ops.relu(x), 2)[1], 'float64'))"),
    op("TopK", "ops.top_k(x, 3)[0]", "2 5"),
    op("InTopK", "ops.cast(ops.in_top_k(ops.argmax(x, axis=1), ops.cast(y, 'float32'), 2), 'float64')",
       ("11 5", "11 5")),
    op("SearchSorted",
       "ops.cast(ops.searchsorted(np.array([-1.0, 0.0, 0.5]), ops.reshape(x, (-1,))), 'float64')"),
    op("SearchSorted",
       "ops.cast(ops.searchsorted(ops.sort(x[:, 0]), x[:, 1], side='right'), 'float64')", "5 2", below=11),
    op("Digitize", "ops.cast(ops.digitize(x, np.array([-1.0, 0.25, 0.5])), 'float64') * x"),
    op("Bincount", "ops.cast(ops.bincount(x), 'float64')", "2 7", below=5),
    op("Bincount", "ops.cast(ops.bincount(x, minlength=11), 'float64')", "2 7", below=5),
    op("UnravelIndex", "ops.cast(ops.unravel_index(x[:, 0], (2, 3, 4))[1], 'float64')", "11 1", below=24),
    op("UnravelIndex", "ops.cast(ops.unravel_index(x[:, 0], (7,))[0], 'float64')", "11 1", below=7),
]  # fmt: skip

SHAPE = [
    op("Flip", "ops.flip(x, axis=2)"),
    op("Flip", "ops.flip(x, axis=-1)"),
    op("Roll", "ops.roll(x, 2, axis=1)"),
    *(op("ExpandDims", f"ops.expand_dims(x, {axis})", "2 5 3") for axis in (0, 1, 2, 3, -1)),
    op("ExpandDims", "ops.expand_dims(x, 1)", "2 5"),
    op("ExpandDims", "ops.expand_dims(x, (1, 2))", "2 5"),
    op("Squeeze", "ops.squeeze(x, 1)", "2 1 7 3"),
    op("Squeeze", "ops.squeeze(x, -1)", "2 5 7 1"),
    op("Squeeze", "ops.squeeze(x, (1, 2))", "2 1 1 3"),
    *(
        op("GetItem", f"x[{key}]")
        for key in (
            ":, 0", ":, :, 1", "..., 0", "..., 1:", ":, 1:-1, ::2", ":, None", ":, :, None, 2", "..., None",
            ":, ::-1", "..., ::-1", ":, 1:3, 2, None, 0", "0", ":, -1, ..., -1", ":, :, -2:",
        )
    ),
    op("GetItem", "x[:, 1:]", "2 5"),
    op("GetItem", "x[:, 1]", "2 5"),
    op("Reshape", "ops.reshape(x, (-1, 35, 3))"),
    op("Reshape", "ops.reshape(x, (-1, 5, 21))"),
    op("Reshape", "ops.reshape(x, (-1, 3))"),
    op("Reshape", "ops.reshape(x, (-1, 105))"),
    op("Transpose", "ops.transpose(x, (0, 2, 1, 3))"),
    op("Transpose", "ops.transpose(x, (0, 3, 1, 2))"),
    op("Transpose", "ops.transpose(x, (2, 1, 0, 3))"),
    op("Transpose", "ops.transpose(x)"),
    op("Swapaxes", "ops.swapaxes(x, 1, 2)"),
    op("Swapaxes", "ops.swapaxes(x, -1, -2)"),
    op("Moveaxis", "ops.moveaxis(x, -1, 1)"),
    op("Moveaxis", "ops.moveaxis(x, 1, -1)"),
    op("Moveaxis", "ops.moveaxis(x, (1, 2), (2, 1))"),
    op("Concatenate", "ops.concatenate([x, y], axis=-1)", ("2 5 3", "2 5 4")),
    op("Concatenate", "ops.concatenate([x, y], axis=1)", ("2 5 3", "2 4 3")),
    *(op("Stack", f"ops.stack([x, y], axis={axis})", ("2 5 3", "2 5 3")) for axis in (0, 1, 2, -1)),
    op("Split", "ops.concatenate(ops.split(x, 3, axis=-1)[::-1], axis=-1)"),
    op("Split", "ops.concatenate(ops.split(x, [1, 3], axis=1)[::-1], axis=1)"),
    op("Unstack", "ops.add(*ops.unstack(x, axis=1))", "2 2 5 3"),
    op("Unstack", "ops.add(*ops.unstack(x, axis=-1))", "2 3 5 2"),
    op("Split", "ops.split(x, 1, axis=-1)[0]"),
    op("Unstack", "ops.unstack(x, axis=-1)[0]", "2 3 5 1"),
    op("ArraySplit", "ops.array_split(x, 1, axis=1)[0]"),
    op("Repeat", "ops.repeat(x, 3, axis=1)"),
    op("Repeat", "ops.repeat(x, 2, axis=-1)"),
    op("Repeat", "ops.repeat(x, 2)"),
    op("Tile", "ops.tile(x, (1, 2, 1, 3))"),
    op("Tile", "ops.tile(x, (2, 3))"),
    op("Pad", "ops.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))"),
    op("Pad", "ops.pad(x, ((0, 0), (1, 2), (0, 3), (2, 0)), constant_values=1.5)"),
    op("Pad", "ops.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), mode='reflect')"),
    op("Pad", "ops.pad(x, ((0, 0), (1, 2), (0, 3), (1, 1)), mode='reflect')"),
    op("Pad", "ops.pad(x, ((0, 0), (5, 2), (0, 3), (1, 1)), mode='symmetric')"),
    op("BroadcastTo", "ops.broadcast_to(x, (2, 5, 7, 3)) * y", ("2 1 1 3", "2 5 7 3")),
    op("Take", "ops.take(x, [2, 0, 2], axis=1)"),
    op("Take", "ops.take(x, 1, axis=-1)"),
    op("TakeAlongAxis", "ops.take_along_axis(x, ops.cast(ops.abs(y), 'int32') % 3, axis=1)",
       ("2 5 3", "2 4 3")),
    op("TakeAlongAxis", "ops.take_along_axis(x, ops.cast(ops.abs(y), 'int32') % 3, axis=2) + y",
       ("2 5 3", "2 5 7")),
    op("TakeAlongAxis", "ops.take_along_axis(x, ops.argsort(x, axis=1)[:, :2], axis=1) + 1", "2 5 7 3"),
    op("OneHot", "ops.one_hot(ops.cast(x * 2, 'int32'), 4, dtype='float64') * y", ("2 5", "2 5 4")),
    op("Tril", "ops.tril(x, k=1)"),
    op("Triu", "ops.triu(x)"),
]  # fmt: skip

NUMPY = [
    op("Hstack", "ops.hstack([x, y])", ("2 5 3", "2 4 3")),
    op("Vstack", "ops.vstack([x, y])", ("2 5 3", "2 5 3")),
    op("Dstack", "ops.dstack([x, y])", ("2 5 3", "2 5 4")),
    op("Hsplit", "ops.subtract(*ops.hsplit(x, 2))", "2 4 3"),
    op("Vsplit", "ops.subtract(*ops.vsplit(ops.sum(x, axis=0), 2))", "2 4 3"),
    op("Dsplit", "ops.concatenate(ops.dsplit(x, [1, 3])[::-1], axis=2)", "2 5 4"),
    op("ArraySplit", "ops.concatenate(ops.array_split(x, 3, axis=1)[::-1], axis=1)"),
    op("ArraySplit", "ops.concatenate(ops.array_split(x, 2, axis=-1)[::-1], axis=-1)"),
    op("Append", "ops.append(x, y, axis=1)", ("2 5 3", "2 4 3")),
    op("Fliplr", "ops.fliplr(x)"),
    op("Flipud", "ops.flipud(x)"),
    *(op("Rot90", f"ops.rot90(x, k={k}, axes=(1, 2))") for k in (1, 3, -1)),
    op("Rot90", "ops.rot90(x, k=2, axes=(1, 2))", "2 5 5 3"),
    op("Rot90", "ops.rot90(x, axes=(2, 1))"),
    op("Ravel", "ops.ravel(x)"),
    op("Meshgrid", "ops.subtract(*ops.meshgrid(x[0, 0, 0], x[0, 0, :, 0]))"),
    op("Meshgrid", "ops.meshgrid(x[0, 0, 0], x[0, 0, :, 0], indexing='ij')[1]"),
    op("Meshgrid", "ops.meshgrid(x[0, 0, 0], x[0, 0, :, 0])[0]"),
    op("Diff", "ops.diff(x)"),
    op("Diff", "ops.diff(x, n=2, axis=1)"),
    op("Trapezoid", "ops.trapezoid(x)"),
    op("Trapezoid", "ops.trapezoid(x, dx=0.5, axis=1)"),
    op("Rearrange", "ops.rearrange(ops.sum(x, axis=0), 'h w c -> w h c')"),
    op("Rearrange", "ops.rearrange(ops.sum(x, axis=0), 'h w c -> h (w c)')"),
    op("Rearrange", "ops.rearrange(ops.sum(x, axis=0), '(h p) (w q) c -> h w (p q c)', p=2, q=3)", "2 4 6 3"),
    op("Rearrange", "ops.rearrange(ops.sum(x, axis=0), 't (n c) -> n t c', n=2)", "2 5 6"),
]  # fmt: skip

#: XlaDynamicUpdateSlice has no gradient.
STOP = "ops.stop_gradient"
SEGMENTS = "ops.sum(x, axis=0), np.array([0, 2, 3, 1, 2]), 4"
SCATTER = [
    op("Slice", "ops.slice(x, (0, 1, 2), (2, 3, 1))", "2 5 3"),
    op("Slice", "ops.slice(x, (0, 1, 0), (-1, 2, 3))", "2 5 3"),
    op("SliceUpdate", f"x * ops.slice_update({STOP}(x), (0, 1, 0), {STOP}(y))", ("2 5 3", "2 2 3")),
    op("SliceUpdate", f"x * ops.slice_update({STOP}(x), (0, 1, 1), {STOP}(y))", ("2 5 3", "2 2 2")),
    op("SliceUpdate", f"x * ops.slice_update({STOP}(x), (0, 1, 1, 2), {STOP}(y))", ("2 5 4 7", "2 2 2 3")),
    op("SliceUpdate", f"x * ops.slice_update({STOP}(x), (0, 3, 1), np.ones((2, 2, 1)))", "2 5 3"),
    op("SliceUpdate", f"x * ops.slice_update({STOP}(x), (0, 2, 0), {STOP}(y))", ("2 5 3", "2 3 3")),
    op("Scatter", "ops.scatter(np.array([[1], [3], [1]]), ops.sum(x, axis=0), (5, 7))", "2 3 7"),
    op("Scatter", "ops.scatter(ops.cast(ops.abs(x), 'int32') % 2, y[:, 0, 0], (2, 2, 2))",
       ("2 3", "2 5 3")),
    op("ScatterUpdate", "ops.scatter_update(x, np.array([[0, 1], [1, 3]]), y)", ("2 5 3", "2 3")),
    op("ScatterUpdate", "ops.scatter_update(x, np.array([[0, 1], [0, 1]]), y, reduction='add')",
       ("2 5 3", "2 3")),
    *(op(f"Segment{kind}", f"ops.segment_{kind.lower()}({SEGMENTS})", "2 5 3")
      for kind in ("Sum", "Prod", "Max", "Min")),
    op("SegmentSum", "ops.segment_sum(y, ops.cast(ops.abs(x[:, 0]), 'int32'), 6)", ("7 3", "7 5")),
    op("SegmentMax", "ops.maximum(ops.segment_max(ops.sum(x, axis=0), np.array([0, 2, 0, 0, 2]), 4), -9)",
       "2 5 3"),
]  # fmt: skip

OPERATIONS = [*ELEMENTWISE, *REDUCE, *SORTED, *SHAPE, *NUMPY, *SCATTER]

NN = [
    *(
        op(kind, f"ops.{name}(x)", "2 5 7 4", within=1e-7 if name == "leaky_relu" else 1e-10,
           why=FLOAT32 if name == "leaky_relu" else "")
        for kind, name in {
            "Relu": "relu", "Relu6": "relu6", "Softplus": "softplus", "Softsign": "softsign", "Silu": "silu",
            "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus", "SparseSigmoid": "sparse_sigmoid",
            "Squareplus": "squareplus", "LogSigmoid": "log_sigmoid", "LeakyRelu": "leaky_relu",
            "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Elu": "elu", "Selu": "selu",
            "Celu": "celu", "Glu": "glu", "TanhShrink": "tanh_shrink", "HardTanh": "hard_tanh",
            "HardShrink": "hard_shrink", "Softmax": "softmax", "LogSoftmax": "log_softmax",
            "Sparsemax": "sparsemax", "Normalize": "normalize",
        }.items()
    ),
    op("Threshold", "ops.threshold(x, 0.5, 0.25)"),
    op("Softmax", "ops.softmax(x, axis=1)"),
    op("Normalize", "ops.normalize(x, axis=1)"),
    op("Gelu", "ops.gelu(x)", **apart()),
    op("Gelu", "ops.gelu(x, approximate=False)", **apart()),
    op("MaxPool", "ops.max_pool(x, 2, padding='same')"),
    op("AveragePool", "ops.average_pool(x, (2, 3), strides=1, padding='same')"),
    op("Resize", "ops.image.resize(x, (11, 13), interpolation='nearest')"),
    op("Resize", "ops.image.resize(x, (3, 11))", **apart()),
    op("Matmul", "ops.matmul(x, y)", ("2 5 7 3", "2 5 3 4")),
    op("Matmul", "ops.matmul(x, np.arange(3) / 8)", "2 5 7 3"),
    op("Matmul", "ops.matmul(np.arange(5) / 8, x)", "2 7 5 3"),
    op("Matmul", "ops.matmul(ops.mean(x, (0, 1)), ops.mean(y, (0, 1)))", ("2 5 3", "2 7 3")),
    op("Matmul", "x @ y", ("2 5 3", "2 3 4")),
    op("Tensordot", "ops.tensordot(x, ops.mean(y, axis=0), axes=1)", ("2 5 3", "2 3 4")),
    op("Dot", "ops.dot(x, ops.mean(y, axis=0))", ("2 5 3", "2 3 4")),
    op("Einsum", "ops.einsum('nthd,nshd->nhts', x, y)", ("2 5 4 3", "2 7 4 3")),
    op("Einsum", "ops.einsum('ntc->nct', x)", "2 5 3"),
]  # fmt: skip
OPERATIONS += NN

APPLICATIONS = "keras.src.applications"
OPERATIONS += [
    op("ConvertToTensor", "ops.convert_to_tensor(x) * 2"),
    Case("LayerScale", {}, call=f"{APPLICATIONS}.convnext.LayerScale(0.5, 3, dtype='float64')(x)"),
    Case("StochasticDepth", {}, call=f"{APPLICATIONS}.convnext.StochasticDepth(0.5, dtype='float64')(x)"),
    Case("CustomScaleLayer", {}, PAIR,
         call=f"{APPLICATIONS}.inception_resnet_v2.CustomScaleLayer(0.3, dtype='float64')([x, y])"),
]  # fmt: skip
