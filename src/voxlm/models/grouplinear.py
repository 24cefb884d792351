"""Least squares over maps: ordinary, weighted, and what its errors may be assumed to be.

Axes: n maps, V voxels, P columns, r rank, Q contrast rows, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DesignError
from voxlm.kernels.lagged import LaggedBasis, lagged_basis
from voxlm.kernels.noise import ROUNDING
from voxlm.kernels.rank import tolerance, unit_columns
from voxlm.kernels.sums import Sums, sums_of_array
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CovType = Literal["nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster", "variance_groups"]

COV_TYPES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster", "variance_groups")
BLOCK = 2048
NOTHING = 1e-24  # of the variance under equal errors, below which a variance is of rounding alone


@dataclass(frozen=True, slots=True, eq=False)
class LinearBasis:
    """Design-only products of least squares.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns; any rank.
    weights : ndarray, shape (n,), or None
        Weights of the maps, inverse to their variances.
    lagged : LaggedBasis
        Of an orthonormal basis of the weighted columns, r of them.
    back : ndarray, shape (P, r)
        From coefficients of the basis to those of X, the shortest where X is rank-deficient.
    constant : ndarray, shape (r,), or None
        The (weighted) constant in the basis, where it is in the span.
    """

    X: Floats
    weights: Floats | None
    lagged: LaggedBasis
    back: Floats
    constant: Floats | None

    @property
    def rank(self) -> int:
        """Rank of X, r."""
        return self.back.shape[1]

    @property
    def df_resid(self) -> float:
        """Maps less the rank."""
        return float(self.X.shape[0] - self.rank)

    @property
    def leverage(self) -> Floats:
        """Share that each map has in its own fitted value, h, shape ``(n,)``."""
        return np.einsum("nr,nr->n", self.lagged.Q, self.lagged.Q)

    def loadings(self, C: Floats) -> Floats:
        """Return the weights of the (weighted) maps in ``C b``, shape ``(Q, n)``."""
        return C @ self.back @ self.lagged.Q.T


@dataclass(frozen=True, eq=False)
class LinearEstimate:
    """Least squares at every voxel; NaN at voxels that do not vary.

    Parameters
    ----------
    basis : LinearBasis
        Design-only products.
    data : ndarray, shape (n, V)
        The maps; read again for residuals only.
    params : ndarray, shape (P, V)
        Coefficients.
    scale : ndarray, shape (V,)
        Residual variance.
    tss : ndarray, shape (V,)
        Total sum of squares, about the mean where the columns hold the constant.
    cov_type : str
        What is assumed of the errors.
    groups : ndarray of int, shape (n,), or None
        Clusters, or groups of equal variance.
    """

    basis: LinearBasis
    data: NDArray[Any]
    params: Floats
    scale: Floats
    tss: Floats
    cov_type: CovType
    groups: Ints | None

    @property
    def nobs(self) -> int:
        """Maps used, n."""
        return self.basis.X.shape[0]

    @property
    def df_resid(self) -> float:
        """Maps less the rank."""
        return self.basis.df_resid

    @property
    def rsquared(self) -> Floats:
        """R², about the mean where the columns hold the constant, shape ``(V,)``."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1.0 - self.scale * self.df_resid / self.tss

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the covariance of ``C b``, shape ``(Q, Q, V)``."""
        return self.test_parts(C)[0]

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        rows = np.eye(self.params.shape[0])
        return np.sqrt([self.vcov(row[None])[0, 0] for row in rows])

    def test_parts(self, C: Floats) -> tuple[Floats, Floats | float]:
        """Return the covariance of ``C b``, ``(Q, Q, V)``, and its degrees of freedom.

        Notes
        -----
        HC0 to HC3 and ``cluster`` are statsmodels', small-sample corrections included, with n - r
        and G - 1 degrees of freedom. ``variance_groups`` gives each group its own residual
        variance, from its own residuals and the degrees of freedom ``Σ_i (1 - h_i)`` that they
        have, and Welch and Satterthwaite's degrees of freedom; for a joint test, the mean of its
        rows'.
        """
        load = self.basis.loadings(C)
        df: Floats | float = self.df_resid
        if self.cov_type == "nonrobust":
            return (load @ load.T)[:, :, None] * self.scale, df
        if self.cov_type == "cluster":
            cov, df = self._clustered(load)
        elif self.cov_type == "variance_groups":
            cov, df = self._by_variance_group(load)
        else:
            cov = self._heteroscedastic(load)
        # Rows of maps that the columns fit exactly have no residual but rounding.
        plain = np.einsum("qn,qn->q", load, load)[:, None] * self.scale
        with np.errstate(invalid="ignore"):
            none = np.einsum("qqv->qv", cov) <= NOTHING * plain
        cov[none[:, None] | none[None]] = np.nan
        return cov, df

    def fittedvalues(self) -> Floats:
        """Return ``X b``, shape ``(n, V)``."""
        return self.basis.X @ self.params

    @cached_property
    def _residuals(self) -> Floats:
        """Weighted residuals, shape ``(n, V)``."""
        resid = self.data - self.fittedvalues()
        root = None if self.basis.weights is None else np.sqrt(self.basis.weights)
        return resid if root is None else resid * root[:, None]

    def _heteroscedastic(self, load: Floats) -> Floats:
        power = {"HC2": 1.0, "HC3": 2.0}.get(self.cov_type, 0.0)
        factor = (1.0 - self.basis.leverage) ** -power
        if self.cov_type == "HC1":
            factor *= self.nobs / self.df_resid
        squares = self._residuals**2
        Q = load.shape[0]
        cov = np.empty((Q, Q, squares.shape[1]))
        for q in range(Q):
            for r in range(q + 1):
                cov[q, r] = cov[r, q] = (load[q] * load[r] * factor) @ squares
        return cov

    def _clustered(self, load: Floats) -> tuple[Floats, float]:
        assert self.groups is not None
        G, n = int(self.groups.max()) + 1, self.nobs
        member = np.equal.outer(np.arange(G), self.groups).astype(np.float64)
        sums = [(member * row) @ self._residuals for row in load]
        correction = (n - 1.0) / self.df_resid * G / (G - 1.0)
        cov = [[correction * np.einsum("gv,gv->v", a, b) for b in sums] for a in sums]
        return np.array(cov), G - 1.0

    def _by_variance_group(self, load: Floats) -> tuple[Floats, Floats]:
        assert self.groups is not None
        left = np.bincount(self.groups, weights=1.0 - self.basis.leverage)
        cov = np.zeros((load.shape[0], load.shape[0], self.scale.size))
        spread = np.zeros((load.shape[0], self.scale.size))
        for g, df in enumerate(left):
            here = self.groups == g
            variance = np.einsum("nv,nv->v", self._residuals[here], self._residuals[here]) / df
            part = (load[:, here] @ load[:, here].T)[:, :, None] * variance
            cov += part
            spread += np.einsum("qqv->qv", part) ** 2 / df
        with np.errstate(invalid="ignore", divide="ignore"):
            nu = np.einsum("qqv->qv", cov) ** 2 / spread
        return cov, nu.mean(axis=0)


def linear_basis(X: Floats, weights: Floats | None = None) -> LinearBasis:
    """Compute the design-only products of least squares.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns; may be rank-deficient.
    weights : ndarray, shape (n,), optional
        Positive weights of the maps.

    Returns
    -------
    LinearBasis

    Raises
    ------
    DesignError
        No degrees of freedom remain.

    Examples
    --------
    >>> linear_basis(np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])).rank
    1
    """
    root = np.ones(X.shape[0]) if weights is None else np.sqrt(weights)
    rows = X * root[:, None]
    unit = unit_columns(rows)
    length = np.linalg.norm(rows, axis=0)
    length = np.where(length > 0, length, 1.0)
    _, values, _ = np.linalg.svd(unit, full_matrices=False)
    rank = int(np.sum(values > tolerance(X.shape) * values.max(initial=0.0)))
    if X.shape[0] <= rank:
        raise DesignError(
            f"{X.shape[0]} maps for {rank} independent columns: no degrees of freedom remain; use "
            f"fewer columns or more maps"
        )
    if rank == X.shape[1]:
        lagged = lagged_basis(rows, 0)
        back = lagged.Rinv
    else:
        left, values, right = np.linalg.svd(rows, full_matrices=False)
        lagged = lagged_basis(left[:, :rank], 0)
        back = right[:rank].T / values[:rank] @ lagged.Rinv
    inside = lagged.Q.T @ root
    spans = np.abs(root - lagged.Q @ inside).max() < 1e-9 * root.max()
    return LinearBasis(X, weights, lagged, back, inside if spans else None)


def fit_group_linear(
    basis: LinearBasis,
    data: NDArray[Any],
    cov_type: CovType = "nonrobust",
    groups: Ints | None = None,
) -> LinearEstimate:
    """Fit least squares at every voxel.

    Parameters
    ----------
    basis : LinearBasis
        Design-only products.
    data : ndarray, shape (n, V)
        Maps.
    cov_type : str
        ``nonrobust``, ``HC0`` to ``HC3``, ``cluster`` or ``variance_groups``.
    groups : ndarray of int, shape (n,), optional
        For the last two: 0 … G - 1, all in use.

    Returns
    -------
    LinearEstimate

    Notes
    -----
    Equal to statsmodels' ``OLS`` and ``WLS``.

    Examples
    --------
    >>> fit = fit_group_linear(linear_basis(np.ones((3, 1))), np.array([[1.0], [2.0], [6.0]]))
    >>> fit.params, fit.scale, fit.bse().round(4)
    (array([[3.]]), array([7.]), array([[1.5275]]))
    """
    V = data.shape[1]
    shift = np.zeros(V)
    if basis.constant is not None and V:
        shift = np.asarray(data[0], dtype=np.float64)
    rows, at = (data, shift) if basis.weights is None else (_weighted(basis, data, shift), None)
    sums = sums_of_array(basis.lagged, rows, at if at is not None else np.zeros(V))
    projection = sums.projection
    if basis.constant is not None:
        projection = projection + np.outer(basis.constant, shift)
    rss = np.maximum(sums.auto[0], 0.0)
    level = np.abs(shift + sums.mean)
    with np.errstate(invalid="ignore"):
        size = V and basis.X.shape[0] * level**2 + sums.spread
        flat = ~sums.varies | (rss <= ROUNDING**2 * size)
    scale = np.where(flat, np.nan, rss / basis.df_resid)
    params = np.where(np.isfinite(scale), basis.back @ projection, np.nan)
    return LinearEstimate(
        basis, data, params, scale, _total_squares(basis, sums, rss), cov_type, groups
    )


def _total_squares(basis: LinearBasis, sums: Sums, rss: Floats) -> Floats:
    """Return the sum of squares about the (weighted) mean, or about 0 without a constant."""
    explained = sums.projection
    if basis.constant is not None:
        along = basis.constant / (basis.constant @ basis.constant)
        explained = explained - np.outer(basis.constant, along @ explained)
    return rss + np.einsum("pv,pv->v", explained, explained)


def _weighted(basis: LinearBasis, data: NDArray[Any], shift: Floats) -> Floats:
    assert basis.weights is not None
    root = np.sqrt(basis.weights)
    rows = np.empty(data.shape)

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        rows[:, here] = (data[:, here] - shift[here]) * root[:, None]

    over_blocks(data.shape[1], BLOCK, work)
    return rows
