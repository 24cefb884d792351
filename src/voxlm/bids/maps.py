"""Maps of a group: a table with one row a map, and the maps themselves.

Axes: N maps, V voxels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.bids.mapfiles import (
    check_grids,
    check_space,
    choose_grid,
    common_mask,
    open_column,
    read_rows,
    warn_of_equal_rows,
    warn_of_repeats,
    warn_of_zeros,
)
from voxlm.bids.patchmaps import PatchMaps, holds_patches, open_patch_maps
from voxlm.bids.tables import read_table
from voxlm.errors import DataError
from voxlm.images.inputs import Input, input_file
from voxlm.images.mask import open_mask, read_mask
from voxlm.images.meshes import mesh_files
from voxlm.images.opening import Opened
from voxlm.images.patchopening import PatchSpace
from voxlm.images.scans import array_scans
from voxlm.images.smoothing import check_fwhm
from voxlm.images.space import Space, Table, Volume
from voxlm.images.volumes import reader

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, repr=False)
class Maps:
    """Maps and what is known of each: one row a map.

    Headers and the table are read and checked when this is made, voxels when they are needed.

    Parameters
    ----------
    table : path or DataFrame
        One row a map; covariates in columns.
    effect : str, a pair of them, or a dict
        The column with the maps: paths (relative ones from the table's folder) or nibabel images.
        Of surfaces: a column of pairs ``(left, right)``, or a column for each hemisphere,
        ``("left_path", "right_path")``; ``{"right": "path"}`` of one that no file says it is of.
        Of grayordinates: ``.dscalar.nii`` files.
    variance : str, pair of str, or array_like of shape (N, V), optional
        The column with the maps of their variances; an array where ``data`` is one.
    data : array_like of shape (N, V), optional
        The maps as an array, beside the table; results are then arrays.
    mask : path or nibabel image, optional
        Left out, a voxel is in where any map is finite and not 0.
    smoothing_fwhm : float or three floats, optional
        Width of a Gaussian in millimetres; for effects only. Beside holes the weights are
        rescaled to what is there; holes stay holes.
    zeros : {"keep", "missing"}, optional
        What a value of exactly 0 is: a value, or a hole such as NaN (in variances too). A voxel is
        fitted on the maps that have no hole there. Left out, zeros are values, with a warning
        where some maps are 0 and others are not.
    resample : bool, path or nibabel image
        Maps on several grids: False is an error that names the row; True moves them to the grid
        of the mask, or else of the first map; an image, to its grid. Effects by cubic splines,
        variances linearly; NaN beyond a map's own grid.
    progress : bool
        Draw a bar while maps are read.
    mesh : pair (left, right) of paths, nibabel images or nilearn meshes, optional
        The surfaces of maps on them, as for :class:`voxlm.Run`: for clusters, areas, coordinates
        and smoothing.

    Raises
    ------
    DataError
        Naming the row, where a file is missing or lies on another grid.

    Warns
    -----
    VoxlmWarning
        Where two rows have the same map.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["a", "a", "b", "b"]})
    >>> Maps(table, data=np.arange(12.0).reshape(4, 3))
    Maps(4 maps × 3 columns, table with group)
    """

    table: Any
    effect: str | Sequence[str] | Mapping[str, str] = "effect"
    variance: Any = None
    data: Any = None
    mask: Any = None
    smoothing_fwhm: float | Sequence[float] | None = None
    zeros: Literal["keep", "missing"] | None = None
    resample: Any = False
    progress: bool = False
    mesh: Any = None
    inputs: tuple[Input, ...] = field(init=False, default=())
    _place: Space | None = field(init=False, default=None)
    _patches: PatchMaps | None = field(init=False, default=None)
    _first: Opened | None = field(init=False, default=None)
    _effects: tuple[Opened, ...] = field(init=False, default=())
    _variances: tuple[Opened, ...] = field(init=False, default=())
    _base: Maps | None = field(init=False, default=None)
    _less: NDArray[np.float64] | None = field(init=False, default=None)
    _times: NDArray[np.float64] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        frame, path = read_table(self.table, "table")
        if isinstance(self.effect, np.ndarray):
            raise DataError("effect= names a column of the table; an array of maps goes into data=")
        if self.zeros not in (None, "keep", "missing"):
            raise DataError(f"zeros must be 'keep' or 'missing', got {self.zeros!r}")
        files = [] if path is None else [("table", path)]
        if self.data is not None:
            facts = self._arrays(len(frame))
        elif holds_patches(frame, self.effect):
            facts = self._on_patches(frame, Path.cwd() if path is None else path.parent)
            files += [*facts["_patches"].files, *mesh_files(self.mesh)]
        else:
            facts = self._images(frame, Path.cwd() if path is None else path.parent)
            opened = [*facts["_effects"], *facts["_variances"]]
            files += [("map", image.path) for image in opened if image.path]
            if self.mask is not None:
                files += [("mask", p) for p in [open_mask(self.mask, facts["_first"]).path] if p]
        facts["inputs"] = tuple(input_file(role, file) for role, file in files)
        for name, value in {"table": frame, **facts}.items():
            object.__setattr__(self, name, value)

    def _on_patches(self, frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
        """Open maps on surfaces or grayordinates."""
        if self.resample is not False:
            raise DataError("resample= is for volumes; bring surfaces to one mesh before")
        found = open_patch_maps(
            frame, self.effect, self.variance, folder, mask=self.mask, mesh=self.mesh,
            fwhm=self.smoothing_fwhm, zeros=self.zeros == "missing",
        )  # fmt: skip
        return {"_patches": found}

    def _images(self, frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
        """Open the images beside a table, and choose the grid they are wanted on."""
        if self.mesh is not None:
            raise DataError("mesh= goes with maps on surfaces (.gii) and grayordinates")
        assert isinstance(self.effect, str)
        effects = open_column(frame, self.effect, folder, "effect")
        variances: tuple[Opened, ...] = ()
        if self.variance is not None:
            variances = open_column(frame, self.variance, folder, "variance")
        first = choose_grid(effects, self.mask, self.resample)
        if self.resample is False:
            check_grids(first, effects, "effect")
            check_grids(first, variances, "variance")
        warn_of_repeats(effects)
        return {"_effects": effects, "_variances": variances, "_first": first}

    def _arrays(self, rows: int) -> dict[str, Any]:
        """Check arrays beside a table of so many rows."""
        given = (self.mask, self.smoothing_fwhm, self.resample, self.mesh)
        if given != (None, None, False, None):
            raise DataError(
                "mask=, smoothing_fwhm=, mesh= and resample= go with images; an array has no grid"
            )
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
        warn_of_equal_rows(facts["data"])
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
            check_space(spaces[0], space, row)
        frame = pd.DataFrame(index=range(len(asked))) if table is None else table
        effects, errors = (np.stack([getattr(a, k) for a in asked]) for k in ("effect", "se"))
        maps = cls(frame, data=effects, variance=errors**2)
        object.__setattr__(maps, "_place", spaces[0])
        return maps

    @classmethod
    def without_images(cls, table: pd.DataFrame, space: Space) -> Maps:
        """Make a table of maps whose voxels are not here, only their space.

        Parameters
        ----------
        table : DataFrame
            One row a map.
        space : Space
            Where the voxels lie.
        """
        maps = object.__new__(cls)
        facts = {f.name: f.default for f in fields(cls)}
        facts |= {"table": read_table(table, "table")[0], "_place": space}
        for name, value in facts.items():
            object.__setattr__(maps, name, value)
        return maps

    def adjusted(
        self, less: NDArray[np.float64] | None, times: NDArray[np.float64] | None = None
    ) -> Maps:
        """Return the maps less a number each, times a number each; nothing is read now.

        Parameters
        ----------
        less, times : ndarray, shape (N,), optional
            None changes nothing.

        Examples
        --------
        >>> maps = Maps(pd.DataFrame({"age": [1.0, 2.0]}), data=[[3.0, 4.0], [5.0, 5.5]])
        >>> maps.adjusted(np.array([1.0, 2.0])).values
        array([[2. , 3. ],
               [3. , 3.5]])
        """
        if less is None and times is None:
            return self
        maps = copy(self)
        for name in ("values", "variances"):
            maps.__dict__.pop(name, None)
        for name, value in {"_base": self, "_less": less, "_times": times}.items():
            object.__setattr__(maps, name, value)
        return maps

    @property
    def n_maps(self) -> int:
        """Number of maps, N."""
        return len(self.table)

    @cached_property
    def space(self) -> Space:
        """Where the voxels lie."""
        if self._base is not None:
            return self._base.space
        if self._place is not None:
            return self._place
        if self.data is not None:
            return Table(self.data.shape[1])
        if self._patches is not None:
            return self._patches.space(self.progress)
        assert self._first is not None
        if self.mask is None:
            return common_mask(self._first, self._effects, self.progress)
        inside = read_mask(open_mask(self.mask, self._first))
        return Volume(inside, self._first.affine, self._first.header)

    @cached_property
    def values(self) -> Floats:
        """The maps, shape ``(N, V)``; holes are NaN."""
        if self._base is not None:
            less = 0.0 if self._less is None else self._less[:, None]
            times = 1.0 if self._times is None else self._times[:, None]
            return np.asarray((self._base.values - less) * times)
        found = self.data
        if found is None and self._first is None and self._patches is None:
            raise DataError("this needs the maps themselves; only their statistics are here")
        if found is None and self._patches is not None:
            found = self._patches.read("effect", self._patch_space, self.progress)
        elif found is None:
            found = self._read(self._effects, "effect", check_fwhm(self.smoothing_fwhm), 3)
        elif self.zeros == "missing":
            found = _without_zeros(found)
        if self.zeros is None and self.smoothing_fwhm is None:
            warn_of_zeros(found)
        return found

    @cached_property
    def variances(self) -> Floats | None:
        """Variances of the maps, shape ``(N, V)``, where they were given."""
        if self._base is not None:
            known = self._base.variances
            times = 1.0 if self._times is None else self._times[:, None]
            return None if known is None else np.asarray(known * times**2)
        if self.data is not None:
            return _without_zeros(self.variance) if self.zeros == "missing" else self.variance
        if self._patches is not None:
            if not self._patches.variances:
                return None
            return self._patches.read("variance", self._patch_space, self.progress)
        return self._read(self._variances, "variance", None, 1) if self._variances else None

    @property
    def _patch_space(self) -> PatchSpace:
        space = self.space
        assert isinstance(space, PatchSpace)
        return space

    def _read(self, images: Sequence[Opened], role: str, fwhm: Any, order: int) -> Floats:
        space = self.space
        assert isinstance(space, Volume)
        how = reader(space, fwhm, self.zeros == "missing", order)
        return read_rows(how, images, role, self.progress)

    def __repr__(self) -> str:
        if self._patches is not None and "space" not in self.__dict__:
            return f"Maps({self.n_maps} maps of {self._patches.effects[0].space!r})"
        where = self.space.unit if self._first is None else "voxels"
        if self._first is None or self.mask is not None or "space" in self.__dict__:
            size = f"{self.n_maps} maps × {self.space.n_voxels:,} {where}"
        else:
            assert self._first is not None
            grid = "×".join(str(n) for n in self._first.grid)
            size = f"{self.n_maps} maps on a grid of {grid}"
        names = [str(name) for name in self.table.columns]
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return f"Maps({size}, table with {shown or 'no column'})"


def _without_zeros(values: Floats | None) -> Floats | None:
    return None if values is None else np.where(values == 0, np.nan, values).astype(values.dtype)
