"""Least squares with a regressor whose values differ from voxel to voxel.

Axes: T scans, n retained scans, V voxels, P shared columns, Q contrast rows, p order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError, DesignError
from voxlm.kernels.arvariance import contrast_covariance, contrast_variance
from voxlm.kernels.lagged import LaggedBasis, cut_segments
from voxlm.kernels.sums import Accumulator, Sums
from voxlm.kernels.varying import VaryingFit, fit_varying
from voxlm.models.estimate import Estimate, explained_squares
from voxlm.models.linear import make_basis
from voxlm.models.reduce import (
    COLUMN_NOT_FINITE,
    COLUMN_REPEATS,
    FITTED,
    Reduced,
    Scaling,
    collect,
    reduce_scans,
)
from voxlm.models.source import Scans

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# What is left of a column beside the others, below which it is only their rounding.
REPEATS = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class VaryingEstimate(Estimate):
    """An estimate whose last coefficient is that of the voxel's own regressor.

    ``params`` has P + 1 rows and contrasts P + 1 columns; ``X`` holds the P shared ones.

    Parameters
    ----------
    along : ndarray, shape (P, V)
        Coefficients of the shared columns in the voxel's own, whitened.
    curvature : ndarray, shape (V,)
        What is left of the own column's sum of squares beside them.
    """

    along: Floats
    curvature: Floats

    @property
    def df_model(self) -> float:
        """Columns, not counting the constant."""
        return float(self.X.shape[1] + 1 - self.basis.constant)

    def vcov(self, C: Floats) -> Floats:
        """Return the covariance of ``C b``, shape ``(Q, Q, V)``."""
        shared = contrast_covariance(self.basis, self.rho, C[:, :-1])
        own = C[:, -1:] - C[:, :-1] @ self.along
        return (shared + own[:, None] * own[None] / self.curvature) * self.scale

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P + 1, V)``."""
        shared = contrast_variance(self.basis, self.rho, np.eye(self.X.shape[1]))
        own = 1.0 / self.curvature
        return np.sqrt(np.vstack([shared + self.along**2 * own, own]) * self.scale)

    def rsquared(self) -> Floats:
        """Return R² of the whitened fit, about the mean where the design has a constant."""
        own = self.params[-1]
        without = self.params[:-1] + own * self.along
        left = self.scale * self.df_resid
        total = explained_squares(self.basis, without, self.rho) + own**2 * self.curvature + left
        return 1.0 - left / total


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """The data plus a multiple of the regressor, scan by scan.

    Parameters
    ----------
    data, column : Scans
        The run, and the regressor over the same scans and voxels.
    weight : ndarray, shape (V,)
        What the regressor is multiplied by.
    """

    data: Scans
    column: Scans
    weight: Floats

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield ``(start, scans)`` in order."""
        pairs = zip(self.data.blocks(), self.column.blocks(), strict=True)
        for (start, ours), (also, theirs) in pairs:
            if start != also or ours.shape != theirs.shape:
                raise DataError("the scans of the run and of the regressor come in other blocks")
            yield start, ours + self.weight * theirs


def fit_linear_varying(
    scans: Scans,
    X: Floats,
    column: Scans,
    *,
    order: int = 0,
    maxiter: int = 3,
    rtol: float = 1e-4,
    kept: Bools | None = None,
    scaling: Scaling = None,
) -> VaryingEstimate:
    """Fit one design and a regressor of its own at every voxel of one run.

    Parameters
    ----------
    scans : Scans
        The run's data.
    X : ndarray, shape (T, P)
        The shared columns at every scan; full column rank at the retained ones.
    column : Scans
        The regressor: a value a scan and voxel.
    order, maxiter, rtol, kept, scaling
        As for :func:`voxlm.models.linear.fit_linear`.

    Returns
    -------
    VaryingEstimate
        NaN where the regressor is not finite or follows from the shared columns.

    Raises
    ------
    DesignError
        Too few scans for the columns and the order.

    Notes
    -----
    Equal to ``statsmodels`` OLS or GLSAR of ``[X, z]`` at every voxel. The data are read twice, the
    regressor too: their lagged products come from those of their sum.
    """
    rows = X if kept is None else X[kept]
    basis = make_basis(rows, order, None if kept is None or kept.all() else cut_segments(kept))
    df_resid = float(basis.n_whitened - X.shape[1] - 1)
    if df_resid <= 0:
        raise DesignError(
            f"{basis.n_whitened} scans are left after AR({order}) whitening for {X.shape[1] + 1} "
            f"columns: no degrees of freedom remain; use fewer columns or more scans"
        )
    reduced = reduce_scans(scans, basis, kept, scaling)
    own = collect(column, basis, kept, None if basis.constant else np.zeros(column.n_voxels))
    status = _status(reduced, own, basis, column.dtype)
    both = _shared_products(
        Added(scans, column, _weight(reduced.sums, own)), basis, kept, reduced, own
    )
    passes = maxiter if order else 1
    fit = fit_varying(basis, reduced.sums, own, both, reduced.offset, passes, rtol)
    return _estimate(rows, basis, reduced, status, fit, df_resid)


def _status(
    reduced: Reduced, own: Sums, basis: LaggedBasis, dtype: np.dtype[Any]
) -> NDArray[np.int8]:
    """Tell at which voxels the regressor cannot be used."""
    precision = max(REPEATS, 8 * np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
    with np.errstate(invalid="ignore"):
        size = own.spread + basis.Q.shape[0] * (own.shift + own.mean) ** 2
        status = reduced.status.copy()
        usable = status == FITTED
        status[usable & (own.auto[0] <= precision**2 * size)] = COLUMN_REPEATS
        status[usable & ~np.isfinite(size)] = COLUMN_NOT_FINITE
    return status


def _weight(data: Sums, own: Sums) -> Floats:
    """Return what brings the regressor to the size of the data, so that sums keep their digits."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weight = np.sqrt(data.auto[0] / own.auto[0])
    return np.where(np.isfinite(weight) & (weight > 0), weight, 1.0)


def _shared_products(
    added: Added, basis: LaggedBasis, kept: Bools | None, reduced: Reduced, own: Sums
) -> Floats:
    """Return the lagged products of data and regressor, shape ``(p + 1, V)``."""
    weight = added.weight
    start = reduced.sums.shift + weight * own.shift
    pool = Accumulator(basis, weight.size, start)
    for at, block in added.blocks():
        pool.add(block if kept is None else block[kept[at : at + len(block)]])
    with np.errstate(invalid="ignore", over="ignore"):
        both = pool.sums().auto - reduced.sums.auto - weight**2 * own.auto
        both /= weight
    both[0] /= 2.0
    return np.ascontiguousarray(both)


def _estimate(
    rows: Floats,
    basis: LaggedBasis,
    reduced: Reduced,
    status: NDArray[np.int8],
    fit: VaryingFit,
    df_resid: float,
) -> VaryingEstimate:
    left_out = status != FITTED
    factor = np.where(left_out, np.nan, reduced.factor)
    fit.rho[:, left_out] = np.nan
    fit.params[:] *= factor
    fit.along[:, left_out] = np.nan
    fit.curvature[left_out] = np.nan
    return VaryingEstimate(
        X=rows,
        basis=basis,
        params=fit.params,
        rho=fit.rho,
        scale=fit.ssr * factor**2 / df_resid,
        df_resid=df_resid,
        iterations=fit.iterations,
        converged=fit.converged & ~left_out,
        factor=factor,
        level=reduced.level,
        status=status,
        along=fit.along,
        curvature=fit.curvature,
    )
