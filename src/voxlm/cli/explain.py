"""``voxlm explain``: what each word of a formula means."""

from __future__ import annotations

import json
from pathlib import Path

import typer

import voxlm as vx
from voxlm.cli.options import Confounds, Debug, Events, Formula, Hrf, Json
from voxlm.cli.telling import MisuseError, telling


def explain(
    formula: Formula,
    events: Events = None,
    confounds: Confounds = None,
    hrf: Hrf = "spm",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what each word of a formula means, without opening an image.

    A row for each word: where it comes from, how many rows it has, and which columns it gives.

    **Examples**

    voxlm explain "y ~ face + house + motion" --events sub-01_events.tsv
    --confounds sub-01_desc-confounds_timeseries.tsv

    voxlm explain "y ~ trial_type/rt" --events sub-01_events.tsv
    """
    with telling(debug):
        found = vx.explain(
            formula,
            events=_single("--events", events),
            confounds=_single("--confounds", confounds),
            hrf=hrf,
        )
        if as_json:
            words = json.loads(found.table().to_json(orient="records"))
            notes = [*found.notes, *found.meaning.notes]
            record = {"formula_as_understood": found.formula, "words": words, "notes": notes}
            typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        else:
            typer.echo(found)


def _single(option: str, paths: list[Path] | None) -> Path | None:
    """Return the one path of an option that may be given once."""
    if paths and len(paths) > 1:
        raise MisuseError(f"explain reads one run: give {option} once, not {len(paths)} times")
    return paths[0] if paths else None
