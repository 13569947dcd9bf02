"""The options that several commands have: one text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

MODEL = (
    "The Keras model: a .keras or .h5 file, the folder of a SavedModel of Keras 2, or TensorFlow.js's "
    "model.json. With --config: weights, as .weights.h5, .h5 or TensorFlow's checkpoint. Or what makes it, a "
    "function or a class: FILE.py:NAME, package.module:NAME, which is run."
)
Source = Annotated[Path, typer.Argument(metavar="SOURCE", show_default=False, help=MODEL)]
Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE...", show_default=False,
        help=f"{MODEL} Several are converted at once, on all cores; one that fails stops no other.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, errors included.")]
Inputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--input",
        metavar="FILE.npy",
        show_default=False,
        help="An input to compare on, in Keras's axes; once for each input, or one .npz with all by name. "
        "Random by default.",
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.py", show_default=False, help="Rules for layers of your own. The file is run.",
    ),
]  # fmt: skip
Config = Annotated[
    str | None,
    typer.Option(
        metavar="model.json|FILE.py:FUNCTION", show_default=False,
        help="The architecture, where SOURCE holds weights only: JSON, or a function that returns the Keras "
        "model. The file is run.",
    ),
]  # fmt: skip
Code = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.py", show_default=False,
        help="The classes and functions of your own that the model's file names: custom layers, functions of "
        "Lambda. A Python file, or package.module. It is run, and each layer's call is watched under "
        "TensorFlow; nothing that SOURCE holds is run. Repeat it for several.",
    ),
]  # fmt: skip
Call = Annotated[
    str | None,
    typer.Option(
        metavar="EXPRESSION", show_default=False,
        help='How SOURCE, FILE.py:NAME, makes the model: an expression of the names there, "build(256)", '
        "which is run. NAME() by default.",
    ),
]  # fmt: skip
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", show_default=False,
        help="The weights of a model that FILE.py:NAME makes: .weights.h5, .h5, .keras, a checkpoint, a "
        "SavedModel. Random by default, by a fixed seed.",
    ),
]  # fmt: skip
InputShape = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SIZES", show_default=False,
        help="The sizes of an input, without the batch, of a model that FILE.py:NAME makes and that has seen "
        "none: 224,224,3 or 12:int32. Repeat it for several inputs.",
    ),
]  # fmt: skip
Custom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.py", show_default=False,
        help="The classes and functions of Keras layers of your own, for verifying: a Python file, or "
        "package.module. It is run. Repeat it for several.",
    ),
]  # fmt: skip
Precision = Annotated[
    Literal["both", "float64", "float32"],
    typer.Option(
        help="Compare in float32 alone, for half of the memory and about a third of the time, or in "
        "float64 alone, which saves about a quarter of the time; the result says what was left out.",
    ),
]  # fmt: skip
All = Annotated[bool, typer.Option("-v", "--verbose", help="Show every comparison.")]


def flag(name: str) -> str:
    """An option as it is written in a command."""
    return f"--{name.replace('_', '-')}"
