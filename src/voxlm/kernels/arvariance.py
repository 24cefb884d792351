"""Variances of contrasts under AR(p) noise, from ρ alone.

The whitened X'X is a polynomial in ρ, so no covariance matrix is kept for a voxel: it is formed and
factored again, 64 voxels side by side, when a contrast asks.

Axes: P columns, Q contrast rows, p order, V voxels.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.lanes import FAST, LANES, factor, forward, load, subtract_dot, whitening
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]
BLOCK = 2048


def contrast_covariance(basis: LaggedBasis, rho: Floats, C: Floats) -> Floats:
    """Return ``C (X'V⁻¹X)⁻¹ C'`` at every voxel, for unit noise.

    Parameters
    ----------
    basis : LaggedBasis
        Design-only products.
    rho : ndarray, shape (p, V)
        AR coefficients.
    C : ndarray, shape (Q, P)
        Contrast rows over the columns of X.

    Returns
    -------
    ndarray, shape (Q, Q, V)
    """
    rows = np.ascontiguousarray(C @ basis.Rinv)
    out = np.empty((len(rows), len(rows), rho.shape[1]))

    def work(start: int, stop: int) -> None:
        _covariance_block(basis.gram, rho[:, start:stop], rows, out[:, :, start:stop])

    over_blocks(rho.shape[1], BLOCK, work)
    return out


def contrast_variance(basis: LaggedBasis, rho: Floats, C: Floats) -> Floats:
    """Return only the diagonal of :func:`contrast_covariance`, shape ``(Q, V)``."""
    rows = np.ascontiguousarray(C @ basis.Rinv)
    out = np.empty((len(rows), rho.shape[1]))

    def work(start: int, stop: int) -> None:
        _variance_block(basis.gram, rho[:, start:stop], rows, out[:, start:stop])

    over_blocks(rho.shape[1], BLOCK, work)
    return out


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _fill(rho, at, n, lanes, a):  # type: ignore[no-untyped-def]
    """Load ρ of the next voxels and write their whitening filter."""
    load(rho, at, n, lanes)
    whitening(lanes, a)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _solve_row(A, row, z):  # type: ignore[no-untyped-def]
    """Write ``L⁻¹ row``, the row shared by all lanes."""
    for i in range(row.size):
        zi = z[i]
        for w in range(LANES):
            zi[w] = row[i]
    forward(A, z)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _covariance_block(gram, rho, rows, out):  # type: ignore[no-untyped-def]
    p, P, Q = rho.shape[0], gram.shape[2], rows.shape[0]
    lanes, a = np.empty((p, LANES)), np.empty((p + 1, LANES))
    A, z = np.empty((P, P, LANES)), np.empty((Q, P, LANES))
    total = np.empty(LANES)
    for at in range(0, rho.shape[1], LANES):
        n = min(LANES, rho.shape[1] - at)
        _fill(rho, at, n, lanes, a)
        factor(gram, a, A)
        for q in range(Q):
            _solve_row(A, rows[q], z[q])
            for r in range(q + 1):
                for w in range(LANES):
                    total[w] = 0.0
                subtract_dot(total, z[q], z[r], P)
                for w in range(n):
                    out[q, r, at + w] = -total[w]
                    out[r, q, at + w] = -total[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _variance_block(gram, rho, rows, out):  # type: ignore[no-untyped-def]
    p, P = rho.shape[0], gram.shape[2]
    lanes, a = np.empty((p, LANES)), np.empty((p + 1, LANES))
    A, z = np.empty((P, P, LANES)), np.empty((P, LANES))
    total = np.empty(LANES)
    for at in range(0, rho.shape[1], LANES):
        n = min(LANES, rho.shape[1] - at)
        _fill(rho, at, n, lanes, a)
        factor(gram, a, A)
        for q in range(rows.shape[0]):
            _solve_row(A, rows[q], z)
            for w in range(LANES):
                total[w] = 0.0
            subtract_dot(total, z, z, P)
            for w in range(n):
                out[q, at + w] = -total[w]
