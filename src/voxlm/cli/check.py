"""``voxlm check``: a model file against all tables of a data set."""

from __future__ import annotations

import json

import lazy_loader
import typer

from voxlm.cli.options import Bids, Debug, Json, ModelFile, Participants
from voxlm.cli.telling import FAILED, telling

modelrun = lazy_loader.load("voxlm.cli.modelrun", suppress_warning=True)


def check(
    model: ModelFile,
    bids: Bids,
    participant_label: Participants = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a model file against a data set, without opening an image.

    The formula against every run's events and confounds, the estimability of every contrast, files
    that are missing or doubled, trial types that only one subject has, and the group formula
    against the participants. Prints what is wrong where; exit code 1 where something
    cannot be fitted, 0 where it only looks wrong.

    **Examples**

    voxlm check model.toml --bids study/

    voxlm check model.toml --bids study/ --participant-label 03 --json
    """
    with telling(debug):
        table, n_units = modelrun.check(model, bids, participant_label)
        if as_json:
            problems = json.loads(table.to_json(orient="records"))
            typer.echo(json.dumps({"subjects": n_units, "problems": problems}, indent=2))
        else:
            typer.echo(modelrun.listed(table, n_units))
        if (table.level == "error").any():
            raise typer.Exit(FAILED)
