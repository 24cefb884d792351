"""The sections of a report that show how well a run was fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import chdtrc

from voxlm import report
from voxlm.analysis.fit import Fit
from voxlm.analysis.innovations import Diagnosis, diagnose
from voxlm.analysis.pages.maps import drawn_maps
from voxlm.errors import DataError
from voxlm.models.residuals import EXTREME

#: Voxels beyond this p count as not normal.
LEVEL = 0.05


def diagnostic_blocks(fit: Fit, background: Any) -> Iterator[Any]:
    """Yield what a page says of a run's fit and residuals; the run is read once more.

    Parameters
    ----------
    fit : Fit
    background : image or None
        Under the maps.
    """
    shown = [("R²", fit.rsquared), *((f"ρ({k + 1})", fit.rho[k]) for k in range(fit.order))]
    shown = [(label, values) for label, values in shown if np.isfinite(values).any()]
    space = fit.run.space
    for label, values in shown:
        yield from drawn_maps(space, values, label, background, signed=label != "R²")
    for label, values in shown:
        drawn = report.plot_histogram(values, label, space.counted)
        yield report.picture(drawn, f"{label} over {space.counted}")
    try:
        found = diagnose(fit)
    except DataError as error:
        yield report.Prose(f"No residuals are shown: {error}", "note")
        return
    yield from _residuals(fit, found)


def _residuals(fit: Fit, found: Diagnosis) -> Iterator[Any]:
    residuals, unit = found.residuals, fit.run.space.counted
    bera = residuals.jarque_bera
    p = chdtrc(2, bera[np.isfinite(bera)])
    share = 100 * float(np.mean(p < LEVEL)) if p.size else float("nan")
    lag = residuals.autocorrelation[np.isfinite(residuals.autocorrelation)]
    whitened = " after whitening" if fit.order else ""
    yield report.Facts(
        (
            ("Scans that stand out", _scans(found.spikes)),
            (f"Residuals beyond {EXTREME:g} sd", _extreme(residuals.scan_extreme)),
            (
                f"{unit.capitalize()} that are not normal (Jarque-Bera, p < 0.05)",
                f"{share:.1f} %, 5 % by chance",
            ),
            (f"Correlation left at lag 1{whitened}", f"median {np.median(lag):.3f}"),
        )
    )
    drawn = report.plot_scans(found.variance, found.spikes, found.motion)
    said = "Residual variance of each scan, 1 on average"
    moved = "" if found.motion is None else ", and framewise displacement"
    yield report.picture(drawn, f"{said}{moved}", wide=True)
    yield report.picture(
        report.plot_qq(residuals.sample),
        f"Quantiles of the standardised residuals of {residuals.sample.shape[1]} random {unit}",
    )
    if found.motion is not None:
        drawn = report.plot_motion(found.motion, found.variance)
        yield report.picture(drawn, "Residual variance against framewise displacement, a scan each")
    else:
        yield report.Prose(
            "The confounds have no framewise displacement and no six motion parameters.", "note"
        )
    marks = {"white noise, ±1.96/√n": 1.96 / np.sqrt(residuals.n), "": -1.96 / np.sqrt(residuals.n)}
    drawn = report.plot_histogram(lag, f"correlation at lag 1{whitened}", unit, marks=marks)
    yield report.picture(drawn, "What is left of the correlation of successive residuals")
    drawn = report.plot_histogram(
        residuals.kurtosis, "excess kurtosis", unit, marks={"normal": 0.0}
    )
    yield report.picture(drawn, "Tails of the residuals: 0 for a normal variable")


def _scans(spikes: Any) -> str:
    if not len(spikes):
        return "none"
    shown = ", ".join(str(k) for k in spikes[:12])
    return f"{len(spikes)}: {shown}{', …' if len(spikes) > 12 else ''} (from 0)"


def _extreme(shares: Any) -> str:
    known = shares[np.isfinite(shares)]
    return f"{1e6 * known.mean():.0f} of a million; 63 if normal" if known.size else "–"
