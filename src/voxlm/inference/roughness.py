"""How rough a field is: residual gradients, the width they stand for, and resels.

Axes: n residual images, V voxels, C corners of cells, D axes of the grid that have an extent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Of a Gaussian: width at half of its height, squared, times the variance of its field's gradient.
FOUR_LOG_TWO = 4.0 * np.log(2.0)
# A gradient this small is that of a voxel and its copy.
FLAT = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, slots=True, eq=False)
class Roughness:
    """Smoothness of a field and the size of its region in units of it.

    Parameters
    ----------
    fwhm : ndarray, shape (3,)
        Width of the Gaussian that would make a field as smooth, in voxels; 1 along an axis of one
        voxel.
    resels : ndarray, shape (4,)
        Resels of dimension 0 (the Euler characteristic of the region) to 3 (its volume).
    n_voxels : int
        Voxels of the region.
    n_cells : int
        Cells whose gradients were averaged.
    """

    fwhm: Array
    resels: Array
    n_voxels: int
    n_cells: int

    @property
    def voxels_per_resel(self) -> float:
        """Voxels of a resel."""
        return float(np.prod(self.fwhm))


def measure_roughness(rows: Iterable[Array], voxels: ArrayLike, inside: ArrayLike) -> Roughness:
    """Estimate smoothness from residuals, and count resels.

    Parameters
    ----------
    rows : iterable of ndarray, shape (k, V)
        Residual images, a few at a time. At every voxel their squares sum to 1 in all.
    voxels : array_like of int, shape (V, 3)
        Grid indices.
    inside : array_like of bool, shape (V,)
        The region.

    Returns
    -------
    Roughness

    Raises
    ------
    DataError
        A region without a cell of neighbouring voxels, or residuals without a gradient.

    Notes
    -----
    The estimate of Worsley (1996) and Kiebel et al. (1999), as SPM12 has it: products of
    differences between standardised residuals of neighbouring voxels give the covariance of the
    gradient in each cell of 2 × 2 × 2 voxels; the square root of its determinant is averaged over
    the region, and widths along the axes share it out. Resels are those of Worsley et al. (1996).
    SPM takes 64 residual images at most, this takes all.

    Examples
    --------
    >>> voxels = np.argwhere(np.ones((20, 20, 20), bool))
    >>> noise = np.random.default_rng(0).standard_normal((10, 8000))
    >>> found = measure_roughness([noise / np.linalg.norm(noise, axis=0)], voxels, np.ones(8000))
    >>> found.fwhm.round(1), found.resels.round()
    (array([1.4, 1.4, 1.4]), array([1.000e+00, 4.000e+01, 5.440e+02, 2.443e+03]))
    """
    places, region = np.asarray(voxels, dtype=np.int64), np.asarray(inside, dtype=np.bool_)
    number = _numbered(places, region)
    axes = tuple(a for a in range(3) if np.unique(places[region, a]).size > 1)
    corner = _cells(number, axes)
    if not axes or corner.shape[1] == 0:
        raise DataError(
            "random-field theory needs a region of neighbouring voxels: no voxel has a neighbour "
            "along every axis"
        )
    gradient = _gradients(rows, corner)
    fwhm, n_cells = _widths(gradient, axes)
    return Roughness(fwhm, count_resels(number, fwhm), int(region.sum()), n_cells)


def _numbered(places: NDArray[np.int64], region: Bools) -> NDArray[np.int64]:
    """Lay the numbers of the region's voxels on their grid, -1 elsewhere, with a rim at the end."""
    low = places.min(axis=0, initial=0)
    shape = places.max(axis=0, initial=0) - low + 2
    number = np.full(tuple(shape), -1, dtype=np.int64)
    number[tuple((places[region] - low).T)] = np.flatnonzero(region)
    return number


