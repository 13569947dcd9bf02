"""What is recorded of the source: tensors, gradients and weights on disk, and how sure each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from torchport.graph import Op
from torchport.verify.compare import Noise
from torchport.verify.dropout import Amount
from torchport.verify.recorder import Key
from torchport.verify.result import Row
from torchport.verify.statistics import RunningVariance


@dataclass
class Observations:
    """What the source gave in one mode, in the source's axes; `noise`: how far its float32 run was from that.

    `inexact`: tensors that TensorFlow computed in float32 although asked for float64, and what follows them.
    """

    tensors: Mapping[Key, np.ndarray]
    dtype: str = "float64"
    sizes: dict[Key, float] = field(default_factory=dict)
    noise: dict[Key, float] = field(default_factory=dict)
    inexact: set[Key] = field(default_factory=set)
    outputs: list[np.ndarray] = field(default_factory=list)
    output_noise: list[float] = field(default_factory=list)
    #: How often each layer that is random was called in training mode.
    draws: dict[str, int] = field(default_factory=dict)

    def reads(self, chain: tuple[str, ...], op: Op | None) -> float:
        """The largest value of what an op reads."""
        names = op.inputs if op else ()
        return max((self.sizes.get((chain, name), 0.0) for name in names), default=0.0)

    def noise_of(self, key: Key, op: Op | None, nudge: Nudge | None) -> Noise:
        """What is known of the rounding in a tensor, which `op` gives."""
        nudged = nudge.tensors.get(key) if nudge else None
        return Noise(self.noise.get(key), nudged, self.reads(key[0], op))

    def output_noise_of(self, at: int, op: Op | None, nudge: Nudge | None) -> Noise:
        """The same of an output of the model."""
        low = self.output_noise[at] if self.output_noise else None
        return Noise(low, nudge.outputs[at] if nudge else None, self.reads((), op))


@dataclass
class Training:
    """What the source gave in training mode: tensors, gradients of the first step, weights after the last.

    `gradients`: by the source's name of a weight, and "input 0" and so on. `noise`: how far those of float32
    were off. `unbiased`: for each running variance what torch keeps in its place.
    """

    tensors: Observations
    projections: list[np.ndarray]
    rate: float
    gradients: Mapping[str, np.ndarray]
    sizes: dict[str, float]
    noise: dict[str, float]
    weights: Mapping[str, np.ndarray]
    unbiased: dict[str, RunningVariance]

    @property
    def dtype(self) -> str:
        return self.tensors.dtype


@dataclass
class Nudge:
    """How far a run with a last bit of every weight and input moved is from the one recorded."""

    tensors: dict[Key, float] = field(default_factory=dict)
    outputs: list[float] = field(default_factory=list)
    gradients: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def widened(self, other: Nudge) -> Nudge:
        """The larger distance of two runs."""

        def larger(one: dict[Any, float], two: dict[Any, float]) -> dict[Any, float]:
            return {key: max(one.get(key, 0.0), two.get(key, 0.0)) for key in {**one, **two}}

        pairs = zip(self.outputs or other.outputs, other.outputs or self.outputs, strict=True)
        return Nudge(
            larger(self.tensors, other.tensors), [max(it) for it in pairs],
            larger(self.gradients, other.gradients), larger(self.weights, other.weights),
        )  # fmt: skip


@dataclass
class Facts:
    """What is asked of a source before it runs: its variables, what trains, what is random, who computes."""

    variables: Mapping[str, np.ndarray]
    trained: frozenset[str]
    amounts: Mapping[str, Amount]
    rates: Mapping[str, list[float]]
    versions: dict[str, str]
    shapes: list[list[int | None]]


@dataclass
class Record:
    """All that a port is compared with. `sizes`: other inputs than the first, and what the source gave.

    `training` is None where TensorFlow does not train the model; `problem` says why.
    """

    inputs: list[np.ndarray]
    rows: list[Row]
    inference: Observations
    sizes: tuple[list[np.ndarray], Observations] | None
    training: Training | None
    problem: str
    notes: list[str]

    def of(self, mode: str) -> Observations:
        """What was recorded in a mode, "training" where there is one, else in inference."""
        return self.training.tensors if self.training and mode == "training" else self.inference


class Source(Protocol):
    """What a port is compared with: TensorFlow in this process or in others, or what it gave once."""

    @property
    def tell(self) -> Callable[[str], None]:
        """Told what is being done."""

    def facts(self) -> Facts:
        """Asked first."""

    def observe(self, given: Any, seed: int, steps: int, precision: str) -> Record:
        """Everything of the source, in `precision`: float64, float32 or both."""

    def nudge(self, mode: str, dtype: str, number: int) -> Nudge:
        """One more run, "inference", "sizes" or "training", with last bits moved: by `number`."""

    def float32_error(self, mode: str) -> Nudge | None:
        """Of what was recorded in one precision, "inference" or "training", how far the other is from it.

        None where TensorFlow does not run in that one.
        """

    def first_step(self) -> Training | None:
        """What was recorded in training mode, with the weights after one step alone; later runs take one too.

        None where that was not kept.
        """

    def close(self) -> None:
        """Let go of all that is held."""
