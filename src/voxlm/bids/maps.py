"""Maps of a group: a table with one row a map, and the maps themselves.

Axes: N maps, V voxels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from voxlm.bids.tables import read_table
from voxlm.errors import DataError, did_you_mean
from voxlm.images.inputs import Input, input_file
from voxlm.images.mask import open_mask, read_mask
from voxlm.images.nifti import SAME_MM
from voxlm.images.opening import Opened, is_image, open_image
from voxlm.images.scans import ImageScans, array_scans
from voxlm.images.smoothing import check_fwhm
from voxlm.images.space import Space, Table, Volume

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, repr=False)
class Maps:
    """Maps and what is known of each: one row a map.

    Headers and the table are read and checked when this is made, voxels when they are needed.

    Parameters
    ----------
    table : path or DataFrame
        One row a map; covariates in columns.
    effect : str
        The column with the maps: paths (relative ones from the table's folder) or nibabel images.
    variance : str or array_like of shape (N, V), optional
        The column with the maps of their variances; an array where ``data`` is one.
    data : array_like of shape (N, V), optional
        The maps as an array, beside the table; results are then arrays.
    mask : path or nibabel image, optional
        Left out, a voxel is in where any map is finite and not 0.
    smoothing_fwhm : float or three floats, optional
        Width of a Gaussian in millimetres; for effects only.
    zeros : {"keep", "missing"}
        What a value of exactly 0 is: a value, or a hole such as NaN. A voxel is fitted on the
        maps that have no hole there.
    progress : bool
        Draw a bar while maps are read.

    Raises
    ------
    DataError
        Naming the row, where a file is missing or lies on another grid.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["a", "a", "b", "b"]})
    >>> Maps(table, data=np.arange(12.0).reshape(4, 3))
    Maps(4 maps × 3 columns, table with group)
    """

    table: Any
    effect: str = "effect"
    variance: Any = None
    data: Any = None
    mask: Any = None
    smoothing_fwhm: float | Sequence[float] | None = None
    zeros: Literal["keep", "missing"] = "keep"
    progress: bool = False
    inputs: tuple[Input, ...] = field(init=False, default=())
    _place: Space | None = field(init=False, default=None)
    _effects: tuple[Opened, ...] = field(init=False, default=())
    _variances: tuple[Opened, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        frame, path = read_table(self.table, "table")
        if self.zeros not in ("keep", "missing"):
            raise DataError(f"zeros must be 'keep' or 'missing', got {self.zeros!r}")
        facts: dict[str, Any] = {"table": frame}
        files = [] if path is None else [("table", path)]
        if self.data is not None:
            facts |= self._arrays(len(frame))
        else:
            folder = Path.cwd() if path is None else path.parent
            facts["_effects"] = _open_column(frame, self.effect, folder, "effect", None)
            if self.variance is not None:
                first = facts["_effects"][0]
                found = _open_column(frame, self.variance, folder, "variance", first)
                facts["_variances"] = found
            opened = [*facts["_effects"], *facts.get("_variances", ())]
            files += [("map", image.path) for image in opened if image.path]
            if self.mask is not None:
                files += [("mask", p) for p in [open_mask(self.mask, opened[0]).path] if p]
        facts["inputs"] = tuple(input_file(role, file) for role, file in files)
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    def _arrays(self, rows: int) -> dict[str, Any]:
        """Check arrays beside a table of so many rows."""
        if self.mask is not None or self.smoothing_fwhm is not None:
            raise DataError("mask= and smoothing_fwhm= go with images; an array has no grid")
        facts = {"data": array_scans(self.data).array}
        if self.variance is not None:
            if isinstance(self.variance, str):
                raise DataError("beside data= an array, variance= is an array of the same shape")
            facts["variance"] = array_scans(self.variance).array
        for name, array in facts.items():
            if array.shape != (rows, facts["data"].shape[1]):
                raise DataError(
                    f"{name}= has shape {array.shape}; the table has {rows} rows, one a map"
                )
        return facts

    @classmethod
    def from_fits(cls, fits: Sequence[Any], contrast: Any, table: Any = None) -> Maps:
        """Take a contrast of first-level fits, with its variance, as maps.

        Parameters
        ----------
        fits : sequence of Fit or FixedEffects
            One a row, all in the same space.
        contrast : str
            Read in each fit's own columns; one row.
        table : path or DataFrame, optional
            One row a fit.

        Returns
        -------
        Maps
        """
        asked = [fit.contrast(contrast) for fit in fits]
        if not asked or any(one.kind != "t" for one in asked):
            raise DataError("maps come from one fit or more, by a contrast of one row")
        spaces = [one.space for one in asked]
        for row, space in enumerate(spaces):
            _check_space(spaces[0], space, row)
        frame = pd.DataFrame(index=range(len(asked))) if table is None else table
        effects, errors = (np.stack([getattr(a, k) for a in asked]) for k in ("effect", "se"))
        maps = cls(frame, data=effects, variance=errors**2)
        object.__setattr__(maps, "_place", spaces[0])
        return maps

    @property
    def n_maps(self) -> int:
        """Number of maps, N."""
        return len(self.table)

    @cached_property
    def space(self) -> Space:
        """Where the voxels lie."""
        if self._place is not None:
            return self._place
        if self.data is not None:
            return Table(self.data.shape[1])
        first = self._effects[0]
        if self.mask is not None:
            return Volume(read_mask(open_mask(self.mask, first)), first.affine, first.header)
        inside = np.zeros(int(np.prod(first.grid)), dtype=np.bool_)
        whole = Volume(np.ones(first.grid, dtype=np.bool_), first.affine)
        for image in self._watch(self._effects, "mask"):
            values = _read(image, whole, None)
            inside |= (values != 0) & np.isfinite(values)
        if not inside.any():
            raise DataError("no voxel is finite and other than 0 in any map: the mask is empty")
        return Volume(inside.reshape(first.grid), first.affine, first.header)

    @cached_property
    def values(self) -> Floats:
        """The maps, shape ``(N, V)``; holes are NaN."""
        if self.data is not None:
            return self._holes(self.data)
        found = self._read_all(self._effects, check_fwhm(self.smoothing_fwhm))
        return self._holes(found)

    @cached_property
    def variances(self) -> Floats | None:
        """Variances of the maps, shape ``(N, V)``, where they were given."""
        if self.data is not None:
            return self.variance
        return self._read_all(self._variances, None) if self._variances else None

    def _read_all(self, images: Sequence[Opened], fwhm: Any) -> Floats:
        space = self.space
        assert isinstance(space, Volume)
        small = all(image.dtype.itemsize <= 4 and image.dtype.kind == "f" for image in images)
        rows = np.empty((len(images), space.n_voxels), dtype=np.float32 if small else np.float64)
        for row, image in enumerate(self._watch(images, "maps")):
            rows[row] = _read(image, space, fwhm)
        if not np.isfinite(rows).any(axis=1).all():
            bad = np.flatnonzero(~np.isfinite(rows).any(axis=1)) + 1
            raise DataError(f"row {bad[0]} of the table: its map has no finite value in the mask")
        return rows

    def _holes(self, values: Floats) -> Floats:
        if self.zeros == "keep":
            return values
        return np.where(values == 0, np.nan, values).astype(values.dtype)

    def _watch(self, images: Sequence[Opened], what: str) -> Any:
        return tqdm(images, desc=what, unit="map", disable=not self.progress)

    def __repr__(self) -> str:
        where = "columns" if self.data is not None else "voxels"
        if self.data is not None or self.mask is not None or "space" in self.__dict__:
            size = f"{self.n_maps} maps × {self.space.n_voxels:,} {where}"
        else:
            grid = "×".join(str(n) for n in self._effects[0].grid)
            size = f"{self.n_maps} maps on a grid of {grid}"
        names = [str(name) for name in self.table.columns]
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return f"Maps({size}, table with {shown or 'no column'})"


def _open_column(
    frame: pd.DataFrame, column: str, folder: Path, role: str, first: Opened | None
) -> tuple[Opened, ...]:
    """Open the images of a column as far as their headers, all on one grid."""
    if column not in frame:
        raise DataError(
            f"{role}={column!r} is not a column of the table; "
            f"{did_you_mean(column, [str(name) for name in frame.columns])}, or give data="
        )
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
        reference = first or (opened[0] if opened else image)
        _check_grid(reference, image, where)
        opened.append(image)
    if not opened:
        raise DataError("the table has no row")
    return tuple(opened)


def _check_grid(first: Opened, image: Opened, where: str) -> None:
    same = np.allclose(image.affine, first.affine, rtol=0, atol=SAME_MM)
    if image.grid != first.grid or not same:
        raise DataError(
            f"{where}, {image.name}, lies on another grid than the first map:\n"
            f"shape {image.grid}, affine\n{image.affine}\n"
            f"shape {first.grid}, affine\n{first.affine}\nresample one to the other first"
        )


def _check_space(first: Space, other: Space, row: int) -> None:
    same = first.n_voxels == other.n_voxels
    if isinstance(first, Volume) and isinstance(other, Volume):
        same = np.array_equal(first.mask, other.mask) and np.allclose(first.affine, other.affine)
    if not same:
        raise DataError(
            f"fit {row + 1} has other voxels than the first: give every Run the same mask="
        )


def _read(image: Opened, space: Volume, fwhm: Any) -> Floats:
    """Read one map within a mask, shape ``(V,)``."""
    ignored = np.zeros(1, dtype=np.bool_)  # a map without a finite voxel is told by its row
    scans = ImageScans(image, space, None, fwhm, ignored)
    return np.concatenate([rows.copy() for _, rows in scans.blocks(1)])[0]
