"""A regressor whose values differ from voxel to voxel, read on the grid of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxlm.bids.run import Run
from voxlm.errors import DataError
from voxlm.images.opening import open_image
from voxlm.images.scans import ArrayScans, ImageScans, array_scans

SAME_MM = 1e-3


def read_regressor(path: str, run: Run) -> ImageScans | ArrayScans:
    """Open the image that ``voxel("…")`` names, as far as its header.

    Parameters
    ----------
    path : str
        A NIfTI image on the run's grid, with as many scans; for a run that is an array, an array
        saved as ``.npy``, shape ``(T, V)``.
    run : Run
        Its mask is used; its smoothing is not.

    Returns
    -------
    ImageScans or ArrayScans

    Raises
    ------
    DataError
        For a file that is missing, lies on another grid, or has another number of scans.
    """
    file = Path(path)
    if isinstance(run.scans, ArrayScans):
        return _read_array(file, run.scans)
    assert isinstance(run.scans, ImageScans)
    opened = open_image(path, "voxel")
    bold = run.scans.source
    same_place = np.allclose(opened.affine, bold.affine, rtol=0, atol=SAME_MM)
    if opened.shape != bold.shape or not same_place:
        raise DataError(
            f"voxel({path!r}) has shape {opened.shape} and affine\n{opened.affine}\n"
            f"but the run has {bold.shape} and\n{bold.affine}\n"
            "a regressor has a value for each scan and voxel of the run; resample it first"
        )
    return ImageScans(opened, run.scans.space, run.tr, None, run.sample_mask)


def _read_array(file: Path, scans: ArrayScans) -> ArrayScans:
    if file.suffix != ".npy" or not file.is_file():
        raise DataError(
            f"voxel({str(file)!r}): this run is an array, so its regressor is an array saved with "
            "numpy.save as .npy, and there is no such file"
        )
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"voxel({str(file)!r}) cannot be read as an array: {error}") from error
    if values.shape != scans.array.shape:
        raise DataError(
            f"voxel({str(file)!r}) has shape {values.shape}, the run {scans.array.shape}; a "
            "regressor has a value for each scan and voxel of the run"
        )
    return array_scans(values)
