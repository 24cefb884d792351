"""The confounds table that fMRIPrep would have written."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.simulate.anatomy import Head
from voxlm.simulate.motion import PARAMETERS, framewise_displacement

#: Framewise displacement above which a scan is marked as a motion outlier, in mm.
OUTLIER_MM = 0.5
#: Number of anatomical components kept.
N_COMPONENTS = 5


def table(motion: NDArray[np.float64], signal: NDArray[np.floating], head: Head) -> pd.DataFrame:
    """Make the table: tissue signals, DVARS, displacement, components, motion, its expansions.

    Parameters
    ----------
    motion : ndarray, shape (T, 6)
    signal : ndarray, shape (T, V)
        The brain's voxels as scanned.
    head : Head

    Returns
    -------
    DataFrame
        One row a scan; NaN in the first row of everything that is a difference.

    Examples
    --------
    >>> from voxlm.simulate.anatomy import head
    >>> made = head((20, 24, 18), 8.0, np.random.default_rng(0))
    >>> scans = np.random.default_rng(1).standard_normal((30, made.mask.sum())) + 100
    >>> frame = table(np.zeros((30, 6)), scans, made)
    >>> bool(np.isnan(frame.trans_x_derivative1[0])), frame.shape[0]
    (True, 30)
    """
    tissue = head.tissue[head.mask]
    columns: dict[str, NDArray[np.floating]] = {
        "global_signal": signal.mean(axis=1),
        "csf": signal[:, tissue == 3].mean(axis=1),
        "white_matter": signal[:, tissue == 2].mean(axis=1),
    }
    columns |= _dvars(signal)
    columns["framewise_displacement"] = framewise_displacement(motion)
    columns |= _components(signal[:, tissue >= 2])
    columns |= _expanded(motion)
    columns |= _outliers(columns["framewise_displacement"])
    return pd.DataFrame(columns)


def _dvars(signal: NDArray[np.floating]) -> dict[str, NDArray[np.floating]]:
    """Root mean square of the change from scan to scan, as it is and against its median."""
    change = np.sqrt((np.diff(signal, axis=0) ** 2).mean(axis=1, dtype=np.float64))
    dvars = np.concatenate([[np.nan], change])
    return {"std_dvars": dvars / np.nanmedian(dvars), "dvars": dvars}


def _components(signal: NDArray[np.floating]) -> dict[str, NDArray[np.floating]]:
    """Leading principal courses of the tissues that do not think."""
    series = signal.astype(np.float64)
    series -= series.mean(axis=0)
    # The (T, T) product has the same left vectors and is far smaller than the series.
    _, vectors = np.linalg.eigh(series @ series.T)
    leading = vectors[:, ::-1][:, :N_COMPONENTS]
    # An eigenvector's sign is arbitrary; a positive first half makes it the same everywhere.
    half = leading[: max(1, leading.shape[0] // 2)].sum(axis=0)
    leading = leading * np.where(half < 0, -1.0, 1.0)
    return {f"a_comp_cor_{k:02d}": leading[:, k] for k in range(leading.shape[1])}


def _expanded(motion: NDArray[np.float64]) -> dict[str, NDArray[np.floating]]:
    """Six parameters, their differences, and the squares of both (Friston et al. 1996)."""
    columns: dict[str, NDArray[np.floating]] = {}
    for name, course in zip(PARAMETERS, motion.T, strict=True):
        change = np.concatenate([[np.nan], np.diff(course)])
        columns |= {
            name: course,
            f"{name}_derivative1": change,
            f"{name}_derivative1_power2": change**2,
            f"{name}_power2": course**2,
        }
    return columns


def _outliers(displacement: NDArray[np.floating]) -> dict[str, NDArray[np.floating]]:
    """One indicator a scan whose displacement is too large."""
    found = np.flatnonzero(np.nan_to_num(displacement) > OUTLIER_MM)
    scans = np.arange(displacement.size)
    return {
        f"motion_outlier{number:02d}": (scans == scan).astype(float)
        for number, scan in enumerate(found)
    }
