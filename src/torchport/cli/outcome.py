"""How a command ends: one message or one JSON document, and an exit status."""

from __future__ import annotations

import json as json_module
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from torchport.verify.result import Verification

#: Exit status.
SAME, DIFFERS, BAD, BUG, UNDECIDED = 0, 1, 2, 3, 4
#: `port --partial` left something out.
PARTLY = 3
#: What a shell says of a program that was interrupted, and of one that was asked to end.
INTERRUPTED, ENDED = 128 + signal.SIGINT, 128 + signal.SIGTERM


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
