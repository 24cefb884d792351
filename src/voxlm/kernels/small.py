"""Many small symmetric systems at once, one a voxel, voxels last.

With Q of a few and V of a hundred thousand, loops over Q around operations over V are faster than
one LAPACK call a voxel, and one singular voxel disturbs no other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A pivot this small against its diagonal entry is rounding, not information.
SINGULAR = 1e-13


def factor(A: Array) -> Array:
    """Factor many positive definite matrices by Cholesky, one a voxel.

    Parameters
    ----------
    A : ndarray, shape (Q, Q, V)
        Symmetric matrices; the lower triangle is read.

    Returns
    -------
    ndarray, shape (Q, Q, V)
        Lower triangles L with ``A = L L'``; NaN where a matrix is not positive definite.

    Examples
    --------
    >>> factor(np.array([[[4.0, 0.0]]]))[0, 0].tolist()
    [2.0, nan]
    """
    Q = A.shape[0]
    L = np.zeros(A.shape)
    for j in range(Q):
        pivot = A[j, j] - np.einsum("kv,kv->v", L[j, :j], L[j, :j])
        good = pivot > SINGULAR * np.abs(A[j, j])
        L[j, j] = np.sqrt(np.where(good, pivot, np.nan))
        for i in range(j + 1, Q):
            L[i, j] = (A[i, j] - np.einsum("kv,kv->v", L[i, :j], L[j, :j])) / L[j, j]
    return L


def forward(L: Array, b: Array) -> Array:
    """Solve ``L x = b`` at every voxel, shapes ``(Q, Q, V)`` and ``(Q, V)``.

    Examples
    --------
    >>> forward(np.full((1, 1, 2), 2.0), np.array([[2.0, 6.0]]))
    array([[1., 3.]])
    """
    x = np.empty(b.shape)
    for i in range(L.shape[0]):
        x[i] = (b[i] - np.einsum("kv,kv->v", L[i, :i], x[:i])) / L[i, i]
    return x


def quadratic(A: Array, b: Array) -> Array:
    """Compute ``b' A^-1 b`` at every voxel.

    Parameters
    ----------
    A : ndarray, shape (Q, Q, V)
        Symmetric positive definite matrices.
    b : ndarray, shape (Q, V)
        Vectors.

    Returns
    -------
    ndarray, shape (V,)
        NaN where a matrix is singular or not finite.

    Examples
    --------
    >>> quadratic(np.full((1, 1, 2), 4.0), np.array([[2.0, 6.0]]))
    array([1., 9.])
    """
    x = forward(factor(A), b)
    # A NaN in any pivot reaches every later row, so the sum carries it.
    return np.asarray(np.einsum("qv,qv->v", x, x))


def inverse(A: Array) -> Array:
    """Invert positive definite matrices, ``(Q, Q, V)``; NaN where singular.

    Examples
    --------
    >>> inverse(np.full((1, 1, 2), 4.0))
    array([[[0.25, 0.25]]])
    """
    Q = A.shape[0]
    L = factor(A)
    unit = np.zeros(A.shape)
    for q in range(Q):
        rhs = np.zeros(A.shape[1:])
        rhs[q] = 1.0
        unit[:, q] = forward(L, rhs)
    return np.asarray(np.einsum("kiv,kjv->ijv", unit, unit))
