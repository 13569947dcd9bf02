"""Layer by layer: each tensor of the port against the source's, as the port runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from torchport.axes import Order
from torchport.graph import Op
from torchport.program import Spec
from torchport.verify.compare import Compared, Noise, compare, is_fraction, judge, size_of
from torchport.verify.observations import Nudge, Observations
from torchport.verify.places import Place, held
from torchport.verify.recorder import Key
from torchport.verify.result import Row

#: A tensor in the order in which it was seen.
Seen = tuple[Key, Order]
#: So many of the port's tensors that differ are kept for finding out why: the source's first ones.
KEPT = 3


@dataclass
class Watch:
    """A sink for the port's tensors: compares each at once, and keeps the first that differ."""

    reference: Observations
    tell: Callable[[str], None] = lambda name: None
    seen: dict[Seen, tuple[Compared, Place]] = field(default_factory=dict)
    wrong: dict[Seen, np.ndarray] = field(default_factory=dict)
    unknown: set[Key] = field(default_factory=set)
    last: Place | None = None

    def __post_init__(self) -> None:
        self.order = {key: at for at, key in enumerate(self.reference.tensors)}

    def __call__(self, key: Key, place: Place, got: np.ndarray) -> None:
        self.last = place
        self.tell(name_of(key))
        if key not in self.order:
            self.unknown.add(key)
            return
        found = compare(got, place.held(self.reference.tensors[key]))
        at = (key, place.order)
        if at in self.seen and worse(self.seen[at][0], found):
            return
        self.seen[at] = (found, place)
        noise = self.reference.noise_of(key, place.op, None)
        dtype, exact = self.reference.dtype, key not in self.reference.inexact
        if judge(found, None, noise, dtype, exact).passed is False:
            self.wrong[at] = got.copy()
            for late in sorted(self.wrong, key=lambda it: self.order[it[0]])[KEPT:]:
                del self.wrong[late]


def worse(one: Compared, other: Compared) -> bool:
    return bool(one.problem) or (not other.problem and (one.error or 0.0) >= (other.error or 0.0))


def name_of(key: Key) -> str:
    """A tensor's name for people: the calls that lead to it, and its own."""
    return "/".join((*key[0], key[1]))


def rows(
    check: str, main: Watch, low: Watch | None, nudge: Nudge | None = None
) -> Iterator[tuple[Row, Seen]]:
    """A row for every tensor, in the order in which the source computes them."""
    reference = main.reference
    for at in sorted(main.seen, key=lambda it: (main.order[it[0]], it[1] is not Order.SOURCE)):
        found, place = main.seen[at]
        key, name = at[0], name_of(at[0])
        below = low.seen.get(at) if low else None
        noise = reference.noise_of(key, place.op, nudge)
        yield row(
            check, name, place.layer, name, found, below[0] if below else None, noise, reference.dtype,
            key not in reference.inexact,
        ), at  # fmt: skip


def row(
    check: str, name: str, layer: str, tensor: str, found: Compared, low: Compared | None, noise: Noise,
    dtype: str = "float64", exact: bool = True, note: str = "", limit: float | None = None,
) -> Row:  # fmt: skip
    """A row of a comparison in `dtype` and one in float32, each error in the column of its precision."""
    judged = judge(found, low, noise, dtype, exact, limit)
    note = judged.note or note

    def error(it: Compared | None) -> float | None:
        return None if it is None or it.distance is None else it.distance / judged.scale

    if dtype == "float32":
        return Row(
            check, name, layer, tensor, judged.passed, None, error(found), None, None, judged.limit, note
        )
    own = None if noise.low is None else noise.low / judged.scale
    return Row(
        check, name, layer, tensor, judged.passed, error(found), error(low), own, judged.limit,
        judged.limit32, note,
    )  # fmt: skip


def output_rows(
    check: str, specs: Sequence[Spec], ops: Sequence[Op | None], got: Sequence[Compared],
    low: Sequence[Compared], reference: Observations, nudge: Nudge | None = None,
) -> Iterator[Row]:  # fmt: skip
    """A row for every output of the model, which `ops` give. `got`, `low`: outputs in the two precisions."""
    if len(got) != len(reference.outputs):
        note = f"gives {len(got)} outputs, the source {len(reference.outputs)}"
        yield Row(check, "outputs", "", "", False, note=note)
        return
    for at, (spec, found) in enumerate(zip(specs, got, strict=True)):
        op = ops[at]
        layer = op.layer.removesuffix(".activation") if op else spec.tensor.name
        yield row(
            check, f"output {at}", layer, spec.tensor.name, found, low[at] if low else None,
            reference.output_noise_of(at, op, nudge), reference.dtype, not reference.inexact,
        )  # fmt: skip


def compared_outputs(
    specs: Sequence[Spec], got: Iterable[np.ndarray], want: Sequence[np.ndarray]
) -> list[Compared]:
    """Each output, `got` as torch holds it, `want` in the source's axes; as many as `got` has."""
    nothing = Compared(problem="the source has no such output")
    return [
        compare(it, held(want[at], specs[at].order, specs[at].tensor)) if at < len(want) else nothing
        for at, it in enumerate(got)
    ]


def measured(array: np.ndarray) -> float:
    """What rounding in a tensor is measured by: its largest value; of whole numbers nothing."""
    return size_of(array) if is_fraction(array) else 0.0
