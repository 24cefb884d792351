"""New images from arrays alone, as a scanner would have written them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.nifti import container, write_image

#: The NIfTI code of a transform into the scanner's space.
SCANNER_CODE = 1


def write_array(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    affine: NDArray[np.float64],
    tr: float | None = None,
) -> Path:
    """Write an array of three axes, or of four with a TR, as NIfTI in the scanner's space.

    Parameters
    ----------
    path : path
        Ends in ``.nii`` or ``.nii.gz``.
    data : ndarray, shape (X, Y, Z) or (X, Y, Z, T)
        Kept in its type: the file's values are the array's.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres.
    tr : float, optional
        Repetition time in seconds; for four axes.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    DataError
        If the axes and ``tr`` do not go together.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "bold.nii.gz"
    >>> write_array(file, np.zeros((2, 2, 2, 5), np.int16), np.eye(4), tr=2.0).name
    'bold.nii.gz'
    """
    if data.ndim != (3 if tr is None else 4):
        raise DataError(
            f"an array of shape {data.shape} {'without' if tr is None else 'with'} a TR is no "
            "image: three axes go without, four with"
        )
    image = container(data, affine)
    image.set_sform(affine, SCANNER_CODE)
    image.set_qform(affine, SCANNER_CODE)
    if tr is not None:
        image.header["pixdim"][4] = tr
    return write_image(path, image)
