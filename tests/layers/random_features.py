"""Random options of norms, dense layers, activations, noise and the preprocessing of numbers."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from tests.layers.draws import ACTIVATIONS, Draw, eighths, family, one_of, sizes, some, text
from tests.layers.harness import Case, Inner

#: Functions in which TensorFlow has a number as a float32, whatever the tensors are.
ROUNDED = frozenset({"leaky_relu", "gelu"})


@family("BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization")
def norms(draw: Draw, kind: str) -> Case:
    rank = draw(st.integers(2, 5))
    shape = [3, *sizes(draw, rank - 1, 2, 5)]
    axis = draw(st.integers(1, rank - 1))
    options: dict[str, Any] = {"axis": one_of(draw, axis, axis - rank)}
    if kind[0] in "BLG":
        options |= {"scale": draw(st.booleans()), "center": draw(st.booleans())}
    if kind != "UnitNormalization":
        options["epsilon"] = one_of(draw, 1e-3, 1e-5, 0.1)
    if kind == "BatchNormalization":
        options["trainable"] = draw(st.booleans())
        options |= some(draw, {"renorm": st.just(True), "momentum": st.sampled_from([0.5, 0.9])})
        if options.get("renorm"):
            options |= some(draw, {
                "renorm_momentum": st.just(0.25),
                "renorm_clipping": st.sampled_from([{"rmax": 1.5}, {"rmin": 0.5, "dmax": 0.25}]),
            })  # fmt: skip
    if kind == "LayerNormalization":
        options |= some(draw, {"rms_scaling": st.just(True)})
    if kind == "GroupNormalization":
        counts = [it for it in range(1, shape[axis] + 1) if shape[axis] % it == 0]
        options["groups"] = one_of(draw, *counts, -1)
        alone = options["groups"] in (shape[axis], -1) and rank == 2
        assume(not alone)  # a group of one value: its gradient is nothing but rounding
    if kind[0] in "LRU" and draw(st.booleans()):
        options["axis"] = draw(st.lists(st.integers(1, rank - 1), min_size=1, unique=True))
    if kind == "RMSNormalization" and draw(st.integers(0, 3)):  # Keras itself takes the last axes only
        options["axis"] = one_of(draw, -1, list(range(axis, rank)))
    return Case(kind, options, text(shape))


@family("Dense")
def dense(draw: Draw, kind: str) -> Case:
    options = {
        "units": draw(st.integers(1, 5)), "use_bias": draw(st.booleans()), "activation": draw(ACTIVATIONS)
    }  # fmt: skip
    shape = [2, *sizes(draw, draw(st.integers(1, 4)), 1, 5)]
    declared = text(["?", *("?" for _ in shape[1:-1]), shape[-1]]) if draw(st.booleans()) else ""
    return Case(kind, options, text(shape), sizes=declared)


@family("EinsumDense")
def einsum_dense(draw: Draw, kind: str) -> Case:
    """Letters: some of the input are summed over, some of the kernel are new, the rest are shared."""
    letters = "bcdef"[: draw(st.integers(1, 3))]
    summed = draw(st.sets(st.sampled_from(letters), min_size=1).map(sorted))
    shared = draw(st.sets(st.sampled_from(letters)).map(sorted))
    new = "xyz"[: draw(st.integers(1, 2))]
    kept = [it for it in letters if it not in summed]
    kernel = draw(st.permutations([*summed, *(it for it in shared if it not in summed), *new]))
    out = draw(st.permutations([*kept, *new]))
    known = dict(zip([*letters, *new], sizes(draw, len(letters) + len(new), 1, 5), strict=True))
    options: dict[str, Any] = {
        "equation": f"a{letters},{''.join(kernel)}->a{''.join(out)}",
        "output_shape": tuple(known[it] for it in out),
        "activation": one_of(draw, None, "relu", "tanh"),
    }
    if draw(st.booleans()):
        options["bias_axes"] = "".join(it for it in out if draw(st.booleans())) or None
    return Case(kind, options, text([2, *(known[it] for it in letters)]))


@family("ReLU LeakyReLU ELU PReLU Softmax")
def activations(draw: Draw, kind: str) -> Case:
    rank = draw(st.integers(1, 4))
    shape = [2, *sizes(draw, rank, 1, 5)]
    axis = draw(st.integers(1, rank))
    options: dict[str, Any] = {}
    if kind == "ReLU":
        options = {
            "max_value": one_of(draw, None, 6, 6.0, 1.0, eighths(draw, 0.5, 2)),
            "negative_slope": one_of(draw, 0.0, eighths(draw, 0, 1)),
            "threshold": one_of(draw, 0.0, eighths(draw, 0, 1)),
        }
    if kind == "LeakyReLU":
        options = {"negative_slope": eighths(draw, 0, 1)}
    if kind == "ELU":
        options = {"alpha": eighths(draw, 0, 2)}
    if kind == "PReLU":
        options = {"shared_axes": draw(st.sets(st.integers(1, rank)).map(sorted)) or None}
    if kind == "Softmax":
        several = draw(st.sets(st.integers(1, rank), min_size=1).map(sorted))
        options = {"axis": one_of(draw, axis, axis - rank - 1, several)}
    return Case(kind, options, text(shape))


@family(
    " ".join(
        f"activation:{name}"
        for name in (
            "linear relu sigmoid tanh softmax softplus softsign elu selu celu gelu silu exponential "
            "hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax mish relu6 glu tanh_shrink "
            "soft_shrink hard_shrink squareplus sparse_plus sparsemax sparse_sigmoid swish hard_swish"
        ).split()
    )
)
def functions(draw: Draw, kind: str) -> Case:
    shape = [2, *sizes(draw, draw(st.integers(1, 4)), 1, 6)]
    name = kind.removeprefix("activation:")
    if name == "glu":
        shape[-1] = 2 * draw(st.integers(1, 3))
    if name in ROUNDED:
        return Case(kind, {}, text(shape), within=1e-7, why="TensorFlow has a float32 in it")
    return Case(kind, {}, text(shape))


@family("Dropout GaussianDropout GaussianNoise AlphaDropout Identity ActivityRegularization")
def noise(draw: Draw, kind: str) -> Case:
    """In inference."""
    shape = [2, *sizes(draw, draw(st.integers(1, 4)), 1, 5)]
    options: dict[str, Any] = {}
    if kind == "GaussianNoise":
        options = {"stddev": eighths(draw, 0, 2)}
    elif kind.endswith("Dropout"):
        options = {"rate": draw(st.integers(0, 7)) / 8}
    if kind == "Dropout" and draw(st.booleans()):
        options["noise_shape"] = (None, *(one_of(draw, None, 1, size) for size in shape[1:]))
    if kind == "ActivityRegularization":
        options = {"l1": eighths(draw, 0, 1), "l2": eighths(draw, 0, 1)}
    return Case(kind, options, text(shape))


@family("SpatialDropout1D SpatialDropout2D SpatialDropout3D")
def spatial_dropout(draw: Draw, kind: str) -> Case:
    shape = [2, *sizes(draw, int(kind[-2]) + 1, 1, 5)]
    options: dict[str, Any] = {"rate": draw(st.integers(0, 7)) / 8}
    if kind != "SpatialDropout1D" and draw(st.booleans()):
        options["data_format"] = "channels_first"
    return Case(kind, options, text(shape))


@family("Rescaling")
def rescaling(draw: Draw, kind: str) -> Case:
    shape = [2, *sizes(draw, draw(st.integers(1, 3)), 1, 4)]

    def number() -> Any:
        """One, or one for each entry of the last axis, or of the last two."""
        axes = draw(st.integers(0, min(2, len(shape) - 1)))
        if axes == 0:
            return one_of(draw, 0.5, 1.0, 2, 0.0078125, -1.0, 0)
        row = [eighths(draw, -2, 2) for _ in range(shape[-1])]
        return row if axes == 1 else [[it + at for it in row] for at in range(shape[-2])]

    return Case(kind, {"scale": number(), "offset": number()}, text(shape))


@family("Normalization")
def normalization(draw: Draw, kind: str) -> Case:
    rank = draw(st.integers(1, 3))
    shape = [2, *sizes(draw, rank, 1, 4)]
    axes = draw(st.sets(st.integers(1, rank)).map(sorted))
    options: dict[str, Any] = {"axis": axes or None, "invert": draw(st.booleans())}
    if not axes and draw(st.booleans()):
        options |= {"mean": eighths(draw, -1, 1), "variance": eighths(draw, 0.5, 2)}
    elif len(axes) == 1 and draw(st.booleans()):
        count = shape[axes[0]]
        options["mean"] = [eighths(draw, -1, 1) for _ in range(count)]
        options["variance"] = [eighths(draw, 0, 2) for _ in range(count)]
    return Case(kind, options, text(shape))


EMBED = (("Embedding", {"input_dim": 9, "output_dim": 3}),)


@family("CategoryEncoding Discretization IntegerLookup")
def categories(draw: Draw, kind: str) -> Case:
    shape = [3, *sizes(draw, draw(st.integers(1, 2)), 1, 5)]
    mode = one_of(draw, "int", "one_hot", "multi_hot", "count")
    options: dict[str, Any] = {"output_mode": mode}
    below = 7
    if kind == "CategoryEncoding":
        assume(mode != "int")
        options["num_tokens"] = draw(st.integers(7, 9))
    elif kind == "Discretization":
        edges = draw(st.lists(st.integers(-16, 16), min_size=1, max_size=4, unique=True).map(sorted))
        options["bin_boundaries"] = [it / 8 for it in edges]
        below = one_of(draw, 0, 7)
    else:
        known = st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True)
        options["vocabulary"] = draw(known)
        options |= some(draw, {
            "mask_token": st.sampled_from([None, 0, 3, 11]), "oov_token": st.sampled_from([-1, -2]),
        })  # fmt: skip
    return Case(kind, options, text(shape), below=below, then=EMBED if mode == "int" else ())


@family("Hashing HashedCrossing")
def hashing(draw: Draw, kind: str) -> Case:
    mode = one_of(draw, "int", "one_hot", "multi_hot", "count")
    options: dict[str, Any] = {"num_bins": draw(st.integers(1, 9)), "output_mode": mode}
    options |= {"dtype": "int64"} if mode == "int" else {}
    below = one_of(draw, 7, 700)
    then = EMBED if mode == "int" else ()
    if kind == "HashedCrossing":
        assume(mode in ("int", "one_hot"))
        return Case(kind, options, ("7 1",) * draw(st.integers(2, 3)), then, below=below)
    whole = st.integers(-(2**40), 2**40)
    options |= some(draw, {
        "mask_value": st.integers(0, 6), "salt": whole | st.lists(whole, min_size=2, max_size=2),
    })  # fmt: skip
    return Case(kind, options, text([3, *sizes(draw, draw(st.integers(1, 2)), 1, 5)]), then, below=below)


INSIDE: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal"}, 1),
    ("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2, "strides": 2, "padding": "same"}, 2),
    ("Conv2D", {"filters": 3, "kernel_size": (1, 3), "use_bias": False, "activation": "relu"}, 2),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}, 2),
    ("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2}, 2),
    ("Dense", {"units": 3, "activation": "tanh"}, 0), ("Dense", {"units": 5}, 1), ("Dense", {"units": 2}, 2),
)  # fmt: skip


@family("SpectralNormalization")
def spectral(draw: Draw, kind: str) -> Case:
    name, options, rank = one_of(draw, *INSIDE)
    wrapper = {"layer": Inner(name, options), "power_iterations": draw(st.integers(1, 3))}
    return Case(kind, wrapper, text([2, *sizes(draw, rank, 3, 6), one_of(draw, 2, 4)]))


@family("Pipeline")
def pipelines(draw: Draw, kind: str) -> Case:
    steps = [
        Inner("Rescaling", {"scale": eighths(draw, -2, 2), "offset": 0.5}),
        Inner("CenterCrop", {"height": draw(st.integers(1, 3)), "width": 2}),
        Inner("Normalization", {"axis": one_of(draw, -1, None, [1, 3])}),
        Inner("RandomFlip", {}),
        Inner("GaussianNoise", {"stddev": 0.5}),
        Inner("Identity", {}),
    ]
    layers = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=3))
    return Case(kind, {"layers": layers}, text([2, *sizes(draw, 2, 3, 5), draw(st.integers(1, 3))]))
