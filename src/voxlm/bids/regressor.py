"""Regressors whose values differ from voxel to voxel, read on the grid of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.bids.run import Run
from voxlm.bids.tables import read_table
from voxlm.errors import DataError, did_you_mean
from voxlm.images.inputs import Input
from voxlm.images.opening import open_image
from voxlm.images.scans import ArrayScans, ImageScans, array_scans
from voxlm.images.volumes import read_row, reader

SAME_MM = 1e-3
FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class Own:
    """A file behind ``voxel("…")``, as it was when the model was planned.

    Parameters
    ----------
    file : Input
        The file.
    slicewise : bool
        Whether it is a table with a column a slice.
    part : int or None
        Which run of a stack it belongs to; None for a run by itself.
    """

    file: Input
    slicewise: bool
    part: int | None = None


def filled(path: str, run: Run, number: int) -> str:
    """Put a run's entities in the place of ``{run}``, ``{sub}``, … in a file name.

    Parameters
    ----------
    path : str
        As the formula has it.
    run : Run
        Its ``entities`` are used.
    number : int
        Which of the runs it is, from 1: what ``{run}`` means where the run does not say.

    Raises
    ------
    DataError
        For an entity the run does not have.
    """
    known = {"run": str(number), **run.entities}

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise DataError(
                f"voxel({path!r}) asks for {found[0]}, which {run.name} does not have; "
                f"{did_you_mean(found[1], known)} Give it: vx.Run(…, entities={{…}})"
            )
        return known[found[1]]

    return FIELD.sub(value, path)


def read_regressor(path: str, run: Run) -> ImageScans | ArrayScans | Still:
    """Open the image that ``voxel("…")`` names, as far as its header.

    Parameters
    ----------
    path : str
        A NIfTI image on the run's grid, with as many scans, or with none: a value a voxel, the
        same at every scan. For a run that is an array, an array saved as ``.npy``, shape ``(T, V)``
        or ``(V,)``.
    run : Run
        Its mask is used; its smoothing is not.

    Returns
    -------
    ImageScans, ArrayScans or Still

    Raises
    ------
    DataError
        For a file that is missing, lies on another grid, or has another number of scans.
    """
    file = Path(path)
    if isinstance(run.scans, ArrayScans):
        return _read_array(file, run.scans)
    if not isinstance(run.scans, ImageScans):
        raise DataError(
            f"voxel({path!r}): regressors of a voxel's own are for volumes and arrays, not for "
            f"{run.space!r}"
        )
    opened = open_image(path, "voxel")
    bold = run.scans.source
    same_place = np.allclose(opened.affine, bold.affine, rtol=0, atol=SAME_MM)
    still = opened.n_scans == 1 < run.n_scans
    if opened.grid != bold.grid or not same_place or not (still or opened.shape == bold.shape):
        raise DataError(
            f"voxel({path!r}) has shape {opened.shape} and affine\n{opened.affine}\n"
            f"but the run has {bold.shape} and\n{bold.affine}\n"
            "a regressor has a value for each scan and voxel of the run, or a value a voxel; "
            "resample it first"
        )
    if still:
        values = np.empty(run.scans.n_voxels)
        read_row(reader(run.scans.space), opened, values)
        return Still(values, run.n_scans)
    return ImageScans(opened, run.scans.space, run.tr, None, run.sample_mask)


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A regressor that has one value a voxel at every scan.

    Parameters
    ----------
    values : ndarray, shape (V,)
        One a voxel.
    n_scans : int
        Number of scans, T.
    """

    values: NDArray[np.float64]
    n_scans: int

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.values.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @property
    def array(self) -> None:
        """None: the scans are never laid out at once."""
        return

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield ``(start, rows)`` in scan order, rows of shape ``(t, V)``."""
        for start in range(0, self.n_scans, size):
            yield start, np.tile(self.values, (min(size, self.n_scans - start), 1))

    def read(self, voxels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the series of some voxels, shape ``(T, k)``."""
        return np.tile(self.values[voxels], (self.n_scans, 1))


@dataclass(frozen=True, slots=True, eq=False)
class SliceScans:
    """A regressor with one series a slice, given to every voxel of it.

    Parameters
    ----------
    series : ndarray, shape (T, Z)
        One column a slice, along the third axis of the grid.
    slice_of : ndarray of int, shape (V,)
        The slice of each voxel.
    """

    series: NDArray[np.float64]
    slice_of: NDArray[np.int64]

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return self.series.shape[0]

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.slice_of.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.series.dtype

    @property
    def array(self) -> None:
        """None: the values of all voxels are never laid out at once."""
        return

    def blocks(self, size: int = 16) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield ``(start, rows)`` in scan order, rows of shape ``(t, V)``."""
        for start in range(0, self.n_scans, size):
            yield start, self.series[start : start + size][:, self.slice_of]

    def read(self, voxels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the series of some voxels, shape ``(T, k)``."""
        return self.series[:, self.slice_of[voxels]]


def read_slices(path: str, run: Run) -> SliceScans:
    """Open the table that ``voxel("…", slice=True)`` names.

    Parameters
    ----------
    path : str
        A ``.tsv`` or ``.csv`` file, one row a scan and one column a slice of the third axis.
    run : Run
        An image run.

    Returns
    -------
    SliceScans

    Raises
    ------
    DataError
        For a run without slices, or a table of another size or with values that are missing.
    """
    space = run.space.grid
    if space is None:
        raise DataError(
            f"voxel({path!r}, slice=True): {run.space.unit} have no slices, voxels of a grid have"
        )
    frame, _ = read_table(path, "voxel")
    wanted = (run.n_scans, space.shape[2])
    if frame.shape != wanted:
        raise DataError(
            f"voxel({path!r}, slice=True) has {frame.shape[0]} rows and {frame.shape[1]} columns; "
            f"expected {wanted[0]} scans and {wanted[1]} slices"
        )
    try:
        series = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"voxel({path!r}, slice=True) holds what is no number: {error}") from error
    if not np.isfinite(series).all():
        row, column = np.argwhere(~np.isfinite(series))[0]
        raise DataError(
            f"voxel({path!r}, slice=True): row {row + 1} of column {frame.columns[column]} is not "
            f"finite; give every slice a value at every scan"
        )
    return SliceScans(series, space.voxels[:, 2])


def _read_array(file: Path, scans: ArrayScans) -> ArrayScans | Still:
    if file.suffix != ".npy" or not file.is_file():
        raise DataError(
            f"voxel({str(file)!r}): this run is an array, so its regressor is an array saved with "
            "numpy.save as .npy, and there is no such file"
        )
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"voxel({str(file)!r}) cannot be read as an array: {error}") from error
    if values.shape == (scans.n_voxels,) and values.dtype.kind in "biuf":
        return Still(values.astype(np.float64), scans.n_scans)
    if values.shape != scans.array.shape:
        raise DataError(
            f"voxel({str(file)!r}) has shape {values.shape}, the run {scans.array.shape}; a "
            "regressor has a value for each scan and voxel of the run"
        )
    return array_scans(values)
