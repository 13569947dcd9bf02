"""Layer by layer: each tensor of the port against the source's, as the port runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from torchport.axes import Order
from torchport.program import Spec
from torchport.verify.compare import LIMIT, Compared, compare, limit32, scale_of
from torchport.verify.places import Place, held
from torchport.verify.record import Key
from torchport.verify.result import Row

#: A tensor in the order in which it was seen.
Seen = tuple[Key, Order]


@dataclass
class Reference:
    """What the source gave in one mode, and how far its own float32 run was from that."""

    tensors: dict[Key, np.ndarray] = field(default_factory=dict)
    noise: dict[Key, float] = field(default_factory=dict)
    #: Tensors that TensorFlow computed in float32 although asked for float64, and what follows
    #: them.
    inexact: set[Key] = field(default_factory=set)
    limit: float = LIMIT

    def limit_of(self, key: Key) -> float:
        """float64's limit; where the reference itself has only float32's digits, that of float32."""
        if key not in self.inexact:
            return self.limit
        return max(self.limit, limit32(self.relative_noise(key)) or 0.0)

    def relative_noise(self, key: Key) -> float | None:
        if key not in self.noise:
            return None
        return self.noise[key] / scale_of(self.tensors[key], self.noise[key])


@dataclass
class Watch:
    """A sink for the port's tensors: compares each at once, and keeps what differs."""

    reference: Reference
    seen: dict[Seen, tuple[Compared, Place]] = field(default_factory=dict)
    wrong: dict[Seen, np.ndarray] = field(default_factory=dict)
    unknown: set[Key] = field(default_factory=set)
    last: Place | None = None

    def __call__(self, key: Key, place: Place, got: np.ndarray) -> None:
        self.last = place
        want = self.reference.tensors.get(key)
        if want is None:
            self.unknown.add(key)
            return
        found = compare(got, place.held(want), self.reference.noise.get(key, 0.0))
        at = (key, place.order)
        if at in self.seen and worse(self.seen[at][0], found):
            return
        self.seen[at] = (found, place)
        if found.problem or (found.error or 0.0) > self.reference.limit_of(key):
            self.wrong[at] = got


def worse(one: Compared, other: Compared) -> bool:
    return bool(one.problem) or (not other.problem and (one.error or 0.0) >= (other.error or 0.0))


def name_of(key: Key) -> str:
    """A tensor's name for people: the calls that lead to it, and its own."""
    return "/".join((*key[0], key[1]))


def rows(check: str, main: Watch, low: Watch | None) -> Iterator[tuple[Row, Seen]]:
    """A row for every tensor, in the order in which the source computes them."""
    order = {key: at for at, key in enumerate(main.reference.tensors)}
    for at in sorted(main.seen, key=lambda it: (order[it[0]], it[1] is not Order.SOURCE)):
        found, place = main.seen[at]
        below = low.seen.get(at) if low else None
        yield row(
            check, name_of(at[0]), place.layer, name_of(at[0]), found, main.reference.limit_of(at[0]),
            below[0] if below else None, main.reference.relative_noise(at[0]),
        ), at  # fmt: skip


def row(
    check: str, name: str, layer: str, tensor: str, found: Compared, limit: float,
    low: Compared | None = None,
    reference32: float | None = None, note: str = "",
) -> Row:  # fmt: skip
    """A row of two comparisons, in float64 and in float32."""
    allowed = limit32(reference32)
    problem = found.problem or (low.problem if low else "")
    passed = not problem and found.error is not None and found.error <= limit
    if low and passed and allowed is not None and not (low.error is not None and low.error <= allowed):
        passed, problem = (
            False,
            f"agrees in float64, but is off by {low.error:.1e} in float32, TensorFlow by {reference32:.1e}",
        )
    return Row(
        check, name, layer, tensor, passed, found.error, low.error if low else None, reference32, limit,
        allowed, problem or note,
    )  # fmt: skip


def output_rows(
    check: str, specs: Sequence[Spec], layers: Sequence[str], got: Sequence[np.ndarray],
    want: Sequence[np.ndarray],
    low: Sequence[np.ndarray] = (), noise: Sequence[float] = (), limit: float = LIMIT,
) -> Iterator[Row]:  # fmt: skip
    """A row for every output of the model. `got`: as torch holds it; `want`: in the source's axes."""
    if len(got) != len(want):
        yield Row(
            check,
            "outputs",
            "",
            "",
            False,
            note=f"gives {len(got)} outputs, the source {len(want)}",
        )
        return
    for at, (spec, ours, theirs) in enumerate(zip(specs, got, want, strict=True)):
        right = held(theirs, spec.order, spec.tensor)
        mine = noise[at] if noise else 0.0
        below = compare(low[at], right, mine) if low else None
        own = mine / scale_of(theirs, mine) if noise else None
        yield row(
            check,
            f"output {at}",
            layers[at],
            spec.tensor.name,
            compare(ours, right, mine),
            limit,
            below,
            own,
        )


def noises(low: Mapping[Key, np.ndarray], high: Mapping[Key, np.ndarray]) -> dict[Key, float]:
    """How far TensorFlow's float32 run is from its float64 run."""
    return {
        key: float(np.max(np.abs(high[key] - low[key]), initial=0.0))
        for key in high
        if key in low and high[key].dtype.kind == "f" and low[key].shape == high[key].shape
    }
