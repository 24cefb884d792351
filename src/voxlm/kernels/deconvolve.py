"""The neural series behind a measured one: deconvolution with a smooth prior.

``y = H B w + X₀ g + e``: B are cosines on a fine grid, H convolves and reads scans, w has a flat
Gaussian prior whose size is found by restricted maximum likelihood, as in the empirical Bayes of
Gitelman, Penny, Ashburner & Friston (NeuroImage 19:200, 2003). Axes: T scans, M grid points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Decades of the ratio of prior to noise variance that are searched.
SEARCH = (-6.0, 9.0)


class Neural(NamedTuple):
    """A neural series ``(M,)`` and the ratio of prior to noise variance that it was found with."""

    series: Floats
    ratio: float


def cosines(m: int, count: int) -> Floats:
    """Return the slowest cosines of a grid, the constant first, shape ``(m, count)``.

    Examples
    --------
    >>> basis = cosines(6, 3)
    >>> bool(np.allclose(basis.T @ basis, np.eye(3)))
    True
    """
    place = np.pi / m * (np.arange(m) + 0.5)
    basis = np.cos(place[:, None] * np.arange(count))
    return np.asarray(basis / np.linalg.norm(basis, axis=0))


def filter_and_read(series: Floats, kernel: Floats, every: int) -> Floats:
    """Convolve series ``(M, K)`` with a kernel and read every so many points, ``(T, K)``."""
    size = series.shape[0]
    out = scipy.signal.fftconvolve(series, kernel[:, None], axes=0)[:size]
    return np.asarray(out[::every])


def deconvolve(y: Floats, kernel: Floats, every: int, nuisance: Floats) -> Neural:
    """Estimate the neural series behind a measured one.

    Parameters
    ----------
    y : ndarray, shape (T,)
        The measured series.
    kernel : ndarray, shape (N,)
        The response, one value a grid step.
    every : int
        Grid steps a scan, so that M = T · every.
    nuisance : ndarray, shape (T, P)
        What is not neural, such as a constant.

    Returns
    -------
    Neural
    """
    basis = cosines(y.size * every, y.size)
    X = filter_and_read(basis, kernel, every)
    full, _ = np.linalg.qr(nuisance, mode="complete")
    # Contrasts that the nuisance cannot touch carry the restricted likelihood.
    free = full[:, nuisance.shape[1] :]
    U, s, Vt = np.linalg.svd(free.T @ X, full_matrices=False)
    z = U.T @ (free.T @ y)
    rest = max(0.0, float(y @ free @ (free.T @ y)) - float(z @ z))
    n = free.shape[1]

    def cost(power: float) -> float:
        scale = 1.0 + 10.0**power * s**2
        total = float(np.sum(z**2 / scale)) + rest
        return float(n * np.log(max(total, 1e-300)) + np.sum(np.log(scale)))

    grid = np.linspace(*SEARCH, 61)
    start = grid[np.argmin([cost(p) for p in grid])]
    found = scipy.optimize.minimize_scalar(cost, bounds=(start - 0.5, start + 0.5))
    ratio = 10.0 ** float(found.x)
    weights = Vt.T @ (ratio * s / (1.0 + ratio * s**2) * z)
    return Neural(basis @ weights, ratio)
