"""nilearn's maskers, for those who have nilearn's images or ask for its pages."""

from __future__ import annotations

from typing import Any

from nilearn.maskers import NiftiMasker, SurfaceMasker

from voxlm.images.patchopening import is_surface_image


def masker_of(mask: Any, **parameters: Any) -> Any:
    """Return nilearn's fitted masker of a mask.

    Parameters
    ----------
    mask : image
        Of booleans.
    **parameters
        As its constructor takes them.

    Returns
    -------
    nilearn.maskers.NiftiMasker or nilearn.maskers.SurfaceMasker
    """
    kind = SurfaceMasker if is_surface_image(mask) else NiftiMasker
    return kind(mask_img=mask, **parameters).fit()
