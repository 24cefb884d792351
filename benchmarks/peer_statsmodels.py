"""The same work as a user of statsmodels writes it: a loop over voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.regression.linear_model import GLSAR


def statsmodels_voxels(data: Any, matrix: Any, weights: Any) -> np.ndarray:
    """Fit each column by ``GLSAR.iterative_fit`` and test one contrast; return t."""
    t = np.empty(data.shape[1])
    for v in range(data.shape[1]):
        results = GLSAR(data[:, v], matrix, rho=1).iterative_fit(maxiter=3, rtol=1e-4)
        t[v] = np.asarray(results.t_test(weights).tvalue).item()
    return t
