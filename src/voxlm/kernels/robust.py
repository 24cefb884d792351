"""M-estimation at every voxel by iteratively reweighted least squares.

Axes: n maps, P columns, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 256
HUBER, BISQUARE = 0, 1
TUNING = {HUBER: 1.345, BISQUARE: 4.685}  # 95 % efficiency at the normal
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
        Whether the deviance settled.
    """

    params: Floats
    scale: Floats
    factor: Floats
    converged: NDArray[np.bool_]


def fit_robust(
    X: Floats, data: NDArray[Any], norm: int, maxiter: int = 50, tol: float = 1e-8
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
        The iteration stops where the deviance moves by no more than ``tol``.

    Returns
    -------
    RobustFit

    Notes
    -----
    Equal to statsmodels' ``RLM(y, X, M).fit(maxiter, tol)``, its stopping rule included.

    Examples
    --------
    >>> y = np.array([[1.0], [2.0], [3.0], [100.0]])
    >>> fit_robust(np.ones((4, 1)), y, BISQUARE).params.round(3)
    array([[2.]])
    """
    V, P = data.shape[1], X.shape[1]
    out = RobustFit(np.empty((P, V)), np.empty(V), np.empty(V), np.zeros(V, dtype=np.bool_))
    rows = np.ascontiguousarray(X)
    start = np.linalg.pinv(X)

    def work(first: int, stop: int) -> None:
        here = slice(first, stop)
        _iterate(
            rows,
            start,
            np.ascontiguousarray(data[:, here].T, dtype=np.float64),
            norm,
            TUNING[norm],
            maxiter,
            tol,
            out.params[:, here],
            out.scale[here],
            out.factor[here],
            out.converged[here],
        )

    over_blocks(V, BLOCK, work)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _iterate(X, start, Y, norm, c, maxiter, tol, params, scale_out, factor, converged):  # type: ignore[no-untyped-def]
    """Reweight one voxel after the other."""
    n, P = X.shape
    resid, weight = np.empty(n), np.ones(n)
    for v in range(Y.shape[0]):
        y = Y[v]
        beta = start @ y
        variance = _residuals(X, y, beta, np.ones(n), resid)
        scale = np.median(np.abs(resid)) / MAD
        before, count = _deviance(resid, variance, norm, c), 1
        while True:
            if not scale > 0.0:
                beta[:] = np.nan
                break
            for i in range(n):
                weight[i] = _weight(resid[i] / scale, norm, c)
            beta = _weighted_fit(X, y, weight)
            variance = _residuals(X, y, beta, weight, resid)
            scale = np.median(np.abs(resid)) / MAD
            deviance = _deviance(resid, variance, norm, c)
            count += 1
            settled = not abs(deviance - before) > tol
            before = deviance
            if settled or count >= maxiter:
                converged[v] = settled
                break
        params[:, v] = beta
        scale_out[v] = scale
        factor[v] = _huber_factor(resid, scale, norm, c, P)


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted_fit(X, y, weight):  # type: ignore[no-untyped-def]
    """Solve the weighted normal equations."""
    n, P = X.shape
    A, b = np.zeros((P, P)), np.zeros(P)
    for t in range(n):
        for i in range(P):
            b[i] += weight[t] * X[t, i] * y[t]
            for j in range(i + 1):
                A[i, j] += weight[t] * X[t, i] * X[t, j]
    for i in range(P):
        for j in range(i):
            A[j, i] = A[i, j]
    return np.linalg.solve(A, b)


@njit(cache=True, nogil=True, error_model="numpy")
def _residuals(X, y, beta, weight, resid):  # type: ignore[no-untyped-def]
    """Write the residuals; return the weighted variance that the deviance is scaled by."""
    n, P = X.shape
    total = 0.0
    for t in range(n):
        r = y[t]
        for i in range(P):
            r -= X[t, i] * beta[i]
        resid[t] = r
        total += weight[t] * r * r
    return total / (n - P)


@njit(cache=True, nogil=True, error_model="numpy")
def _deviance(resid, variance, norm, c):  # type: ignore[no-untyped-def]
    total = 0.0
    for t in range(resid.size):
        total += _rho(resid[t] / variance, norm, c)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _weight(z, norm, c):  # type: ignore[no-untyped-def]
    if norm == 0:
        return 1.0 if abs(z) <= c else c / abs(z)
    return (1.0 - (z / c) ** 2) ** 2 if abs(z) <= c else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _rho(z, norm, c):  # type: ignore[no-untyped-def]
    if norm == 0:
        return 0.5 * z * z if abs(z) <= c else c * abs(z) - 0.5 * c * c
    full = c * c / 6.0
    return full * (1.0 - (1.0 - (z / c) ** 2) ** 3) if abs(z) <= c else full


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
