"""Smoothing as heat: what values become when they diffuse for a while over a mesh or a grid.

Heat that has flowed for a time t over a plane has been smoothed by a Gaussian of variance 2t. On a
surface the same equation is smoothing along the surface. Its solution ``exp(-t M^-1 L)`` is applied
as a series of Chebyshev polynomials of the sparse operator, to rounding: there is no step size, no
cut-off radius and no geodesic distance to approximate. Constants stay what they are, and so does
the integral; nothing crosses the rim of a mask.

Axes: V places, t rows of values, K terms of the series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Terms of the series, which sum to 1, that are left out: far below what any data resolve.
NEGLIGIBLE = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Diffusion:
    """All that is known before the first map.

    Parameters
    ----------
    operator : csr_array, shape (V, V)
        Symmetric, eigenvalues from -1 to 1.
    root : ndarray, shape (V,)
        Square roots of the masses.
    weights : ndarray, shape (K,)
        Of the Chebyshev polynomials.
    """

    operator: scipy.sparse.csr_array
    root: Floats
    weights: Floats


def diffusion(stiffness: scipy.sparse.csr_array, mass: ArrayLike, time: float) -> Diffusion:
    """Plan a diffusion.

    Parameters
    ----------
    stiffness : csr_array, shape (V, V)
        Symmetric, positive semidefinite, rows summing to 0.
    mass : array_like, shape (V,)
        Area or volume of each place.
    time : float
        Half the variance of the Gaussian that it amounts to, in the square of the unit of length.

    Returns
    -------
    Diffusion

    References
    ----------
    Chung et al. (2005), Cortical thickness analysis in autism with heat kernel smoothing; Huang et
    al. (2020), Fast polynomial approximation of heat kernel convolution on manifolds.
    """
    masses = np.asarray(mass, dtype=np.float64)
    root = np.sqrt(masses)
    rates = np.asarray(abs(stiffness).sum(axis=1)).ravel() / masses
    largest = float(rates.max(initial=0.0)) or 1.0  # of Gershgorin: no eigenvalue exceeds it
    scaled = scipy.sparse.diags_array(1.0 / root) @ stiffness @ scipy.sparse.diags_array(1.0 / root)
    operator = scipy.sparse.eye_array(len(root)) - (2.0 / largest) * scaled
    return Diffusion(scipy.sparse.csr_array(operator), root, _weights(0.5 * time * largest))


def _weights(z: float) -> Floats:
    """Return the Chebyshev coefficients of ``exp(z (x - 1))`` on -1 to 1."""
    n = 16
    while True:
        found = scipy.special.ive(np.arange(n), z)
        small = np.flatnonzero(found < NEGLIGIBLE)
        if small.size:
            found = found[: max(int(small[0]), 1)]
            found[1:] *= 2.0
            return np.asarray(found / found.sum())
        n *= 2


def diffuse(plan: Diffusion, rows: NDArray[np.floating]) -> Floats:
    """Smooth rows of values, shape ``(t, V)``.

    Examples
    --------
    >>> chain = scipy.sparse.csr_array(np.array([[1.0, -1, 0], [-1, 2, -1], [0, -1, 1]]))
    >>> diffuse(diffusion(chain, np.ones(3), 100.0), np.array([[3.0, 0.0, 0.0]])).round(6)
    array([[1., 1., 1.]])
    """
    before = np.ascontiguousarray((rows * plan.root).T, dtype=np.float64)
    total = plan.weights[0] * before
    if len(plan.weights) > 1:
        now = plan.operator @ before
        total += plan.weights[1] * now
        for weight in plan.weights[2:]:
            before, now = now, 2.0 * (plan.operator @ now) - before
            total += weight * now
    return np.ascontiguousarray((total / plan.root[:, None]).T)


def grid_stiffness(
    graph: scipy.sparse.csr_array, voxels: NDArray[np.int64], voxel_sizes: ArrayLike
) -> scipy.sparse.csr_array:
    """Return the finite-difference Laplacian of voxels, times the volume of one.

    Parameters
    ----------
    graph : csr_array, shape (V, V)
        Neighbours by faces.
    voxels : ndarray of int, shape (V, 3)
        Grid indices.
    voxel_sizes : array_like, shape (3,)
        Edge lengths.

    Returns
    -------
    csr_array, shape (V, V)
    """
    edges = scipy.sparse.coo_array(graph)
    axis = np.abs(voxels[edges.coords[0]] - voxels[edges.coords[1]]).argmax(axis=1)
    sizes = np.asarray(voxel_sizes, dtype=np.float64)
    rate = float(np.prod(sizes)) / sizes[axis] ** 2
    flow = scipy.sparse.csr_array((rate, edges.coords), shape=graph.shape)
    total = np.asarray(flow.sum(axis=1)).ravel()
    return scipy.sparse.csr_array(scipy.sparse.diags_array(total) - flow)
