"""Sources of data: the voxels of a run as rows ``(t, V)``, streamed or from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm import kernels
from voxlm.errors import DataError
from voxlm.images.opening import Opened
from voxlm.images.smoothing import sigma_of
from voxlm.images.space import Space, Table, Volume
from voxlm.images.stream import chunks
from voxlm.kernels.gather import gather, places
from voxlm.kernels.threads import over_blocks

Block = tuple[int, NDArray[Any]]
Fetch = Callable[[NDArray[Any], NDArray[Any]], None]


@runtime_checkable
class Scans(Protocol):
    """What every source of data can do; T scans, V voxels."""

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        ...

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        ...

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the blocks."""
        ...

    @property
    def tr(self) -> float | None:
        """Repetition time in seconds, where known."""
        ...

    @property
    def array(self) -> NDArray[np.floating] | None:
        """All the data, shape ``(T, V)``, if it is an array in memory anyway."""
        ...

    def blocks(self, size: int = 16) -> Iterator[Block]:
        """Give ``(start, rows)`` in scan order; rows ``(t, V)`` are overwritten by the next."""
        ...

    def read(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return some columns, shape ``(T, k)``."""
        ...


class Streamed:
    """What files of every kind have in common as a source of data."""

    __slots__ = ()

    source: Any
    space: Any

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return int(self.source.n_scans)

    @property
    def n_voxels(self) -> int:
        """Number of voxels in the mask, V."""
        return int(self.space.n_voxels)

    @property
    def array(self) -> None:
        """None: files are streamed."""
        return

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the blocks."""
        return np.dtype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageScans(Streamed):
    """The voxels of a NIfTI run within a mask, smoothed if asked.

    Parameters
    ----------
    source : Opened
        The run, opened as far as its header.
    space : Volume
        Its grid and the mask.
    tr : float or None
        Repetition time in seconds.
    fwhm : tuple of float, optional
        Smoothing along x, y, z in millimetres.
    kept : ndarray of bool, shape (T,), optional
        Scans that matter. One of them without a finite voxel is an error when it is streamed.
    """

    source: Opened
    space: Volume
    tr: float | None = None
    fwhm: tuple[float, float, float] | None = None
    kept: NDArray[np.bool_] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the blocks: float32 when smoothed, raw short integers, else float64."""
        raw = self.source
        if self.fwhm is not None:
            return np.dtype(np.float32)
        if raw.dtype.kind in "iu" and raw.dtype.itemsize <= 2 and (raw.slope, raw.inter) == (1, 0):
            return raw.dtype.newbyteorder("=")
        return np.dtype(np.float64)

    def blocks(self, size: int = 16) -> Iterator[Block]:
        """Read the run once, a few scans at a time.

        Parameters
        ----------
        size : int
            Most scans in a block.

        Yields
        ------
        start : int
            Scan number of the first row.
        rows : ndarray, shape (t, V)
            Data in the order of ``numpy.nonzero(mask)``. The array is used again for the next
            block: copy what has to last.

        Raises
        ------
        DataError
            If the file ends early or is damaged, or if a scan that matters has no finite voxel.
        """
        for start, rows in self._stream(self.space.voxels, size):
            check_finite(rows, start, self.kept, self.source.name)
            yield start, rows

    def read(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return the series of some voxels, reading the run once.

        Parameters
        ----------
        voxels : array_like of int, shape (k,)
            Columns, as :meth:`Volume.index` gives them.

        Returns
        -------
        ndarray of float64, shape (T, k)
        """
        columns = check_columns(voxels, self.n_voxels)
        out = np.empty((self.n_scans, columns.size))
        here = self.space.voxels
        if not np.array_equal(columns, np.arange(len(here))):
            here = here[columns]
        if columns.size:
            for start, rows in self._stream(here, 16):
                out[start : start + len(rows)] = rows
        return out

    def within(self, space: Volume) -> ImageScans:
        """Return the same run with another mask on the same grid."""
        return replace(self, space=space)

    def _stream(self, voxels: NDArray[np.int64], size: int) -> Iterator[Block]:
        data = self.source.data
        if data is not None and self.fwhm is None and data.flags.c_contiguous:
            # In memory with scans together: voxels are picked where they lie.
            series = data.reshape(-1, self.n_scans)
            at = np.ravel_multi_index(tuple(voxels.T), self.source.grid)
            for start in range(0, self.n_scans, size):
                picked = series[at, start : start + size].T
                yield start, np.ascontiguousarray(picked, dtype=self.dtype)
            return
        fetch = _fetcher(self, voxels)
        rows = np.empty((min(size, self.n_scans), len(voxels)), dtype=self.dtype)
        del voxels
        filled = start = 0
        with closing(chunks(self.source, size)) as parts:
            for part in parts:
                used = 0
                while used < len(part.volumes):
                    n = min(len(rows) - filled, len(part.volumes) - used)
                    fetch(part.volumes[used : used + n], rows[filled : filled + n])
                    used, filled = used + n, filled + n
                    if filled == len(rows):
                        yield start, rows
                        start, filled = start + filled, 0
        if filled:
            yield start, rows[:filled]


def _fetcher(scans: ImageScans, voxels: NDArray[np.int64]) -> Fetch:
    """Return what turns raw volumes into rows of voxels: a gather, or smoothing and a gather."""
    slope, inter = scans.source.slope, scans.source.inter
    grid = scans.source.grid
    if scans.fwhm is None:
        source = places(voxels, grid)

        def copy(volumes: NDArray[Any], rows: NDArray[Any]) -> None:
            for volume, row in zip(volumes, rows, strict=True):
                gather(volume, source, slope, inter, row)

        return copy
    plan = kernels.smooth.smoother(voxels, grid, sigma_of(scans.fwhm, scans.space.voxel_sizes))

    def smoothed(volumes: NDArray[Any], rows: NDArray[Any]) -> None:
        def work(start: int, stop: int) -> None:
            for at in range(start, stop):
                kernels.smooth.smooth(volumes[at], plan, slope, inter, rows[at])

        over_blocks(len(volumes), 1, work)

    return smoothed


@dataclass(frozen=True, slots=True, eq=False)
class ArrayScans:
    """An array ``(T, V)`` in memory.

    Parameters
    ----------
    array : ndarray, shape (T, V)
        The data, float32 or float64. It is not copied, and never written to.
    tr : float or None
        Repetition time in seconds.

    Examples
    --------
    >>> scans = array_scans([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> [start for start, rows in scans.blocks(2)]
    [0, 2]
    >>> scans.read([1])[:, 0]
    array([2., 4., 6.])
    """

    array: NDArray[np.floating]
    tr: float | None = None

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return int(self.array.shape[0])

    @property
    def n_voxels(self) -> int:
        """Number of columns, V."""
        return int(self.array.shape[1])

    @property
    def space(self) -> Table:
        """A table: columns have no place."""
        return Table(self.n_voxels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return self.array.dtype

    def blocks(self, size: int = 16) -> Iterator[Block]:
        """Give ``(start, rows)`` in scan order; rows are views of the array."""
        for start in range(0, self.n_scans, size):
            yield start, self.array[start : start + size]

    def read(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return some columns, shape ``(T, k)``."""
        return np.asarray(
            self.array[:, check_columns(voxels, self.n_voxels)], dtype=np.float64
        ).copy()


def check_finite(
    rows: NDArray[np.floating], start: int, kept: NDArray[np.bool_] | None, name: str
) -> None:
    """Refuse scans without a single finite voxel.

    Parameters
    ----------
    rows : ndarray, shape (t, V)
        Some scans.
    start : int
        Scan number of the first.
    kept : ndarray of bool, shape (T,), or None
        Scans that matter; None for all.
    name : str
        The run, in messages.

    Raises
    ------
    DataError
        If a scan that matters has no finite voxel.

    Examples
    --------
    >>> check_finite(np.array([[1.0, np.nan]]), 0, None, "run")
    """
    # Most scans pass by their first voxel alone.
    empty = [
        start + int(t)
        for t in np.flatnonzero(~np.isfinite(rows[:, 0]))
        if (kept is None or kept[start + t]) and not np.isfinite(rows[t]).any()
    ]
    if empty:
        which = f"scan {empty[0]} (counted from 0) holds"
        if len(empty) > 1:
            shown = ", ".join(str(t) for t in empty[:6]) + (", …" if len(empty) > 6 else "")
            which = f"scans {shown} (counted from 0) hold"
        raise DataError(
            f"{name}: {which} no finite value in any voxel, and later scans may, too; "
            "leave them out with sample_mask="
        )


def array_scans(values: ArrayLike, tr: float | None = None) -> ArrayScans:
    """Take an array as a run.

    Parameters
    ----------
    values : array_like, shape (T, V)
        Real numbers; integers become float64.
    tr : float, optional
        Repetition time in seconds.

    Returns
    -------
    ArrayScans

    Raises
    ------
    DataError
        If it does not have two axes, is empty, has masked values, or does not hold real numbers.
    """
    if np.ma.is_masked(values):
        raise DataError(
            f"bold is a masked array with {np.ma.count_masked(values):,} masked values; say what "  # type: ignore[no-untyped-call]
            "they are with bold.filled(…), or leave scans out with sample_mask="
        )
    try:
        data = np.asarray(values)
    except ValueError as error:
        raise DataError(f"bold cannot be an array, scans × voxels: {error}") from error
    if data.dtype.kind not in "iufb" or data.dtype.itemsize > 8:
        raise DataError(
            "bold must be a path (.nii, .nii.gz), a nibabel image, or an array of real numbers; "
            f"got {type(values).__name__} of {data.dtype}"
        )
    if data.ndim != 2:
        raise DataError(
            f"bold as an array has two axes, scans × voxels; got shape {data.shape}. "
            "Take the voxels of a mask as data[mask].T, or give a nibabel image"
        )
    if 0 in data.shape:
        raise DataError(f"bold has zero scans or zero voxels: its shape is {data.shape}")
    if data.dtype not in (np.float32, np.float64):
        data = data.astype(np.float64)
    data = data.view()
    data.setflags(write=False)
    return ArrayScans(data, tr)


def check_columns(voxels: ArrayLike, n_voxels: int) -> NDArray[np.int64]:
    """Return column numbers as an array, refusing those that do not exist."""
    columns = np.atleast_1d(np.asarray(voxels))
    if columns.size == 0:
        return np.empty(0, dtype=np.int64)
    if columns.ndim != 1 or columns.dtype.kind not in "iu":
        raise DataError(f"voxels are given as column numbers, got {voxels!r}")
    wrong = columns[(columns < 0) | (columns >= n_voxels)]
    if wrong.size:
        raise DataError(f"column {wrong[0]} does not exist: columns go from 0 to {n_voxels - 1}")
    return columns.astype(np.int64)
