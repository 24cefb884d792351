"""What a fit leaves behind, from one more reading of its data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.course import one_voxel
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.voxelwise import series
from voxlm.errors import DataError
from voxlm.formula.confounds import FD_COLUMNS
from voxlm.images.scans import array_scans
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import FITTED, REASONS
from voxlm.models.residuals import Residuals, reduce_residuals
from voxlm.simulate.motion import PARAMETERS, framewise_displacement

Floats = NDArray[np.float64]

#: A scan whose residual variance lies so many quartile ranges above the upper quartile stands out.
FENCE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """The residuals of one run, laid out on its scans.

    Parameters
    ----------
    residuals : Residuals
        Over the retained scans.
    variance : ndarray, shape (T,)
        Residual variance of every scan, NaN where it was not fitted.
    spikes : ndarray of int
        Scans that stand out.
    motion : ndarray, shape (T,), or None
        Framewise displacement in mm, where the confounds have it or the six parameters.
    """

    residuals: Residuals
    variance: Floats
    spikes: NDArray[np.int64]
    motion: Floats | None


def diagnose(fit: Fitted) -> Diagnosis:
    """Read a run once more and look at its residuals.

    Raises
    ------
    DataError
        For a fit with a regressor of each voxel's own, or where the images are gone.
    """
    if fit.design.varying:
        raise DataError(
            "residuals of a fit with a regressor of each voxel's own are not summarised; "
            "fit.resid has them"
        )
    kept = fit.plan.kept
    try:
        found = reduce_residuals(fit.run.scans, fit.estimate, kept)
    except OSError as error:
        raise DataError(f"the images cannot be read again: {error}") from error
    scans = np.arange(fit.estimate.X.shape[0]) if kept is None else np.flatnonzero(kept)
    n_scans = len(found.scan_variance) if kept is None else len(kept)
    variance = np.full(n_scans, np.nan)
    variance[scans] = found.scan_variance
    return Diagnosis(found, variance, outlying(variance), motion_of(fit, n_scans))


def outlying(variance: Floats) -> NDArray[np.int64]:
    """Return the scans whose residual variance lies far above the others' (Tukey's outer fence).

    Examples
    --------
    >>> outlying(np.array([1.0, 1.1, 0.9, 1.0, 9.0, np.nan]))
    array([4])
    """
    known = variance[np.isfinite(variance)]
    if known.size == 0:
        return np.zeros(0, dtype=np.int64)
    low, high = np.percentile(known, [25, 75])
    return np.flatnonzero(np.nan_to_num(variance) > high + FENCE * (high - low))


def motion_of(fit: Fitted, n_scans: int) -> Floats | None:
    """Return framewise displacement: the confounds' own, or from their six parameters (Power)."""
    table: pd.DataFrame | None = getattr(fit.run, "confounds", None)
    if table is None or len(table) != n_scans:
        return None
    for name in FD_COLUMNS:
        found = pd.to_numeric(table[name], errors="coerce") if name in table else None
        if found is not None and found.notna().any():
            return found.to_numpy(dtype=np.float64)
    if all(name in table for name in PARAMETERS):
        return framewise_displacement(table[list(PARAMETERS)].to_numpy(dtype=np.float64))
    return None


def innovations(fit: Fitted, at: int | None = None) -> Floats:
    """Return the standardised innovations of one voxel, or of 100 random ones, ``(n, m)``."""
    if fit.design.varying:
        raise DataError("innovations of a fit with a regressor of each voxel's own: see fit.resid")
    if at is None:
        return reduce_residuals(fit.run.scans, fit.estimate, fit.plan.kept).sample
    status = int(fit.estimate.status[at])
    if status != FITTED:
        raise DataError(f"this voxel was left out of the fit: {REASONS[status]}")
    rows = array_scans(series(fit, np.array([at])))
    return reduce_residuals(rows, _as_fitted(fit.estimate, at)).sample


def _as_fitted(estimate: Estimate, at: int) -> Estimate:
    """Return the fit of one voxel, of data that are in the units of the fit."""
    alone = one_voxel(estimate, at)
    return replace(alone, factor=np.ones(1), level=0.0)
