"""M-estimates over maps, and their tests.

Axes: n maps, V voxels, P columns, Q contrast rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm import kernels
from voxlm.errors import DataError
from voxlm.models.pieces import FullRank

Floats = NDArray[np.float64]
Norm = Literal["huber", "bisquare"]
NORMS = ("huber", "bisquare")


@dataclass(frozen=True, slots=True, eq=False)
class RobustEstimate(FullRank):
    """M-estimates at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns.
    fit : RobustFit
        The numbers.
    """

    X: Floats
    fit: kernels.robust.RobustFit

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, V)``."""
        return self.fit.params

    @property
    def scale(self) -> Floats:
        """Robust variance of the residuals, shape ``(V,)``."""
        return self.fit.scale**2

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the weights settled, shape ``(V,)``."""
        return self.fit.converged

    def test_parts(self, C: Floats) -> tuple[Floats, float]:
        """Return the covariance of ``C b`` (Huber's first, as RLM), and infinite df, as RLM."""
        rows = C @ np.linalg.pinv(self.X)
        cov: Floats = (rows @ rows.T)[:, :, None] * self.fit.factor
        return cov, np.inf


def fit_group_robust(X: Floats, data: NDArray[Any], norm: str) -> RobustEstimate:
    """Fit by ``huber`` or ``bisquare`` at every voxel, as statsmodels' RLM with ``conv="weights"``.

    Examples
    --------
    >>> fit_group_robust(np.ones((4, 1)), np.array([[1.0], [2], [3], [90]]), "huber").nobs
    4
    """
    if norm not in NORMS:
        raise DataError(f"robust must be 'huber' or 'bisquare', got {norm!r}")
    shape = {"huber": kernels.robust.HUBER, "bisquare": kernels.robust.BISQUARE}[norm]
    return RobustEstimate(X, kernels.robust.fit_robust(X, data, shape))
