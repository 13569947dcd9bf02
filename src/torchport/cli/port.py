"""torchport port: code becomes code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchport.cli.options import Json
from torchport.cli.outcome import PARTLY, errors, print_json
from torchport.report.progress import hushed, working


def port(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE.py[:NAME,...]",
            show_default=False,
            help="Python that makes Keras models: functions, layer classes, losses. It is run.",
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", show_default=False, help="The folder to write into."),
    ],
    calls: Annotated[
        list[str] | None,
        typer.Option(
            "--call",
            metavar="EXPRESSION",
            show_default=False,
            help='What to run, in the names of the file: "build_unet((256, 256, 3), classes=2)". Repeat it '
            "for several. By default the calls in the file itself, and functions that need no arguments.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            show_default=False,
            help="Weights of what the first --call makes, as Keras saved them: .weights.h5, .h5, .keras, a "
            "checkpoint. Writes them beside the port, as a state_dict, and proves both with them.",
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Write what is proven; the rest raises NotImplementedError."),
    ] = False,
    tests: Annotated[
        bool, typer.Option("--tests", help="Write a pytest file beside the port that proves it again.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            show_default=False,
            help="Write a page with both sides, line by line, and what was proven of each function.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write TensorFlow code as PyTorch code: the same functions, classes, parameters, loops and comments.

    SOURCE is run under TensorFlow and watched. Functions that return a model, and functions that make
    layers, become classes; losses stay functions. Each is run on both sides in float64, with the
    arguments that were watched and with others: outputs, gradients, statistics, in both modes. What is
    not the same, or not ported, is refused, all of it at once, by file, line and column.

    Examples:

    \b
      torchport port unet.py -o ported
      torchport port unet.py:build_unet -o ported --call "build_unet((256, 256, 3), classes=2)"
      torchport port layers.py -o ported --partial --tests
      torchport port unet.py -o ported --call "build_unet((256, 256, 3))" --weights unet.weights.h5

    Exit status 0: all is ported; 2: refused, nothing is written; 3: --partial left something out.
    """
    path, _, names = source.partition(".py:")
    path = f"{path}.py" if names else path
    left = False
    with errors(Path(path), json):
        with working("starting TensorFlow"):
            from torchport.verify import frameworks

            with hushed():
                frameworks.tensorflow()
            from torchport.source import port_source

            found = port_source(
                path,
                [it for it in names.split(",") if it],
                calls=calls or (),
                partial=partial,
                weights=weights,
            )
        written = found.save(folder, tests=tests)
        from torchport.report import code, side

        if html is not None:
            html.write_text(side.page(found), encoding="utf-8")
        if json:
            print_json(code.facts(found, written))
        else:
            typer.echo(code.text(found, written))
        left = not found.passed
    if left:
        raise typer.Exit(PARTLY)
