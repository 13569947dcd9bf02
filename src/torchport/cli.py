"""The commands: convert, verify, record, port, explain, rules.

Nothing heavy is imported before it is needed: a conversion loads neither TensorFlow nor Keras nor
torch. Standard output carries the result, or with --json one JSON document, an error included;
everything else goes to standard error.
"""

from __future__ import annotations

import atexit
import io
import json as json_module
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from click import ClickException
from typer.core import TyperCommand

from torchport.report.progress import hushed, uncollected, unsearched, working

if TYPE_CHECKING:
    from click import Context

    from torchport.verify.result import Verification

#: Exit status.
SAME, DIFFERS, BAD, BUG, UNDECIDED = 0, 1, 2, 3, 4
#: `port --partial` left something out.
PARTLY = 3
#: What a shell says of a program that was interrupted, and of one that was asked to end.
INTERRUPTED, ENDED = 128 + signal.SIGINT, 128 + signal.SIGTERM

ABOUT = """
Port a TensorFlow/Keras model to the PyTorch source a person would have written.

CONVERT reads a .keras or .h5 file, a SavedModel of Keras 2, TensorFlow.js's model.json, or weights
with --config, and writes a folder: model.py (which needs torch and nothing of torchport),
model.safetensors and port.json. VERIFY runs TensorFlow and PyTorch side by side and compares outputs,
gradients and training. EXPLAIN shows what became of every tensor and weight. What cannot be ported
exactly is refused, all of it at once, before anything is written.

Examples:

\b
  torchport convert unet.keras -o unet
  torchport verify unet.keras unet
  python -c "from unet.model import UNet; print(UNet.from_pretrained())"

Exit status:

\b
  0  done; verify found no difference
  1  verify found a difference
  2  the file is damaged, the model is refused, or the command is wrong
  3  a bug in torchport
  4  verify found no difference, but numbers could not decide everything: it says why
  130, 143  interrupted, or asked to end (SIGTERM); nothing is left half written

With --json there is one document on standard output, whatever the outcome: docs/json.md. For a shell
that completes commands and options: torchport --install-completion.
"""


class Command(TyperCommand):
    """A command whose help is plain text: Typer escapes brackets for rich, which is not asked to show it."""

    def get_help(self, ctx: Context) -> str:
        return super().get_help(ctx).replace("\\[", "[")

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **more: Any) -> Context:
        """A wrong command is one JSON document too, where that is asked for."""
        wants_json = "--json" in args
        try:
            return super().make_context(info_name, args, *others, **more)
        except ClickException as error:
            if not wants_json:
                raise
            advice = f"torchport {info_name} --help"
            print_error("usage", error.format_message(), f"torchport {info_name}", advice)
            raise typer.Exit(BAD) from None


