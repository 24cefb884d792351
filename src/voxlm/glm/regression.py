"""Least squares with nilearn's names: models of a design, and what they fit.

A model with AR(p) noise of known ρ is least squares of whitened data on a whitened design; both are
handed to the engine, :func:`voxlm.models.onepass.fit_one_pass`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm import kernels
from voxlm.errors import DesignError, VoxlmError
from voxlm.glm.model import LikelihoodModelResults
from voxlm.glm.paths import open_path
from voxlm.images.scans import array_scans
from voxlm.kernels.rank import rank
from voxlm.models.estimate import Estimate
from voxlm.models.onepass import fit_one_pass

Floats = NDArray[np.float64]


class OLSModel:
    """Ordinary least squares of any data on one design.

    Parameters
    ----------
    design : array_like, shape (T, P)
        The columns; their rank need not be full.

    Examples
    --------
    >>> fit = OLSModel(np.c_[np.linspace(-1, 1, 10), np.ones(10)]).fit(np.arange(10.0))
    >>> fit.theta.round(3), fit.df_residuals
    (array([4.5, 4.5]), 8)
    """

    def __init__(self, design: ArrayLike) -> None:
        self.initialize(design)

    def initialize(self, design: ArrayLike) -> None:
        """Take a design and what follows from it alone."""
        self.design = np.asarray(design, dtype=np.float64)
        self.whitened_design = self.whiten(self.design)
        self.df_total = self.design.shape[0]
        self.df_model = rank(self.design)
        self.df_residuals = self.df_total - self.df_model

    @cached_property
    def calc_beta(self) -> Floats:
        """Pseudo-inverse of the whitened design, shape ``(P, T)``."""
        return np.asarray(np.linalg.pinv(self.whitened_design), dtype=np.float64)

    @property
    def normalized_cov_beta(self) -> Floats:
        """Covariance of the coefficients for unit noise, shape ``(P, P)``."""
        return self.calc_beta @ self.calc_beta.T

    def whiten(self, X: ArrayLike) -> Floats:
        """Return data or designs as they are: the noise is independent."""
        return np.asarray(X, dtype=np.float64)

    def fit(self, Y: ArrayLike) -> RegressionResults:
        """Fit the model.

        Parameters
        ----------
        Y : array_like, shape (T,) or (T, V)
            The data.

        Returns
        -------
        RegressionResults
        """
        data = np.asarray(Y, dtype=np.float64)
        white = self.whiten(data)
        columns = white.reshape(self.df_total, -1)
        found = fit_one_pass(array_scans(columns), self.whitened_design)
        theta, dispersion = found.params, found.scale
        if data.ndim == 1:
            theta, dispersion = theta[:, 0], dispersion[0]
        cov = found.basis.Rinv @ found.basis.Rinv.T
        return RegressionResults(theta, data, self, white, None, cov, dispersion)

    def logL(self, beta: ArrayLike, Y: ArrayLike, nuisance: Any = None) -> Any:  # noqa: N802
        """Return the Gaussian log-likelihood of coefficients.

        Parameters
        ----------
        beta : array_like, shape (P,) or (P, V)
            Coefficients.
        Y : array_like, shape (T,) or (T, V)
            The data.
        nuisance : dict, optional
            ``{"sigma": variance}``; its maximum-likelihood estimate where left out.
        """
        squares = np.sum((self.whiten(Y) - self.whitened_design @ np.asarray(beta)) ** 2, axis=0)
        n = self.df_total
        variance = squares / n if nuisance is None else nuisance["sigma"]
        return -n / 2.0 * np.log(2 * np.pi * variance) - squares / (2 * variance)


class ARModel(OLSModel):
    """Least squares with AR(p) noise of known coefficients.

    Parameters
    ----------
    design : array_like, shape (T, P)
        The columns.
    rho : int, float or array_like, shape (p,)
        The coefficients; an integer is an order with coefficients of 0.
    """

    def __init__(self, design: ArrayLike, rho: Any) -> None:
        values = np.zeros(rho) if isinstance(rho, int) else np.squeeze(np.asarray(rho))
        if values.ndim > 1:
            raise VoxlmError("AR parameters must be a scalar or a vector")
        self.rho = np.atleast_1d(values).astype(np.float64)
        self.order = self.rho.size
        super().__init__(design)

    def whiten(self, X: ArrayLike) -> Floats:
        """Return rows less ρ times the rows before; the first rows have fewer before them."""
        rows = np.asarray(X, dtype=np.float64)
        out = rows.copy()
        for k, weight in enumerate(self.rho, start=1):
            out[k:] -= weight * rows[:-k]
        return out


class RegressionResults(LikelihoodModelResults):
    """A fit of least squares, with the data.

    Residuals and predictions are in the units of the data, ``Y - X theta`` and ``X theta``,
    whatever the noise model; their whitened forms say so in their names. ``r_square`` is the share
    of the whitened data's variation that is explained, about their mean where the design has a
    constant.

    Parameters
    ----------
    theta, Y, model, cov, dispersion, nuisance
        As in :class:`~voxlm.glm.LikelihoodModelResults`.
    whitened_Y, whitened_residuals : ndarray or None
        Taken from the model where None.
    """

    def __init__(
        self,
        theta: Any,
        Y: Any,
        model: Any,
        whitened_Y: Any = None,
        whitened_residuals: Any = None,
        cov: Any = None,
        dispersion: Any = 1.0,
        nuisance: Any = None,
    ) -> None:
        super().__init__(theta, Y, model, cov, dispersion, nuisance)
        self._whitened_Y, self._whitened_residuals = whitened_Y, whitened_residuals
        self.whitened_design = model.whitened_design

    @property
    def whitened_Y(self) -> Any:  # noqa: N802
        """The data, whitened."""
        return self.model.whiten(self.Y) if self._whitened_Y is None else self._whitened_Y

    @property
    def whitened_residuals(self) -> Any:
        """Residuals, whitened."""
        if self._whitened_residuals is None:
            return self.whitened_Y - self.whitened_design @ self.theta
        return self._whitened_residuals

    @property
    def predicted(self) -> Any:
        """``X theta``, in the units of the data."""
        return self.model.design @ self.theta

    @property
    def residuals(self) -> Any:
        """``Y - X theta``, in the units of the data."""
        return self.Y - self.predicted

    @property
    def normalized_residuals(self) -> Any:
        """Residuals over the standard deviation of the noise; 0 where there is none."""
        return _over(self.residuals, self.dispersion)

    @property
    def SSE(self) -> Any:  # noqa: N802
        """Whitened residual sum of squares."""
        return np.sum(self.whitened_residuals**2, axis=0)

    @property
    def MSE(self) -> Any:  # noqa: N802
        """``SSE`` over the residual degrees of freedom."""
        return self.SSE / self.df_residuals

    @property
    def r_square(self) -> Any:
        """Share of variation explained, between 0 and 1."""
        total = self.whitened_Y
        ones = np.ones((self.df_total, 1))
        if rank(np.hstack([self.model.design, ones])) == self.df_model:
            constant = self.model.whiten(ones)[:, 0]
            share = constant @ total / (constant @ constant)
            total = total - (constant[:, None] * share if total.ndim > 1 else constant * share)
        squares = np.sum(total**2, axis=0)
        return 1.0 - self.SSE / np.where(squares > 0, squares, np.nan)


class SimpleRegressionResults(LikelihoodModelResults):
    """What contrasts need of a fit, without the data.

    Parameters
    ----------
    results : RegressionResults
        The fit.
    """

    def __init__(self, results: Any) -> None:
        self.theta, self.cov = results.theta, results.cov
        self.dispersion, self.nuisance = results.dispersion, results.nuisance
        self.df_total, self.df_model = results.df_total, results.df_model
        self.df_residuals = results.df_residuals

    @property
    def logL(self) -> Any:  # noqa: N802
        """Not to be had: it needs the data."""
        raise AttributeError(
            "SimpleRegressionResults has no data and so no logL; set minimize_memory=False"
        )

    def predicted(self, X: ArrayLike) -> Any:
        """Return ``X theta``."""
        return np.asarray(X) @ self.theta

    def residuals(self, Y: ArrayLike, X: ArrayLike) -> Any:
        """Return ``Y - X theta``."""
        return np.asarray(Y) - self.predicted(X)

    def normalized_residuals(self, Y: ArrayLike, X: ArrayLike) -> Any:
        """Return the residuals over the standard deviation of the noise."""
        return _over(self.residuals(Y, X), self.dispersion)


def noise_order(noise_model: Any) -> int:
    """Return the AR order that a noise model's name asks for, 0 for ``"ols"``.

    Examples
    --------
    >>> noise_order("ols"), noise_order("ar2")
    (0, 2)
    """
    if noise_model == "ols":
        return 0
    if not isinstance(noise_model, str) or not noise_model.startswith("ar"):
        raise VoxlmError(
            f"Acceptable noise models are ['ols', 'arN']. You provided 'noise_model={noise_model}'."
        )
    try:
        order = int(noise_model[2:])
    except ValueError:
        raise VoxlmError(
            "AR order must be a positive integer specified as arN, where N is an integer. "
            f"E.g. ar3. You provided {noise_model}."
        ) from None
    if order < 1:
        raise VoxlmError(f"AR order must be positive, got noise_model={noise_model!r}")
    return order


def grouped(
    found: Estimate, data: Floats | None
) -> tuple[NDArray[Any], dict[Any, RegressionResults]]:
    """Group the voxels of a fit by their noise, as nilearn's ``run_glm`` returns them.

    Parameters
    ----------
    found : Estimate
        The fit.
    data : ndarray, shape (n, V), or None
        What was fitted, for residuals.

    Returns
    -------
    labels : ndarray, shape (V,)
        0.0 for independent noise, else the AR coefficients as text, joined by ``_``.
    results : dict
        One :class:`RegressionResults` a label.
    """
    V = found.scale.size
    params = found.params
    eye = np.eye(found.X.shape[1])
    if not found.order:
        labels = np.zeros(V)
        cov = found.basis.Rinv @ found.basis.Rinv.T
        fit = RegressionResults(params, data, OLSModel(found.X), data, None, cov, found.scale)
        return labels, {0.0: fit}
    # Voxels left out have no coefficients; they go with those of independent noise.
    rho, back = np.unique(np.nan_to_num(found.rho) + 0.0, axis=1, return_inverse=True)
    names = np.array(["_".join(map(str, column)) for column in rho.T.tolist()])
    order = np.argsort(back.ravel(), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(back.ravel(), minlength=rho.shape[1]))[:-1])
    covs = kernels.arvariance.contrast_covariance(found.basis, np.ascontiguousarray(rho), eye)
    results = {}
    for k, voxels in enumerate(parts):
        series = None if data is None else data[:, voxels]
        results[str(names[k])] = RegressionResults(
            params[:, voxels],
            series,
            ARModel(found.X, rho[:, k]),
            None,
            None,
            covs[:, :, k],
            found.scale[voxels],
        )
    return names[back.ravel()], results


def check_rows(Y: Any, X: Any) -> None:
    """Require as many rows of data as of the design."""
    if np.shape(Y)[0] != np.shape(X)[0]:
        raise DesignError(
            "The number of rows of Y should match the number of rows of X.\n"
            f"You provided X with shape {np.shape(X)} and Y with shape {np.shape(Y)}."
        )


def _over(residuals: Any, variance: Any) -> Any:
    scale = np.asarray(variance)
    return residuals * np.where(scale > 0, 1.0 / np.sqrt(np.where(scale > 0, scale, 1.0)), 0.0)


open_path(__name__)
