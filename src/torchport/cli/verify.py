"""torchport verify and torchport record: the numbers of both sides."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchport.cli.arrays import given_arrays
from torchport.cli.comparison import compare, show
from torchport.cli.options import (
    All,
    Call,
    Code,
    Config,
    Custom,
    Inputs,
    InputShape,
    Json,
    Precision,
    Rules,
    Source,
    Weights,
)
from torchport.cli.outcome import errors, leave, print_json
from torchport.report.progress import hushed, working

if TYPE_CHECKING:
    from torchport.verify.result import Verification


def verify(
    source: Source,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder that convert wrote.", show_default=False),
    ],
    inputs: Inputs = None,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    precision: Precision = "both",
    rules: Rules = None,
    config: Config = None,
    code: Code = None,
    call: Call = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    custom: Custom = None,
    every: All = False,
    json: Json = False,
) -> None:
    """Run the Keras model and its port side by side and compare.

    Compares outputs layer by layer, in inference and training mode; gradients of every weight and
    input; running statistics after training steps. In float64, where a right port agrees to about
    1e-12, and in float32, where it may err little more than TensorFlow itself. Where they differ,
    the first diverging tensor is named, with its layer and the likely cause.

    A large model takes memory for up to ten times its float32 weights, with --precision float32 six
    times, and for the activations of a training step, besides what a framework takes (about 0.5 GB),
    and as much on disk while it runs: a temporary folder, TMPDIR. Where something differs, the source
    is loaded and run again, up to six times, to measure what rounding does to it.

    SOURCE may be a folder that "torchport record" wrote: then no TensorFlow is needed.
    DIR's model.py is run. Needs TensorFlow otherwise: pip install "torchport[tensorflow]".

    Examples:

    \b
      torchport verify unet.keras unet
      torchport verify unet.keras unet --input image.npy -v
      torchport verify large.keras large --precision float32
      torchport verify two_inputs.keras port --input left.npy --input right.npy --json
    """
    result: Verification | None = None
    with errors(source, json):
        result = compare(
            source, folder, inputs or [], seed, rules=rules, config=config, code=code, call=call,
            weights=weights, input_shape=input_shape, custom=custom, precision=precision,
        )  # fmt: skip
        if json:
            print_json(result.as_dict())
        else:
            show(result, every)
    leave(result)


def record(
    source: Source,
    folder: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="The new folder.", show_default=False),
    ],
    inputs: Inputs = None,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    precision: Precision = "both",
    dequantise: Annotated[bool, typer.Option("--dequantise", help="As convert was given it.")] = False,
    rules: Rules = None,
    config: Config = None,
    code: Code = None,
    call: Call = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    custom: Custom = None,
    json: Json = False,
) -> None:
    """Run the Keras model in TensorFlow, and keep the numbers that a port is compared with.

    "torchport verify DIR PORT" then needs no TensorFlow and no model: on a machine with a GPU, in CI.

    Examples:

    \b
      torchport record unet.keras -o truth
      torchport verify truth unet
    """
    with errors(source, json):
        with working("starting TensorFlow") as tell:
            from torchport.verify import frameworks
            from torchport.verify import record as keep

            with hushed():
                frameworks.tensorflow()
            keep(
                source, folder, inputs=given_arrays(inputs or []), seed=seed, precision=precision,
                dequantise=dequantise, rules=rules, config=config, code=code, call=call, weights=weights,
                input_shape=input_shape, custom=custom, progress=tell,
            )  # fmt: skip
        size = sum(it.stat().st_size for it in folder.iterdir())
        if json:
            print_json({"folder": str(folder), "bytes": size})
        else:
            typer.echo(
                f"{folder}: {size / 1e6:.1f} MB; next: torchport verify {shlex.quote(str(folder))} PORT"
            )
