"""Commands as typer runs them: help as plain text, a wrong command as JSON where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from click import ClickException
from typer.core import TyperCommand

from torchport.cli.outcome import BAD, print_error

if TYPE_CHECKING:
    from click import Context


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
