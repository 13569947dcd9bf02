"""torchport rules: what is ported."""

from __future__ import annotations

from typing import Annotated

import typer

from torchport.cli.outcome import print_json


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
