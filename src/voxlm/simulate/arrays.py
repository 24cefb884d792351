"""Series of known truth as plain arrays, for tests, benchmarks and power calculations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Simulated data and the truth behind them.

    Parameters
    ----------
    data : ndarray, shape (T, V)
    matrix : ndarray, shape (T, P)
        The design.
    params : ndarray, shape (P, V)
        True coefficients.
    rho : ndarray, shape (order, V)
        True autoregressive coefficients.
    sigma : float
        Standard deviation of the innovations.
    """

    data: NDArray[np.floating]
    matrix: NDArray[np.float64]
    params: NDArray[np.float64]
    rho: NDArray[np.float64]
    sigma: float


def series(
    matrix: ArrayLike,
    n_voxels: int,
    *,
    params: ArrayLike | None = None,
    rho: ArrayLike = (0.4,),
    sigma: float = 1.0,
    mean: float = 0.0,
    seed: int = 0,
    dtype: type[np.floating] = np.float64,
) -> Series:
    r"""Simulate :math:`y = X\beta + \mu + e` with AR(p) errors at every voxel.

    Parameters
    ----------
    matrix : array_like, shape (T, P)
        The design X.
    n_voxels : int
        V.
    params : array_like, shape (P,) or (P, V), optional
        The coefficients; drawn from a standard normal law where not given.
    rho : array_like, shape (order,) or (order, V)
        :math:`e_t = \sum_k \rho_k e_{t-k} + w_t`; ``()`` gives white errors.
    sigma : float
        Standard deviation of w.
    mean : float
        Added to every value.
    seed : int
    dtype : {numpy.float64, numpy.float32}
        Of the data.

    Returns
    -------
    Series

    Raises
    ------
    DataError
        If a shape does not fit, or a series would not be stationary.

    Examples
    --------
    >>> made = series(np.ones((50, 1)), 3, params=[2.0], rho=(0.5, -0.2), seed=1)
    >>> made.data.shape, made.rho.shape
    ((50, 3), (2, 3))
    """
    X = np.asarray(matrix, dtype=np.float64)
    if X.ndim != 2:
        raise DataError(f"the design must have two axes, scans and columns; got shape {X.shape}")
    if n_voxels < 1:
        raise DataError(f"n_voxels must be at least 1, got {n_voxels}")
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((X.shape[1], n_voxels)) if params is None else params
    beta = _per_voxel(drawn, n_voxels, "params")
    if beta.shape[0] != X.shape[1]:
        raise DataError(f"params has {beta.shape[0]} rows, the design has {X.shape[1]} columns")
    lags = _per_voxel(rho, n_voxels, "rho")
    _check_stationary(lags)
    errors = _autoregression(lags, X.shape[0], sigma, rng)
    return Series((X @ beta + errors + mean).astype(dtype), X, beta, lags, sigma)


def _per_voxel(values: ArrayLike, n_voxels: int, name: str) -> NDArray[np.float64]:
    """Give every voxel its own copy, shape (n, V)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = np.repeat(array[:, None], n_voxels, axis=1)
    if array.ndim != 2 or array.shape[1] != n_voxels:
        raise DataError(f"{name} has shape {array.shape}; expected (n,) or (n, {n_voxels})")
    return array


def _check_stationary(rho: NDArray[np.float64]) -> None:
    """Refuse coefficients whose companion matrix does not shrink."""
    if rho.shape[0] == 0:
        return
    for lags in np.unique(rho, axis=1).T:
        roots = np.roots(np.concatenate([[1.0], -lags]))
        if np.any(np.abs(roots) >= 1.0):
            raise DataError(f"rho = {lags.tolist()} gives a series that is not stationary")


def _autoregression(
    rho: NDArray[np.float64], n_scans: int, sigma: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Run the recursion from zero and drop its first 100 + 20·order scans."""
    order, n_voxels = rho.shape
    warm = 100 + 20 * order if order else 0
    errors = sigma * rng.standard_normal((warm + n_scans, n_voxels))
    for now in range(1, errors.shape[0]):
        for lag in range(1, min(order, now) + 1):
            errors[now] += rho[lag - 1] * errors[now - lag]
    return np.asarray(errors[warm:])
