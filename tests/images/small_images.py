"""Small images to test with."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np

AFFINE = np.array([[-2.0, 0, 0.1, 30], [0, 2.5, 0, -40], [0.1, 0, 3, -20], [0, 0, 0, 1]])
SHAPE = (7, 6, 5)
N_SCANS = 23


def image_of(data: np.ndarray, tr: float | None = 2.0) -> Any:
    image = nib.Nifti1Image(data, AFFINE, dtype=data.dtype)
    image.header.set_xyzt_units("mm", "sec")
    if tr is not None and data.ndim == 4:
        image.header["pixdim"][4] = tr
    return image
