"""What a verification found: a row for each comparison, the first that differs, and why."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

#: How errors are measured, for whoever reads a result.
MEASURE = (
    "error = max|port - source| / max|source| over a tensor; absolute where the source is all zero. Where "
    "TensorFlow's own float32 value is rounding noise (a sum that cancels, such as the gradient of a bias "
    "before batch normalisation), the error is relative to what cancelled: its float32 error / 2^-23."
)

#: The comparisons in the order in which they are made.
CHECKS = {
    "reference": "the model rebuilt in float32 gives what the model itself gives",
    "state": "every tensor of the weights file is the source's variable, bit for bit",
    "trainable": "what is frozen in the source is frozen in the port",
    "dropout": "every dropout layer is there, with its rate, and drops that share in training",
    "inference": "every layer's output, in inference mode",
    "sizes": "the model's outputs at other sizes than the first, in inference mode",
    "training": "every layer's output, in training mode, dropout off on both sides",
    "gradient": "the gradient of every weight and input, of a fixed random projection of the outputs",
    "steps": "every weight and running statistic after some steps of plain SGD",
    "run": "both sides run at all",
}


#: What a comparison, and a verification as a whole, comes to.
VERDICTS = {True: "agrees", False: "differs", None: "not decided"}


@dataclass(frozen=True)
class Row:
    """One comparison. Errors that were not measured are None.

    `name` is what the port calls it, `tensor` what the source calls it. `passed`: None where the
    numbers cannot decide, `note` says why. `error32` is the port's float32 error against the
    float64 reference, `reference32` TensorFlow's own.
    """

    check: str
    name: str
    layer: str
    tensor: str
    passed: bool | None
    error64: float | None = None
    error32: float | None = None
    reference32: float | None = None
    limit: float | None = None
    limit32: float | None = None
    note: str = ""

    @property
    def only_in_float32(self) -> bool:
        """Whether it agrees in float64, but is further off in float32 than TensorFlow is itself."""
        measured = None not in (self.error64, self.limit, self.error32)
        return self.differs and measured and (self.error64 or 0.0) <= (self.limit or 0.0)

    @property
    def differs(self) -> bool:
        return self.passed is False

    @property
    def verdict(self) -> str:
        return VERDICTS[self.passed]


@dataclass(frozen=True)
class Divergence:
    """The first thing that differs: in which check, at which layer and tensor, and the likely cause."""

    check: str
    layer: str
    tensor: str
    name: str
    cause: str


@dataclass(frozen=True)
class Verification:
    """The result of `verify`; true where all is decided and agrees."""

    rows: tuple[Row, ...]
    first: Divergence | None
    notes: tuple[str, ...]
    versions: dict[str, str]
    inputs: tuple[dict[str, Any], ...]
    precision: str
    seed: int
    steps: int
    measure: str = MEASURE

    @property
    def passed(self) -> bool:
        """Whether every row agrees: False also where numbers cannot decide."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def differs(self) -> bool:
        return any(row.differs for row in self.rows)

    @property
    def verdict(self) -> str:
        """agrees, differs, or not decided: then nothing differs, and `because` says what is open."""
        return VERDICTS[True if self.passed else False if self.differs else None]

    @property
    def because(self) -> str:
        """Why not all is decided; empty where it is."""
        if not self.rows:
            return "nothing was compared"
        return next((row.note for row in self.rows if row.passed is None), "")

    def __bool__(self) -> bool:
        return self.passed

    def worst(self, check: str, field: str = "error64") -> float | None:
        """The largest error of a check; None if it measured none."""
        errors = [getattr(row, field) for row in self.rows if row.check == check]
        known = [error for error in errors if error is not None]
        return max(known, key=lambda it: math.inf if math.isnan(it) else it) if known else None

    def summary(self) -> dict[str, Any]:
        """What port.json keeps: no dates, nothing that changes from run to run."""
        checks: dict[str, Any] = {}
        for check in CHECKS:
            rows = [row for row in self.rows if row.check == check]
            if rows:
                errors = {
                    key: rounded_up(self.worst(check, key)) for key in ("error64", "error32", "reference32")
                }
                checks[check] = {
                    "compared": len(rows), "passed": all(row.passed for row in rows),
                    "undecided": sum(row.passed is None for row in rows),
                    **{key: error for key, error in errors.items() if error is not None},
                }  # fmt: skip
        return {
            "verdict": self.verdict, "because": self.because,
            "passed": self.passed, "precision": self.precision, "versions": self.versions,
            "inputs": list(self.inputs), "seed": self.seed, "steps": self.steps, "checks": checks,
            "notes": list(self.notes), "measure": self.measure,
        }  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it: numbers that are not finite are texts."""
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        first = asdict(self.first) if self.first else None
        whole = {**self.summary(), "first": first, "rows": rows}
        return plain(whole)  # type: ignore[no-any-return]

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def __str__(self) -> str:
        if self.passed:
            largest = f"largest {self.precision} error {self._largest():.1e}"
            return f"agrees: {len(self.rows)} comparisons, {largest}"
        if self.first is None:
            return f"not decided, because {self.because}"
        at = self.first
        return f"differs at {at.layer or at.name} ({at.check}, {at.tensor or at.name}): {at.cause}"

    def _largest(self) -> float:
        """Of the port: the source's own outputs, which are float32, tell how it was rebuilt."""
        field = "error32" if self.precision == "float32" else "error64"
        return max(self.worst(check, field) or 0.0 for check in CHECKS if check != "reference")


def rounded_up(error: float | None) -> float | None:
    """An error to one digit, upwards: the last digits of rounding depend on the machine."""
    if error is None or error == 0 or not math.isfinite(error):
        return error
    unit = 10.0 ** math.floor(math.log10(error))
    return float(f"{math.ceil(error / unit * (1 - 1e-9)) * unit:.0e}")


def plain(value: Any) -> Any:
    """A value as strict JSON has it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def first_line(error: Exception | None) -> str:
    """The start of an error's text."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras colours its messages
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:200] if lines else type(error).__name__
