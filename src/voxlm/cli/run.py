"""``voxlm run``: a model file over a data set, both levels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import lazy_loader
import typer

from voxlm.cli.options import Bids, Debug, Json, Level, ModelFile, Participants
from voxlm.cli.telling import FAILED, telling

modelrun = lazy_loader.load("voxlm.cli.modelrun", suppress_warning=True)


def run(
    model: ModelFile,
    bids: Bids,
    out: Annotated[
        Path, typer.Option(help="Folder of the results; what is finished there is kept.")
    ],
    participant_label: Participants = None,
    level: Annotated[
        Level,
        typer.Option(help="Which levels; group takes the subjects that are finished."),
    ] = Level.all,
    workers: Annotated[
        int, typer.Option(help="Processes, a subject each; the cores are shared out.", min=1)
    ] = 1,
    report: Annotated[
        bool, typer.Option("--report", help="Write a page on each subject and group.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a model file over a data set: every subject, then the group.

    A subject that is finished with the same inputs and model is kept, so the same command goes on
    where it stopped. A subject that fails is named and does not stop the others; the group level
    then waits. Nothing half-written is left.

    **Examples**

    voxlm run model.toml --bids study/ --out results/

    voxlm run model.toml --bids study/ --out results/ --participant-label 01
    --participant-label 02 --workers 2

    voxlm run model.toml --bids study/ --out results/ --level group
    """
    with telling(debug):
        outcome = modelrun.run(
            model,
            bids,
            out,
            subjects=participant_label,
            level=level.value,
            workers=workers,
            report=report,
            progress=sys.stderr.isatty() and not as_json,
        )
        if as_json:
            typer.echo(json.dumps(modelrun.record(outcome), indent=2))
        else:
            typer.echo(modelrun.told(outcome, debug))
        if outcome.failed:
            raise typer.Exit(FAILED)
