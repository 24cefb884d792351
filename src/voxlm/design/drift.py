"""Slow drift as columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DesignError
from voxlm.kernels.convolve import orthogonalise

Floats = NDArray[np.float64]


def cosine(times: Floats, cutoff: float) -> Floats:
    """Return the discrete cosines slower than ``cutoff``, shape ``(T, K)``.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Scan times in seconds, evenly spaced.
    cutoff : float
        Highest frequency, Hz.

    Raises
    ------
    DesignError
        If the cut-off is no frequency the scans can show.

    Examples
    --------
    >>> cosine(np.arange(200) * 2.0, 0.01).shape
    (200, 8)
    """
    n = times.size
    step = (times[-1] - times[0]) / (n - 1) if n > 1 else np.inf
    if not cutoff > 0 or (n > 1 and cutoff * step >= 0.5):
        raise DesignError(
            f"cosine({cutoff:g}) would take every frequency that scans {step:g} s apart can show; "
            f"the cut-off is in Hz, below {0.5 / step:g}: did you mean cosine(1/{cutoff:g})?"
        )
    order = min(n - 1, int(np.floor(2 * n * cutoff * step))) if n > 1 else 0
    moment = np.pi / n * (np.arange(n) + 0.5)
    return np.sqrt(2.0 / n) * np.cos(moment[:, None] * np.arange(1, order + 1))


def polynomial(times: Floats, order: int) -> Floats:
    """Return powers of time up to ``order``, each orthogonal to those below, shape ``(T, order)``.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Scan times in seconds.
    order : int
        Highest power.

    Examples
    --------
    >>> polynomial(np.array([0.0, 1.0, 2.0]), 1).ravel()
    array([-0.5,  0. ,  0.5])
    """
    powers = (times / times.max())[:, None] ** np.arange(order + 1)
    return orthogonalise(powers)[:, 1:]
