"""Separable Gaussian smoothing of single volumes, in float32.

The kernel is cut at four standard deviations and the image continues beyond its edge as in a
mirror (the edge voxel twice), which are the conventions of ``scipy.ndimage.gaussian_filter1d``.
Only the part of a volume that the wanted voxels depend on is worked on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.gather import places

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

TRUNCATE = 4.0  # standard deviations
TILE = 1024  # values of a sheet that stay in the first-level cache


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Smoothing along one axis.

    Parameters
    ----------
    weights : ndarray of float32, shape (2 * radius + 1,)
        The kernel; a single 1 where the axis is not smoothed.
    source : ndarray of int64, shape (n_out, 2 * radius + 1)
        For each output place and each weight, the input place, counted from ``low``.
    low : int
        First input place that is used.
    n_in : int
        Number of input places from there on.
    lead : int
        Number of places before the edge that the first output reaches for.
    """

    weights: Floats
    source: Ints
    low: int
    n_in: int
    lead: int


@dataclass(frozen=True, slots=True, eq=False)
class Smoother:
    """All that is known before the first volume: box, kernels, and where the voxels lie.

    Parameters
    ----------
    shape : tuple of int
        Grid of the volumes.
    axes : tuple of Axis
        x, y, z.
    source : ndarray of int64, shape (V,)
        Where the wanted voxels lie in the smoothed box.
    """

    shape: tuple[int, int, int]
    axes: tuple[Axis, Axis, Axis]
    source: Ints


def gaussian(sigma: float) -> NDArray[np.float64]:
    """Sample a Gaussian at whole voxels, cut at four sigma, with sum 1.

    Examples
    --------
    >>> gaussian(0.0)
    array([1.])
    >>> gaussian(0.5).size
    5
    """
    if sigma <= 0:
        return np.ones(1)
    radius = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def _axis(sigma: float, n: int, first: int, last: int) -> Axis:
    """Plan one axis of length ``n`` for the outputs ``first`` … ``last``."""
    weights = gaussian(sigma)
    radius = weights.size // 2
    place = np.arange(first, last + 1)[:, None] + np.arange(-radius, radius + 1)[None, :]
    folded = place % (2 * n)
    folded = np.where(folded < n, folded, 2 * n - 1 - folded)
    low = int(folded.min())
    n_in = int(folded.max()) - low + 1
    return Axis(weights.astype(np.float32), folded - low, low, n_in, max(0, radius - first))


def smoother(
    voxels: Ints, shape: tuple[int, int, int], sigma: tuple[float, float, float]
) -> Smoother:
    """Plan the smoothing of volumes at some voxels.

    Parameters
    ----------
    voxels : ndarray of int, shape (V, 3)
        Grid indices of the voxels wanted.
    shape : tuple of int
        Grid of the volumes.
    sigma : tuple of float
        Standard deviation of the kernel along x, y, z, in voxels; 0 leaves an axis alone.

    Returns
    -------
    Smoother
    """
    voxels = np.asarray(voxels, dtype=np.int64).reshape(-1, 3)
    first, last = voxels.min(axis=0), voxels.max(axis=0)
    x, y, z = (_axis(sigma[d], shape[d], int(first[d]), int(last[d])) for d in range(3))
    box = tuple(int(n) for n in last - first + 1)
    return Smoother(shape, (x, y, z), places(voxels - first, box))


@njit(cache=True, nogil=True)
def _load(volume, nx, ny, low, n_in, lead, places, slope, inter, out):  # type: ignore[no-untyped-def]
    """Copy the input box to float32, rows continued as in a mirror, 0 for what is not finite.

    Returns the number of finite values.
    """
    n_finite = 0
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            base = low[0] + nx * ((low[1] + y) + ny * (low[2] + z))
            source = volume[base : base + n_in]
            row = out[z, y]
            body = row[lead : lead + n_in]
            for x in range(n_in):
                value = np.float32(np.float64(source[x]) * slope + inter)
                finite = np.isfinite(value)
                n_finite += finite
                body[x] = value if finite else np.float32(0)
            for x in range(lead):
                row[x] = body[places[x]]
            for x in range(lead + n_in, places.size):
                row[x] = body[places[x]]
    return n_finite


