"""Triangle meshes: who is next to whom, what area a vertex has, how heat would flow.

Axes: N vertices of the mesh, V of them inside a mask, F triangles.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Twice the squared area of a triangle below which it has no angles to speak of, as a share of the
# largest.
FLAT = 1e-24


def mesh_graph(faces: ArrayLike, inside: NDArray[np.bool_]) -> scipy.sparse.csr_array:
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
    return scipy.sparse.csr_array((ones, (flat // max(V, 1), flat % max(V, 1))), shape=(V, V))


def triangle_areas(coordinates: ArrayLike, faces: ArrayLike) -> Floats:
    """Return the area of each triangle, shape ``(F,)``.

    Parameters
    ----------
    coordinates : array_like, shape (N, 3)
        Places of the vertices.
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle.

    Examples
    --------
    >>> triangle_areas([[0, 0, 0], [3, 0, 0], [0, 4, 0]], [[0, 1, 2]])
    array([6.])
    """
    return 0.5 * np.asarray(np.linalg.norm(_across(coordinates, faces), axis=1))


def _across(coordinates: ArrayLike, faces: ArrayLike) -> Floats:
    """Return a normal of each triangle, as long as twice its area, shape ``(F, 3)``."""
    at, of = np.asarray(coordinates, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    return np.cross(at[of[:, 1]] - at[of[:, 0]], at[of[:, 2]] - at[of[:, 0]])


def vertex_areas(coordinates: ArrayLike, faces: ArrayLike) -> Floats:
    """Return the area of each vertex, a third of its triangles', shape ``(N,)``.

    Parameters
    ----------
    coordinates : array_like, shape (N, 3)
        Places of the vertices.
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle.

    Examples
    --------
    >>> vertex_areas([[0, 0, 0], [3, 0, 0], [0, 4, 0], [3, 4, 0]], [[0, 1, 2], [1, 3, 2]])
    array([2., 4., 4., 2.])
    """
    of = np.asarray(faces, dtype=np.int64)
    share = np.repeat(triangle_areas(coordinates, of) / 3.0, 3)
    N = len(np.asarray(coordinates))
    return np.asarray(np.bincount(of.ravel(), share, minlength=N), dtype=np.float64)


def vertex_normals(coordinates: ArrayLike, faces: ArrayLike) -> Floats:
    """Return unit normals of the vertices, the mean of their triangles' by area, shape ``(N, 3)``.

    Parameters
    ----------
    coordinates : array_like, shape (N, 3)
        Places of the vertices.
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle. Normals point to where their corners run anticlockwise; a vertex
        without a triangle has none: zeros.

    Examples
    --------
    >>> vertex_normals([[0, 0, 0], [3, 0, 0], [0, 4, 0]], [[0, 1, 2]])[0]
    array([0., 0., 1.])
    """
    at, of = np.asarray(coordinates, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    across = _across(at, of)
    total = np.stack(
        [np.bincount(of.ravel(), np.repeat(across[:, k], 3), minlength=len(at)) for k in range(3)],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0)


def folding(coordinates: ArrayLike, faces: ArrayLike, fwhm: float = 8.0) -> Floats:
    """Return how deep each vertex lies below the smoothed surface, in millimetres, shape ``(N,)``.

    Parameters
    ----------
    coordinates : array_like, shape (N, 3)
        Places of the vertices in millimetres.
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle, of a closed surface; of an open one the sign means nothing.
    fwhm : float
        Width of the smoothing in millimetres.

    Returns
    -------
    ndarray, shape (N,)
        Positive in furrows, negative on ridges.

    Examples
    --------
    >>> octahedron = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    >>> faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4]]
    >>> faces += [[2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    >>> bool((folding(octahedron, faces, 2.0) < 0).all())
    True
    """
    at, of = np.asarray(coordinates, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    average = neighbour_average(of, len(at))
    smooth = at
    for _ in range(max(1, steps_of_fwhm(fwhm, float(vertex_areas(at, of).mean())))):
        smooth = average @ smooth
    a, b, c = (at[of[:, k]] - at.mean(axis=0) for k in range(3))
    outward = np.sign(np.sum(a * np.cross(b, c))) or 1.0
    return np.asarray(outward * np.sum((smooth - at) * vertex_normals(at, of), axis=1))


def mesh_stiffness(
    coordinates: ArrayLike, faces: ArrayLike, inside: NDArray[np.bool_]
) -> tuple[scipy.sparse.csr_array, Floats]:
    """Return the finite-element Laplacian of the part of a mesh within a mask.

    Linear elements with lumped masses: entry (i, j) is minus half the sum of the cotangents of the
    angles that face edge ij. Triangles with a corner outside the mask are left out, so that nothing
    flows across its rim.

    Parameters
    ----------
    coordinates : array_like, shape (N, 3)
        Places of the vertices.
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle.
    inside : ndarray of bool, shape (N,)
        The mask.

    Returns
    -------
    stiffness : csr_array, shape (V, V)
        Symmetric, its rows sum to 0; positive semidefinite.
    mass : ndarray, shape (V,)
        The area of each vertex within the mask; 1 for a vertex without a triangle there.

    Examples
    --------
    >>> inside = np.ones(3, bool)
    >>> stiffness, mass = mesh_stiffness([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], inside)
    >>> stiffness.toarray() + 0.0
    array([[ 1. , -0.5, -0.5],
           [-0.5,  0.5,  0. ],
           [-0.5,  0. ,  0.5]])
    """
    at, of = np.asarray(coordinates, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    of = of[inside[of].all(axis=1)]
    area = triangle_areas(at, of)
    of = of[area**2 > FLAT * np.max(area**2, initial=0.0)]
    number = np.cumsum(inside) - 1
    V = int(inside.sum())
    double = 2.0 * triangle_areas(at, of)
    rows, columns, weights = [], [], []
    for k in range(3):
        here, one, other = of[:, k], of[:, (k + 1) % 3], of[:, (k + 2) % 3]
        cotangent = np.sum((at[one] - at[here]) * (at[other] - at[here]), axis=1) / double
        rows += [one, other]
        columns += [other, one]
        weights += [0.5 * cotangent, 0.5 * cotangent]
    pairs = number[np.concatenate(rows)], number[np.concatenate(columns)]
    edges = scipy.sparse.csr_array((np.concatenate(weights), pairs), shape=(V, V))
    total = np.asarray(edges.sum(axis=1)).ravel()
    mass = np.bincount(number[of.ravel()], np.repeat(double / 6.0, 3), minlength=V)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(total) - edges), np.where(
        mass > 0, mass, 1.0
    )


def neighbour_average(faces: ArrayLike, n_vertices: int) -> scipy.sparse.csr_array:
    """Return one step of iterative smoothing: half oneself, half the mean of the neighbours.

    Parameters
    ----------
    faces : array_like of int, shape (F, 3)
        Vertices of each triangle.
    n_vertices : int
        N.

    Returns
    -------
    csr_array, shape (N, N)
        Rows sum to 1, but for vertices without an edge: these keep half.

    Notes
    -----
    The step of FreeSurfer's and nilearn's surface smoothing.

    Examples
    --------
    >>> neighbour_average([[0, 1, 2]], 3).toarray()[0]
    array([0.5 , 0.25, 0.25])
    """
    graph = mesh_graph(faces, np.ones(n_vertices, dtype=np.bool_)).astype(np.float64)
    degree = np.maximum(np.diff(graph.indptr), 1)
    spread = scipy.sparse.diags_array(0.5 / degree) @ graph
    return scipy.sparse.csr_array(spread + 0.5 * scipy.sparse.eye_array(n_vertices))


def steps_of_fwhm(fwhm: float, mean_area: float) -> int:
    """Return how many steps of :func:`neighbour_average` make up a width.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum in millimetres.
    mean_area : float
        Mean area of a vertex in mm².

    Notes
    -----
    The empirical rule of FreeSurfer, ``1.14 * 4 pi sigma² / (7 area)``, rounded.

    Examples
    --------
    >>> steps_of_fwhm(10.0, 1.0)
    37
    """
    variance = fwhm**2 / np.log(256.0)
    return int(np.floor(1.14 * 4 * np.pi * variance / (7 * mean_area) + 0.5))
