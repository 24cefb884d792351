"""From a width in millimetres to a plan for every volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxlm.errors import DataError

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def check_fwhm(fwhm: float | Sequence[float] | None) -> tuple[float, float, float] | None:
    """Return the widths along x, y, z in millimetres, or None for no smoothing.

    Parameters
    ----------
    fwhm : number, three numbers, or None
        Full width at half maximum in millimetres.

    Returns
    -------
    tuple of float or None

    Raises
    ------
    DataError
        If a width is negative or not finite, or there are neither one nor three.

    Examples
    --------
    >>> check_fwhm(6)
    (6.0, 6.0, 6.0)
    >>> check_fwhm(0) is None
    True
    """
    if fwhm is None:
        return None
    given = np.atleast_1d(np.asarray(fwhm))
    widths = given.astype(np.float64) if given.dtype.kind in "iuf" else np.empty(0)
    if widths.shape not in ((1,), (3,)) or not np.isfinite(widths).all() or (widths < 0).any():
        raise DataError(
            f"smoothing_fwhm is one width in millimetres, or three (x, y, z), none negative; "
            f"got {fwhm!r}"
        )
    if not widths.any():
        return None
    x, y, z = np.broadcast_to(widths, (3,))
    return float(x), float(y), float(z)


def sigma_of(
    fwhm: tuple[float, float, float], voxel_sizes: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Turn widths in millimetres into standard deviations in voxels.

    Examples
    --------
    >>> sigma_of((6.0, 6.0, 6.0), (2.0, 2.0, 3.0))[0].__round__(4)
    1.274
    """
    x, y, z = (
        width / (FWHM_PER_SIGMA * size) for width, size in zip(fwhm, voxel_sizes, strict=True)
    )
    return x, y, z
