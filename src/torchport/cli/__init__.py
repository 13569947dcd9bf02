"""The commands: convert, verify, record, port, explain, rules; a file each.

Nothing heavy is imported before it is needed: a conversion loads neither TensorFlow nor Keras nor
torch. Standard output carries the result, or with --json one JSON document, an error included;
everything else goes to standard error.
"""

from __future__ import annotations

import atexit
import io
import signal
import sys
import threading
from typing import Annotated

import typer

from torchport.cli.command import Command, Sized
from torchport.cli.convert import convert
from torchport.cli.explain import explain
from torchport.cli.outcome import ENDED
from torchport.cli.port import port
from torchport.cli.rules import rules
from torchport.cli.verify import record, verify
from torchport.report.progress import unsearched

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

app = typer.Typer(
    name="torchport",
    help=ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


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


for command in (convert, verify, record, explain, port, rules):
    app.command(cls=Sized if command is explain else Command)(command)
