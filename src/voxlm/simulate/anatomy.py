"""A head to scan: a brain-shaped mask, an EPI-like mean, tissues, and regions that respond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

#: Half-axes of the brain in millimetres: left–right, back–front, bottom–top.
HALF_AXES = (64.0, 82.0, 56.0)
#: Mean signal of grey matter, in the arbitrary units of a scanner.
GREY_SIGNAL = 8000.0


@dataclass(frozen=True, slots=True)
class Blob:
    """A ball that responds: whose it is, where, and how large.

    Parameters
    ----------
    region : str
        The region it belongs to; several blobs may make one region.
    centre : tuple of float
        Millimetres from the middle of the brain.
    radius : float
        Millimetres.
    """

    region: str
    centre: tuple[float, float, float]
    radius: float


#: Where the regions lie, roughly where people have them.
BLOBS = (
    Blob("face", (41.0, -44.0, -18.0), 13.0),
    Blob("face", (-41.0, -46.0, -16.0), 11.0),
    Blob("house", (18.0, -32.0, -18.0), 11.0),
    Blob("house", (-18.0, -34.0, -18.0), 11.0),
    Blob("visual", (0.0, -66.0, 6.0), 14.0),
)
#: Percent signal change of a sustained response, at the middle of a region.
RESPONSES: Mapping[str, Mapping[str, float]] = {
    "face": {"face": 2.5, "house": 0.5},
    "house": {"face": 0.5, "house": 2.5},
    "visual": {"face": 1.5, "house": 1.5},
}


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What lies in the scanner.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres; the first axis runs from right to left.
    mask : ndarray of bool, shape (I, J, K)
        The brain.
    mean : ndarray, shape (I, J, K)
        Mean signal, with a faint background outside the brain.
    tissue : ndarray of int8, shape (I, J, K)
        0 outside, 1 grey matter, 2 white matter, 3 ventricles.
    labels : ndarray of int16, shape (I, J, K)
        0 where nothing responds, else 1 + the place of the region in ``regions``.
    taper : ndarray, shape (I, J, K)
        How much of its region's response a voxel shows, from 1 in the middle to 0.6 at the rim.
    regions : tuple of str
        Names of the regions.
    """

    affine: NDArray[np.float64]
    mask: NDArray[np.bool_]
    mean: NDArray[np.float64]
    tissue: NDArray[np.int8]
    labels: NDArray[np.int16]
    taper: NDArray[np.float64]
    regions: tuple[str, ...]

    def effect(self, condition: str) -> NDArray[np.float64]:
        """Return the true percent signal change of ``condition``, shape (I, J, K)."""
        size = np.array([0.0, *(RESPONSES[region][condition] for region in self.regions)])
        return np.asarray(size[self.labels] * self.taper)


def head(shape: tuple[int, int, int], voxel_mm: float, rng: np.random.Generator) -> Head:
    """Make a head on a grid.

    Parameters
    ----------
    shape : tuple of int
        Voxels along each axis.
    voxel_mm : float
        Edge of a voxel in millimetres.
    rng : numpy.random.Generator
        Gives the folds their places.

    Returns
    -------
    Head

    Examples
    --------
    >>> made = head((40, 48, 36), 4.0, np.random.default_rng(0))
    >>> made.regions
    ('face', 'house', 'visual')
    >>> bool((made.labels[~made.mask] == 0).all())
    True
    """
    affine = _affine(shape, voxel_mm)
    mm = _coordinates(shape, affine)
    bumps = _folds(shape, 8.0 / voxel_mm, rng)
    folds = _folds(shape, 4.0 / voxel_mm, rng)
    depth = _depth(mm) + 0.025 * bumps
    mask = _largest_piece(depth < 1.0)
    tissue = _tissue(mm, depth + 0.06 * folds, mask)
    labels, taper, regions = _regions(mm, mask)
    return Head(affine, mask, _mean(mm, tissue, folds), tissue, labels, taper, regions)


def _affine(shape: tuple[int, int, int], voxel_mm: float) -> NDArray[np.float64]:
    """Put the middle of the grid at 0 mm, first axis right to left as many scanners write it."""
    steps = np.array([-voxel_mm, voxel_mm, voxel_mm])
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.array(shape) - 1) / 2
    return affine


def _coordinates(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the millimetres of every voxel, shape (3, I, J, K)."""
    axes = [affine[a, a] * np.arange(n) + affine[a, 3] for a, n in enumerate(shape)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _folds(
    shape: tuple[int, int, int], sigma: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a random field of unit variance, smooth over ``sigma`` voxels."""
    field = gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray(field / field.std())


def _largest_piece(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop crumbs that touch the brain nowhere."""
    pieces, _ = label(inside)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax()) & inside


def _depth(mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ellipsoidal radius, 1 at the surface; flat below, cleft between hemispheres."""
    x, y, z = mm
    a, b, c = HALF_AXES
    # Narrower in front than behind, and flatter below than above.
    width = a * (1.0 - 0.18 * np.clip(y / b, -0.5, 1.0))
    height = np.where(z < 0, 0.85 * c, c)
    radius = np.sqrt((x / width) ** 2 + (y / b) ** 2 + (z / height) ** 2)
    cleft = 0.2 * np.exp(-((x / 4.0) ** 2)) * np.clip(radius - 0.55, 0.0, 0.45) / 0.45
    return np.asarray(radius + cleft * (z > -10.0))


def _tissue(
    mm: NDArray[np.float64], depth: NDArray[np.float64], mask: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """Tell grey matter, white matter and ventricles apart."""
    x, y, z = mm
    ventricle = ((np.abs(x) - 11.0) / 7.0) ** 2 + ((y + 4.0) / 30.0) ** 2 + ((z - 8) / 10.0) ** 2
    tissue = np.where(depth < 0.72, 2, 1)
    tissue = np.where(ventricle < 1.0, 3, tissue)
    return np.asarray(np.where(mask, tissue, 0), dtype=np.int8)


def _mean(
    mm: NDArray[np.float64], tissue: NDArray[np.int8], folds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return an EPI-like mean: bright fluid, darker white matter, receive-coil shading."""
    contrast = np.array([0.02, 1.0, 0.82, 1.35])[tissue]
    shading = 1.0 + 0.08 * mm[1] / HALF_AXES[1] + 0.05 * mm[2] / HALF_AXES[2]
    texture = np.where(tissue == 1, 1.0 + 0.05 * folds, 1.0)
    blurred = gaussian_filter(contrast * texture, 0.5)
    inside = np.where(tissue > 0, np.maximum(blurred, 0.5), blurred)
    return np.asarray(GREY_SIGNAL * shading * inside)


def _regions(
    mm: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int16], NDArray[np.float64], tuple[str, ...]]:
    """Draw the blobs; where two meet, the first keeps the voxel."""
    regions = tuple(dict.fromkeys(blob.region for blob in BLOBS))
    labels = np.zeros(mask.shape, dtype=np.int16)
    taper = np.zeros(mask.shape)
    for blob in BLOBS:
        centre = np.array(blob.centre)[:, None, None, None]
        relative = np.sqrt(((mm - centre) ** 2).sum(axis=0)) / blob.radius
        inside = (relative < 1.0) & mask & (labels == 0)
        labels[inside] = 1 + regions.index(blob.region)
        taper[inside] = 1.0 - 0.4 * relative[inside] ** 2
    return labels, taper, regions
