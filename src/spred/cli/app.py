"""The command ``spred`` itself: its help and its version. Commands add themselves to :data:`app`."""

from __future__ import annotations

from typing import Annotated

import typer

from spred import __version__

app = typer.Typer(
    name="spred",
    help="Sparse models with L1: gene lists from expression data, smaller networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def show_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        typer.echo(f"spred {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sparse models with L1: gene lists from expression data, smaller networks."""
