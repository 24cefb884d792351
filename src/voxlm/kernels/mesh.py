"""Who is next to whom on a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


def mesh_graph(faces: ArrayLike, inside: NDArray[np.bool_]) -> sparse.csr_array:
    """Return the neighbour graph of the vertices of a mask: neighbours share an edge.

    Parameters
    ----------
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle.
    inside : ndarray of bool, shape (N,)
        The mask; V of its N vertices are in.

    Returns
    -------
    csr_array of bool, shape (V, V)
        Symmetric, without a diagonal.

    Examples
    --------
    >>> inside = np.array([True, True, False, True])
    >>> mesh_graph([[0, 1, 2], [1, 2, 3]], inside).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    corners = np.asarray(faces, dtype=np.int64)
    one = np.concatenate([corners[:, k] for k in (0, 1, 2)])
    other = np.concatenate([corners[:, k] for k in (1, 2, 0)])
    number = np.full(inside.size, -1, dtype=np.int64)
    number[inside] = np.arange(int(inside.sum()))
    rows, columns = number[np.r_[one, other]], number[np.r_[other, one]]
    both = (rows >= 0) & (columns >= 0) & (rows != columns)
    V = int(inside.sum())
    flat = np.unique(rows[both] * V + columns[both])
    ones = np.ones(flat.size, dtype=np.bool_)
    return sparse.csr_array((ones, (flat // max(V, 1), flat % max(V, 1))), shape=(V, V))
