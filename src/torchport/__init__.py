"""torchport ports TensorFlow/Keras models to the PyTorch source a person would have written.

>>> port = torchport.convert("unet.keras")
>>> port.save("unet")
>>> model = torchport.load("unet")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport.errors import BadFile, Refusal, Refused, TorchportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from torch import nn

    from torchport.geometry import Explanation
    from torchport.geometry.matrix import Matrix
    from torchport.port import Port
    from torchport.source import SourcePort
    from torchport.verify import Verification

__version__ = "0.1.0"
__all__ = [
    "__version__", "convert", "explain", "load", "port_source", "verify", "BadFile", "Refusal", "Refused",
    "TorchportError",
]  # fmt: skip


def convert(
    model: Any,
    *,
    class_name: str | None = None,
    keep_io: bool = False,
    exact: bool = False,
    flat: bool = False,
    dequantise: bool = False,
    outputs: Sequence[str] = (),
    rules: str | Path | None = None,
    config: str | Path | None = None,
    code: str | Path | Sequence[str | Path] | None = None,
    call: str | None = None,
    weights: str | Path | None = None,
    input_shape: str | Sequence[int | str | None] | None = None,
) -> Port:
    """Port a model: a `.keras` or `.h5` file, the folder of a SavedModel of Keras 2, or a live `keras.Model`.

    class_name: the name of the generated class; from the model's name by default.
    keep_io: inputs and outputs keep the source's order of axes.
    exact: BatchNorm keeps running variances as the source did, to the last bit.
    flat: one module a layer; repeated structure is not made classes.
    dequantise: layers of int8, int4 or float8 weights become the layers of floats that these stand for.
    outputs: the layers whose outputs the port gives; what is behind them is left out.
    rules: a Python file with rules for layers of your own; it is run.
    config: for a file with weights only, the model's architecture: `model.json`, or `module.py:build`, a
        function that returns the Keras model, which is run.
    code: Python files, or names of modules, with the classes and functions of your own that the file names;
        they are run, and TensorFlow is imported. A live model has its own.
    call, weights, input_shape: for a model that Python code makes, which is run: `"file.py:build"`,
        `"file.py:Class"`, `"package.module:Class"`. An expression of the names there, `"build(256)"`, if it
        takes arguments; a file of its weights, random ones by a fixed seed otherwise; `"224,224,3"` where it
        has seen no input yet, for several inputs a list of these.

    Raises Refused with everything that cannot be ported exactly, BadFile for a damaged or hostile file.
    """
    from torchport.options import Options
    from torchport.pipeline import port
    from torchport.port import Port
    from torchport.rules import user
    from torchport.watch.sources import source

    options = Options(class_name, keep_io, exact, flat, dequantise, tuple(outputs))

    model = source(model, config, code, call, weights, input_shape)
    with user.rules(rules):
        return Port(port(model, options), model, options)


class Explain:
    """`torchport.explain`: what became of each tensor and weight; `explain.matrix`: a layer as a matrix."""

    def __call__(
        self, model: Any, *, size: Sequence[int] | None = None, input: Any = None, **options: Any
    ) -> Explanation:
        """The geometry of a model, or of a port. Nothing is written, and nothing run but the user's own code.

        size: numbers for the sizes that the model leaves open; those of `input` by default, else 256.
        input: an array in Keras's axes, a picture or a `.npy` file, or a list of these, one for each input:
            the page shows what the network makes of it. torch runs it, and TensorFlow if that is there.
        options: those of `convert`.

        The result has `table()`, `card("conv1")`, `data`, `save("page.html")`; notebooks show it.
        """
        from torchport.geometry import explain

        return explain(model, size, input, **options)

    def matrix(
        self, layer: Any, shape: Sequence[int] | None = None, *, model: Any = None, order: str = "torch",
        limit: int = 20_000_000,
    ) -> Matrix:  # fmt: skip
        """A layer as an explicit sparse matrix, `f(x) = A x + b`, measured through the layer in float64.

        layer: a live `nn.Module`, a function of arrays `(samples, *shape)`, or a layer of `model` by name.
        shape: of one sample of what it reads, without the batch; that of the model by default.
        order: of a layer of a model "torch" or "keras": how the values of a sample lie in a row.
        limit: how many entries it may have; raises TooLarge. NotLinear where it is no matrix.
        """
        from torchport.geometry.matrix import matrix

        return matrix(layer, shape, model=model, order=order, limit=limit)


explain = Explain()


def load(folder: str | Path) -> nn.Module:
    """The PyTorch module of a folder that `Port.save` wrote, with its weights, in evaluation mode."""
    from torchport.port import load

    return load(folder)


def verify(
    source: Any,
    port: str | Path | Port,
    *,
    inputs: Sequence[np.ndarray] | Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    steps: int = 3,
    progress: Callable[[str], None] | None = None,
    custom: str | Path | Mapping[str, type] | None = None,
    rules: str | Path | None = None,
    config: str | Path | None = None,
    code: str | Path | Sequence[str | Path] | None = None,
    call: str | None = None,
    weights: str | Path | None = None,
    input_shape: str | Sequence[int | str | None] | None = None,
    precision: str = "both",
) -> Verification:
    """Run TensorFlow and PyTorch side by side, and compare a model with its port.

    source: the model as `convert` was given it. port: the folder that was written, whose `model.py` is run,
        or what `convert` returned.
    inputs: arrays in the source's axes, in order or by name; random ones by `seed` otherwise.
    steps: how many steps of SGD are taken.
    progress: told what is being done.
    custom: the classes of Keras layers of your own, by name, or the Python file that has them, which is run.
    rules, config, code, call, weights, input_shape: as `convert` was given them.
    precision: "both", or "float64" or "float32" alone, which takes less time, and float32 half of the memory.

    The result's `passed` says whether all agrees; `str` of it says what was compared, and what differs first.
    Needs TensorFlow, which is imported now. Raises TorchportError where there is nothing to compare.
    """
    from torchport.verify import verify

    return verify(
        source, port, inputs=inputs, seed=seed, steps=steps, progress=progress, custom=custom, rules=rules,
        config=config, code=code, call=call, weights=weights, input_shape=input_shape, precision=precision,
    )  # fmt: skip


def port_source(
    path: str | Path, names: Sequence[str] = (), *, calls: Sequence[str] = (), partial: bool = False
) -> SourcePort:
    """Port a file of TensorFlow code: its functions and classes, each proven. The file is run.

    names: those that are wanted; all by default.
    calls: expressions that run them, in the names of the file: `"build_unet((256, 256, 3))"`.
    partial: give what is proven, and say in `refusals` what is not.

    Raises SourceRefused, a TorchportError, with everything that is not ported. Needs TensorFlow.
    """
    from torchport.source import port_source

    return port_source(path, names, calls=calls, partial=partial)
