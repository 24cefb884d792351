"""Volumes as they lie in a file, into rows of voxels.

A volume on disk has x running fastest; the rows of a data block have the mask's own order, z
running fastest.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray


def places(voxels: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return where voxels lie in a volume with x running fastest.

    Parameters
    ----------
    voxels : array_like of int, shape (V, 3)
        Grid indices.
    shape : tuple of int
        Grid of the volume.

    Returns
    -------
    ndarray of int64, shape (V,)

    Examples
    --------
    >>> places([[0, 0, 0], [0, 0, 1], [1, 0, 0]], (2, 1, 2))
    array([0, 2, 1])
    """
    x, y, z = np.asarray(voxels, dtype=np.int64).reshape(-1, 3).T
    return np.ascontiguousarray(x + shape[0] * (y + shape[1] * z))


@njit(cache=True, nogil=True)
def gather(volume, source, slope, inter, out):  # type: ignore[no-untyped-def]
    """Write ``slope * volume[source] + inter`` into a row, in float64 arithmetic.

    Parameters
    ----------
    volume : ndarray, shape (X * Y * Z,)
        Raw values, x running fastest, in native byte order.
    source : ndarray of int64, shape (V,)
        From :func:`places`.
    slope, inter : float
        What the file's header says turns raw values into data.
    out : ndarray, shape (V,)
        Row to fill: float32, float64, or the type of ``volume`` where nothing is scaled.

    Examples
    --------
    >>> row = np.empty(2)
    >>> gather(np.array([1, 2, 3], dtype=np.int16), np.array([2, 0]), 2.0, 0.5, row)
    >>> row
    array([6.5, 2.5])
    """
    for v in range(source.size):
        out[v] = np.float64(volume[source[v]]) * slope + inter


@njit(cache=True, nogil=True)
def add_volume(volume, slope, inter, total):  # type: ignore[no-untyped-def]
    """Add a whole volume to a running total.

    Parameters
    ----------
    volume : ndarray, shape (X * Y * Z,)
        Raw values in native byte order.
    slope, inter : float
        What the file's header says turns raw values into data.
    total : ndarray of float64, shape (X * Y * Z,)
        What it is added to, in place.

    Examples
    --------
    >>> total = np.ones(2)
    >>> add_volume(np.array([1, 2], dtype=np.uint8), 1.0, 0.0, total)
    >>> total
    array([2., 3.])
    """
    for v in range(volume.size):
        total[v] += np.float64(volume[v]) * slope + inter
