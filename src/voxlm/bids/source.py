"""What a run's data are: opened as far as their headers, timed, and what goes with them.

Axes: T scans, V voxels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxlm.bids.sidecar import Sidecar, read_sidecar
from voxlm.bids.timing import TimeStep, check_tr, repetition_time
from voxlm.errors import DataError
from voxlm.images.mask import open_mask
from voxlm.images.opening import Opened, check_bold, is_image, open_image
from voxlm.images.patchopening import OpenedPatches, is_patches, open_patch_mask, open_patches
from voxlm.images.patchscans import one_width
from voxlm.images.scans import ArrayScans, array_scans
from voxlm.images.smoothing import check_fwhm

Source = Opened | ArrayScans | OpenedPatches


def open_source(bold: object, mesh: Any) -> Source:
    """Open a run as far as its header, or take an array."""
    if is_patches(bold):
        return open_patches(bold, "bold", mesh)
    if mesh is not None:
        raise DataError("mesh= goes with surfaces (.func.gii) and grayordinates (.dtseries.nii)")
    if isinstance(bold, (str, os.PathLike)) or is_image(bold):
        opened = open_image(bold, "bold")
        check_bold(opened)
        return opened
    if isinstance(bold, (list, tuple)) and bold and isinstance(bold[0], (str, os.PathLike)):
        raise DataError(
            f"bold is a list of {len(bold)} files; a Run is one run. Make one Run for each and "
            "give the model the list of runs"
        )
    return array_scans(bold)  # type: ignore[arg-type]


def open_source_mask(mask: object, source: Source) -> Opened | OpenedPatches | None:
    """Open the mask of a run; None where none was given.

    Raises
    ------
    DataError
        If it does not fit, or the run is an array.
    """
    if mask is None:
        return None
    if isinstance(source, ArrayScans):
        raise DataError("mask= goes with images; of an array, take the columns wanted instead")
    if isinstance(source, OpenedPatches):
        return open_patch_mask(mask, source)
    return open_mask(mask, source)


def sidecar_of(source: Source) -> Sidecar:
    """Return what lies beside a run's files, nothing for data in memory."""
    paths = paths_of("bold", source)
    return read_sidecar(paths[0][1]) if paths else Sidecar()


def paths_of(role: str, source: Source | None) -> list[tuple[str, Path]]:
    """Return the files of a run or a mask, with their role."""
    if isinstance(source, OpenedPatches):
        return [(role, path) for path in source.paths]
    if isinstance(source, Opened) and source.path is not None:
        return [(role, source.path)]
    return []


def name_of(source: Source) -> str:
    """Return what messages and results call a run."""
    if isinstance(source, ArrayScans):
        return "array"
    return source.path.name if source.path else source.name


def timing_of(
    tr: float | None, source: Source, sidecar: Sidecar, has_events: bool
) -> tuple[float | None, tuple[str, ...]]:
    """Return the repetition time in seconds, and what was assumed for it.

    Raises
    ------
    DataError
        If it is missing where it is needed, or contradictory.
    """
    if isinstance(source, OpenedPatches):
        header = TimeStep(source.time_step, f"{source.space.extension} file")
        return repetition_time(tr, sidecar, header, name_of(source))
    if isinstance(source, Opened):
        return repetition_time(tr, sidecar, source.header, name_of(source))
    if tr is not None:
        return check_tr(tr, "tr"), ()
    if has_events:
        raise DataError(
            "events are in seconds, so an array needs tr=, the seconds from scan to scan"
        )
    return None, ("array: no tr was given, so scans are counted as if they were 1 s apart",)


def widths_of(
    fwhm: float | Sequence[float] | None, source: Source
) -> tuple[float, float, float] | None:
    """Return the widths of smoothing.

    Raises
    ------
    DataError
        If they are no widths, or the data cannot be smoothed.
    """
    widths = check_fwhm(fwhm)
    if widths is not None and isinstance(source, ArrayScans):
        raise DataError(
            "smoothing_fwhm= goes with images; the columns of an array have no neighbours"
        )
    if isinstance(source, OpenedPatches):
        one_width(widths, source.space.linked)
    return widths


def slice_timing_note(sidecar: Sidecar, tr: float | None, slice_time_ref: float) -> tuple[str, ...]:
    """Say so if the sidecar knows of a slice time that differs from the one in use."""
    start = sidecar.number("StartTime")
    if start is None or tr is None or abs(start / tr - slice_time_ref) < 0.01:
        return ()
    return (
        f"{sidecar.origin['StartTime'].name}: StartTime {start:g} s suggests slice_time_ref="
        f"{start / tr:.3g}; {slice_time_ref:g} is used",
    )
