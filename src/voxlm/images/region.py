"""Regions named by images, as columns of a space."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.linked import Linked
from voxlm.images.mask import open_mask, read_mask, read_values
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


def read_labels(source: Any, space: Space) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Return the region of each column of a space, and how many places each has in the image.

    Parameters
    ----------
    source : path or image
        Of the kind that the data are: whole numbers, 0 (or NaN) outside all regions.
    space : Space

    Returns
    -------
    labels : ndarray of int, shape (V,)
    sizes : dict of int to int
        Of every region of the image, whether the space has any of it or not.

    Raises
    ------
    DataError
        If it lies elsewhere, holds other numbers or no region, or the data are an array.
    """
    if isinstance(space, Linked):
        return read_labels(source, space.base)
    if isinstance(space, Volume):
        whole = open_image(space.mask_image(), "maps")
        opened = open_mask(source, whole, "region", "maps")
        values, name = read_values(opened), opened.name
        here = values[space.mask]
    elif isinstance(space, Patches):
        image = open_patches(space.image(np.ones(space.n_voxels)), "maps")
        patches = open_patch_mask(source, image)
        values, name = patches.row(), patches.name
        here = values[columns_of(image, space)]  # type: ignore[arg-type]
    else:
        raise DataError("an image of regions needs maps that are images: give an array of bool")
    found = np.nan_to_num(values)
    broken = found[found != np.rint(found)]
    if broken.size:
        raise DataError(
            f"{name} holds {broken[0]:.4g}, which is no label: regions are whole numbers, 0 "
            f"outside; threshold a map of probabilities, or move labels by nearest neighbour"
        )
    known, counts = np.unique(found[found != 0].astype(np.int64), return_counts=True)
    if not known.size:
        raise DataError(f"{name} has no region: all of its {found.size:,} values are 0 or NaN")
    return np.nan_to_num(here).astype(np.int64), dict(
        zip(known.tolist(), counts.tolist(), strict=True)
    )
