r"""Kenward and Roger's covariance and degrees of freedom.

What the method needs of a model, at ``V = σ² H``: ``Φ = (X'H⁻¹X)⁻¹``, ``P_r = -X'H⁻¹G_rH⁻¹X`` and
``Q_rs = X'H⁻¹G_rH⁻¹G_sH⁻¹X`` for every variance parameter, ``G_r = ∂V/∂σ_r``, and the traces of
``H⁻¹G_rH⁻¹G_s``. A random intercept has them as sums over group sizes of powers of
``κ = 1 / (1 + λ n)`` times ``S_k'S_k``: no n × n matrix, and nothing of the data.

Axes: V voxels, P columns, Q contrast rows, r and s variance parameters.

References
----------
Kenward & Roger (1997), Biometrics 53:983.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.randomintercept import InterceptBasis
from voxlm.kernels.small import inverse

Floats = NDArray[np.float64]

BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """What the method needs of some voxels at σ² = 1, voxels first.

    Parameters
    ----------
    phi : ndarray, shape (V, P, P)
        Φ, in the orthonormal basis.
    P : ndarray, shape (r, V, P, P)
        ``P_r``.
    Q : ndarray, shape (r, r, V, P, P)
        ``Q_rs``.
    traces : ndarray, shape (r, r, V)
        Of ``H⁻¹G_rH⁻¹G_s``.
    """

    phi: Floats
    P: Floats
    Q: Floats
    traces: Floats


def kenward_parts(
    rows: Floats, theta: Floats, scale: Floats, pieces: Callable[[Floats], Pieces], size: int
) -> tuple[Floats, Floats]:
    """Return the adjusted covariance of ``C b``, ``(Q, Q, V)``, and the df of its test, ``(V,)``.

    For several rows the covariance is divided by the method's scale factor, so that the Wald F
    made of it is the scaled F.

    Parameters
    ----------
    rows : ndarray, shape (Q, P)
        ``C R⁻¹``: contrast rows in the orthonormal basis.
    theta : ndarray, shape (D, V)
        Where the voxels are; NaN where there is no fit.
    scale : ndarray, shape (V,)
        σ².
    pieces : callable
        Gives the pieces of some θ.
    size : int
        Voxels worked on at a time.
    """
    V, Q = theta.shape[1], rows.shape[0]
    cov, df = np.full((Q, Q, V), np.nan), np.full(V, np.nan)
    good = np.flatnonzero(np.isfinite(theta).all(axis=0))
    for start in range(0, good.size, size):
        here = good[start : start + size]
        cov[:, :, here], df[here] = _adjusted(rows, pieces(theta[:, here]))
    return cov * scale, df


def _adjusted(rows: Floats, pieces: Pieces) -> tuple[Floats, Floats]:
    """Return adjusted covariance over σ², divided by the scale factor, and df, of some voxels."""
    U, W = _weights(pieces)
    right = pieces.phi @ rows.T
    plain = rows @ right
    full = plain + 2.0 * np.swapaxes(right, 1, 2) @ U @ right
    back = _inverse(plain)
    M = [np.swapaxes(right, 1, 2) @ part @ right @ back for part in pieces.P]
    traces = [np.einsum("vqq->v", m) for m in M]
    A1, A2 = np.zeros(len(plain)), np.zeros(len(plain))
    for r in range(len(M)):
        for s in range(len(M)):
            A1 += W[:, r, s] * traces[r] * traces[s]
            A2 += W[:, r, s] * np.einsum("vqr,vrq->v", M[r], M[s])
    df, factor = _match(A1, A2, rows.shape[0])
    cov = np.moveaxis(full / factor[:, None, None], 0, 2)
    return np.asarray(cov), df


def _weights(pieces: Pieces) -> tuple[Floats, Floats]:
    """Return the sum of ``W_rs (Q_rs - P_r Φ P_s)``, and W, the inverse information times 2."""
    phi, P, Q = pieces.phi, pieces.P, pieces.Q
    count = len(P)
    information = np.empty((len(phi), count, count))
    for r in range(count):
        for s in range(count):
            information[:, r, s] = (
                pieces.traces[r, s]
                - 2.0 * np.einsum("vij,vji->v", phi, Q[r, s])
                + np.einsum("vij,vji->v", phi @ P[r], phi @ P[s])
            )
    W = 2.0 * _inverse(information)
    U = np.zeros_like(phi)
    for r in range(count):
        for s in range(count):
            U += W[:, r, s, None, None] * (Q[r, s] - P[r] @ phi @ P[s])
    return U, W


def _inverse(A: Floats) -> Floats:
    """Invert positive definite matrices, voxels first; NaN where the data cannot tell."""
    return np.moveaxis(inverse(np.moveaxis(A, 0, 2)), 2, 0)


def _match(A1: Floats, A2: Floats, q: int) -> tuple[Floats, Floats]:
    """Match the moments of an F with q and df degrees of freedom, times a factor."""
    if q == 1:
        return 2.0 / A2, np.ones_like(A2)
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    below = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / below, (q - g) / below, (q + 2.0 - g) / below
    mean = 1.0 / (1.0 - A2 / q)
    variance = 2.0 / q * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))
    rho = variance / (2.0 * mean**2)
    df = 4.0 + (q + 2.0) / (q * rho - 1.0)
    return df, df / (mean * (df - 2.0))


def intercept_pieces(basis: InterceptBasis, theta: Floats) -> Pieces:
    """Return the pieces of a random intercept at θ, shape ``(1, V)``."""
    n, m = basis.sizes, basis.members
    k = 1.0 / (1.0 + np.outer(theta[0] ** 2, n))
    eye = np.eye(basis.n_columns)

    def total(weights: Floats) -> Floats:
        return np.einsum("vk,kij->vij", weights, basis.gram, optimize=True)

    phi = np.linalg.inv(eye - total((1.0 - k) / n))
    P = np.stack([-total(k**2), -(eye - total((1.0 - k**2) / n))])
    cross = total(k**3)
    Q = np.stack(
        [
            np.stack([total(n * k**3), cross]),
            np.stack([cross, eye - total((1.0 - k**3) / n)]),
        ]
    )
    both = (n * k**2) @ m
    rest = basis.n_rows - basis.n_groups + k**2 @ m
    traces = np.stack([np.stack([(n * k) ** 2 @ m, both]), np.stack([both, rest])])
    return Pieces(np.asarray(phi), P, Q, traces)
