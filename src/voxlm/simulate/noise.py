"""What is there besides the answer: smooth autocorrelated noise and slow drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from voxlm.errors import DataError


def smooth_field(
    mask: NDArray[np.bool_], n: int, sigma: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``n`` independent Gaussian fields, smooth in space, of unit variance at every voxel.

    Parameters
    ----------
    mask : ndarray of bool, shape (I, J, K)
    n : int
        Number of fields.
    sigma : float
        Width of the Gaussian in voxels.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (n, V)

    Examples
    --------
    >>> field = smooth_field(np.ones((8, 8, 8), bool), 200, 1.0, np.random.default_rng(0))
    >>> bool(abs(field.var() - 1) < 0.05)
    True
    """
    white = rng.standard_normal((n, *mask.shape), dtype=np.float32)
    # Wrapping keeps the variance the same at every voxel, so one factor restores it.
    field = gaussian_filter(white, (0.0, sigma, sigma, sigma), mode="wrap", truncate=3.0)
    point = np.zeros(mask.shape)
    point[tuple(size // 2 for size in mask.shape)] = 1.0
    kernel = gaussian_filter(point, sigma, mode="wrap", truncate=3.0)
    return np.asarray(field[:, mask] / np.float32(np.sqrt((kernel**2).sum())))


def autoregress(
    innovations: NDArray[np.floating], rho: NDArray[np.float64]
) -> NDArray[np.floating]:
    r"""Turn white series into stationary AR(1) series of the same variance, voxel by voxel.

    :math:`e_t = \rho e_{t-1} + \sqrt{1 - \rho^2}\, w_t`, started in its stationary law.

    Parameters
    ----------
    innovations : ndarray, shape (T, V)
        White series of unit variance.
    rho : ndarray, shape (V,)
        Autocorrelation at lag one, between -1 and 1.

    Returns
    -------
    ndarray, shape (T, V)

    Raises
    ------
    DataError
        If a series would not be stationary.

    Examples
    --------
    >>> white = np.random.default_rng(0).standard_normal((4000, 1))
    >>> series = autoregress(white, np.array([0.5]))
    >>> round(float(np.corrcoef(series[1:, 0], series[:-1, 0])[0, 1]), 1)
    0.5
    """
    if not np.all(np.abs(rho) < 1.0):
        raise DataError("rho must lie between -1 and 1 for an AR(1) series to be stationary")
    series = np.array(innovations)
    gain = np.sqrt(1.0 - rho**2).astype(series.dtype)
    keep = rho.astype(series.dtype)
    series[1:] *= gain
    for now in range(1, series.shape[0]):
        series[now] += keep * series[now - 1]
    return series


def drift(n_scans: int, tr: float, longest: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return slow courses below 1/128 Hz, of unit variance.

    Parameters
    ----------
    n_scans : int
    tr : float
        Seconds.
    longest : int
        At most so many courses, slowest first.
    rng : numpy.random.Generator
        Gives each course its phase.

    Returns
    -------
    ndarray, shape (T, n)
        At least one course, however short the run.

    Examples
    --------
    >>> drift(200, 2.0, 3, np.random.default_rng(0)).shape
    (200, 3)
    """
    duration = n_scans * tr
    n = max(1, min(longest, int(duration / 140.0 * 2.0)))
    half_cycles = np.arange(1, n + 1)
    phase = (np.arange(n_scans)[:, None] + 0.5) * np.pi * half_cycles / n_scans
    return np.asarray(np.sqrt(2.0) * np.cos(phase) * rng.choice([-1.0, 1.0], n))
