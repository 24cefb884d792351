"""How near estimates come to the truth, and how often a decision is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A decision about a map, judged by its truth.

    Parameters
    ----------
    table : DataFrame
        One row a region, and one for voxels without response: ``voxels``, mean ``truth``, mean
        ``estimate``, ``rmse``, and how many were ``detected``.
    power : float
        Share of the voxels with a true effect that were detected, with the right sign; NaN where
        there is none.
    false_discovery_proportion : float
        Share of the detected voxels that have no true effect, or the other sign; 0 where nothing
        was detected.
    n_true, n_detected, n_false : int
        Voxels with a true effect, detected voxels, and wrongly detected ones.
    """

    table: pd.DataFrame
    power: float
    false_discovery_proportion: float
    n_true: int
    n_detected: int
    n_false: int

    def __str__(self) -> str:
        power = "no voxel has a true effect"
        if self.n_true:
            found = self.n_detected - self.n_false
            power = f"power {self.power:.3f} ({found:,} of {self.n_true:,} voxels)"
        return (
            f"{self.table.to_string(float_format=lambda value: f'{value:.3f}')}\n{power}; "
            f"false-discovery proportion {self.false_discovery_proportion:.3f} "
            f"({self.n_false:,} of {self.n_detected:,} detected voxels)"
        )


def score(
    truth: NDArray[np.float64],
    estimate: NDArray[np.float64],
    significant: NDArray[np.bool_],
    labels: NDArray[np.integer],
    regions: tuple[str, ...],
) -> Score:
    """Judge a map of estimates and a decision by the truth.

    Parameters
    ----------
    truth, estimate : ndarray, shape (V,) or (Q, V)
        True and estimated effects; for a joint test, Q of each: a voxel then has a true effect
        where any of them differs from 0, and no sign to get wrong.
    significant : ndarray of bool, shape (V,)
    labels : ndarray of int, shape (V,)
        0 where nothing responds, else 1 + the place in ``regions``.
    regions : tuple of str

    Returns
    -------
    Score

    Raises
    ------
    DataError
        If the shapes do not fit.

    Examples
    --------
    >>> judged = score(
    ...     truth=np.array([1.0, 1.0, 0.0, 0.0]),
    ...     estimate=np.array([1.1, 0.8, 0.1, 0.9]),
    ...     significant=np.array([True, False, False, True]),
    ...     labels=np.array([1, 1, 0, 0]),
    ...     regions=("face",),
    ... )
    >>> judged.power, judged.false_discovery_proportion
    (0.5, 0.5)
    """
    voxels = truth.shape[-1:]
    if truth.shape != estimate.shape or {significant.shape, labels.shape} != {voxels}:
        raise DataError(
            f"truth {truth.shape}, estimate {estimate.shape}, significant {significant.shape} and "
            f"labels {labels.shape} are not of the same voxels"
        )
    true, found = np.atleast_2d(truth), np.atleast_2d(estimate)
    real = np.any(true != 0, axis=0)
    right = significant & real
    if true.shape[0] == 1:
        right &= np.sign(true[0]) == np.sign(found[0])
    n_true, n_detected = int(real.sum()), int(significant.sum())
    n_false = n_detected - int(right.sum())
    return Score(
        table=_by_region(true, found, significant, labels, regions),
        power=float(right.sum() / n_true) if n_true else float("nan"),
        false_discovery_proportion=n_false / n_detected if n_detected else 0.0,
        n_true=n_true,
        n_detected=n_detected,
        n_false=n_false,
    )


def _by_region(
    truth: NDArray[np.float64],
    estimate: NDArray[np.float64],
    significant: NDArray[np.bool_],
    labels: NDArray[np.integer],
    regions: tuple[str, ...],
) -> pd.DataFrame:
    """Average truth and estimates over each region; the rows of a joint test are averaged too."""
    rows = []
    for at, name in [*enumerate(regions, start=1), (0, "elsewhere")]:
        here = (labels == at) & np.isfinite(estimate).all(axis=0)
        error = estimate[:, here] - truth[:, here]
        rows.append(
            {
                "region": name,
                "voxels": int(here.sum()),
                "truth": truth[:, here].mean() if here.any() else np.nan,
                "estimate": estimate[:, here].mean() if here.any() else np.nan,
                "rmse": np.sqrt((error**2).mean()) if here.any() else np.nan,
                "detected": int(significant[here].sum()),
            }
        )
    return pd.DataFrame(rows).set_index("region")
