"""A mask guessed from a map: what differs from its background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BORDER = 2  # voxels at each face of the grid that count as background


def background_mask(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a map differs from the median of its border; where that has NaN, from NaN.

    Parameters
    ----------
    values : ndarray, shape (X, Y, Z)
        A map.

    Notes
    -----
    The rule of ``nilearn.masking.compute_background_mask``.

    Examples
    --------
    >>> values = np.zeros((5, 5, 5))
    >>> values[2, 2, 2] = 3.0
    >>> int(background_mask(values).sum())
    1
    """
    ends = (slice(None, BORDER), slice(-BORDER, None))
    faces = [np.moveaxis(values, axis, 0)[end].ravel() for axis in range(3) for end in ends]
    border = np.concatenate(faces)
    if np.isnan(border).any():
        return ~np.isnan(values)
    return np.asarray(values != np.median(border))
