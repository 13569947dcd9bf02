"""What TensorFlow gave, kept in a folder: a port is compared with it where there is no TensorFlow.

`truth.json` has all but the arrays, which lie one after the other in `arrays.bin`. Both are data: nothing in
them is executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from torchport.errors import BadFile, TorchportError
from torchport.verify.dropout import Amount
from torchport.verify.observations import Facts, Nudge, Observations, Record, Training
from torchport.verify.result import Row
from torchport.verify.statistics import RunningVariance
from torchport.verify.store import Store, append, read
from torchport.verify.truth import Truth

#: Of the folder's files; another one is refused.
FORMAT = 2
#: So many runs with last bits moved are kept of each mode: they tell rounding from a fault.
NUDGES = 2


def is_recording(source: Any) -> bool:
    """Whether a source is a folder of numbers that were kept."""
    return isinstance(source, (str, Path)) and (Path(source) / "truth.json").is_file()


#: What is kept besides arrays, numbers, texts and their collections.
CLASSES: Mapping[str, Any] = {
    it.__name__: it for it in (Amount, Facts, Nudge, Observations, Record, Row, RunningVariance, Training)
}


def keep(truth: Truth, folder: Path, given: Any, seed: int, steps: int, precision: str) -> None:
    """Run the source, and write all that a port of it is compared with. The folder has to be empty or new."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise TorchportError("is not empty", where=str(folder), advice="give a folder that is not there yet")
    facts = truth.facts()
    record = truth.observe(given, seed, steps, precision)
    nudges = {
        mode: [truth.nudge(*mode, number) for number in range(1, NUDGES + 1)]
        for mode in modes(record, precision)
    }
    alone = precision != "both"
    errors = {
        mode: truth.float32_error(mode) for mode, _ in modes(record, precision) if alone and mode != "sizes"
    }
    found = {
        "format": FORMAT, "seed": seed, "steps": steps, "precision": precision, "given": given is not None,
    }  # fmt: skip
    with (folder / "arrays.bin").open("wb") as file:
        for name, value in (("facts", facts), ("record", record), ("nudges", nudges), ("errors", errors)):
            found[name] = encoded(value, file)
    (folder / "truth.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


def modes(record: Record, precision: str) -> Iterator[tuple[str, str]]:
    """The modes and precisions in which a comparison may ask how far a last bit moves the source."""
    yield "inference", record.inference.dtype
    if record.sizes:
        yield "sizes", record.inference.dtype
    if record.training:
        yield "training", record.training.dtype
    if precision == "both" and record.inference.dtype == "float64":
        yield "inference", "float32"
        if record.training:
            yield "training", "float32"


@dataclass
class Recording:
    """What TensorFlow gave once: it stands for the source in a comparison."""

    folder: Path
    tell: Callable[[str], None]
    known: Facts
    record: Record
    nudges: Mapping[tuple[str, str], list[Nudge]]
    #: Of a mode, where one precision alone was recorded: how far the other is from it.
    errors: Mapping[str, Nudge | None]
    #: With which seed, steps and precision, and whether inputs were given.
    settings: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path, tell: Callable[[str], None]) -> Recording:
        """Raises BadFile for a folder that is damaged."""
        try:
            found = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ValueError(f"its format is {found['format']}, not {FORMAT}")
            arrays = folder / "arrays.bin"
            names = ("facts", "record", "nudges", "errors")
            facts, record, nudges, errors = (decoded(found[it], arrays) for it in names)
            return cls(folder, tell, facts, record, nudges, errors, found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"its numbers cannot be read ({type(error).__name__}: {error})"
            advice = "write them again: torchport record MODEL -o DIR"
            raise BadFile(what, where=str(folder), advice=advice) from error

    def close(self) -> None:
        """Nothing is held."""

    def facts(self) -> Facts:
        return self.known

    def observe(self, given: Any, seed: int, steps: int, precision: str) -> Record:
        if given is not None:
            raise TorchportError(
                "the inputs are those that were recorded", where=str(self.folder),
                advice="give them to torchport record, --input FILE.npy",
            )  # fmt: skip
        return self.record

    def nudge(self, mode: str, dtype: str, number: int) -> Nudge:
        """One of the runs that were kept, the last one where more are asked for."""
        found = self.nudges[mode, dtype]
        return found[min(number, len(found)) - 1]

    def float32_error(self, mode: str) -> Nudge | None:
        return self.errors.get(mode)

    def first_step(self) -> None:
        """Weights were kept after the last step alone."""


# As data


def encoded(value: Any, file: BinaryIO) -> Any:
    """A value as JSON has it, with the places of its arrays, which are written to `file`."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return {"texts": value.ravel().tolist(), "shape": list(value.shape)}
        return {"array": append(value, file), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return {"map": [[encoded(key, file), encoded(item, file)] for key, item in value.items()]}
    if isinstance(value, list):
        return [encoded(it, file) for it in value]
    if isinstance(value, (tuple, set, frozenset)):
        kind = "tuple" if isinstance(value, tuple) else "set"
        return {kind: [encoded(it, file) for it in value]}
    if is_dataclass(value) and type(value).__name__ in CLASSES:
        parts = {it.name: encoded(getattr(value, it.name), file) for it in fields(value)}
        return {"is": type(value).__name__, "fields": parts}
    raise TypeError(f"{type(value).__name__} is not kept")


def decoded(found: Any, arrays: Path) -> Any:
    """The value; arrays in a mapping stay in the file until they are asked for."""
    if isinstance(found, list):
        return [decoded(it, arrays) for it in found]
    if not isinstance(found, dict):
        return found
    if "array" in found:
        return read(arrays, *place(found, arrays))
    if "texts" in found:
        return np.array(found["texts"], dtype=object).reshape(found["shape"])
    if "float" in found:
        return float(found["float"])
    if "map" in found:
        pairs = [(decoded(key, arrays), item) for key, item in found["map"]]
        if pairs and all(isinstance(item, dict) and "array" in item for _, item in pairs):
            return Store.at(arrays, {key: place(item, arrays) for key, item in pairs})
        return {key: decoded(item, arrays) for key, item in pairs}
    if "tuple" in found:
        return tuple(decoded(it, arrays) for it in found["tuple"])
    if "set" in found:
        return frozenset(decoded(it, arrays) for it in found["set"])
    parts = {name: decoded(it, arrays) for name, it in found["fields"].items()}
    return CLASSES[found["is"]](**parts)


def place(found: Mapping[str, Any], arrays: Path) -> tuple[int, str, tuple[int, ...]]:
    """Where an array is. Raises ValueError for one that is not in the file."""
    dtype, shape, at = np.dtype(str(found["dtype"])), tuple(map(int, found["shape"])), int(found["array"])
    if dtype.kind not in "fciub" or min((at, *shape)) < 0:
        raise ValueError(f"{dict(found)} is no array")
    if at + math.prod(shape) * dtype.itemsize > arrays.stat().st_size:
        raise ValueError(f"{arrays.name} is shorter than it should be")
    return at, dtype.str, shape
