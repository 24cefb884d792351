r"""Generalised least squares under a random intercept, at every voxel's own λ.

``A(λ) = Q'H⁻¹Q = I - Σ_k w_k S_k'S_k`` is P × P and shared but for the K weights
``w_k = λ / (1 + λ n_k)``, so coefficients, their covariance and its derivative in λ cost one small
factoring a voxel, 64 voxels side by side.

Axes: P columns, Q contrast rows, K group sizes, J special directions, V voxels, W lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.groupsums import GroupSums
from voxlm.kernels.lanefactor import cholesky
from voxlm.kernels.lanes import FAST, LANES, add_weighted, backward, forward, load
from voxlm.kernels.randomintercept import InterceptBasis
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 2048


def shrunk_step(basis: InterceptBasis, sums: GroupSums, ratio: Floats) -> Floats:
    """Return the step from least squares to GLS in the orthonormal basis, shape ``(P, V)``.

    The GLS coefficients are ``level + R⁻¹ step``.
    """
    out = np.empty((basis.n_columns, sums.n_voxels))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        _steps(
            basis.gram,
            basis.sizes,
            basis.pull,
            basis.special_class,
            sums.special[:, here],
            ratio[here].reshape(1, -1),
            out[:, here],
        )

    over_blocks(sums.n_voxels, BLOCK, work)
    return out


def shrunk_forms(basis: InterceptBasis, C: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """Return ``C (X'H⁻¹X)⁻¹ C'`` and its derivative in λ.

    Parameters
    ----------
    basis : InterceptBasis
        Design-only products.
    C : ndarray, shape (Q, P)
        Rows over the columns of X.
    ratio : ndarray, shape (V,)
        λ.

    Returns
    -------
    form, slope : ndarray, shape (Q, Q, V)
        NaN where λ is.

    Examples
    --------
    >>> from voxlm.kernels.randomintercept import intercept_basis
    >>> basis = intercept_basis(np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> form, slope = shrunk_forms(basis, np.ones((1, 1)), np.array([0.0, 1.0]))
    >>> form[0, 0], slope[0, 0]
    (array([0.25, 0.75]), array([0.5, 0.5]))
    """
    Q, V = C.shape[0], ratio.size
    rows = np.ascontiguousarray(C @ basis.Rinv)
    form, slope = np.empty((Q, Q, V)), np.empty((Q, Q, V))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        _forms(
            basis.gram,
            basis.sizes,
            basis.pull,
            basis.special_class,
            rows,
            ratio[here].reshape(1, -1),
            form[:, :, here],
            slope[:, :, here],
        )

    over_blocks(V, BLOCK, work)
    return form, slope


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _factor(gram, sizes, lam, A):  # type: ignore[no-untyped-def]
    """Write the Cholesky factor of A(λ); its diagonal holds the reciprocals."""
    P = A.shape[0]
    weight = np.empty(LANES)
    for i in range(P):
        for j in range(i + 1):
            start = 1.0 if i == j else 0.0
            entry = A[i, j]
            for w in range(LANES):
                entry[w] = start
    for k in range(sizes.size):
        for w in range(LANES):
            weight[w] = lam[w] / (1.0 + lam[w] * sizes[k])
        for i in range(P):
            for j in range(i + 1):
                c, entry = gram[k, i, j], A[i, j]
                for w in range(LANES):
                    entry[w] -= c * weight[w]
    cholesky(A)


@njit(cache=True, nogil=True, error_model="numpy")
def _steps(gram, sizes, pull, special_class, special, ratio, out):  # type: ignore[no-untyped-def]
    """Solve ``A x = -Σ_k w_k S_k's_k`` for LANES voxels at a time."""
    P, J = pull.shape
    A = np.empty((P, P, LANES))
    x = np.empty((P, LANES))
    lam = np.empty((1, LANES))
    s = np.empty((J, LANES))
    for at in range(0, out.shape[1], LANES):
        n = min(LANES, out.shape[1] - at)
        load(ratio, at, n, lam)
        load(special, at, n, s)
        for j in range(J):
            size = sizes[special_class[j]]
            for w in range(LANES):
                s[j, w] *= -lam[0, w] / (1.0 + lam[0, w] * size)
        for i in range(P):
            for w in range(LANES):
                x[i, w] = 0.0
            add_weighted(x[i], pull[i], s, 0, J)
        _factor(gram, sizes, lam[0], A)
        forward(A, x)
        backward(A, x)
        out[:, at : at + n] = x[:, :n]


@njit(cache=True, nogil=True, error_model="numpy")
def _forms(gram, sizes, pull, special_class, rows, ratio, form, slope):  # type: ignore[no-untyped-def]
    """Write every pair of rows' form and slope for LANES voxels at a time."""
    Q, (P, J) = rows.shape[0], pull.shape
    A = np.empty((P, P, LANES))
    z = np.empty((P, LANES))
    lam = np.empty((1, LANES))
    along = np.empty((Q, J, LANES))
    total = np.empty(LANES)
    for at in range(0, ratio.shape[1], LANES):
        n = min(LANES, ratio.shape[1] - at)
        load(ratio, at, n, lam)
        _factor(gram, sizes, lam[0], A)
        for q in range(Q):
            for i in range(P):
                z[i] = rows[q, i]
            forward(A, z)
            backward(A, z)
            for r in range(q + 1):
                for w in range(LANES):
                    total[w] = 0.0
                add_weighted(total, rows[r], z, 0, P)
                form[q, r, at : at + n] = total[:n]
                form[r, q, at : at + n] = total[:n]
            _along(pull, sizes, special_class, lam[0], z, along[q])
        for q in range(Q):
            for r in range(q + 1):
                _dot(along[q], along[r], total)
                slope[q, r, at : at + n] = total[:n]
                slope[r, q, at : at + n] = total[:n]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _along(pull, sizes, special_class, lam, z, out):  # type: ignore[no-untyped-def]
    """Write ``pull' z / (1 + λ n)``: products of two of these are slopes in λ."""
    for j in range(pull.shape[1]):
        size = sizes[special_class[j]]
        for w in range(LANES):
            out[j, w] = 0.0
        for i in range(pull.shape[0]):
            for w in range(LANES):
                out[j, w] += pull[i, j] * z[i, w]
        for w in range(LANES):
            out[j, w] /= 1.0 + lam[w] * size


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _dot(x, y, total):  # type: ignore[no-untyped-def]
    """Write ``Σ_j x_j y_j``."""
    for w in range(LANES):
        total[w] = 0.0
    for j in range(x.shape[0]):
        for w in range(LANES):
            total[w] += x[j, w] * y[j, w]
