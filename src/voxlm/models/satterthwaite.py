"""Denominator degrees of freedom of t and F by Satterthwaite's method.

Axes: Q contrast rows, V voxels.

References
----------
Giesbrecht & Burns (1985), Biometrics 41:477. Fai & Cornelius (1996), J Stat Comput Simul 54:363.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pooling = Callable[[Floats, Floats], Floats]

SAME = 1e-8  # degrees of freedom that differ by less are one number


def joint_df(form: Floats, slopes: Floats, single: Pooling) -> Floats:
    """Return the denominator degrees of freedom of a test of Q rows.

    Parameters
    ----------
    form : ndarray, shape (Q, Q, V)
        Covariance of the rows' effects.
    slopes : ndarray, shape (D, Q, Q, V)
        Its derivatives in the D variance parameters.
    single : callable
        Gives degrees of freedom, ``(V,)``, of one row's variance ``(V,)`` and its derivatives
        ``(D, V)``.

    Returns
    -------
    ndarray, shape (V,)
        For several rows: those of the F that is the mean of the squared t of the principal
        directions; 2 where one of these has no more than 2.
    """
    Q = form.shape[0]
    if Q == 1:
        return single(form[0, 0], slopes[:, 0, 0])
    good = np.isfinite(form).all(axis=(0, 1))
    turned = np.moveaxis(np.where(good, form, np.eye(Q)[:, :, None]), 2, 0)
    values, turn = np.linalg.eigh(turned)
    nu = np.empty((Q, form.shape[2]))
    for q in range(Q):
        along = turn[:, :, q]
        steep = np.einsum("vi,dijv,vj->dv", along, slopes, along, optimize=True)
        nu[q] = single(values[:, q], steep)
    pooled = np.where(np.ptp(nu, axis=0) < SAME, nu.mean(axis=0), _pool(nu))
    return np.where(good, pooled, np.nan)


def _pool(nu: Floats) -> Floats:
    """Match the mean of the sum of squared t with that of Q F."""
    Q = nu.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.sum(nu / (nu - 2.0), axis=0)
        pooled = 2.0 * mean / (mean - Q)
    return np.where((nu <= 2.0).any(axis=0), 2.0, pooled)
