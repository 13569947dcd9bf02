"""How tensors and parameters of fewer axes meet one of more, in either order of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile
from typing import Any

from torchport.axes import to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, is_keras_2
from torchport.program import Expr, Load, State
from torchport.rules.arguments import indexed
from torchport.rules.constants import fixed
from torchport.rules.table import Value


def along(x: Value, axes: Sequence[int]) -> str:
    """The einops pattern by which a weight with these axes of `x` broadcasts against it.

    Per-channel values of an image: `c -> c` in the source's order, `c -> c 1 1` channels first.
    """
    names, held = [axis.word for axis in x.tensor.axes], to_order(range(x.rank), x.order)
    kept = dropwhile(lambda axis: axis not in axes, held)
    right = " ".join(names[axis] if axis in axes else "1" for axis in kept)
    return f"{' '.join(names[axis] for axis in sorted(axes))} -> {right}"


def parameter(
    x: Value, weight: str, axes: Sequence[int], shape: Sequence[int], *, trainable: bool = True
) -> State:
    """A weight with one entry for each of these axes of `x`, laid to broadcast against it."""
    axes = sorted(axes)
    regroup = (axes.index(1), x.regroup) if x.rank == 2 and 1 in axes else (0, ())
    load = Load.of(weight, along(x, axes), regroup)
    return State(weight, load, load.turn.shape(shape), trainable)


def constant(x: Value, role: str, value: Any, axes: Sequence[int], dtype: str = "float32") -> State:
    """A buffer with an entry for each of these axes of `x`, laid to broadcast against it."""
    import numpy as np

    array = np.asarray(value)
    flat = x.rank == 2 and 1 in axes and array.shape[-1] == x.shape[1]
    regroup = (axes.index(1), x.regroup) if flat else (0, ())
    return fixed(role, Load.of(role, along(x, axes), regroup).turn.apply(array), dtype)


def expand(x: Value, out: Value) -> Expr:
    """`x` with as many axes as `out`, the new ones behind the batch as the source counts.

    Source: keras/src/layers/merging/base_merge.py, Merge.call.
    """
    added = range(1, 1 + out.rank - x.rank)
    held = to_order(range(out.rank), out.order)
    index = [None if axis in added else slice(None) for axis in held]
    return indexed(x, index)


def check_bias(x: Shape, bias: Shape, dialect: str) -> None:
    """Raises Unsupported where Keras 3 adds a bias along another axis than the one it broadcasts to.

    Keras hands a sum to tf.nn.bias_add where all but one axis of the second operand have one entry,
    and then looks for as many entries in the last axis of the first operand, then in its axis 1.
    Source: keras/src/backend/tensorflow/numpy.py, add.
    """
    long = [at for at, size in enumerate(bias) if size != 1]
    if is_keras_2(dialect) or len(long) != 1 or len(x) < 2:
        return
    own, count = len(x) - len(bias) + long[0], bias[long[0]]
    if x[-1] == count:
        found = len(x) - 1
    elif x[-1] is None or x[1] is None:
        why = f"Keras adds its bias along another axis where that has {count} entries too"
        raise Unsupported(why, "give the model's input its size, or train it again with use_bias=False")
    else:
        found = 1 if x[1] == count else own
    if found != own:
        raise Unsupported(
            f"Keras adds its bias along axis {found}, which has {count} entries too, instead of axis {own}",
            "keep those two sizes unequal, or train it again with use_bias=False",
        )