@njit(cache=True, nogil=True, fastmath={"contract"})
def _along_x(sheets, weights, out):  # type: ignore[no-untyped-def]
    """Smooth whole sheets as if they were one row: what the ends of rows then hold is not used.

    ``sheets`` and ``out`` have shape ``(nz, ny * width)``; long loops are what SIMD wants.
    """
    middle = weights.size // 2
    n = sheets.shape[1] - 2 * middle
    for z in range(sheets.shape[0]):
        for start in range(0, n, TILE):
            # Slices that start at 0: an index that might be negative is not vectorised.
            target = out[z, start : min(start + TILE, n)]
            source = sheets[z, start : start + target.size + 2 * middle]
            for i in range(target.size):
                target[i] = weights[middle] * source[i + middle]
            for k in range(middle):
                weight = weights[k]
                before, after = source[k:], source[2 * middle - k :]
                for i in range(target.size):
                    target[i] += weight * (before[i] + after[i])


@njit(cache=True, nogil=True, fastmath={"contract"})
def _along_y(box, weights, source, out):  # type: ignore[no-untyped-def]
    """Smooth across rows of each sheet."""
    n_out, n_taps = source.shape
    nx = out.shape[2]
    middle = n_taps // 2
    for z in range(box.shape[0]):
        for y in range(n_out):
            target = out[z, y]
            here = box[z, source[y, middle]]
            for x in range(nx):
                target[x] = weights[middle] * here[x]
            for k in range(middle):
                weight = weights[k]
                before, after = box[z, source[y, k]], box[z, source[y, n_taps - 1 - k]]
                for x in range(nx):
                    target[x] += weight * (before[x] + after[x])


@njit(cache=True, nogil=True, fastmath={"contract"})
def _along_z(box, weights, source, out):  # type: ignore[no-untyped-def]
    """Smooth across sheets."""
    n_out, n_taps = source.shape
    ny, nx = box.shape[1], box.shape[2]
    middle = n_taps // 2
    for z in range(n_out):
        for y in range(ny):
            target = out[z, y]
            here = box[source[z, middle], y]
            for x in range(nx):
                target[x] = weights[middle] * here[x]
            for k in range(middle):
                weight = weights[k]
                before, after = box[source[z, k], y], box[source[z, n_taps - 1 - k], y]
                for x in range(nx):
                    target[x] += weight * (before[x] + after[x])


def smooth(volume: NDArray[Any], plan: Smoother, slope: float, inter: float, out: Floats) -> None:
    """Smooth one volume and fetch its voxels into a row.

    Parameters
    ----------
    volume : ndarray, shape (X * Y * Z,)
        Raw values, x running fastest, in native byte order. Values that are not finite count as
        0; if none is finite, the row is NaN.
    plan : Smoother
        From :func:`smoother`.
    slope, inter : float
        What the file's header says turns raw values into data.
    out : ndarray of float32, shape (V,)
        Row to fill.

    Examples
    --------
    >>> plan = smoother(np.argwhere(np.ones((3, 1, 1))), (3, 1, 1), (0.5, 0.0, 0.0))
    >>> row = np.empty(3, dtype=np.float32)
    >>> smooth(np.array([0, 10, 0], dtype=np.int16), plan, 1.0, 0.0, row)
    >>> row.round(3)
    array([1.067, 7.866, 1.067], dtype=float32)
    """
    x, y, z = plan.axes
    low = np.array([x.low, y.low, z.low])
    n_out = (z.source.shape[0], y.source.shape[0], x.source.shape[0])
    # Every input place of a row, in order: the first tap of each output, then the last output's.
    row = np.append(x.source[:, 0], x.source[-1, 1:])
    loaded = np.empty((z.n_in, y.n_in, row.size), dtype=np.float32)
    nx, ny, _ = plan.shape
    if not _load(volume, nx, ny, low, x.n_in, x.lead, row, slope, inter, loaded):
        out[:] = np.nan
        return
    rows = np.empty_like(loaded)
    _along_x(loaded.reshape(z.n_in, -1), x.weights, rows.reshape(z.n_in, -1))
    sheets = np.empty((z.n_in, n_out[1], n_out[2]), dtype=np.float32)
    _along_y(rows, y.weights, y.source, sheets)
    box = np.empty(n_out, dtype=np.float32)
    _along_z(sheets, z.weights, z.source, box)
    out[:] = box.take(plan.source, mode="clip")
