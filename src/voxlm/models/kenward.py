r"""Kenward and Roger's covariance and degrees of freedom for a random intercept.

With ``κ = 1 / (1 + λ n)`` for a group of size n, every product that the method needs is a sum over
group sizes of powers of κ times ``S_k'S_k``: no n × n matrix, and nothing of the data.

Axes: V voxels, P columns, Q contrast rows.

References
----------
Kenward & Roger (1997), Biometrics 53:983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.randomintercept import InterceptBasis
from voxlm.models.intercept import InterceptEstimate, solve_intercept

Floats = NDArray[np.float64]

BLOCK = 4096


@dataclass(frozen=True, eq=False)
class KenwardEstimate(InterceptEstimate):
    """A random-intercept fit by REML whose tests are Kenward and Roger's."""

    def test_parts(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the adjusted covariance of ``C b``, ``(Q, Q, V)``, and the df of its test.

        For several rows the covariance is divided by the method's scale factor, so that the Wald F
        made of it is the scaled F.
        """
        V, Q = self.ratio.size, C.shape[0]
        cov, df = np.empty((Q, Q, V)), np.empty(V)
        for start in range(0, V, BLOCK):
            here = slice(start, start + BLOCK)
            cov[:, :, here], df[here] = _adjusted(self.basis, C, self.ratio[here])
        return cov * self.scale, df

    def refit(self, reml: bool) -> InterceptEstimate:
        """Return the REML fit itself, or the ML fit with Satterthwaite's tests."""
        return self if reml else solve_intercept(self.basis, self.sums, reml)


def kenward_roger(estimate: InterceptEstimate) -> KenwardEstimate:
    """Return the same fit with Kenward and Roger's tests."""
    return KenwardEstimate(
        estimate.basis, estimate.sums, estimate.reml, estimate.profile, estimate.step
    )


def _adjusted(basis: InterceptBasis, C: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """Return adjusted covariance over σ², divided by the scale factor, and df, of some voxels."""
    lost = ~np.isfinite(ratio)
    phi, P, U, W = _pieces(basis, np.where(lost, 1.0, ratio))
    rows = C @ basis.Rinv
    right = phi @ rows.T
    plain = rows @ right
    full = plain + 2.0 * np.swapaxes(right, 1, 2) @ U @ right
    inverse = np.linalg.inv(plain)
    M = [np.swapaxes(right, 1, 2) @ part @ right @ inverse for part in P]
    traces = [np.einsum("vqq->v", m) for m in M]
    A1, A2 = np.zeros(ratio.size), np.zeros(ratio.size)
    for r in range(2):
        for s in range(2):
            A1 += W[:, r, s] * traces[r] * traces[s]
            A2 += W[:, r, s] * np.einsum("vqr,vrq->v", M[r], M[s])
    df, factor = _match(A1, A2, rows.shape[0])
    cov = np.moveaxis(full / factor[:, None, None], 0, 2)
    return np.where(lost, np.nan, cov), np.where(lost, np.nan, df)


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


def _pieces(basis: InterceptBasis, ratio: Floats) -> tuple[Floats, list[Floats], Floats, Floats]:
    """Return Φ, the P_r, the sum of W_rs (Q_rs - P_r Φ P_s), and W, voxels first, at σ² = 1."""
    n, m = basis.sizes, basis.members
    k = 1.0 / (1.0 + np.outer(ratio, n))
    eye = np.eye(basis.n_columns)

    def total(weights: Floats) -> Floats:
        return np.einsum("vk,kij->vij", weights, basis.gram, optimize=True)

    phi = np.linalg.inv(eye - total((1.0 - k) / n))
    P = [-total(k**2), -(eye - total((1.0 - k**2) / n))]
    cross = total(k**3)
    Q = [[total(n * k**3), cross], [cross, eye - total((1.0 - k**3) / n)]]
    traces = [
        [(n * k) ** 2 @ m, (n * k**2) @ m],
        [(n * k**2) @ m, basis.n_rows - basis.n_groups + k**2 @ m],
    ]
    information = np.empty((ratio.size, 2, 2))
    inner = [[Q[r][s] - P[r] @ phi @ P[s] for s in range(2)] for r in range(2)]
    for r in range(2):
        for s in range(2):
            information[:, r, s] = (
                traces[r][s]
                - 2.0 * np.einsum("vij,vji->v", phi, Q[r][s])
                + np.einsum("vij,vji->v", phi @ P[r], phi @ P[s])
            )
    W = 2.0 * np.linalg.inv(information)
    U = sum(W[:, r, s, None, None] * inner[r][s] for r in range(2) for s in range(2))
    return np.asarray(phi), P, np.asarray(U), np.asarray(W)