def _moved(number: NDArray[np.int64], step: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the number of each place's neighbour; the rim keeps the ends apart."""
    return np.roll(number, tuple(-s for s in step), axis=(0, 1, 2))


def _cells(number: NDArray[np.int64], axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Return, for cells wholly inside, the first voxel and its neighbours, shape ``(1 + D, C)``."""
    whole = number >= 0
    for steps in product((0, 1), repeat=len(axes)):
        whole = whole & (_moved(number, _step(axes, steps)) >= 0)
    ahead = [_moved(number, _step((axis,), (1,)))[whole] for axis in axes]
    return np.array([number[whole], *ahead])


def _step(axes: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, int, int]:
    along = dict(zip(axes, steps, strict=True))
    return along.get(0, 0), along.get(1, 0), along.get(2, 0)


def _gradients(rows: Iterable[Array], corner: NDArray[np.int64]) -> Array:
    """Sum products of differences over residual images, shape ``(C, D, D)``."""
    D = len(corner) - 1
    total = np.zeros((D, D, corner.shape[1]))
    for block in rows:
        first = block[:, corner[0]]
        step = [block[:, ahead] - first for ahead in corner[1:]]
        for i in range(D):
            for j in range(i, D):
                total[i, j] += np.einsum("kc,kc->c", step[i], step[j])
    for i in range(D):
        for j in range(i):
            total[i, j] = total[j, i]
    return np.moveaxis(total, 2, 0)


def _widths(gradient: Array, axes: tuple[int, ...]) -> tuple[Array, int]:
    """Turn gradients into widths along the three axes."""
    D = len(axes)
    scaled = gradient / FOUR_LOG_TWO
    usable = np.isfinite(scaled).all(axis=(1, 2)) & (np.einsum("cdd->c", scaled) > FLAT)
    if not usable.any():
        raise DataError("neighbouring voxels have the same residuals: the field has no roughness")
    scaled = scaled[usable]
    density = float(np.mean(np.sqrt(np.maximum(np.linalg.det(scaled), 0.0))))
    along = np.mean(np.sqrt(np.einsum("cdd->cd", scaled)), axis=0)
    per_axis = density ** (1 / D) * along / np.prod(along) ** (1 / D)
    fwhm = np.ones(3)
    fwhm[list(axes)] = 1.0 / per_axis
    return fwhm, int(usable.sum())


def count_resels(number: NDArray[np.int64], fwhm: Array) -> Array:
    """Count the resels of a region of a grid by its vertices, edges, faces and cells.

    Parameters
    ----------
    number : ndarray of int, shape (X, Y, Z)
        -1 outside the region and in the last plane of each axis.
    fwhm : ndarray, shape (3,)
        In voxels.

    Returns
    -------
    ndarray, shape (4,)

    Notes
    -----
    Worsley et al. (1996), table 2.

    Examples
    --------
    >>> number = np.full((4, 4, 4), -1)
    >>> number[:3, :3, :3] = 0
    >>> count_resels(number, np.array([2.0, 2.0, 2.0]))
    array([1., 3., 3., 1.])
    """

    def count(*axes: int) -> int:
        whole = number >= 0
        for steps in product((0, 1), repeat=len(axes)):
            whole = whole & (_moved(number, _step(axes, steps)) >= 0)
        return int(whole.sum())

    points, cells = count(), count(0, 1, 2)
    edges = np.array([count(a) for a in range(3)])
    # The face that lacks an axis, and the two faces that an axis lies in.
    faces = np.array([count(1, 2), count(0, 2), count(0, 1)])
    per = 1.0 / fwhm
    around = np.array([faces[1] + faces[2], faces[0] + faces[2], faces[0] + faces[1]])
    across = np.array([per[1] * per[2], per[0] * per[2], per[0] * per[1]])
    return np.array(
        [
            points - edges.sum() + faces.sum() - cells,
            np.sum((edges - around + cells) * per),
            np.sum((faces - cells) * across),
            cells * np.prod(per),
        ],
        dtype=np.float64,
    )
