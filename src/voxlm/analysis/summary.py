"""A fit in words: the formula as understood, the columns, the scans, the voxels."""

from __future__ import annotations

import numpy as np

from voxlm.analysis.described import by_role, wrapped
from voxlm.analysis.fitted import Fitted
from voxlm.models.reduce import FITTED


def describe_fit(fit: Fitted) -> str:
    """Return the summary that ``print(fit)`` shows."""
    fitted = fit.estimate.status == FITTED
    lines = [
        f"{_title(fit)}",
        *([wrapped("formula", fit.formula)] if fit.formula else []),
        *by_role(fit.design.coefficients),
        f"scans     {_scans(fit)}",
        f"{fit.run.space.counted:<9} {int(fitted.sum()):,} fitted of {fit.n_voxels:,}",
        *[f"          {count:,} left out: {why}" for why, count in fit.left_out.items()],
        f"df        {fit.df_resid:g} residual, {fit.df_model:g} model",
    ]
    if fit.order:
        lines += _noise(fit, fitted)
    if fitted.any():
        lines.append(f"R²        {_quartiles(fit.rsquared[fitted])}")
    lines += [wrapped("note", note) for note in (*fit.run.notes, *fit.design.notes)]
    return "\n".join(lines)


def _title(fit: Fitted) -> str:
    noise = f"AR({fit.order}) noise (GLSAR)" if fit.order else "independent noise (OLS)"
    units = {"percent": "percent of each voxel's mean", "grand_mean": "percent of the grand mean"}
    return f"voxlm {fit.model}: {noise}, in {units.get(fit.run.scaling or '', 'the data’s units')}"


def _scans(fit: Fitted) -> str:
    clock = fit.run.clock
    kept = fit.estimate.X.shape[0]
    text = f"{kept} of {clock.n_scans}" if kept < clock.n_scans else f"{clock.n_scans}"
    pace = "" if fit.run.tr is None else f" every {clock.tr:g} s"
    return f"{text}{pace}, {fit.nobs} in the fit"


def _noise(fit: Fitted, fitted: np.ndarray) -> list[str]:
    lines = [
        f"rho[{k + 1}]    {_quartiles(fit.rho[k][fitted])}"
        for k in range(fit.order)
        if fitted.any()
    ]
    settled = int(fit.estimate.converged.sum())
    return [
        *lines,
        f"iteration at most {fit.maxiter} fits a voxel; {settled:,} voxels settled to "
        f"{fit.rtol:g} sooner",
    ]


def _quartiles(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"median {middle:.3f}, quartiles {low:.3f} to {high:.3f}"
