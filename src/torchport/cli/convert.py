"""torchport convert: one model, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchport.cli.comparison import compare, show
from torchport.cli.options import Call, Code, Config, Custom, InputShape, Json, Rules, Sources, Weights, flag
from torchport.cli.outcome import BAD, BUG, errors, leave, print_json
from torchport.report.progress import uncollected

if TYPE_CHECKING:
    from torchport.verify.result import Verification


def convert(
    sources: Sources,
    folder: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            show_default=False,
            help="The folder to write; of several models, the one with a folder for each.",
        ),
    ],
    class_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the class; the model's by default.", show_default=False),
    ] = None,
    keep_io: Annotated[
        bool, typer.Option("--keep-io", help="Inputs and outputs keep Keras's order of axes.")
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="BatchNorm updates its running variance as Keras does, to the last bit."
        ),
    ] = False,
    flat: Annotated[
        bool, typer.Option("--flat", help="One module a layer: repeated structure is not made classes.")
    ] = False,
    dequantise: Annotated[
        bool,
        typer.Option("--dequantise", help="Quantised layers (int8, int4, float8) become layers of floats."),
    ] = False,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER[,LAYER]",
            show_default=False,
            help="The layers whose outputs the port gives; what is behind them is left out.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--verify", help="Verify the port at once.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a port that is in DIR; other files there stay."),
    ] = False,
    rules: Rules = None,
    config: Config = None,
    code: Code = None,
    call: Call = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    custom: Custom = None,
    json: Json = False,
) -> None:
    """Write a Keras model as PyTorch source and weights.

    DIR appears whole or not at all. Images become channels first (n h w c -> n c h w) with their
    weights turned, so that no permute is left where none is needed; those that are left are listed.

    Examples:

    \b
      torchport convert unet.keras -o unet
      torchport convert unet.h5 -o unet --class-name UNet --verify
      torchport convert encoder.keras -o encoder --keep-io --json
      torchport convert mine.keras -o mine --rules my_rules.py
      torchport convert old.weights.h5 -o old --config model.json
      torchport convert nets.py:UNet -o unet --call "UNet(64)" --weights unet.weights.h5
      torchport convert classifier.h5 -o features --outputs avg_pool
      torchport convert models/*.h5 -o ports
    """
    beside: dict[str, Any] = {
        "config": config, "code": code, "call": call, "weights": weights, "input_shape": input_shape,
    }  # fmt: skip
    options: dict[str, Any] = {
        "class_name": class_name, "keep_io": keep_io, "exact": exact, "flat": flat, "dequantise": dequantise,
        "outputs": outputs.split(",") if outputs else (), "rules": rules, "force": force, **beside,
    }  # fmt: skip
    if len(sources) > 1:
        alone = {
            "class_name": class_name, "outputs": outputs, "config": config, "verify": check,
            "custom": custom, **beside,
        }  # fmt: skip
        convert_many(sources, folder, json, options, [flag(name) for name, given in alone.items() if given])
        return
    (source,) = sources
    result: Verification | None = None
    with errors(source, json):
        with uncollected():
            from torchport import conversions
            from torchport.report import conversion

            facts = conversions.convert(source, folder, **options)
            if not json:
                from torchport.report.terminal import console

                conversion.show(facts, console())
                if not check:
                    given = {"rules": rules, **beside, "custom": custom}
                    files = {flag(name): value for name, value in given.items()}
                    conversion.show_next(source, folder, files, console())
        if check:
            result = compare(source, folder, rules=rules, custom=custom, **beside)
            if not json:
                show(result, every=False)
        if json:
            facts["verified"] = None if result is None else result.as_dict()
            print_json(facts)
    leave(result)


def convert_many(
    sources: Sequence[Path], folder: Path, json: bool, options: dict[str, Any], alone: Sequence[str]
) -> None:
    """Several models at once; `alone` are options that only one model can have."""
    with errors(folder, json):
        from torchport import conversions
        from torchport.errors import TorchportError
        from torchport.report import several

        if alone:
            advice = "convert each model by itself, or leave it out"
            raise TorchportError(f"{alone[0]} is of one model", where="torchport convert", advice=advice)
        with several.progress(len(sources)) as tell:
            outcomes = conversions.convert_many(sources, folder, tell, **options)
        found = [outcome.as_dict() for outcome in outcomes]
        if json:
            print_json(several.facts(found, folder))
        else:
            from torchport.report.terminal import console

            for outcome in outcomes:
                typer.echo(outcome.traceback, nl=False, err=True)
            several.show(found, folder, console())
        kinds = {entry["error"]["kind"] for entry in found if "error" in entry}
    if kinds:
        raise typer.Exit(BUG if "bug" in kinds else BAD)
