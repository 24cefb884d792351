"""A fitted run: what is stored, and what follows from it.

Axes: n retained scans, V voxels, P columns, Q contrast rows, p order of the noise model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.kernels.lagged import LaggedBasis

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Least squares at every voxel, with independent or AR(p) noise.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        The design at the retained scans.
    basis : LaggedBasis
        Design-only products.
    params : ndarray, shape (P, V)
        Coefficients; NaN at voxels left out, as all that follows.
    rho : ndarray, shape (p, V)
        AR coefficients; no rows for independent noise.
    scale : ndarray, shape (V,)
        Residual variance.
    df_resid : float
        Residual degrees of freedom: scans left after whitening, less the rank.
    iterations : ndarray of int, shape (V,)
        Fits made.
    converged : ndarray of bool, shape (V,)
        Whether the iteration settled before its limit.
    factor : ndarray, shape (V,)
        The fitted data are ``factor · data + level``.
    level : float
        See ``factor``.
    status : ndarray of int8, shape (V,)
        0 where fitted, else why not (:data:`voxlm.models.reduce.REASONS`).
    """

    X: Floats
    basis: LaggedBasis
    params: Floats
    rho: Floats
    scale: Floats
    df_resid: float
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]
    factor: Floats
    level: float
    status: NDArray[np.int8]

    @property
    def order(self) -> int:
        """Order of the noise model, p; 0 for independent noise."""
        return self.basis.order

    @property
    def nobs(self) -> int:
        """Scans used by the (whitened) fit."""
        return self.basis.n_whitened

    @property
    def df_model(self) -> float:
        """Columns, not counting the constant."""
        return float(self.X.shape[1] - self.basis.constant)

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        used = np.flatnonzero(np.any(C != 0, axis=0))  # a zero weight must not spread a NaN
        effect: Floats = C[:, used] @ self.params[used]
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the covariance of ``C b``, shape ``(Q, Q, V)``."""
        if self.order:
            return kernels.arvariance.contrast_covariance(self.basis, self.rho, C) * self.scale
        rows = C @ self.basis.Rinv
        covariance: Floats = (rows @ rows.T)[:, :, None] * self.scale
        return covariance

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        identity = np.eye(self.X.shape[1])
        if self.order:
            unscaled = kernels.arvariance.contrast_variance(self.basis, self.rho, identity)
            return np.sqrt(unscaled * self.scale)
        unit = np.sqrt(np.sum(self.basis.Rinv**2, axis=1))
        return unit[:, None] * np.sqrt(self.scale)

    def rsquared(self) -> Floats:
        """Return R² of the whitened fit, about the mean where the design has a constant.

        Statsmodels' definition: 1 - SSR/TSS, with the TSS of the whitened data centred where the
        design spans the constant.
        """
        explained = explained_squares(self.basis, self.params, self.rho)
        residual = self.scale * self.df_resid
        return 1.0 - residual / (explained + residual)


def explained_squares(basis: LaggedBasis, params: Floats, rho: Floats) -> Floats:
    """Return the whitened fit's sum of squares, less its mean's where the constant is spanned.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products.
    params : ndarray, shape (P, V)
        Coefficients of the columns of X.
    rho : ndarray, shape (p, V)
        AR coefficients.

    Returns
    -------
    ndarray, shape (V,)
    """
    beta = basis.R @ params
    if basis.constant:
        # Taking the fitted mean out first keeps the digits of a signal on a large baseline.
        beta -= np.outer(basis.ones[0], basis.ones[0] @ beta / basis.Q.shape[0])
    a = np.vstack([np.ones(beta.shape[1]), -rho])
    total, ones = np.zeros(beta.shape[1]), np.zeros(beta.shape[1])
    for i in range(basis.order + 1):
        ones += a[i] * (_whitened_ones(basis, i) @ beta)
        for j in range(i, basis.order + 1):
            total += a[i] * a[j] * np.einsum("pv,pv->v", beta, basis.gram[i, j] @ beta)
    return total - ones**2 / basis.n_whitened if basis.constant else total


def _whitened_ones(basis: LaggedBasis, lag: int) -> Floats:
    """Sum the rows of Q that stand ``lag`` scans before a whitened scan."""
    total = np.zeros(basis.n_columns)
    for start, stop in basis.segments:
        if stop - start > basis.order:
            total += basis.Q[start + basis.order - lag : stop - lag].sum(axis=0)
    return total
