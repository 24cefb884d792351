"""How the head moves, and how its movement leaks into the signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

#: The six parameters in fMRIPrep's order: millimetres, then radians.
PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
#: Radius of the sphere on which a rotation counts as a displacement (Power et al. 2012), in mm.
POWER_RADIUS = 50.0


def wander(
    n_scans: int, answers: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw rigid-body motion: slow wandering, a few jerks, and a nod that follows the task.

    Parameters
    ----------
    n_scans : int
    answers : ndarray, shape (T,)
        Course of the task; the nod makes motion and task correlate, as they do in people.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (T, 6)
        Translations in mm, rotations in radians, first scan at 0.

    Examples
    --------
    >>> wander(100, np.zeros(100), np.random.default_rng(0)).shape
    (100, 6)
    """
    steps = rng.standard_normal((n_scans, 6)) * np.array([0.02, 0.02, 0.03, 4e-4, 2e-4, 2e-4])
    courses = gaussian_filter1d(np.cumsum(steps, axis=0), 1.5, axis=0)
    for scan in rng.choice(np.arange(n_scans // 10, n_scans), size=3, replace=False):
        courses[scan:] += rng.standard_normal(6) * np.array([0.1, 0.15, 0.25, 4e-3, 2e-3, 2e-3])
    nod = np.array([0.0, 0.05, 0.12, 1.5e-3, 0.0, 0.0])
    courses += answers[:, None] * nod
    courses += rng.standard_normal((n_scans, 6)) * np.array([5e-3, 5e-3, 1e-2, 1e-4, 5e-5, 5e-5])
    return np.asarray(courses - courses[0])


def framewise_displacement(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Power's framewise displacement in mm, NaN at the first scan.

    Parameters
    ----------
    motion : ndarray, shape (T, 6)
        Translations in mm, rotations in radians.

    Returns
    -------
    ndarray, shape (T,)

    Notes
    -----
    Power et al. 2012, NeuroImage 59:2142–2154.

    Examples
    --------
    >>> moved = np.zeros((3, 6)); moved[1:, 0] = 0.5; moved[2, 3] = 0.01
    >>> framewise_displacement(moved)
    array([nan, 0.5, 0.5])
    """
    scale = np.array([1.0, 1.0, 1.0, POWER_RADIUS, POWER_RADIUS, POWER_RADIUS])
    moved = np.abs(np.diff(motion, axis=0) * scale).sum(axis=1)
    return np.concatenate([[np.nan], moved])


def leak(
    mean: NDArray[np.float64], mask: NDArray[np.bool_], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Return how much each motion parameter changes each voxel, to first order.

    A head displaced by :math:`d(r)` shows at r what was at :math:`r - d`, so the signal changes by
    :math:`-\nabla \bar y(r) \cdot d(r)`: strongest at edges and at the rim of the brain.

    Parameters
    ----------
    mean : ndarray, shape (I, J, K)
    mask : ndarray of bool, shape (I, J, K)
    affine : ndarray, shape (4, 4)
        Diagonal but for its last column.

    Returns
    -------
    ndarray, shape (6, V)
        Percent of the voxel's mean for each mm or radian.

    Examples
    --------
    >>> ramp = np.broadcast_to(np.arange(4.0) + 10, (4, 4, 4))
    >>> change = leak(ramp, np.ones((4, 4, 4), bool), np.eye(4))
    >>> change.shape, bool(np.all(change[2] < 0))
    ((6, 64), True)
    """
    step = np.diag(affine)[:3]
    slopes = np.stack([g / s for g, s in zip(np.gradient(mean), step, strict=True)])
    slope = 100.0 * slopes[:, mask] / mean[mask]
    # Resampling after realignment leaves the linear part at moderate edges, not at the skull.
    slope = np.clip(slope, -8.0, 8.0)
    position = step[:, None] * np.array(np.nonzero(mask)) + affine[:3, 3:]
    # A small rotation w moves r by w × r, and -slope · (w × r) = -w · (r × slope).
    turning = np.cross(position, slope, axis=0)
    return -np.concatenate([slope, turning])
