"""The sections of a report that show the model of a run, and what was left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from voxlm import report
from voxlm.analysis.design import Design
from voxlm.analysis.fit import Fit
from voxlm.analysis.verdict import Verdict
from voxlm.contrasts.estimable import check_estimable
from voxlm.design.diagnose import efficiency
from voxlm.errors import ContrastError, DataError
from voxlm.formula.terms import Resolved
from voxlm.hrf import as_response
from voxlm.images.inputs import Input
from voxlm.images.space import one_of
from voxlm.models.reduce import FITTED

TITLES = {"lm": "Least squares", "glsar": "Generalised least squares with AR noise"}
FEW = 8


def model_blocks(fit: Fit, verdicts: Mapping[str, Verdict]) -> Iterator[Any]:
    """Yield what a page says of the model of a run.

    Parameters
    ----------
    fit : Fit
    verdicts : mapping of str to Verdict
        Their efficiencies are tabulated.
    """
    if fit.formula:
        yield report.Code(fit.formula, "Formula, with what it implies written out")
    yield report.Facts(tuple(_facts(fit)))
    meaning = fit.design.meaning
    if isinstance(meaning, Resolved):
        yield report.grid(meaning.table(), "What each word of the formula was taken for")
    yield report.picture(
        report.plot_design(fit.design), "The design: a row a scan, a column a column"
    )
    yield report.picture(
        report.plot_correlation(fit.design), "Correlation of every two columns that vary"
    )
    events = getattr(fit.run, "events", None)
    if events is not None and len(events):
        drawn = report.plot_events(events, fit.run.clock.n_scans * fit.run.clock.tr)
        yield report.picture(drawn, "Events in time, with their number", wide=True)
    if isinstance(meaning, Resolved) and meaning.events and meaning.hrf is not None:
        drawn = report.plot_hrf([(str(meaning.hrf), as_response(meaning.hrf))], fit.run.clock.tr)
        yield report.picture(drawn, "The response that events were convolved with")
    yield from _inflation(fit.design)
    yield from _efficiencies(fit.design, verdicts)


def _facts(fit: Fit) -> Iterator[tuple[str, str]]:
    run, estimate = fit.run, fit.estimate
    fitted = estimate.status == FITTED
    yield "Data", run.name
    yield "Estimate", TITLES[fit.model] + (f", order {fit.order}" if fit.order else "")
    kept = estimate.X.shape[0]
    pace = "" if run.tr is None else f", TR {run.clock.tr:g} s"
    yield "Scans", f"{kept} of {run.clock.n_scans}{pace}"
    yield run.space.counted.capitalize(), f"{int(fitted.sum()):,} fitted of {fit.n_voxels:,}"
    yield "Columns", f"{len(fit.names)}"
    yield "Residual degrees of freedom", f"{fit.df_resid:g}"
    units = {
        "percent": f"percent of each {one_of(run.space)}'s mean",
        "grand_mean": "percent of the grand mean",
    }
    yield "Units", units.get(run.scaling or "", "those of the data")
    width = run.smoothing_fwhm
    widths = () if width is None else np.atleast_1d(width)
    yield "Smoothing", " × ".join(f"{w:g}" for w in widths) + " mm" if len(widths) else "none"
    if fitted.any():
        yield f"R², median over {run.space.counted}", f"{np.median(fit.rsquared[fitted]):.3f}"
        for k in range(fit.order):
            yield (
                f"ρ({k + 1}), median over {run.space.counted}",
                f"{np.median(fit.rho[k][fitted]):.3f}",
            )


def _inflation(design: Design) -> Iterator[Any]:
    table = design.report()
    if table.empty:
        return
    said = (
        f"Variance inflation (VIF), correlation with the drift, and the share of a condition's "
        f"variance that confounds remove. Rank {table.attrs['rank']} of "
        f"{table.attrs['columns']} columns, condition number {table.attrs['condition_number']:.3g}"
    )
    formats = {"vif": ".2f", "r_drift": ".2f", "removed": ".1f"}
    heads = {"vif": "VIF", "r_drift": "r with drift", "removed": "removed (%)"}
    yield report.grid(table, said, formats, heads)


def _efficiencies(design: Design, verdicts: Mapping[str, Verdict]) -> Iterator[Any]:
    rows = []
    for name, verdict in verdicts.items():
        C = verdict.contrast.hypothesis.C
        if C.shape[1] != design.matrix.shape[1]:
            continue
        try:
            check_estimable(C, design.matrix, design.names)
        except ContrastError:
            continue
        for k, value in enumerate(efficiency(design.matrix, C)):
            rows.append((name if len(C) == 1 else f"{name}, row {k + 1}", value))
    if rows:
        frame = pd.DataFrame(rows, columns=["contrast", "efficiency"])
        said = "Efficiency: one over the variance that white noise of variance 1 would give"
        yield report.grid(frame, said, {"efficiency": ".3f"})


def left_out_blocks(fits: Sequence[Fit]) -> Iterator[Any]:
    """Yield what a page says of data that were left out, and of what was assumed."""
    for fit in fits:
        if len(fits) > 1:
            yield report.Heading(fit.run.name)
        yield report.Facts(tuple(_left_out(fit)))
        for note in dict.fromkeys((*fit.run.notes, *fit.design.notes)):
            yield report.Prose(note, "note")
        if not fit.run.notes and not fit.design.notes:
            yield report.Prose("Nothing was assumed beyond what the formula says.")
    yield inputs_grid([file for fit in fits for file in fit.run.inputs])


def _left_out(fit: Fit) -> Iterator[tuple[str, str]]:
    kept, n_scans = fit.estimate.X.shape[0], fit.run.clock.n_scans
    yield "Scans left out", f"{n_scans - kept} of {n_scans}" + _which(fit)
    for why, count in fit.left_out.items():
        yield f"Voxels left out: {why}", f"{count:,}"
    if not fit.left_out:
        yield "Voxels left out", "none"
    if fit.order:
        late = int(((fit.estimate.status == FITTED) & ~fit.estimate.converged).sum())
        yield f"Voxels whose ρ moved by more than {fit.rtol:g} in fit {fit.maxiter}", f"{late:,}"


def _which(fit: Fit) -> str:
    if fit.plan.kept is None:
        return ""
    out = np.flatnonzero(~fit.plan.kept)
    more = ", …" if out.size > FEW else ""
    return f": {', '.join(str(k) for k in out[:FEW])}{more} (from 0)" if out.size else ""


def inputs_grid(inputs: Sequence[Input]) -> Any:
    """Return the table of the files that went in."""
    files = list(dict.fromkeys(inputs))
    if not files:
        return report.Prose(
            "The data were arrays or images in memory, so there is no file to list."
        )
    rows = [(file.role, file.path.name, file.size, _hash(file)) for file in files]
    frame = pd.DataFrame(rows, columns=["role", "file", "bytes", "SHA-256, first 16"])
    return report.grid(frame, "Files that went in", {"bytes": ",.0f"})


def _hash(file: Input) -> str:
    try:
        return file.sha256[:16]
    except DataError:
        return "changed or gone since"
