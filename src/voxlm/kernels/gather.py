"""Volumes as they lie in a file, into rows of voxels.

A volume on disk has x running fastest; the rows of a data block have the mask's own order, z
running fastest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
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


@np.errstate(invalid="ignore", over="ignore")  # what is not finite is for the caller to see
def gather(
    volume: NDArray[Any], source: NDArray[np.int64], slope: float, inter: float, out: NDArray[Any]
) -> None:
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
    raw = volume.take(source, mode="clip")  # no place lies outside, so none is looked for
    out[:] = raw if (slope, inter) == (1, 0) else _scaled(raw, slope, inter)


@np.errstate(invalid="ignore", over="ignore")
def add_volume(
    volume: NDArray[Any], slope: float, inter: float, total: NDArray[np.float64]
) -> None:
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
    total += volume if (slope, inter) == (1, 0) else _scaled(volume, slope, inter)


def _scaled(raw: NDArray[Any], slope: float, inter: float) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.multiply(raw, slope, dtype=np.float64)
    values += inter
    return values
