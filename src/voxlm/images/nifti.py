"""Arrays into NIfTI images and files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.atomic import write_bytes

SAME_MM = 1e-3  # affines are the same when no entry differs by more than this, in mm
COMPRESSION = 2  # level of isal: maps of floats hardly shrink further, and higher costs time


def storable(values: ArrayLike) -> NDArray[Any]:
    """Choose the type a map is stored in: uint8 for booleans, int32 for integers, else float32.

    Examples
    --------
    >>> storable([True, False]).dtype, storable([1, 2]).dtype, storable([0.5]).dtype
    (dtype('uint8'), dtype('int32'), dtype('float32'))
    """
    data = np.asarray(values)
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind in "iu" and data.size and np.abs(data).max() <= np.iinfo(np.int32).max:
        return data.astype(np.int32)
    return data.astype(np.float32)


def container(data: NDArray[Any], affine: NDArray[np.float64], template: Any = None) -> Any:
    """Put data into a NIfTI image with a template's geometry, and nothing else of it.

    Parameters
    ----------
    data : ndarray, shape (X, Y, Z) or (X, Y, Z, K)
        Values.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres.
    template : nibabel header, optional
        Units and the codes of sform and qform come from it; for four axes the fourth pixdim too.

    Returns
    -------
    nibabel.Nifti1Image or nibabel.Nifti2Image
    """
    kind = nib.Nifti2Image if isinstance(template, nib.Nifti2Header) else nib.Nifti1Image
    image = kind(data, affine, dtype=data.dtype)
    space, time = "mm", "sec"
    if isinstance(template, nib.Nifti1Header):
        space, time = template.get_xyzt_units()
        qform, q_code = template.get_qform(coded=True)
        sform, s_code = template.get_sform(coded=True)
        if np.allclose(template.get_best_affine(), affine, rtol=0, atol=SAME_MM):
            image.set_qform(qform if q_code else None, int(q_code))
            image.set_sform(sform if s_code else None, int(s_code))
        if data.ndim == 4:
            image.header["pixdim"][4] = template["pixdim"][4]
    image.header.set_xyzt_units(space, time if data.ndim == 4 else "unknown")
    image.header["descrip"] = b"voxlm"
    return image


def write_image(path: str | os.PathLike[str], image: Any) -> Path:
    """Write a NIfTI image, whole or not at all; the same image gives the same bytes.

    Parameters
    ----------
    path : path
        Ends in ``.nii`` or ``.nii.gz``.
    image : nibabel image
        What to write.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    DataError
        If the name ends otherwise.
    """
    name = Path(path).name
    if not name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: images are written as .nii or .nii.gz; change the name's end")
    content: bytes = image.to_bytes()
    if name.endswith(".gz"):
        content = igzip.compress(content, COMPRESSION, mtime=0)
    return write_bytes(path, content)
