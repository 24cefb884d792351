"""A design on an array of data, with nilearn's name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.glm.first_level.runs import fit_array
from voxlm.glm.regression import RegressionResults, check_rows, grouped, noise_order


def run_glm(
    Y: ArrayLike,
    X: ArrayLike,
    noise_model: str = "ar1",
    bins: int = 100,
    n_jobs: int = 1,  # noqa: ARG001
    verbose: int = 0,  # noqa: ARG001
    random_state: Any = None,  # noqa: ARG001
) -> tuple[NDArray[Any], dict[Any, RegressionResults]]:
    """Fit a design at every voxel of an array.

    Parameters
    ----------
    Y : array_like, shape (T, V)
        The data.
    X : array_like, shape (T, P)
        The design.
    noise_model : str
        ``"ols"``, or ``"arN"`` for autoregressive noise of order N.
    bins : int
        AR(1) coefficients are cut off to multiples of ``1 / bins``. Higher orders are each voxel's
        own.
    n_jobs, verbose, random_state
        Taken for nilearn's signature; the fit uses all cores, prints nothing and draws nothing.

    Returns
    -------
    labels : ndarray, shape (V,)
        0.0, or the AR coefficients as text.
    results : dict
        A :class:`~voxlm.glm.RegressionResults` for each label.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels, results = run_glm(rng.normal(size=(30, 4)), np.ones((30, 1)), "ols")
    >>> labels, results[0.0].df_residuals
    (array([0., 0., 0., 0.]), 29)
    """
    order = noise_order(noise_model)
    check_rows(Y, X)
    data, design = np.asarray(Y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    return grouped(fit_array(data, design, order, bins), data)
