"""The program ``voxlm`` and its commands."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import voxlm
from voxlm.cli.check import check
from voxlm.cli.demo import demo
from voxlm.cli.explain import explain
from voxlm.cli.fit import fit
from voxlm.cli.group import group
from voxlm.cli.report import report
from voxlm.cli.run import run
from voxlm.cli.threshold import threshold

app = typer.Typer(
    name="voxlm",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"voxlm {voxlm.__version__}")
        raise typer.Exit


@app.callback(help="Formula modelling for every voxel of an fMRI study.")
def start(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options of the program itself; its help is the text above."""
    del version


app.command()(fit)
app.command()(group)
app.command()(threshold)
app.command()(run)
app.command()(check)
app.command()(report)
app.command()(explain)
app.command()(demo)


def main() -> None:
    """Run the program; where a terminal lacks a sign such as ρ, its output has ? instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
