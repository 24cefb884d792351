"""The files behind a table of maps: opened, checked against one grid, read side by side.

Axes: N maps, V voxels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from voxlm.design.events import rows_text
from voxlm.errors import DataError, VoxlmWarning, did_you_mean
from voxlm.images.nifti import SAME_MM
from voxlm.images.opening import Opened, is_image, open_image
from voxlm.images.space import Volume
from voxlm.images.volumes import Reader, read_row, reader
from voxlm.kernels.threads import n_threads, over_blocks

Floats = NDArray[np.floating]

BLOCK = 8192


def open_column(frame: pd.DataFrame, column: str, folder: Path, role: str) -> tuple[Opened, ...]:
    """Open the images of a column as far as their headers.

    Parameters
    ----------
    frame : DataFrame
        One row a map.
    column : str
        Paths, or nibabel images.
    folder : Path
        Where relative paths start.
    role : str
        ``"effect"`` or ``"variance"``, in messages.

    Returns
    -------
    tuple of Opened

    Raises
    ------
    DataError
        Naming the row, where a file is missing or is not one volume.
    """
    if column not in frame:
        raise DataError(
            f"{role}={column!r} is not a column of the table; "
            f"{did_you_mean(column, [str(name) for name in frame.columns])}, or give data="
        )
    if not len(frame):
        raise DataError("the table has no row")
    opened: list[Opened] = []
    for row, source in enumerate(frame[column]):
        where = f"{role} in row {row + 1} of the table"
        if not is_image(source):
            if not isinstance(source, (str, os.PathLike)):
                raise DataError(f"{where} is {source!r}; expected a path or a nibabel image")
            source = folder / Path(source).expanduser()
        image = open_image(source, where)
        if image.n_scans != 1 or len(image.shape) < 3:
            raise DataError(f"{where}, {image.name}, has shape {image.shape}; a map has three axes")
        opened.append(image)
    return tuple(opened)


def choose_grid(opened: Sequence[Opened], mask: object, resample: object) -> Opened:
    """Return the first map, placed on the grid that all maps are wanted on.

    Parameters
    ----------
    opened : sequence of Opened
        The maps.
    mask : path, image or None
        With ``resample=True`` its grid is the one wanted.
    resample : bool, path or image
        False: the first map's grid. True: the mask's, or else the first map's. An image: its.
    """
    source = (mask if mask is not None else False) if resample is True else resample
    if source is False or source is None:
        return opened[0]
    other = open_image(source, "mask" if resample is True else "resample")
    shape = (*other.shape, 1, 1)[:3]
    return replace(opened[0], shape=shape, affine=other.affine, header=other.header)


def check_grids(first: Opened, opened: Sequence[Opened], role: str) -> None:
    """Require one grid of all maps.

    Raises
    ------
    DataError
        Naming the row and both grids.
    """
    for row, image in enumerate(opened):
        same = np.allclose(image.affine, first.affine, rtol=0, atol=SAME_MM)
        if image.grid != first.grid or not same:
            raise DataError(
                f"{role} in row {row + 1} of the table, {image.name}, lies on another grid than "
                f"the first map:\nshape {image.grid}, affine\n{image.affine}\n"
                f"shape {first.grid}, affine\n{first.affine}\n"
                "give resample=True, or resample=an image whose grid you want"
            )


def warn_of_repeats(opened: Sequence[Opened]) -> None:
    """Warn where two rows of the table have the same file."""
    seen: dict[Path, list[int]] = {}
    for row, image in enumerate(opened):
        if image.path is not None:
            seen.setdefault(image.path.resolve(), []).append(row)
    for path, rows in seen.items():
        if len(rows) > 1:
            _warn(f"{rows_text(rows)} of the table have the same map, {path.name}", "leave one")


def warn_of_equal_rows(data: Floats) -> None:
    """Warn where two rows of an array are the same map."""
    head = data[:, : min(data.shape[1], 32)]
    _, which, counts = np.unique(head, axis=0, return_inverse=True, return_counts=True)
    for kind in np.flatnonzero(counts > 1):
        rows = np.flatnonzero(which.ravel() == kind)
        same = [int(r) for r in rows if np.array_equal(data[r], data[rows[0]], equal_nan=True)]
        if len(same) > 1 and data[rows[0]].any():
            _warn(f"{rows_text(same)} of the table have the same map", "leave one")


def warn_of_zeros(values: Floats) -> None:
    """Warn of voxels that are exactly 0 in some maps and not in others."""
    some = np.zeros(values.shape[1], dtype=np.bool_)

    def work(start: int, stop: int) -> None:
        zero = values[:, start:stop] == 0
        some[start:stop] = zero.any(axis=0) & ~zero.all(axis=0)

    over_blocks(values.shape[1], BLOCK, work)
    if some.any():
        _warn(
            f"in {int(some.sum()):,} of {some.size:,} voxels some maps are exactly 0 and others "
            f"are not; zeros are taken as values",
            "say zeros='missing' where they lie outside a map's brain, or zeros='keep'",
        )


def _warn(what: str, step: str) -> None:
    warnings.warn(f"{what}; {step}", VoxlmWarning, stacklevel=4)


def common_mask(first: Opened, opened: Sequence[Opened], progress: bool) -> Volume:
    """Return the voxels that are finite and not 0 in any map.

    Raises
    ------
    DataError
        If there is none.
    """
    whole = Volume(np.ones(first.grid, dtype=np.bool_), first.affine, first.header)
    how, share = reader(whole), -(-len(opened) // n_threads())
    parts: list[NDArray[np.bool_]] = []

    def work(start: int, stop: int) -> None:
        inside = np.zeros(whole.n_voxels, dtype=np.bool_)
        row = np.empty(whole.n_voxels, dtype=np.float32)
        for image in opened[start:stop]:
            read_row(how, image, row)
            inside |= (row != 0) & np.isfinite(row)
            bar.update()
        parts.append(inside)

    with tqdm(total=len(opened), desc="mask", unit="map", disable=not progress) as bar:
        over_blocks(len(opened), share, work)
    inside = np.logical_or.reduce(parts)
    if not inside.any():
        raise DataError("no voxel is finite and other than 0 in any map: the mask is empty")
    return Volume(inside.reshape(first.grid), first.affine, first.header)


def read_rows(how: Reader, opened: Sequence[Opened], role: str, progress: bool) -> Floats:
    """Read maps within a mask, several at a time.

    Returns
    -------
    ndarray, shape (N, V)
        float32 where all files are and where smoothing makes them, else float64.

    Raises
    ------
    DataError
        If a file is damaged, or a map has no value within the mask.
    """
    small = all(image.dtype.itemsize <= 4 and image.dtype.kind == "f" for image in opened)
    dtype = np.float32 if small or how.plan is not None else np.float64
    rows = np.empty((len(opened), how.space.n_voxels), dtype=dtype)
    empty = np.zeros(len(opened), dtype=np.bool_)

    def work(start: int, stop: int) -> None:
        for row in range(start, stop):
            read_row(how, opened[row], rows[row])
            empty[row] = not np.isfinite(rows[row]).any()
            bar.update()

    with tqdm(total=len(opened), desc=f"{role} maps", unit="map", disable=not progress) as bar:
        over_blocks(len(opened), 1, work)
    if empty.any():
        bad = np.flatnonzero(empty)
        raise DataError(
            f"{rows_text(bad)} of the table: {opened[bad[0]].name} has no value within the mask "
            f"of {how.space.n_voxels:,} voxels; is it on another grid, or of another space?"
        )
    return rows


def check_space(first: Any, other: Any, row: int) -> None:
    """Require that two fits have the same voxels."""
    why = first.differs(other)
    if why:
        raise DataError(
            f"fit {row + 1} has other voxels than the first: give every Run the same mask= ({why})"
        )


def check_positive(values: Floats, variances: Floats) -> None:
    """Require positive variances wherever there is an effect.

    Raises
    ------
    DataError
        Naming the row.
    """
    with np.errstate(invalid="ignore"):
        bad = (variances <= 0) & np.isfinite(values)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise DataError(
            f"row {row + 1} of the table: its variance is zero or negative in "
            f"{int(bad[row].sum()):,} voxels; mask them out, or say zeros='missing' if a map "
            f"has no data there"
        )
