"""Runs smoothed or resampled in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from voxlm.images.opening import Opened
from voxlm.images.resample import Grid, resample
from voxlm.images.scans import Streamed, check_columns
from voxlm.images.smoothing import sigma_of
from voxlm.images.space import Volume
from voxlm.images.stream import chunks

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ExactScans(Streamed):
    """The voxels of a run on the grid of a mask, resampled and smoothed in float64.

    :class:`~voxlm.images.scans.ImageScans` smooths faster, in float32; this is for data whose
    digits go beyond that, and for masks on another grid.

    Parameters
    ----------
    source : Opened
        The run.
    space : Volume
        The grid that is wanted and the mask on it.
    tr : float or None
        Repetition time in seconds.
    fwhm : tuple of float, optional
        Smoothing along x, y, z in millimetres.
    """

    source: Opened
    space: Volume
    tr: float | None = None
    fwhm: tuple[float, float, float] | None = None

    def blocks(self, size: int = 16) -> Iterator[tuple[int, Floats]]:
        """Give ``(start, rows)`` in scan order, rows ``(t, V)``."""
        for part in chunks(self.source, size):
            yield part.start, np.stack([self._row(volume) for volume in part.volumes])

    def read(self, voxels: ArrayLike) -> Floats:
        """Return the series of some voxels, shape ``(T, k)``."""
        columns = check_columns(voxels, self.n_voxels)
        out = np.empty((self.n_scans, columns.size))
        for start, rows in self.blocks():
            out[start : start + len(rows)] = rows[:, columns]
        return out

    def _row(self, raw: NDArray[Any]) -> Floats:
        """Bring one raw volume to the wanted grid, smooth it and take the voxels."""
        values = raw.astype(np.float64) * self.source.slope + self.source.inter
        volume = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        volume = volume.reshape(self.source.grid, order="F")
        here = Grid(self.source.grid, self.source.affine)
        there = Grid(self.space.shape, self.space.affine)
        if not here.same(there):
            volume = resample(volume, here, there)
        if self.fwhm is not None:
            for axis, sigma in enumerate(sigma_of(self.fwhm, self.space.voxel_sizes)):
                if sigma > 0:
                    volume = scipy.ndimage.gaussian_filter1d(volume, sigma, axis=axis)
        return volume[self.space.mask]
