"""Regions named by images, as columns of a space."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.linked import Linked
from voxlm.images.mask import open_mask, read_mask
from voxlm.images.opening import is_image, open_image
from voxlm.images.patches import Patches
from voxlm.images.patchopening import (
    columns_of,
    is_patches,
    open_patch_mask,
    open_patches,
    read_patch_mask,
)
from voxlm.images.space import Space, Volume


def names_region(source: object) -> bool:
    """Tell whether something is a file or an image, and not an array.

    Examples
    --------
    >>> names_region("roi.nii.gz"), names_region(np.ones(3, bool))
    (True, False)
    """
    return isinstance(source, str | os.PathLike) or is_image(source) or is_patches(source)


def read_region(source: Any, space: Space) -> NDArray[np.bool_]:
    """Return which columns of a space a mask has in, shape ``(V,)``.

    Parameters
    ----------
    source : path or image
        Of the kind that the data are.
    space : Space

    Raises
    ------
    DataError
        If it lies elsewhere, or the data are an array.
    """
    if isinstance(space, Linked):
        return read_region(source, space.base)
    if isinstance(space, Volume):
        whole = open_image(space.mask_image(), "maps")
        return np.asarray(read_mask(open_mask(source, whole))[space.mask])
    if isinstance(space, Patches):
        image = open_patches(space.image(np.ones(space.n_voxels)), "maps")
        opened = open_patch_mask(source, image)
        return read_patch_mask(opened)[columns_of(image, space)]  # type: ignore[arg-type]
    raise DataError("a mask image needs maps that are images: give an array of bool")
