"""One small symmetric system at a time, for loops that no vector instruction suits."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def cholesky(A, least):  # type: ignore[no-untyped-def]
    """Overwrite the lower triangle by Cholesky's factor.

    Returns False, the matrix half done, where a pivot is not above ``least`` times its diagonal
    entry: the matrix is then not positive definite, to rounding.
    """
    for j in range(A.shape[0]):
        for i in range(j, A.shape[0]):
            floor = least * abs(A[i, i])
            for k in range(j):
                A[i, j] -= A[i, k] * A[j, k]
            if i > j:
                A[i, j] /= A[j, j]
            elif A[j, j] > floor:
                A[j, j] = np.sqrt(A[j, j])
            else:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def substitute(L, x):  # type: ignore[no-untyped-def]
    """Solve ``L L' x = b`` in place."""
    n = x.size
    for i in range(n):
        for k in range(i):
            x[i] -= L[i, k] * x[k]
        x[i] /= L[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= L[k, i] * x[k]
        x[i] /= L[i, i]
