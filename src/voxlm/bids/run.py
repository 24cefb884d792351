"""One run: an image, the tables beside it, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.bids.names import check_entities
from voxlm.bids.source import (
    Source,
    name_of,
    open_source,
    open_source_mask,
    paths_of,
    sidecar_of,
    slice_timing_note,
    timing_of,
    widths_of,
)
from voxlm.bids.tables import read_confounds, read_events
from voxlm.design.clock import Clock
from voxlm.errors import DataError, did_you_mean
from voxlm.images.inputs import Input, input_file
from voxlm.images.mask import epi_mask, mean_volume, read_mask
from voxlm.images.meshes import mesh_files
from voxlm.images.opening import Opened
from voxlm.images.patchopening import OpenedPatches, masked, read_patch_mask
from voxlm.images.patchscans import PatchScans, one_width
from voxlm.images.scans import ArrayScans, ImageScans, Scans, check_finite
from voxlm.images.smoothing import check_fwhm
from voxlm.images.space import Space, Volume

Scaling = Literal["percent", "grand_mean"]
SCALINGS = ("percent", "grand_mean")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One run of one person: scans, events, confounds, and how to read them.

    Headers and tables are read and checked when a run is made, voxels when they are needed.

    Parameters
    ----------
    bold : path, nibabel image, or array_like of shape (T, V)
        ``.nii`` or ``.nii.gz`` with four axes. Of a surface: a pair ``(left, right)`` of
        ``.func.gii`` files, ``{"left": …}`` or ``{"right": …}`` for one, or a nilearn
        ``SurfaceImage``. Of grayordinates: a ``.dtseries.nii``. Results from an array are arrays.
    events : path or DataFrame, optional
        Onsets and durations in seconds, ``trial_type``, and any other columns.
    confounds : path or DataFrame, optional
        One row a scan; ``n/a`` is a missing value.
    mask : path or nibabel image, optional
        On the grid of ``bold``; for surfaces and grayordinates a map of the same kind. Left out,
        the brain is found in the mean image, and all vertices and grayordinates are in.
    tr : float, optional
        Repetition time in seconds. Left out, the sidecar says it, or else the header. An array
        needs it only with events.
    slice_time_ref : float
        The moment within a TR that scan times stand for, 0 to 1.
    smoothing_fwhm : float or three floats, optional
        Width of a Gaussian in millimetres; on surfaces of the heat that flows along them, which
        needs ``mesh``.
    scaling : {"percent", "grand_mean", None}
        ``"percent"``: per voxel, 100·(y/mean − 1). ``"grand_mean"``: all voxels by one factor,
        to a mean of 100. None: as they are.
    sample_mask : array_like, optional
        Scans to keep: T booleans, or their numbers in order.
    mesh : pair (left, right) of paths, nibabel images or nilearn meshes, optional
        The surfaces (``.surf.gii``), or a dict by ``"left"`` and ``"right"``: for smoothing, areas
        and coordinates, and for who is next to whom.
    entities : dict of str to str, optional
        What the run is called by in a data set, such as ``{"sub": "01", "task": "faces"}``; saved
        results are named by them. :func:`voxlm.bids.runs` sets them.

    Raises
    ------
    DataError
        If a file is missing or not what it should be, if repetition times are missing or
        contradict each other, or if a table does not fit the scans.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> events = pd.DataFrame({"onset": [4.0], "duration": [2.0], "trial_type": ["face"]})
    >>> Run(rng.normal(100, 1, (20, 5)), events, tr=2.0)
    Run(array: 20 scans × 5 columns, tr 2 s, 1 event of face, scaling percent)
    """

    bold: Any
    events: Any = None
    confounds: Any = None
    mask: Any = None
    tr: float | None = None
    slice_time_ref: float = 0.0
    smoothing_fwhm: float | Sequence[float] | None = None
    scaling: Scaling | None = "percent"
    sample_mask: Any = None
    entities: Mapping[str, str] = field(default_factory=dict)
    mesh: Any = None
    name: str = field(init=False, default="")
    clock: Clock = field(init=False)
    inputs: tuple[Input, ...] = field(init=False, default=())
    _source: Source = field(init=False)
    _mask: Opened | OpenedPatches | None = field(init=False, default=None)
    _inside: NDArray[np.bool_] | None = field(init=False, default=None)
    _said: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        _check_scaling(self.scaling)
        opened = open_source(self.bold, self.mesh)
        sidecar = sidecar_of(opened)
        tr, notes = timing_of(self.tr, opened, sidecar, self.events is not None)
        facts: dict[str, Any] = {"_source": opened, "tr": tr, "name": name_of(opened)}
        # An array without tr has no seconds; its clock then counts scans.
        facts["clock"] = Clock(opened.n_scans, tr or 1.0, self.slice_time_ref)
        facts["smoothing_fwhm"] = widths_of(self.smoothing_fwhm, opened)
        facts["_mask"] = open_source_mask(self.mask, opened)
        paths: list[tuple[str, Path | None]]
        paths = [*paths_of("bold", opened), *paths_of("mask", facts["_mask"])]
        paths += [*mesh_files(self.mesh)]
        paths.append(("sidecar", sidecar.origin.get("RepetitionTime")))
        if self.events is not None:
            facts["events"], said, path = read_events(self.events)
            notes += said
            paths.append(("events", path))
        if self.confounds is not None:
            facts["confounds"], path = read_confounds(self.confounds, opened.n_scans)
            paths.append(("confounds", path))
            if path is not None and "sidecar" in facts["confounds"].attrs:
                paths.append(("confounds sidecar", path.with_suffix(".json")))
        facts["entities"] = check_entities(self.entities)
        facts["sample_mask"] = check_sample_mask(self.sample_mask, opened.n_scans)
        if isinstance(opened, ArrayScans):
            check_finite(opened.array, 0, facts["sample_mask"], name_of(opened))
        facts["inputs"] = tuple(input_file(role, path) for role, path in paths if path)
        facts["_said"] = notes + slice_timing_note(sidecar, tr, self.slice_time_ref)
        for key, value in facts.items():
            object.__setattr__(self, key, value)

    @property
    def n_scans(self) -> int:
        """Number of scans, T, before ``sample_mask``."""
        return self._source.n_scans

    @cached_property
    def scans(self) -> Scans:
        """The voxels, to be streamed; finds the mask if none was given."""
        if isinstance(self._source, ArrayScans):
            return self._source
        if isinstance(self._source, OpenedPatches):
            return _patch_scans(self, self._source)
        opened = self._source
        space = Volume(_find_mask(self), opened.affine, opened.header)
        widths = check_fwhm(self.smoothing_fwhm)
        return ImageScans(opened, space, self.tr, widths, self.sample_mask)

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.scans.space

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed or passed over, in sentences; finds the mask if none was given."""
        if not isinstance(self._source, Opened) or self.mask is not None:
            return self._said
        if self._inside is not None:
            return self._said
        return (*self._said, _mask_note(self.name, "the mean image", self.scans.space))

    def within(self, inside: NDArray[np.bool_], origin: str) -> Run:
        """Return the same run with another mask on its grid.

        Parameters
        ----------
        inside : ndarray of bool, shape (X, Y, Z)
            Voxels that are in.
        origin : str
            What the mask was computed from, for the notes.

        Returns
        -------
        Run

        Raises
        ------
        DataError
            If the run is an array, or the shape is not the grid's.
        """
        if not isinstance(self._source, Opened) or inside.shape != self._source.grid:
            raise DataError(f"a mask of shape {inside.shape} does not fit {self!r}")
        other = copy(self)
        other.__dict__.pop("scans", None)
        object.__setattr__(other, "_inside", inside)
        space = Volume(inside, self._source.affine)
        object.__setattr__(other, "_said", (*self._said, _mask_note(self.name, origin, space)))
        return other

    def reread(self, **options: Any) -> Run:
        """Return the same run read otherwise.

        Parameters
        ----------
        **options
            Arguments of :class:`Run` that change, such as ``smoothing_fwhm``. Tables that were
            files remain among the inputs.

        Returns
        -------
        Run

        Examples
        --------
        >>> Run(np.ones((9, 2)), tr=2.0).reread(scaling=None).scaling is None
        True
        """
        other = replace(self, **options)
        roles = {one.role for one in other.inputs}
        kept = tuple(one for one in self.inputs if one.role not in roles)
        object.__setattr__(other, "inputs", (*other.inputs, *kept))
        if not {"tr", "slice_time_ref"} & set(options):
            object.__setattr__(other, "_said", tuple(dict.fromkeys((*self._said, *other._said))))
        if "mask" not in options and self._inside is not None:
            object.__setattr__(other, "_inside", self._inside)
        return other

    def __repr__(self) -> str:
        return f"Run({', '.join(_described(self))})"


def check_sample_mask(keep: ArrayLike | None, n_scans: int) -> NDArray[np.bool_] | None:
    """Return which scans to keep as T booleans, or None for all.

    Parameters
    ----------
    keep : array_like or None
        T booleans, or scan numbers from 0, increasing.
    n_scans : int
        Number of scans, T.

    Returns
    -------
    ndarray of bool, shape (T,), or None

    Raises
    ------
    DataError
        If the length, order or range is wrong, or nothing is kept.

    Examples
    --------
    >>> check_sample_mask([0, 2], 3)
    array([ True, False,  True])
    """
    if keep is None:
        return None
    given = np.asarray(keep)
    if given.ndim != 1 or given.dtype.kind not in "biu" or given.size == 0:
        raise DataError(
            f"sample_mask is {n_scans} booleans or the numbers of the scans to keep; "
            f"got {given.dtype} of shape {given.shape}"
        )
    if given.dtype.kind == "b":
        if given.size != n_scans:
            raise DataError(
                f"sample_mask has {given.size} booleans, but the run has {n_scans} scans"
            )
        kept = given.copy()
    else:
        kept = _kept_by_number(given.astype(np.int64), n_scans)
    if not kept.any():
        raise DataError("sample_mask keeps no scan")
    kept.setflags(write=False)
    return kept


def _kept_by_number(numbers: NDArray[np.int64], n_scans: int) -> NDArray[np.bool_]:
    outside = numbers[(numbers < 0) | (numbers >= n_scans)]
    if outside.size:
        raise DataError(
            f"sample_mask names scan {outside[0]}; the run's scans go from 0 to {n_scans - 1}"
        )
    if (np.diff(numbers) <= 0).any():
        raise DataError("sample_mask must name scans in increasing order, each once")
    kept = np.zeros(n_scans, dtype=np.bool_)
    kept[numbers] = True
    return kept


def _check_scaling(scaling: object) -> None:
    if scaling is not None and scaling not in SCALINGS:
        known = did_you_mean(str(scaling), SCALINGS)
        raise DataError(
            f"scaling must be 'percent', 'grand_mean' or None, got {scaling!r}; {known}"
        )


def _patch_scans(run: Run, source: OpenedPatches) -> PatchScans:
    space = source.space
    if isinstance(run._mask, OpenedPatches):
        space = masked(space, read_patch_mask(run._mask))
    width = one_width(check_fwhm(run.smoothing_fwhm), space.linked)
    return PatchScans(source, space, run.tr, width, run.sample_mask)


def _find_mask(run: Run) -> NDArray[np.bool_]:
    if run._inside is not None:
        return run._inside
    if isinstance(run._mask, Opened):
        return read_mask(run._mask)
    assert isinstance(run._source, Opened)
    return epi_mask(mean_volume(run._source))


def _mask_note(name: str, origin: str, space: Space) -> str:
    assert isinstance(space, Volume)
    found, total = space.n_voxels, space.mask.size
    return (
        f"{name}: no mask was given; one computed from {origin} has {found:,} of {total:,} voxels "
        f"({100 * found / total:.0f}%)"
    )


def _described(run: Run) -> list[str]:
    source = run._source
    if isinstance(source, ArrayScans):
        parts = [f"{run.name}: {run.n_scans} scans × {source.n_voxels:,} columns"]
    elif isinstance(source, OpenedPatches):
        parts = [
            f"{run.name}: {run.n_scans} scans of {source.space.n_voxels:,} {source.space.unit}"
        ]
        parts += [f"mask {name_of(run._mask)}"] if run._mask is not None else []
    else:
        grid = "×".join(str(n) for n in source.grid)
        parts = [f"{run.name}: {run.n_scans} scans of {grid}"]
        parts.append("mask computed" if run._mask is None else f"mask {name_of(run._mask)}")
    if run.tr is not None:
        parts.append(f"tr {run.tr:g} s")
    if run.events is not None:
        kinds = [str(kind) for kind in pd.unique(run.events["trial_type"].dropna())]
        of = ", ".join(kinds[:6]) + (", …" if len(kinds) > 6 else "")
        parts.append(f"{len(run.events)} event{'s' * (len(run.events) != 1)} of {of}")
    if run.confounds is not None:
        parts.append(f"{run.confounds.shape[1]} confounds")
    if run.smoothing_fwhm is not None:
        parts.append(f"smoothing {run.smoothing_fwhm} mm")
    if run.sample_mask is not None:
        parts.append(f"{int(run.sample_mask.sum())} scans kept")
    parts.append(f"scaling {run.scaling}")
    return parts
