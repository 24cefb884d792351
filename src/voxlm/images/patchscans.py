"""Scans of a surface or of grayordinates as rows ``(t, V)``.

Axes: T scans, G places of the files, V of them in the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.parts import joined_diffusion
from voxlm.images.patchopening import Block, OpenedPatches, PatchSpace, columns_of
from voxlm.images.scans import Streamed, check_columns, check_finite
from voxlm.kernels.diffuse import Diffusion, diffuse

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PatchScans(Streamed):
    """The vertices or grayordinates of a run within a mask, smoothed if asked.

    Parameters
    ----------
    source : OpenedPatches
        The run, opened as far as its headers.
    space : Surface or Grayordinates
        Its places and the mask.
    tr : float or None
        Repetition time in seconds.
    fwhm : float, optional
        Smoothing along the surface, and within each structure of voxels, in millimetres.
    kept : ndarray of bool, shape (T,), optional
        Scans that matter. One of them without a finite value is an error when it is streamed.
    """

    source: OpenedPatches
    space: PatchSpace
    tr: float | None = None
    fwhm: float | None = None
    kept: NDArray[np.bool_] | None = None

    def blocks(self, size: int = 16) -> Iterator[Block]:
        """Read the run once, a few scans at a time.

        Yields
        ------
        start : int
            Scan number of the first row.
        rows : ndarray, shape (t, V)
            The array may be used again for the next block: copy what has to last.

        Raises
        ------
        DataError
            If a file ends early or is damaged, or if a scan that matters has no finite value.
        """
        columns = columns_of(self.source, self.space)
        whole = columns.size == self.source.space.n_voxels
        with closing(self.source.blocks(size)) as found:
            for start, rows in found:
                inside = rows if whole else rows[:, columns]
                check_finite(inside, start, self.kept, self.source.name)
                yield start, inside if self.plan is None else smoothed(self.plan, inside)

    def read(self, voxels: ArrayLike) -> Floats:
        """Return the series of some columns, shape ``(T, k)``, reading the run once."""
        columns = check_columns(voxels, self.n_voxels)
        out = np.empty((self.n_scans, columns.size))
        if columns.size:
            for start, rows in self.blocks():
                out[start : start + len(rows)] = rows[:, columns]
        return out

    def within(self, space: PatchSpace) -> PatchScans:
        """Return the same run with another mask."""
        return replace(self, space=space)

    @cached_property
    def plan(self) -> Diffusion | None:
        """Smoothing of all rows."""
        return None if self.fwhm is None else joined_diffusion(self.space.parts, self.fwhm)


def smoothed(plan: Diffusion, rows: Floats) -> Floats:
    """Smooth rows over what is there: holes (NaN) give nothing and stay holes.

    Parameters
    ----------
    plan : Diffusion
    rows : ndarray, shape (t, V)

    Returns
    -------
    ndarray, shape (t, V)
    """
    hole = ~np.isfinite(rows)
    if not hole.any():
        return diffuse(plan, rows)
    found = diffuse(plan, np.where(hole, 0.0, rows))
    same = bool((hole == hole[0]).all())
    weight = diffuse(plan, (~(hole[:1] if same else hole)).astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(hole, np.nan, found / weight)


def one_width(fwhm: tuple[float, float, float] | None, has_mesh: bool) -> float | None:
    """Return the width of smoothing along a surface.

    Raises
    ------
    DataError
        Three different widths, or no surface to smooth along.
    """
    if fwhm is None:
        return None
    if len(set(fwhm)) > 1:
        raise DataError(f"smoothing_fwhm of a surface is one width in millimetres; got {fwhm}")
    if not has_mesh:
        raise DataError(
            "smoothing_fwhm= smooths along the surface, which was not given: say mesh=("
            "'lh.midthickness.surf.gii', 'rh.midthickness.surf.gii'), or smooth the data before"
        )
    return fwhm[0]
