"""After the fit: what a command prints, compares and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects
from voxlm.cli.answers import Answer, answer, write_answers


def conclude(
    fitted: Fit | FixedEffects,
    contrasts: Sequence[str],
    *,
    correcting: Mapping[str, Any],
    check: int,
    seed: int,
    out: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Ask, compare, write and print what a command asked for.

    Parameters
    ----------
    fitted : Fit or FixedEffects
    contrasts : sequence of str
    correcting : mapping
        The correction of every contrast: ``correct``, ``alpha``, ``two_sided``, and options.
    check, seed : int
        Number of voxels refitted with statsmodels a run, and which.
    out : Path or None
        Where files go.
    report : Path or None
        Where the report goes.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = answer(fitted, contrasts, **correcting)
    compared = [each.check(n=check, seed=seed) for each in _each(fitted) if check]
    if out is not None:
        write_answers(fitted, found, out)
    if report is not None:
        fitted.report(report, {each.contrast.text: each.verdict for each in found})
    if as_json:
        typer.echo(json.dumps(_record(fitted, found, compared, out), indent=2))
        return
    typer.echo(str(fitted))
    for each in found:
        typer.echo(f"\n{each}")
    for one, table in zip(_each(fitted), compared, strict=False):
        typer.echo(f"\n{one.run.name}: largest differences from statsmodels\n{table.to_string()}")
    if out is not None:
        typer.echo(f"\nwritten to {out}")
    if report is not None:
        typer.echo(f"\nreport in {report}")


def _each(fitted: Fit | FixedEffects) -> Sequence[Fit]:
    """Return the fits, one a run."""
    return list(fitted) if isinstance(fitted, FixedEffects) else [fitted]


def _record(
    fitted: Fit | FixedEffects,
    found: Sequence[Answer],
    compared: Sequence[pd.DataFrame],
    out: Path | None,
) -> dict[str, Any]:
    """Return everything as plain numbers and texts."""
    first = _each(fitted)[0]
    return {
        "model": first.model,
        "formula": first.formula,
        "runs": [
            {
                "name": each.run.name,
                "formula_as_understood": each.design.formula,
                "columns": list(each.names),
                "n_scans": each.run.clock.n_scans,
                "tr": each.run.clock.tr,
                "n_voxels": each.n_voxels,
                "left_out": each.left_out,
                "df_resid": each.df_resid,
                "notes": [*each.run.notes, *each.design.notes],
            }
            for each in _each(fitted)
        ],
        "contrasts": [each.record() for each in found],
        "checks": [json.loads(table.reset_index().to_json(orient="records")) for table in compared],
        "out": None if out is None else str(out),
    }
