"""Volumes on another grid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.nifti import SAME_MM

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A grid in the world.

    Parameters
    ----------
    shape : tuple of int
        Voxels along x, y, z.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres.
    """

    shape: tuple[int, int, int]
    affine: Floats

    def same(self, other: Grid) -> bool:
        """Tell whether two grids have the same voxels."""
        near = np.allclose(self.affine, other.affine, rtol=0, atol=SAME_MM)
        return self.shape == other.shape and bool(near)


def target_grid(
    source: Grid, affine: ArrayLike | None = None, shape: ArrayLike | None = None
) -> Grid:
    """Return the grid that an affine and a shape ask for.

    Parameters
    ----------
    source : Grid
        The grid of the data.
    affine : array_like, shape (3, 3) or (4, 4), optional
        With three rows the origin is put where the grid holds all of the source.
    shape : sequence of int, optional
        Voxels along x, y, z; by default as many as hold all of the source. Needs a 4 × 4 affine.

    Raises
    ------
    DataError
        For shapes that do not fit, or a shape without an affine that says where it lies.

    Examples
    --------
    >>> grid = Grid((4, 4, 4), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> target_grid(grid, np.diag([4.0, 4.0, 4.0])).shape
    (3, 3, 3)
    """
    if affine is None:
        if shape is not None:
            raise DataError("If target_shape is specified, target_affine should be specified too.")
        return source
    given = np.asarray(affine, dtype=np.float64)
    if given.shape not in ((3, 3), (4, 4)):
        raise DataError(f"target_affine has shape {given.shape}; expected (3, 3) or (4, 4)")
    if given.shape == (3, 3) and shape is not None:
        raise DataError("if target_shape is specified, target_affine must be a 4 x 4 matrix")
    full = np.eye(4)
    full[: given.shape[0], : given.shape[1]] = given
    low, high = _bounds(source, full)
    if given.shape == (3, 3):
        full[:3, 3] = full[:3, :3] @ low
        low, high = _bounds(source, full)
    wanted = np.ceil(high).astype(int) + 1 if shape is None else np.asarray(shape, dtype=int)
    if wanted.shape != (3,) or (wanted < 1).any():
        raise DataError(f"the target grid would have the shape {wanted.tolist()}")
    return Grid((int(wanted[0]), int(wanted[1]), int(wanted[2])), full)


def _bounds(source: Grid, affine: Floats) -> tuple[Floats, Floats]:
    """Return the smallest and largest target indices of the source's corners."""
    corners = np.array(list(product(*((0, n - 1) for n in source.shape))))
    places = corners @ source.affine[:3, :3].T + source.affine[:3, 3]
    indices = np.linalg.solve(affine, np.c_[places, np.ones(8)].T)[:3]
    return indices.min(axis=1), indices.max(axis=1)


def resample(values: NDArray[np.floating], source: Grid, target: Grid, order: int = 3) -> Floats:
    """Return a volume on another grid, 0 outside its own.

    Parameters
    ----------
    values : ndarray, shape (X, Y, Z)
        Finite values.
    source, target : Grid
        Where they lie and where they are wanted.
    order : int
        Of the spline; 3 for data, 0 for masks.

    Examples
    --------
    >>> grid = Grid((3, 1, 1), np.eye(4))
    >>> affine = np.eye(4)
    >>> affine[0, 3] = 1.0
    >>> moved = Grid((3, 1, 1), affine)
    >>> resample(np.array([[[1.0]], [[2.0]], [[3.0]]]), grid, moved, order=0).ravel()
    array([2., 3., 0.])
    """
    move = np.linalg.solve(source.affine, target.affine)
    move[np.abs(move) < 1e-12] = 0.0
    return np.asarray(
        scipy.ndimage.affine_transform(
            values, move[:3, :3], move[:3, 3], target.shape, np.float64, order, "constant", 0.0
        )
    )
