"""Which voxels are in: a mask that was given, or one computed from the run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.nifti import SAME_MM
from voxlm.images.opening import Opened, open_image
from voxlm.images.smoothing import FWHM_PER_SIGMA
from voxlm.images.stream import chunks
from voxlm.kernels.gather import add_volume

# A tenth of a second to load, for runs without a mask only.
ndimage = lazy_loader.load("scipy.ndimage", suppress_warning=True)

LOWER, UPPER = 0.2, 0.85  # fractions of the histogram between which the gap is looked for
OPENING = 2  # steps of erosion and dilation
MEAN_FWHM = 1.0  # voxels


def open_mask(mask: object, bold: Opened, role: str = "mask", of: str = "bold") -> Opened:
    """Open a mask as far as its header, and check that it lies on the run's grid.

    Parameters
    ----------
    mask : path or nibabel image
        With three axes (or a fourth of length 1).
    bold : Opened
        The run.
    role, of : str
        What the two are, in messages.

    Returns
    -------
    Opened

    Raises
    ------
    DataError
        If it cannot be read, is not one volume, or has another grid.
    """
    opened = open_image(mask, role)
    # Writers may leave out last axes of length 1: the mask of one slice then has two.
    opened = replace(opened, shape=opened.shape + (1,) * (3 - len(opened.shape)))
    if opened.n_scans > 1 or len(opened.shape) > 4:
        raise DataError(
            f"{role} {opened.name} has {len(opened.shape)} axes {opened.shape}, but a {role} is "
            "one volume, 0 outside the brain; is it the run itself?"
        )
    same_place = np.allclose(opened.affine, bold.affine, rtol=0, atol=SAME_MM)
    if opened.grid != bold.grid or not same_place:
        raise DataError(_other_grid(opened, bold, role, of))
    return opened


def read_mask(opened: Opened) -> NDArray[np.bool_]:
    """Read a mask: voxels that are neither 0 nor NaN are in.

    Parameters
    ----------
    opened : Opened
        From :func:`open_mask`.

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)

    Raises
    ------
    DataError
        If no voxel is in, or the file is damaged.
    """
    values = read_values(opened)
    inside = (values != 0) & ~np.isnan(values)
    if not inside.any():
        raise DataError(
            f"mask {opened.name} is empty: all of its {inside.size:,} voxels are 0 or NaN"
        )
    return inside


def read_values(opened: Opened) -> NDArray[np.float64]:
    """Read the numbers of one volume, shape ``(X, Y, Z)``."""
    with closing(chunks(opened)) as parts:
        raw = next(parts).volumes[0]
        values = raw.astype(np.float64) * opened.slope + opened.inter
        list(parts)
    return np.asarray(values.reshape(opened.grid, order="F"))


def _other_grid(mask: Opened, bold: Opened, role: str, of: str) -> str:
    def draw(opened: Opened) -> str:
        rows = np.array2string(opened.affine, precision=4, suppress_small=True, prefix="    ")
        return f"  shape {opened.shape}, affine\n    {rows}"

    return (
        f"the {role} is on another grid than the {of}\n"
        f"{role} {mask.name}\n{draw(mask)}\n{of} {bold.name}\n{draw(bold)}\n"
        f"Resample the {role} to the {of}, e.g. nilearn.image.resample_to_img({role}, {of}, "
        'interpolation="nearest")'
    )


def mean_volume(bold: Opened) -> NDArray[np.float64]:
    """Return the mean over scans, shape ``(X, Y, Z)``, reading the run once.

    Parameters
    ----------
    bold : Opened
        The run.
    """
    total = np.zeros(int(np.prod(bold.grid)))
    with closing(chunks(bold)) as parts:
        for part in parts:
            for volume in part.volumes:
                add_volume(volume, bold.slope, bold.inter, total)
    return (total / bold.n_scans).reshape(bold.grid, order="F")


def epi_mask(mean: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find the brain in a mean echo-planar image.

    The threshold is the middle of the widest gap between neighbouring values in the sorted image,
    between its 20th and 85th percentile; what lies above is eroded, its largest connected part
    taken, and the rim restored and closed [1]_.

    Parameters
    ----------
    mean : ndarray, shape (X, Y, Z)
        Mean over scans. Values that are not finite count as 0.

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)

    Raises
    ------
    DataError
        If nothing is left.

    References
    ----------
    .. [1] The histogram rule of T. Nichols, as ``nilearn.masking.compute_epi_mask`` has it.

    Examples
    --------
    >>> mean = np.zeros((20, 20, 20))
    >>> mean[4:16, 4:16, 4:16] = 100
    >>> bool(epi_mask(mean)[10, 10, 10]), bool(epi_mask(mean)[0, 0, 0])
    (True, False)
    """
    image = _smoothed(mean)
    inside = image >= _gap(np.sort(image, axis=None))
    inside = ndimage.binary_erosion(inside, iterations=OPENING)
    if not inside.any():
        raise DataError(
            "no brain was found in the mean image: the computed mask is empty. "
            "Is the run unprocessed or detrended? Give a mask with mask="
        )
    inside = ndimage.binary_dilation(largest_part(inside), iterations=2 * OPENING)
    return np.asarray(ndimage.binary_erosion(inside, iterations=OPENING))


def largest_part(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part, voxels being connected by their faces.

    Examples
    --------
    >>> largest_part(np.array([[[True, False, True, True]]]))
    array([[[False, False,  True,  True]]])
    """
    labels, _ = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _smoothed(mean: NDArray[np.floating]) -> NDArray[np.floating]:
    """Smooth lightly; what was NaN ends as 0."""
    not_a_number = np.isnan(mean)
    image = np.where(np.isfinite(mean), mean, 0)
    for axis in range(3):
        image = ndimage.gaussian_filter1d(image, MEAN_FWHM / FWHM_PER_SIGMA, axis=axis)
    image[not_a_number] = 0
    return image


def _gap(ordered: NDArray[np.floating]) -> float:
    """Return the middle of the widest gap between neighbouring values."""
    low = int(np.floor(LOWER * ordered.size))
    high = min(int(np.floor(UPPER * ordered.size)), ordered.size - 1)
    steps = np.diff(ordered[low : high + 1])
    if steps.size == 0:
        raise DataError(f"a grid of {ordered.size} voxels is too small to find a brain in")
    widest = low + int(steps.argmax())
    return 0.5 * float(ordered[widest] + ordered[widest + 1])
