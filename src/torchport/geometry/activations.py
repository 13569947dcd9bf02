"""What both sides compute of one input: the port as torch runs it, and Keras where TensorFlow is there."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.axes import Order, dims
from torchport.errors import TorchportError

if TYPE_CHECKING:
    from torchport.port import Port

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Activations:
    """Tensors by their ids, in Keras's axes; `keras` is None where it was not run, `why` says why."""

    torch: Arrays
    keras: Arrays | None
    why: str = ""


def activations(
    port: Port, arrays: Any, tell: Callable[[str], None] = lambda text: None, with_keras: bool = True
) -> Activations:
    """Runs the port, and the source where TensorFlow is installed. `arrays` are in the source's axes.

    Raises TorchportError for inputs that do not fit.
    """
    from torchport.verify import inputs

    given = inputs.given(port.program.graph, arrays)
    tell("running the port with torch")
    try:
        torch = {**dict(zip(port.program.graph.inputs, given, strict=True)), **of_port(port, given)}
    except (IndexError, RuntimeError, ValueError) as error:  # a token that is in no vocabulary, say
        what = f"the port cannot be run on it: {str(error).strip().partition(chr(10))[0][:200]}"
        advice = "give values that the model takes: tokens of its vocabulary, say"
        raise TorchportError(what, where="--input", advice=advice) from error
    if not with_keras:
        return Activations(torch, None, "Keras was not run.")
    if importlib.util.find_spec("tensorflow") is None:
        return Activations(torch, None, "Keras was not run: TensorFlow is not installed.")
    tell("running the source with TensorFlow")
    try:
        keras = {**dict(zip(port.program.graph.inputs, given, strict=True)), **of_source(port, given)}
        return Activations(torch, keras)
    except Exception as error:  # whatever TensorFlow raises: the port's pictures stand without it
        first = str(error).strip().partition("\n")[0][:200]
        return Activations(torch, None, f"Keras was not run: {type(error).__name__}: {first}")


def of_port(port: Port, arrays: Sequence[np.ndarray]) -> Arrays:
    """Every watched tensor of the port, run from a folder of its own."""
    from torchport.record import PortRecord
    from torchport.verify.instrument import instrument, watched
    from torchport.verify.places import Place, Places
    from torchport.verify.port_runs import PortRuns

    record = PortRecord.of(port.record())
    found: dict[str, np.ndarray] = {}

    def seen(key: tuple[tuple[str, ...], str], place: Place, array: np.ndarray) -> None:
        if array.ndim == len(place.tensor.shape):
            found[identity(key)] = array.transpose(dims(place.order, Order.SOURCE, array.ndim))

    with tempfile.TemporaryDirectory(prefix="torchport-") as scratch:
        folder = port.save(Path(scratch) / "port")
        code = instrument(folder / "model.py", watched(record))
        runs = PortRuns.load(code, port.class_name, Places(record), "float32")
        runs.inference(arrays, seen)
    return found


def of_source(port: Port, arrays: Sequence[np.ndarray]) -> Arrays:
    """Every layer's output as Keras on TensorFlow computes it."""
    from torchport.report.progress import hushed
    from torchport.verify import frameworks
    from torchport.verify.reference import Reference
    from torchport.verify.source_runs import SourceRuns

    with hushed():
        frameworks.tensorflow()
    runs = SourceRuns.of(Reference.load(port.source, port.program.graph, {}), "float32")
    found: dict[str, np.ndarray] = {}

    def seen(key: tuple[tuple[str, ...], str], array: np.ndarray) -> None:
        found.setdefault(identity(key), array)

    runs.inference(arrays, seen)
    return found


def identity(key: tuple[tuple[str, ...], str]) -> str:
    """The id of a tensor: its name behind the calls of nested models that it is in."""
    labels, name = key
    return "/".join((*labels, name))
