"""Least squares with regressors whose values differ from voxel to voxel.

Axes: T scans, n retained scans, V voxels, P shared columns, K own columns, Q contrast rows, p order
of the noise model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.errors import DataError, DesignError
from voxlm.kernels.lagged import Ints, LaggedBasis, cut_segments
from voxlm.kernels.sums import Accumulator, Sums
from voxlm.models.estimate import Estimate, explained_squares
from voxlm.models.linear import estimate_of, make_basis
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
    """An estimate whose last coefficients are those of the voxel's own regressors.

    ``params`` has P + K rows and contrasts P + K columns; ``X`` holds the P shared ones.

    Parameters
    ----------
    along : ndarray, shape (K, P, V)
        Coefficients of the shared columns in each of the voxel's own, whitened.
    curvature : ndarray, shape (K, K, V)
        What is left of the own columns' products beside them.
    """

    along: Floats
    curvature: Floats

    @property
    def df_model(self) -> float:
        """Columns, not counting the constant."""
        return float(len(self.params) - self.basis.constant)

    def vcov(self, C: Floats) -> Floats:
        """Return the covariance of ``C b``, shape ``(Q, Q, V)``."""
        P = self.X.shape[1]
        shared = kernels.arvariance.contrast_covariance(self.basis, self.rho, C[:, :P])
        own = C[:, P:, None] - np.einsum("qp,kpv->qkv", C[:, :P], self.along)
        own_cov = np.einsum("qkv,klv,rlv->qrv", own, self._own_covariance(), own)
        return (shared + own_cov) * self.scale

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P + K, V)``."""
        shared = kernels.arvariance.contrast_variance(self.basis, self.rho, np.eye(self.X.shape[1]))
        own = self._own_covariance()
        shared += np.einsum("kpv,klv,lpv->pv", self.along, own, self.along)
        return np.sqrt(np.vstack([shared, np.einsum("kkv->kv", own)]) * self.scale)

    def rsquared(self) -> Floats:
        """Return R² of the whitened fit, about the mean where the design has a constant."""
        P = self.X.shape[1]
        own = self.params[P:]
        without = self.params[:P] + np.einsum("kv,kpv->pv", own, self.along)
        left = self.scale * self.df_resid
        total = explained_squares(self.basis, without, self.rho)
        total += np.einsum("kv,klv,lv->v", own, self.curvature, own) + left
        return 1.0 - left / total

    def _own_covariance(self) -> Floats:
        """Return the covariance of the own coefficients at a scale of 1, shape ``(K, K, V)``."""
        inverse = np.linalg.inv(np.moveaxis(self.curvature, -1, 0))
        return np.asarray(np.moveaxis(inverse, 0, -1))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """One series plus a multiple of another, scan by scan.

    Parameters
    ----------
    first, second : Scans
        Over the same scans and voxels.
    weight : ndarray, shape (V,)
        What the second is multiplied by.
    """

    first: Scans
    second: Scans
    weight: Floats

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield ``(start, scans)`` in order."""
        pairs = zip(self.first.blocks(), self.second.blocks(), strict=True)
        for (start, ours), (also, theirs) in pairs:
            if start != also or ours.shape != theirs.shape:
                raise DataError("the scans of the run and of the regressor come in other blocks")
            yield start, ours + self.weight * theirs


def fit_linear_varying(
    scans: Scans,
    X: Floats,
    columns: Sequence[Scans],
    *,
    order: int = 0,
    maxiter: int = 3,
    rtol: float = 1e-4,
    kept: Bools | None = None,
    segments: Ints | None = None,
    scaling: Scaling = None,
) -> VaryingEstimate:
    """Fit one design and regressors of its own at every voxel of one run.

    Parameters
    ----------
    scans : Scans
        The run's data.
    X : ndarray, shape (T, P)
        The shared columns at every scan; full column rank at the retained ones.
    columns : sequence of Scans
        The K regressors: each a value a scan and voxel.
    order, maxiter, rtol, kept, segments, scaling
        As for :func:`voxlm.models.linear.fit_linear`.

    Returns
    -------
    VaryingEstimate
        NaN where a regressor is not finite or follows from the other columns.

    Raises
    ------
    DesignError
        Too few scans for the columns and the order.

    Notes
    -----
    Equal to ``statsmodels`` OLS or GLSAR of ``[X, z]`` at every voxel. Data and regressors are read
    once by themselves and once for every pair: their lagged products come from those of their sum.
    """
    rows = X if kept is None else X[kept]
    if segments is None and kept is not None and not kept.all():
        segments = cut_segments(kept)
    basis = make_basis(rows, order, segments)
    df_resid = float(basis.n_whitened - X.shape[1] - len(columns))
    if df_resid <= 0:
        raise DesignError(
            f"{basis.n_whitened} scans are left after AR({order}) whitening for "
            f"{X.shape[1] + len(columns)} columns: no degrees of freedom remain; use fewer columns "
            "or more scans"
        )
    reduced = reduce_scans(scans, basis, kept, scaling)
    own = [
        collect(column, basis, kept, None if basis.constant else np.zeros(column.n_voxels))
        for column in columns
    ]
    sides = [(scans, reduced.sums), *zip(columns, own, strict=True)]
    both = np.stack([_shared_products(*pair, basis, kept) for pair in combinations(sides, 2)])
    status = _status(reduced, columns, own, both[len(own) :, 0], basis)
    passes = maxiter if order else 1
    fit = kernels.varying.fit_varying(basis, reduced.sums, own, both, reduced.offset, passes, rtol)
    return _estimate(rows, basis, reduced, status, fit, df_resid)


def _status(
    reduced: Reduced,
    columns: Sequence[Scans],
    own: Sequence[Sums],
    products: Floats,
    basis: LaggedBasis,
) -> NDArray[np.int8]:
    """Tell at which voxels a regressor cannot be used."""
    status = reduced.status.copy()
    usable = status == FITTED
    precision = max(_precision(column) for column in columns)
    with np.errstate(invalid="ignore"):
        for sums in own:
            size = sums.spread + basis.Q.shape[0] * (sums.shift + sums.mean) ** 2
            status[usable & (sums.auto[0] <= precision**2 * size)] = COLUMN_REPEATS
            status[usable & ~np.isfinite(size)] = COLUMN_NOT_FINITE
    left = np.flatnonzero(status == FITTED)
    if len(own) > 1 and left.size:
        # Cosines between what is left of the regressors; the smallest eigenvalue is what is left of
        # the one that the others come closest to.
        lengths = np.sqrt(np.stack([sums.auto[0, left] for sums in own]))
        cosines = np.tile(np.eye(len(own)), (left.size, 1, 1))
        for (i, j), product in zip(combinations(range(len(own)), 2), products, strict=True):
            cosines[:, i, j] = cosines[:, j, i] = product[left] / (lengths[i] * lengths[j])
        status[left[np.linalg.eigvalsh(cosines)[:, 0] <= precision]] = COLUMN_REPEATS
    return status


def _precision(column: Scans) -> float:
    """Return what is left of a column beside the others that is only its rounding."""
    kind = column.dtype if column.dtype.kind == "f" else np.dtype(np.float64)
    return max(REPEATS, 8 * float(np.finfo(kind).eps))


def _shared_products(
    one: tuple[Scans, Sums], other: tuple[Scans, Sums], basis: LaggedBasis, kept: Bools | None
) -> Floats:
    """Return the lagged products of the residuals of two series, shape ``(p + 1, V)``."""
    (first, sums), (second, further) = one, other
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # What brings the second to the size of the first, so that sums keep their digits.
        weight = np.sqrt(sums.auto[0] / further.auto[0])
        weight = np.where(np.isfinite(weight) & (weight > 0), weight, 1.0)
        pool = Accumulator(basis, weight.size, sums.shift + weight * further.shift)
        for at, block in Added(first, second, weight).blocks():
            pool.add(block if kept is None else block[kept[at : at + len(block)]])
        both = (pool.sums().auto - sums.auto - weight**2 * further.auto) / weight
    both[0] /= 2.0
    return np.ascontiguousarray(both)


def _estimate(
    rows: Floats,
    basis: LaggedBasis,
    reduced: Reduced,
    status: NDArray[np.int8],
    found: kernels.varying.VaryingFit,
    df_resid: float,
) -> VaryingEstimate:
    left_out = status != FITTED
    found.along[..., left_out] = np.nan
    found.curvature[..., left_out] = np.nan
    made = estimate_of(
        rows, basis, replace(reduced, status=status, factor=_left(reduced, left_out)), found.fit
    )
    scale = found.fit.ssr * made.factor**2 / df_resid
    facts = {f.name: getattr(made, f.name) for f in fields(made)}
    facts |= {"scale": scale, "df_resid": df_resid}
    return VaryingEstimate(**facts, along=found.along, curvature=found.curvature)


def _left(reduced: Reduced, left_out: Bools) -> Floats:
    return np.where(left_out, np.nan, reduced.factor)
