"""One voxel in time: its data, its fit with a band, and the averages around its events.

Axes: n retained scans, P columns, L lags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.fitted import Fitted
from voxlm.analysis.options import share
from voxlm.analysis.voxelwise import columns_at, series
from voxlm.errors import DataError
from voxlm.kernels.tails import t_isf
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import FITTED, REASONS

Floats = NDArray[np.float64]

#: Seconds around the onset of an event that are averaged.
BEFORE, AFTER = 4.0, 24.0
UNITS = {"percent": "% signal change", "grand_mean": "% of the grand mean"}


@dataclass(frozen=True, slots=True, eq=False)
class EventAverage:
    """The mean course around the events of a condition.

    Parameters
    ----------
    lags : ndarray, shape (L,)
        Seconds after the onset: multiples of the TR.
    mean, error : ndarray, shape (L,)
        Mean of the data less what the nuisance columns explain, and its standard error.
    fitted : ndarray, shape (L,)
        Mean of what the task's columns explain.
    n_events : int
        Events averaged.
    """

    lags: Floats
    mean: Floats
    error: Floats
    fitted: Floats
    n_events: int


@dataclass(frozen=True, slots=True, eq=False)
class VoxelCourse:
    """What a fit says of one voxel in time.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Seconds of the retained scans, or their numbers where runs are stacked or have no TR.
    data, fitted, low, high : ndarray, shape (n,)
        What was fitted, the fit, and its ``1 - alpha`` band.
    averages : mapping of str to EventAverage
        By condition; empty where a run has no events.
    alpha : float
        One less the coverage of the band.
    unit, time_unit, title : str
    """

    times: Floats
    data: Floats
    fitted: Floats
    low: Floats
    high: Floats
    averages: Mapping[str, EventAverage]
    alpha: float
    unit: str
    time_unit: str
    title: str


def voxel_courses(fit: Fitted, voxels: Sequence[int], alpha: float = 0.05) -> list[VoxelCourse]:
    """Follow some voxels of a fit in time; their run is read once.

    Parameters
    ----------
    fit : Fit
        Of one run, or of runs as one model.
    voxels : sequence of int
        Positions on the voxel axis.
    alpha : float
        One less the coverage of the band.

    Returns
    -------
    list of VoxelCourse

    Raises
    ------
    DataError
        If a voxel was left out.

    Notes
    -----
    The band is that of the mean response, ``x b ± t se(x b)`` with the fit's covariance. An
    average is over the events of a condition; scans are taken by the nearest multiple of the TR
    after the onset. Overlapping responses of other events stay in it, as in the fit beside it.
    """
    places = np.asarray(voxels, dtype=np.intp)
    for at in places:
        status = int(fit.estimate.status[at])
        if status != FITTED:
            raise DataError(f"this voxel was left out of the fit: {REASONS[status]}")
    data, columns = series(fit, places), columns_at(fit, places)
    return [
        _course(fit, int(at), data[:, k], columns[k].to_numpy(), alpha)
        for k, at in enumerate(places)
    ]


def _course(fit: Fitted, at: int, data: Floats, X: Floats, alpha: float) -> VoxelCourse:
    params = fit.params[:, at]
    fitted: Floats = X @ params
    half = t_isf(share(alpha) / 2, fit.df_resid) * np.sqrt(_variance(fit, at, X))
    times, unit = _times(fit)
    task = np.array([column.role == "task" for column in fit.design.coefficients])
    explained: Floats = X[:, task] @ params[task]
    averages = _averages(fit, times, data - fitted + explained, explained) if unit == "s" else {}
    return VoxelCourse(
        times,
        data,
        fitted,
        fitted - half,
        fitted + half,
        averages,
        alpha,
        UNITS.get(fit.run.scaling or "", "signal"),
        unit,
        f"{fit.run.space.told(at)}: R² = {fit.rsquared[at]:.2f}",
    )


def one_voxel(estimate: Estimate, at: int) -> Estimate:
    """Return the fit of one voxel alone, V = 1."""
    here = slice(at, at + 1)
    names = ("scale", "iterations", "converged", "factor", "status")
    alone: dict[str, Any] = {name: getattr(estimate, name)[here] for name in names}
    return replace(estimate, params=estimate.params[:, here], rho=estimate.rho[:, here], **alone)


def _variance(fit: Fitted, at: int, X: Floats) -> Floats:
    """Return the variance of the fit at every scan."""
    if fit.design.varying:
        vcov = fit.estimate.vcov(np.eye(fit.params.shape[0]))[:, :, at]
    else:
        vcov = one_voxel(fit.estimate, at).vcov(np.eye(X.shape[1]))[:, :, 0]
    return np.maximum(np.einsum("np,pq,nq->n", X, vcov, X), 0.0)


def _times(fit: Fitted) -> tuple[Floats, str]:
    kept = fit.plan.kept
    if fit.run.tr is None or not hasattr(fit.run, "events"):
        return np.arange(fit.estimate.X.shape[0], dtype=np.float64), "scan"
    times = fit.run.clock.times
    return (times if kept is None else times[kept]), "s"


def _averages(
    fit: Fitted, times: Floats, adjusted: Floats, explained: Floats
) -> dict[str, EventAverage]:
    events = fit.run.events
    if events is None or "trial_type" not in events:
        return {}
    tr = fit.run.clock.tr
    lags = np.arange(-round(BEFORE / tr), round(AFTER / tr) + 1)
    seconds: Floats = np.asarray(lags * tr, dtype=np.float64)
    found: dict[str, EventAverage] = {}
    for name, rows in events.groupby("trial_type", sort=True):
        onsets = rows["onset"].to_numpy(dtype=np.float64)
        lag = np.rint((times - onsets[:, None]) / tr).astype(np.int64)  # (events, n)
        sums = [_at_lag(lag == k, adjusted, explained) for k in lags]
        if any(count for *_, count in sums):
            mean, error, fitted = (_column(sums, k) for k in range(3))
            found[str(name)] = EventAverage(seconds, mean, error, fitted, len(onsets))
    return found


def _column(rows: Sequence[tuple[float, ...]], k: int) -> Floats:
    return np.array([row[k] for row in rows])


def _at_lag(
    here: NDArray[np.bool_], data: Floats, explained: Floats
) -> tuple[float, float, float, int]:
    """Return mean and standard error of the data, mean of the fit, and the count, at one lag."""
    scans = np.nonzero(here)[1]
    if scans.size == 0:
        return np.nan, np.nan, np.nan, 0
    values = data[scans]
    error = float(values.std(ddof=1) / np.sqrt(scans.size)) if scans.size > 1 else 0.0
    return float(values.mean()), error, float(explained[scans].mean()), int(scans.size)