app = typer.Typer(
    name="torchport",
    help=ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

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


def version(asked: bool) -> None:
    """--version."""
    if asked:
        from torchport import __version__

        typer.echo(f"torchport {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool,
        typer.Option("--version", callback=version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Takes what comes before a command."""
    atexit.register(unsearched)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))  # folders in the making are removed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where it cannot encode a layer's name
            stream.reconfigure(errors="backslashreplace")


@app.command(cls=Command)
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


def flag(name: str) -> str:
    """An option as it is written in a command."""
    return f"--{name.replace('_', '-')}"


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


@app.command(cls=Command)
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

    A large model takes memory for up to seven times its float32 weights and for the activations of
    a training step, besides what a framework takes (about 0.5 GB), and as much on disk while it
    runs: a temporary folder, TMPDIR. Where something differs, the source is loaded and run
    again, up to six times, to measure what rounding does to it.

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


@app.command(cls=Command)
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


class Sized(Command):
    """A command whose option `--size` takes as many numbers as follow it."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        found: list[str] = []
        for word in args:
            if word.isdigit() and len(found) > 1 and found[-2] == "--size":
                found[-1] = f"{found[-1]} {word}"
            else:
                found.append(word)
        return super().parse_args(ctx, found)


def sizes(given: str | None) -> list[int]:
    """The numbers of `--size`: "256 256", "256,256" or "256x256"."""
    words = (given or "").replace(",", " ").replace("x", " ").split()
    if given is not None and not (words and all(word.isdigit() and int(word) for word in words)):
        from torchport.errors import TorchportError

        what = f"{given!r} is no size"
        raise TorchportError(what, where="--size", advice="give a number for each open axis: --size 256 256")
    return [int(word) for word in words]


@app.command(cls=Sized)
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
                from torchport.errors import TorchportError

                what = "an input is shown by the page"
                raise TorchportError(what, where="--input", advice="add --html FILE")
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


@app.command(cls=Command)
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
                path, [it for it in names.split(",") if it], calls=calls or (), partial=partial
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


@app.command(cls=Command)
def rules(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page: docs/rules.md.")] = False,
) -> None:
    """List what is ported: each layer, how it is written in PyTorch, its options.

    An option that is not listed is refused by name.
    """
    from torchport.report import rules

    if json:
        print_json(rules.rows())
    elif markdown:
        typer.echo(rules.markdown(), nl=False)
    else:
        from torchport.report.terminal import console

        rules.show(console())


def compare(
    source: Path, folder: Path, inputs: Sequence[Path] = (), seed: int = 0, **given: Any
) -> Verification:
    """The verification of a port."""
    arrays = given_arrays(inputs)
    with working("starting TensorFlow") as tell:
        from torchport.verify import frameworks, process, verify
        from torchport.verify.recording import is_recording

        if not is_recording(source) and not process.is_possible(source):
            with hushed():
                frameworks.tensorflow()
        return verify(source, folder, inputs=arrays, seed=seed, progress=tell, **given)


def show(result: Verification, every: bool) -> None:
    """The verification for a person."""
    from torchport.report import verification
    from torchport.report.terminal import console

    verification.show(result, console(), every)


def given_arrays(paths: Sequence[Path]) -> Any:
    """The arrays of .npy files, in order, or of one .npz file, by name; no Python objects are read."""
    import numpy as np

    from torchport.errors import BadFile

    found: list[Any] = []
    for path in paths:
        try:
            loaded = np.load(path, allow_pickle=False)
            found.append(dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded)
        except (ValueError, EOFError) as error:
            advice = "give an array saved by numpy.save, or several by numpy.savez(file, NAME_OF_INPUT=array)"
            what = f"is neither a .npy nor an .npz file ({error})"
            raise BadFile(what, where=str(path), advice=advice) from error
    if len(found) == 1 and isinstance(found[0], dict):
        return found[0]
    if any(isinstance(it, dict) for it in found):
        advice = "give one .npz file with all inputs by name, or a .npy file for each"
        raise BadFile("one of several files is an .npz file", where=str(paths[0]), advice=advice)
    return found or None


def print_json(found: Any) -> None:
    """A JSON document on standard output."""
    typer.echo(json_module.dumps(found, indent=1, default=repr))


def print_error(kind: str, what: str, where: str, advice: str) -> None:
    """An error that is not raised by torchport, as its other errors are."""
    print_json({"error": {"kind": kind, "what": what, "where": where, "advice": advice}})


def leave(result: Verification | None) -> None:
    """Exit status 1 if a verification found a difference, 4 if it could not decide."""
    if result is not None and not result.passed:
        raise typer.Exit(DIFFERS if result.differs else UNDECIDED)


@contextmanager
def errors(source: Path, json: bool) -> Iterator[None]:
    """Turns whatever goes wrong into one message and an exit status."""
    try:
        yield
    except (typer.Exit, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        if json:
            print_error("interrupted", "was interrupted", str(source), "")
        else:
            typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from torchport.errors import TorchportError
        from torchport.report import problem

        found = problem.facts(error, str(source))
        if found["kind"] == "bug" and not json:
            import traceback

            traceback.print_exc()
        if json:
            print_json({"error": found})
        else:
            typer.secho("error: ", err=True, nl=False, fg="red", bold=True)
            typer.echo(problem.text(found), err=True)
        known = isinstance(error, (TorchportError, OSError))
        raise typer.Exit(BAD if known else BUG) from None
