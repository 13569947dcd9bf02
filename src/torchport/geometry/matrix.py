"""A layer as an explicit sparse matrix, measured through the layer itself.

Impulses are sent through it, many at once: those of one colour stand so far apart that no two of them meet in
an output. One pass sends 1 from each, a second one a code of its own between 1 and 2; what comes back in the
second is as many times as large as in the first as the code says, which names the column. Where two impulses
meet, the quotient is no code, and all is done again with impulses twice as far apart. No layer needs code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchport.errors import TorchportError

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse

#: How far from affine a layer may be, relative to the largest value: some compute in float32 in between.
LINEAR = 1e-6
#: How far a quotient may be from a code; the second, where a layer computes in float32 in between.
NEAR = (1e-9, 1e-6)
#: Values that go through the layer at once.
BATCH = 1 << 23

Function = Callable[["np.ndarray"], "np.ndarray"]


class NotLinear(TorchportError):
    """The layer is no matrix: what it gives for a sum is not the sum of what it gives."""


class TooLarge(TorchportError):
    """The matrix has more entries than were allowed."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """`f(x) = A x + b`, for one sample whose values are in a row, in the order of memory.

    `shape_in` and `shape_out`: of a sample. `passes`: how many samples were sent through the layer. `error`:
    of `A x + b` on random x, relative to the largest value.
    """

    A: scipy.sparse.csr_array
    b: np.ndarray
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    passes: int
    error: float

    @property
    def T(self) -> scipy.sparse.csr_array:
        """The transpose: what takes a gradient of the output back to one of the input."""
        return self.A.T.tocsr()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """What the layer makes of one sample."""
        return (self.A @ x.reshape(-1) + self.b).reshape(self.shape_out)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        rows, columns = self.A.shape
        return f"<Matrix {rows:,} × {columns:,}, {self.A.nnz:,} entries, {self.passes:,} passes>"


def measure(function: Function, shape: Sequence[int], limit: int = 20_000_000, name: str = "") -> Matrix:
    """The matrix of a function of samples `(samples, *shape)` in float64.

    Raises NotLinear, or TooLarge where it would have more than `limit` entries.
    """
    import numpy as np
    import scipy.sparse

    shape = tuple(map(int, shape))
    size = math.prod(shape)
    rng = np.random.default_rng(0)
    try:
        zero = np.asarray(function(np.zeros((1, *shape))))[0]
    except (RuntimeError, ValueError) as problem:
        what = f"takes no sample of the shape {shape}: {problem}"
        raise TorchportError(what, where=name, advice="give the shape of one, without the batch") from problem
    shape_out, b = zero.shape, zero.reshape(-1)
    _check_sums(function, shape, zero, rng, name)
    one = np.zeros((1, *shape))
    one[(0, *(length // 2 for length in shape))] = 1
    estimate = int(np.count_nonzero(np.asarray(function(one))[0] - zero)) * size
    if estimate > limit:
        _refuse(estimate, limit, shape, name)
    codes = 1 + np.modf(np.arange(1, size + 1) * ((5**0.5 - 1) / 2))[0]
    order = np.argsort(codes)
    passes = 5

    def answers(ones: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        nonlocal passes
        passes += 2 * len(ones)
        flat = ones.reshape(len(ones), -1)
        sent = (flat * codes).reshape(ones.shape)
        first, second = (np.asarray(function(it)).reshape(len(ones), -1) - b for it in (ones, sent))
        return _named(first, second, flat > 0, codes, order, near)

    near, *nearer = NEAR
    periods = [_period(axis, shape, answers) for axis in range(len(shape))]
    while True:
        found = []
        for ones in _colours(shape, periods, max(b.size, size)):
            entries = answers(ones)
            if entries is None:
                break
            found.append(entries)
            if sum(len(values) for _, _, values in found) > limit:
                _refuse(estimate, limit, shape, name)
        else:
            break
        if all(period >= length for period, length in zip(periods, shape, strict=True)):
            if not nearer:
                what = "an impulse and a multiple of it do not answer alike"
                raise NotLinear(what, where=name, advice=ADVICE)
            near = nearer.pop()
            periods = [_period(axis, shape, answers) for axis in range(len(shape))]
            continue
        periods = [2 * period for period in periods]
    rows, columns, values = (np.concatenate(it) for it in zip(*found, strict=True))
    a = scipy.sparse.csr_array((values, (rows, columns)), shape=(b.size, size))
    error = 0.0
    for x in rng.standard_normal((3, *shape)):
        y = np.asarray(function(x[None]))[0].reshape(-1)
        apart = abs(a @ x.reshape(-1) + b - y).max(initial=0)
        error = max(error, float(apart / max(abs(y).max(initial=0), 1e-300)))
    if not error <= LINEAR:
        raise NotLinear(f"A x + b is {error:.1e} away from what it gives", where=name, advice=ADVICE)
    return Matrix(a, b, shape, shape_out, passes, error)


#: What to do where a layer is no matrix.
ADVICE = "for one x it is: its Jacobian there, torch.autograd.functional.jacobian"


def _check_sums(function: Function, shape: tuple[int, ...], zero: np.ndarray, rng: Any, name: str) -> None:
    """Raises NotLinear where a sum does not give the sum."""
    import numpy as np

    x, y = rng.standard_normal((2, *shape))
    a, c, both = np.asarray(function(np.stack([x, y, x + 2 * y])))
    apart = abs((both - zero) - (a - zero) - 2 * (c - zero)).max(initial=0)
    scale = max(abs(both).max(initial=0), abs(a).max(initial=0), abs(c).max(initial=0), 1e-300)
    if not apart <= LINEAR * scale:
        what = f"of a sum it gives {apart / scale:.1e} else than the sum of what it gives of each"
        raise NotLinear(what, where=name, advice=ADVICE)


def _refuse(estimate: int, limit: int, shape: Sequence[int], name: str) -> None:
    smaller = "×".join(str(min(length, 16)) for length in shape)
    what = f"its matrix has about {estimate:,} entries, more than {limit:,}"
    advice = f"the kernel is the same for a smaller shape: give {smaller} for instance, or limit={estimate}"
    raise TooLarge(what, where=name, advice=advice)


def _period(axis: int, shape: tuple[int, ...], answers: Callable[[np.ndarray], Any]) -> int:
    """How far apart impulses along one axis have to stand, in the middle of the others, so that none meet."""
    import numpy as np

    for period in PERIODS:
        if period >= shape[axis]:
            break
        ones = np.zeros((period, *shape))
        for start in range(period):
            at: tuple[Any, ...] = tuple(length // 2 for length in shape)
            line = slice(start, None, period)
            index: Any = (start, *at[:axis], line, *at[axis + 1 :])
            ones[index] = 1
        if answers(ones) is not None:
            return period
    return shape[axis]


#: Distances of impulses that are tried.
PERIODS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64)


def _colours(shape: tuple[int, ...], periods: Sequence[int], size: int) -> Iterator[np.ndarray]:
    """Samples with a 1 at every place of one colour, in groups."""
    import numpy as np

    steps = [min(period, length) for period, length in zip(periods, shape, strict=True)]
    starts = list(itertools.product(*(range(step) for step in steps)))
    group = max(1, BATCH // max(size, 1))
    for begin in range(0, len(starts), group):
        some = starts[begin : begin + group]
        ones = np.zeros((len(some), *shape))
        for at, start in enumerate(some):
            pairs = zip(start, steps, strict=True)
            index: Any = (at, *(slice(first, None, step) for first, step in pairs))
            ones[index] = 1
        yield ones


def _named(
    first: np.ndarray,
    second: np.ndarray,
    sent: np.ndarray,
    codes: np.ndarray,
    order: np.ndarray,
    near: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows, columns and values; None where impulses met."""
    import numpy as np

    samples, rows = np.nonzero((first != 0) | (second != 0))
    values = first[samples, rows]
    if (values == 0).any():
        return None
    quotient = second[samples, rows] / values
    ranked = codes[order]
    right = np.clip(np.searchsorted(ranked, quotient), 0, len(order) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(abs(ranked[left] - quotient) < abs(ranked[right] - quotient), left, right)
    columns = order[nearer]
    if (abs(codes[columns] - quotient) > near).any() or not sent[samples, columns].all():
        return None
    return rows, columns, values


# Layers of a model, and modules


def matrix(
    layer: Any, shape: Sequence[int] | None = None, *, model: Any = None, order: str = "torch",
    limit: int = 20_000_000,
) -> Matrix:  # fmt: skip
    """A layer as a matrix: of a live `nn.Module`, a function of arrays, or a layer of `model` by its name.

    shape: of one sample of the input, without the batch, in that order; that of the model by default.
    order: of a layer of a model, "torch" or "keras": in which its values are in a row on both sides.
    limit: how many entries it may have.

    It is measured through the layer in float64, in inference, with the weights that it has. Raises NotLinear,
    TooLarge, or TorchportError for a layer that is not there.
    """
    if order not in ("torch", "keras"):
        raise TorchportError(f"order={order!r}", advice='give "torch" or "keras"')
    if isinstance(layer, str):
        if model is None:
            advice = f"say of which model: matrix({layer!r}, model=port)"
            raise TorchportError(f"{layer!r} is a name", advice=advice)
        function, own = of_model(model, layer, order, shape)
        return measure(function, own, limit, layer)
    if shape is None:
        what = "the shape of a sample is missing"
        raise TorchportError(what, advice="give it without the batch: matrix(layer, (16, 32, 32))")
    if not callable(layer):
        raise TorchportError(
            f"{type(layer).__name__} is no layer", advice="give a module, a function or a name"
        )
    function = of_module(layer) if hasattr(layer, "state_dict") else layer
    return measure(function, shape, limit, type(layer).__name__)


def of_module(module: Any) -> Function:
    """A module as a function of arrays in float64, in evaluation mode; the module itself stays as it is."""
    import copy

    import torch

    own = copy.deepcopy(module).double().eval()

    def function(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return own(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    return function


def of_model(
    model: Any, name: str, order: str, shape: Sequence[int] | None = None
) -> tuple[Function, tuple[int, ...]]:
    """A call of a layer of a model, as the port makes it, and the shape of a sample of what it reads."""
    from torchport.geometry.layer_port import layer_port

    port, given = layer_port(model, name)
    if len(port.inputs) != 1:
        what = f"reads {len(port.inputs)} tensors, and is a matrix for each alone"
        advice = "give a function of one of them: matrix(lambda x: module(x, other), shape)"
        raise TorchportError(what, where=name, advice=advice)
    spec = port.inputs[0]
    sizes = given[1:] if order == "keras" else spec_sizes(given, spec)
    if shape is not None:
        sizes = tuple(shape)
    if None in sizes:
        what = f"the model leaves sizes of what it reads open: {spec.source_axes} is {given}"
        raise TorchportError(what, where=name, advice="give shape=")
    return (port_function(port, order), tuple(int(it or 0) for it in sizes))


def spec_sizes(given: Sequence[int | None], spec: Any) -> tuple[int | None, ...]:
    """The sizes of a sample as PyTorch holds it."""
    from torchport.axes import to_order

    return to_order(tuple(given), spec.order)[1:]


def port_function(port: Any, order: str) -> Function:
    """A port of one input and one output as a function of arrays, in float64."""
    import torch

    from torchport.axes import Order, dims

    torch_module = port.module().double()
    first, last = port.inputs[0], port.outputs[0]

    def function(x: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(x)
        if order == "keras":
            given = given.permute(dims(Order.SOURCE, first.order, given.dim()))
        with torch.no_grad():
            y = torch_module(given)
        if order == "keras":
            y = y.permute(dims(last.order, Order.SOURCE, y.dim()))
        return y.numpy()  # type: ignore[no-any-return]

    return function
