"""Maps of a group on surfaces or grayordinates: opened, checked against the first, read.

Axes: N maps, G places of the files, V of them in the mask.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from voxlm.design.events import rows_text
from voxlm.errors import DataError, VoxlmWarning, did_you_mean
from voxlm.images.parts import joined_diffusion
from voxlm.images.patchopening import (
    OpenedPatches,
    PatchSpace,
    columns_of,
    is_patches,
    masked,
    open_patch_mask,
    open_patches,
    read_patch_mask,
)
from voxlm.images.patchscans import one_width, smoothed
from voxlm.images.smoothing import check_fwhm

Floats = NDArray[np.float64]
Column = str | Sequence[str] | Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class PatchMaps:
    """Maps whose values have not been read.

    Parameters
    ----------
    effects, variances : tuple of OpenedPatches
        One a map; no variances if there are none.
    mask : OpenedPatches or None
        Left out, a place is in where any map is finite and not 0.
    fwhm : float or None
        Smoothing of the effects, in millimetres.
    zeros : bool
        Whether an exact 0 is a hole.
    """

    effects: tuple[OpenedPatches, ...]
    variances: tuple[OpenedPatches, ...]
    mask: OpenedPatches | None
    fwhm: float | None
    zeros: bool

    @property
    def files(self) -> list[tuple[str, Path]]:
        """The files, for the record."""
        opened = [("map", one) for one in (*self.effects, *self.variances)]
        opened += [] if self.mask is None else [("mask", self.mask)]
        return [(role, path) for role, one in opened for path in one.paths]

    @property
    def n_places(self) -> int:
        """Places of the files, G."""
        return self.effects[0].space.n_voxels

    def space(self, progress: bool) -> PatchSpace:
        """Return the places within the mask; reads all maps if none was given.

        Raises
        ------
        DataError
            If no place is in.
        """
        whole = self.effects[0].space
        if self.mask is not None:
            return masked(whole, read_patch_mask(self.mask))
        inside = np.zeros(whole.n_voxels, dtype=np.bool_)
        for one in tqdm(self.effects, desc="mask", unit="map", disable=not progress):
            row = one.row()
            inside |= np.isfinite(row) & (row != 0)
        if not inside.any():
            raise DataError(f"no map has a value that is finite and not 0 at any of {whole!r}")
        return masked(whole, inside)

    def read(self, role: str, space: PatchSpace, progress: bool) -> Floats:
        """Read the ``"effect"`` or ``"variance"`` maps, shape ``(N, V)``; holes are NaN.

        Raises
        ------
        DataError
            If a file is damaged, or a map has no value within the mask.
        """
        maps = self.effects if role == "effect" else self.variances
        columns = columns_of(maps[0], space)
        rows = np.empty((len(maps), columns.size))
        plan = None
        if role == "effect" and self.fwhm is not None:
            plan = joined_diffusion(space.parts, self.fwhm)
        bar = tqdm(maps, desc=f"{role} maps", unit="map", disable=not progress)
        for number, one in enumerate(bar):
            row = one.row()[columns]
            row[~np.isfinite(row) | (self.zeros & (row == 0))] = np.nan
            if np.isnan(row).all():
                raise DataError(
                    f"{rows_text([number])} of the table: {one.name} has no value within the mask "
                    f"of {space.n_voxels:,} {space.unit}"
                )
            rows[number] = row if plan is None else smoothed(plan, row[None])[0]
        return rows


def holds_patches(frame: pd.DataFrame, column: Any) -> bool:
    """Tell whether a column, or a pair of columns, has maps on surfaces or grayordinates.

    Examples
    --------
    >>> holds_patches(pd.DataFrame({"effect": ["a.dscalar.nii"]}), "effect")
    True
    >>> holds_patches(pd.DataFrame({"effect": ["a.nii.gz"]}), "effect")
    False
    """
    if not isinstance(column, str):
        return True
    return column in frame and len(frame) > 0 and is_patches(frame[column].iloc[0])


def open_patch_maps(
    frame: pd.DataFrame,
    effect: Column,
    variance: Column | None,
    folder: Path,
    *,
    mask: Any,
    mesh: Any,
    fwhm: Any,
    zeros: bool,
) -> PatchMaps:
    """Open the maps beside a table, and check that all lie on the same places.

    Parameters
    ----------
    frame : DataFrame
        One row a map.
    effect, variance : str, or a pair of them
        A column of files, of images or of pairs of them; or one column for the left hemisphere and
        one for the right, or columns by ``"left"`` and ``"right"``.
    folder : Path
        Where relative paths start.
    mask, mesh, fwhm, zeros
        As of :class:`voxlm.Maps`.

    Raises
    ------
    DataError
        Naming the row.
    """
    effects = _open_column(frame, effect, folder, "effect", mesh)
    first = effects[0]
    variances: tuple[OpenedPatches, ...] = ()
    if variance is not None:
        variances = _open_column(frame, variance, folder, "variance", None, first.only_side)
    for role, maps in (("effect", effects), ("variance", variances)):
        for row, one in enumerate(maps):
            why = first.space.differs(one.space)
            if why:
                raise DataError(
                    f"{role} in row {row + 1} of the table, {one.name}, does not lie where the "
                    f"first map does: {why}"
                )
    _warn_of_repeats(effects)
    width = one_width(check_fwhm(fwhm), first.space.linked)
    opened = None if mask is None else open_patch_mask(mask, first)
    return PatchMaps(effects, variances, opened, width, zeros)


def _open_column(
    frame: pd.DataFrame,
    column: Column,
    folder: Path,
    role: str,
    mesh: Any,
    side: str | None = None,
) -> tuple[OpenedPatches, ...]:
    sides = tuple(column) if isinstance(column, Mapping) else ()
    names = [column] if isinstance(column, str) else list(column)
    names = [column[side] for side in sides] if isinstance(column, Mapping) else names
    for name in names:
        if name not in frame:
            known = did_you_mean(str(name), [str(one) for one in frame.columns])
            raise DataError(f"{role}={name!r} is not a column of the table; {known}")
    if len(names) > 2 or not names:
        raise DataError(f"{role}= is a column, or a pair (left, right) of them; got {names}")
    cells = list(frame[names].itertuples(index=False, name=None))
    opened = []
    for row, cell in enumerate(cells):
        where = f"{role} in row {row + 1} of the table"
        alone = cell[0] if len(names) == 1 else cell
        source = _within(dict(zip(sides, cell, strict=True)) if sides else alone, folder)
        if not is_patches(source):
            raise DataError(f"{where} is {source!r}; expected a map on a surface or grayordinates")
        one = open_patches(source, where, mesh if row == 0 else None, side)
        side = side or one.only_side
        if one.n_scans != 1:
            raise DataError(f"{where}, {one.name}, has {one.n_scans} maps; expected one")
        opened.append(one)
    return tuple(opened)


def _within(source: Any, folder: Path) -> Any:
    """Return sources whose relative paths start at a folder."""
    if isinstance(source, str | os.PathLike):
        return folder / Path(source).expanduser()
    if isinstance(source, Mapping):
        return {side: _within(one, folder) for side, one in source.items()}
    if isinstance(source, list | tuple):
        return tuple(_within(one, folder) for one in source)
    return source


def _warn_of_repeats(opened: Sequence[OpenedPatches]) -> None:
    seen: dict[tuple[Path, ...], list[int]] = {}
    for row, one in enumerate(opened):
        if one.paths:
            seen.setdefault(one.paths, []).append(row)
    for paths, rows in seen.items():
        if len(rows) > 1:
            said = f"{rows_text(rows)} of the table have the same map, {paths[0].name}; leave one"
            warnings.warn(said, VoxlmWarning, stacklevel=4)
