"""torchport explain: what became of every tensor and weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from torchport.cli.options import Call, Code, Config, InputShape, Json, Rules, Source, Weights
from torchport.cli.outcome import errors
from torchport.errors import TorchportError
from torchport.report.progress import working


def sizes(given: str | None) -> list[int]:
    """The numbers of `--size`: "256 256", "256,256" or "256x256"."""
    words = (given or "").replace(",", " ").replace("x", " ").split()
    if given is not None and not (words and all(word.isdigit() and int(word) for word in words)):
        what = f"{given!r} is no size"
        raise TorchportError(what, where="--size", advice="give a number for each open axis: --size 256 256")
    return [int(word) for word in words]


def explain(
    source: Source,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="H W",
            show_default=False,
            help="Sizes for the axes that the model leaves open; 256 for rows and columns by default.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write the page: one file that opens offline."),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            show_default=False,
            help="A picture or FILE.npy that the page shows the network at work on; once for each input. "
            "The port is run by torch, and Keras where TensorFlow is installed.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="The card of one layer, by its name in Keras."),
    ] = None,
    rules: Rules = None,
    config: Config = None,
    code: Code = None,
    call: Call = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    json: Json = False,
) -> None:
    """See what became of every tensor and weight of a model.

    One line a tensor, under the block of model.py that makes it: its sizes in Keras and in PyTorch by named
    axes (h rows, w columns, c channels, t steps), how much of the input one of its elements depends on
    ("sees"), its weights, its multiply-adds (MACs) for one sample. Nothing is written; neither TensorFlow nor
    torch is loaded.

    --layer NAME shows one layer in full: its sizes as arithmetic, where an element of its output and of its
    weights went, the usual mistake with such a layer and what it would do to this one, its matrix.

    --html writes a page instead: the network drawn to scale, a card for each layer, model.py beside it.

    --json prints all of it as one document: docs/explain-json.md.

    Examples:

    \b
      torchport explain unet.keras
      torchport explain unet.keras --layer up1
      torchport explain unet.keras --size 512 512
      torchport explain unet.keras --html unet.html --input tissue.png
      torchport explain unet.keras --json > unet.json
    """
    options: dict[str, Any] = {
        "rules": rules, "config": config, "code": code, "call": call, "weights": weights,
        "input_shape": input_shape,
    }  # fmt: skip
    with errors(source, json):
        with working(f"reading {source.name}") as tell:
            from torchport.geometry import explain as of

            if inputs and not html:
                what = "an input is shown by the page"
                raise TorchportError(what, where="--input", advice="add --html FILE")
            if html is not None and html.is_dir():
                advice = f"name a file: --html {html / (source.stem + '.html')}"
                raise TorchportError("is a directory", where=str(html), advice=advice)
            found = of(source, sizes(size), list(inputs) if inputs else None, tell, **options)
            if layer is not None:
                found.ops(layer)
            if html:
                found.save(html)
        if json:
            typer.echo(found.network.text())
        elif html:
            typer.echo(f"{html}  {html.stat().st_size / 1e6:.2f} MB", err=True)
        else:
            from torchport.report.terminal import console

            found.show(console()) if layer is None else found.show_card(layer, console())
