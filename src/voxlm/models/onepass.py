"""nilearn's recipe for AR(p) noise: one pass, binned coefficients, the first scans kept.

Axes: T scans, n retained scans, P columns, V voxels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.kernels.lagged import lagged_basis
from voxlm.kernels.rank import rank
from voxlm.models.estimate import Estimate
from voxlm.models.linear import estimate_of, ordinary
from voxlm.models.reduce import CONSTANT, ZERO, Reduced, Scaling, base_of, reduce_scans
from voxlm.models.source import Scans

Floats = NDArray[np.float64]


def fit_one_pass(
    scans: Scans,
    X: Floats,
    *,
    order: int = 0,
    bins: int = 100,
    kept: NDArray[np.bool_] | None = None,
    scaling: Scaling = None,
) -> Estimate:
    """Fit one design at every voxel with nilearn's recipe for noise.

    Parameters
    ----------
    scans : Scans
        The run's data.
    X : ndarray, shape (T, P)
        The design at every scan; where its rank is not full, coefficients are those of least
        length, and only what the design can estimate means anything.
    order : int
        Order of the AR noise model; 0 for ordinary least squares.
    bins : int
        AR(1) coefficients are cut off to multiples of ``1 / bins``; 0 keeps them exact. Higher
        orders are always exact.
    kept : ndarray of bool, shape (T,), optional
        The retained scans, which then count as consecutive.
    scaling : str or None
        Units of the fit, as :func:`voxlm.models.reduce.reduce_scans` takes them.

    Returns
    -------
    Estimate
        Degrees of freedom and scale both count ``n - rank``; the scale of a saturated fit is NaN.
        Series that do not vary have coefficients, and no scale.

    Notes
    -----
    One pass: ordinary least squares on all scans, adjusted autocovariances of its residuals less
    their own mean, Yule-Walker, and one refit in which the first scans are whitened by the
    predecessors they have.
    """
    rows = X if kept is None else X[kept]
    span, there, back = _column_space(rows)
    basis = lagged_basis(span, order, keep_first=True)
    reduced = reduce_scans(scans, basis, kept, scaling)
    if order:
        fit = kernels.autoregress.fit_autoregressive(
            basis, reduced.sums, reduced.offset, 2, 0.0, bins
        )
    else:
        fit = ordinary(basis, reduced)
    if there is not None and back is not None:
        basis = replace(basis, R=basis.R @ there, Rinv=np.ascontiguousarray(back @ basis.Rinv))
        fit = replace(fit, params=back @ fit.params)
    found = estimate_of(rows, basis, reduced, fit)
    _fill_constants(found.params, rows, reduced, scaling)
    return found


def _fill_constants(params: Floats, X: Floats, reduced: Reduced, scaling: Scaling) -> None:
    """Write the coefficients of series that do not vary, which follow from their level alone."""
    flat = np.isin(reduced.status, (CONSTANT, ZERO))
    if not flat.any():
        return
    level = reduced.sums.shift + reduced.sums.mean
    if scaling is not None:
        level = 100.0 * (level / base_of(level, reduced.status, scaling) - 1.0)
    params[:, flat] = np.linalg.pinv(X).sum(axis=1)[:, None] * level[flat]


def _column_space(rows: Floats) -> tuple[Floats, Floats | None, Floats | None]:
    """Return independent columns that span the design, and the maps there and back, if needed."""
    found = rank(rows)
    if found == rows.shape[1]:
        return rows, None, None
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    there = values[:found, None] * right[:found]
    return np.ascontiguousarray(left[:, :found]), there, right[:found].T / values[:found]
