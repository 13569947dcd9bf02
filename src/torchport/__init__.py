"""torchport ports TensorFlow/Keras models to the PyTorch source a person would have written.

>>> port = torchport.convert("unet.keras")
>>> port.save("unet")
>>> model = torchport.load("unet")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from torchport.port import Port

__version__ = "0.1.0"
__all__ = ["__version__", "convert", "load", "verify"]


def convert(
    model: Any,
    *,
    class_name: str | None = None,
    keep_io: bool = False,
    exact: bool = False,
    flat: bool = False,
    rules: str | Path | None = None,
    config: str | Path | None = None,
) -> Port:
    """Port a model: a `.keras` or `.h5` file, or a live `keras.Model`.

    class_name: the name of the generated class; from the model's name by default.
    keep_io: inputs and outputs keep the source's order of axes.
    exact: BatchNorm keeps running variances as the source did, to the last bit.
    flat: one module a layer; repeated structure is not made classes.
    rules: a Python file with rules for layers of your own; it is run.
    config: for a file with weights only, the model's architecture: `model.json`, or `module.py:build`, a
        function that returns the Keras model, which is run.

    Raises Refused with everything that cannot be ported exactly, BadFile for a damaged or hostile file.
    """
    from torchport.options import Options
    from torchport.pipeline import port
    from torchport.port import Port

    options = Options(class_name, keep_io, exact, flat)

    if rules is not None:
        from torchport.rules import user

        user.load(rules)
    if config is not None:
        from torchport.read import WithConfig

        model = WithConfig(Path(model), str(config))
    return Port(port(model, options), model, options)


def load(folder: str | Path) -> nn.Module:
    """The PyTorch module of a folder that `Port.save` wrote, with its weights, in evaluation mode."""
    from torchport.port import load

    return load(folder)


def verify(model: Any, port: Any, **options: Any) -> Any:
    """Run TensorFlow and PyTorch side by side and compare; see `torchport.verify.verify`."""
    from torchport.verify import verify

    return verify(model, port, **options)
