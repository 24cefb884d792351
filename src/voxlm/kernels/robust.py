"""M-estimation at every voxel by iteratively reweighted least squares.

Axes: n maps, P columns, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.dense import cholesky, substitute
from voxlm.kernels.noise import ROUNDING, project_out
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 256
HUBER, BISQUARE = 0, 1
TUNING = {HUBER: 1.345, BISQUARE: 4.685}  # 95 % efficiency at the normal
SINGULAR = 1e-13  # pivot over its diagonal entry, below which it is rounding
MAD = 0.6744897501960817  # median of |z|, z standard normal


@dataclass(frozen=True, slots=True, eq=False)
class RobustFit:
    """An M-estimate at every voxel.

    Parameters
    ----------
    params : ndarray, shape (P, V)
        Coefficients.
    scale : ndarray, shape (V,)
        Robust standard deviation of the residuals: their median absolute value over 0.6745.
    factor : ndarray, shape (V,)
        The covariance of the coefficients is ``factor · (X'X)⁻¹`` (Huber 1981, eq. 6.5).
    converged : ndarray of bool, shape (V,)
        Whether the weights settled.
    """

    params: Floats
    scale: Floats
    factor: Floats
    converged: NDArray[np.bool_]


def fit_robust(
    X: Floats, data: NDArray[Any], norm: int, maxiter: int = 200, tol: float = 1e-8
) -> RobustFit:
    """Fit by Huber's or Tukey's norm at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns of full rank.
    data : ndarray, shape (n, V)
        Maps.
    norm : int
        ``HUBER`` or ``BISQUARE``.
    maxiter, tol : int, float
        The iteration stops where no weight moves by more than ``tol``: units of the data do not
        matter.

    Returns
    -------
    RobustFit

    Notes
    -----
    Equal to statsmodels' ``RLM(y, X, M).fit(maxiter, tol, conv="weights")``.

    Examples
    --------
    >>> y = np.array([[1.0], [2.0], [3.0], [100.0]])
    >>> fit_robust(np.ones((4, 1)), y, BISQUARE).params.round(3)
    array([[2.]])
    """
    V, P = data.shape[1], X.shape[1]
    out = RobustFit(np.empty((P, V)), np.empty(V), np.empty(V), np.zeros(V, dtype=np.bool_))
    Q, R = np.linalg.qr(X)
    design = (np.ascontiguousarray(X), np.ascontiguousarray(Q), np.ascontiguousarray(R))

    def work(first: int, stop: int) -> None:
        here = slice(first, stop)
        params = np.empty((P, stop - first))
        y = np.asarray(data[:, here], dtype=np.float64)
        level, noise = project_out(Q, y)
        _iterate(
            design,
            np.ascontiguousarray(level.T),
            np.ascontiguousarray(noise.T),
            norm,
            TUNING[norm],
            maxiter,
            tol,
            params,
            out.scale[here],
            out.factor[here],
            out.converged[here],
        )
        out.params[:, here] = np.linalg.solve(R, level + params)

    over_blocks(V, BLOCK, work)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _iterate(design, levels, Y, norm, c, maxiter, tol, params, scale_out, factor, converged):  # type: ignore[no-untyped-def]
    """Reweight one voxel after the other; all is of the orthonormal basis, less its levels."""
    X, Q, R = design
    n, P = Q.shape
    resid, weight = np.empty(n), np.empty(n)
    for v in range(Y.shape[0]):
        y, level = Y[v], levels[v]
        floor = ROUNDING * (np.abs(y).max() + np.sqrt((level**2).sum() / n))
        weight[:] = 1.0
        gamma = np.zeros(P)
        scale = _residual_scale(Q, y, gamma, resid)
        count, settled = 1, False
        while scale > floor and count < maxiter and not settled:
            moved = 0.0
            for i in range(n):
                new = _weight(resid[i] / scale, norm, c)
                moved = max(moved, abs(new - weight[i]))
                weight[i] = new
            gamma = _weighted_fit(X, Q, R, level, y, weight)
            scale = _residual_scale(Q, y, gamma, resid)
            count += 1
            settled = moved <= tol
        if not scale > floor:  # more than half of the maps are fitted exactly
            gamma[:] = np.nan
        converged[v] = settled and scale > floor
        params[:, v] = gamma
        scale_out[v] = scale
        factor[v] = _huber_factor(resid, scale, norm, c, P)


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted_fit(X, Q, R, level, y, weight):  # type: ignore[no-untyped-def]
    """Solve the weighted normal equations of the orthonormal basis.

    Where weights of 0 leave a column without rows, its coefficient is 0, as RLM has it.
    """
    n, P = Q.shape
    L, b = np.zeros((P, P)), np.zeros(P)
    for t in range(n):
        for i in range(P):
            b[i] += weight[t] * Q[t, i] * y[t]
            for j in range(i + 1):
                L[i, j] += weight[t] * Q[t, i] * Q[t, j]
    if not cholesky(L, SINGULAR):
        root = np.sqrt(weight)
        whole = (y + Q @ level) * root
        return R @ (np.linalg.pinv(X * root.reshape(n, 1)) @ whole) - level
    substitute(L, b)
    return b


@njit(cache=True, nogil=True, error_model="numpy")
def _residual_scale(Q, y, gamma, resid):  # type: ignore[no-untyped-def]
    """Write the residuals; return their median size over that of a normal variable."""
    for t in range(Q.shape[0]):
        r = y[t]
        for i in range(Q.shape[1]):
            r -= Q[t, i] * gamma[i]
        resid[t] = r
    return np.median(np.abs(resid)) / MAD


@njit(cache=True, nogil=True, error_model="numpy")
def _weight(z, norm, c):  # type: ignore[no-untyped-def]
    if norm == 0:
        return 1.0 if abs(z) <= c else c / abs(z)
    return (1.0 - (z / c) ** 2) ** 2 if abs(z) <= c else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _bend(z, norm, c):  # type: ignore[no-untyped-def]
    """Return the derivative of psi."""
    if norm == 0:
        return 1.0 if abs(z) <= c else 0.0
    u = (z / c) ** 2
    return (1.0 - u) * (1.0 - 5.0 * u) if abs(z) <= c else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _huber_factor(resid, scale, norm, c, P):  # type: ignore[no-untyped-def]
    n = resid.size
    squares, first, second = 0.0, 0.0, 0.0
    for t in range(n):
        z = resid[t] / scale
        psi = z * _weight(z, norm, c)
        squares += psi * psi
        bend = _bend(z, norm, c)
        first += bend
        second += bend * bend
    mean = first / n
    spread = second / n - mean * mean
    k = 1.0 + P / n * spread / mean**2
    return k * k * squares * scale**2 / (n - P) / mean**2
