"""Variances of contrasts under AR(p) noise, from ρ alone.

The whitened X'X is a polynomial in ρ, so no covariance matrix is kept for a voxel: it is formed and
factored again, 64 voxels side by side, when a contrast asks.

Axes: P columns, Q contrast rows, p order, V voxels.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.arone import factor_either, solve_one, workspace
from voxlm.kernels.lagged import LaggedBasis
from voxlm.kernels.lanes import (
    FAST,
    LANES,
    add_weighted,
    backward,
    forward,
    load,
    whitening,
)
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
    return _covariance(basis, rho, C, diagonal=False)


def contrast_variance(basis: LaggedBasis, rho: Floats, C: Floats) -> Floats:
    """Return only the diagonal of :func:`contrast_covariance`, shape ``(Q, V)``."""
    return _covariance(basis, rho, C, diagonal=True)[0]


def _covariance(basis: LaggedBasis, rho: Floats, C: Floats, *, diagonal: bool) -> Floats:
    rows = np.ascontiguousarray(C @ basis.Rinv)
    edge_rows = np.ascontiguousarray(basis.Q[basis.near])
    out = np.empty((1 if diagonal else len(rows), len(rows), rho.shape[1]))

    def work(start: int, stop: int) -> None:
        _covariance_block(
            basis.gram,
            basis.eigen,
            basis.edges,
            edge_rows,
            rho,
            rows,
            start,
            stop,
            diagonal,
            out,
        )

    over_blocks(rho.shape[1], BLOCK, work)
    return out


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _fill(rho, at, n, lanes, a):  # type: ignore[no-untyped-def]
    """Load ρ of the next voxels and write their whitening filter."""
    load(rho, at, n, lanes)
    whitening(lanes, a)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _covariance_block(gram, eigen, edges, edge_rows, rho, rows, first, stop, diagonal, out):  # type: ignore[no-untyped-def]
    """Solve for each row, and take products with the rows (or with itself alone)."""
    p, P, Q = rho.shape[0], gram.shape[2], rows.shape[0]
    lanes, a = np.empty((p, LANES)), np.empty((p + 1, LANES))
    A, inverse, spread, small = workspace(P, edges.shape[0])
    z, scratch = np.empty((P, LANES)), np.empty((edges.shape[0], LANES))
    total = np.empty(LANES)
    for at in range(first, stop, LANES):
        n = min(LANES, stop - at)
        _fill(rho, at, n, lanes, a)
        closed = factor_either(gram, eigen, edges, edge_rows, a, A, inverse, spread, small)
        for q in range(Q):
            for i in range(P):
                z[i] = rows[q, i]
            if closed:
                solve_one(inverse, spread, small, z, scratch)
            else:
                forward(A, z)
                backward(A, z)
            for r in range(q if diagonal else 0, q + 1):
                for w in range(LANES):
                    total[w] = 0.0
                add_weighted(total, rows[r], z, 0, P)
                for w in range(n):
                    if diagonal:
                        out[0, q, at + w] = total[w]
                    else:
                        out[q, r, at + w] = total[w]
                        out[r, q, at + w] = total[w]
