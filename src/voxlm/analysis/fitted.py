"""The numbers of a fitted run, with statsmodels' names and voxels last.

Axes: T scans, n retained scans, V voxels, P columns, p order of the noise model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.design import Design
from voxlm.analysis.options import share
from voxlm.analysis.plan import Plan
from voxlm.analysis.varying import own_series
from voxlm.bids.run import Run
from voxlm.errors import DataError
from voxlm.kernels.tails import t_isf, t_to_p
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import REASONS

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """What was fitted, and what follows from it by arithmetic.

    :class:`voxlm.Fit` adds the questions that can be asked of it.

    Parameters
    ----------
    model : {"lm", "glsar"}
        Which verb made it.
    plan : Plan
        The run, its design and the scans kept.
    estimate : Estimate
        The numbers.
    maxiter, rtol : int, float
        Limits of the AR iteration.
    """

    model: str
    plan: Plan
    estimate: Estimate
    maxiter: int
    rtol: float

    @property
    def design(self) -> Design:
        """The columns."""
        return self.plan.design

    @property
    def names(self) -> tuple[str, ...]:
        """What the coefficients are called, in order."""
        return tuple(column.name for column in self.design.coefficients)

    @property
    def run(self) -> Run:
        """The data; for stacked runs, all of them end to end."""
        run: Run = self.plan.run
        return run

    @property
    def formula(self) -> str:
        """The formula as understood, with what it implies written out."""
        return self.design.formula

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, V)``."""
        return self.estimate.params

    @property
    def scale(self) -> Floats:
        """Residual variance, shape ``(V,)``."""
        return self.estimate.scale

    @property
    def rho(self) -> Floats:
        """AR coefficients, shape ``(p, V)``; no rows for :func:`voxlm.lm`."""
        return self.estimate.rho

    @property
    def order(self) -> int:
        """Order of the AR noise model; 0 for :func:`voxlm.lm`."""
        return self.estimate.order

    @property
    def df_resid(self) -> float:
        """Residual degrees of freedom."""
        return self.estimate.df_resid

    @property
    def df_model(self) -> float:
        """Columns, not counting the constant."""
        return self.estimate.df_model

    @property
    def nobs(self) -> int:
        """Scans used by the (whitened) fit."""
        return self.estimate.nobs

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return int(self.estimate.scale.size)

    @cached_property
    def bse(self) -> Floats:
        """Standard errors, shape ``(P, V)``."""
        return self.estimate.bse()

    @cached_property
    def tvalues(self) -> Floats:
        """Coefficients over their standard errors, shape ``(P, V)``."""
        return self.params / self.bse

    @cached_property
    def pvalues(self) -> Floats:
        """Two-sided p-values, shape ``(P, V)``."""
        return np.stack([t_to_p(row, self.df_resid) for row in self.tvalues])

    @cached_property
    def rsquared(self) -> Floats:
        """R² of the (whitened) fit as statsmodels defines it, shape ``(V,)``."""
        return self.estimate.rsquared()

    @cached_property
    def fittedvalues(self) -> Floats:
        """``X b`` at the retained scans, in the units of the fit, shape ``(n, V)``."""
        shared = len(self.design.columns)
        values: Floats = self.estimate.X @ self.params[:shared]
        if self.design.varying:
            own = own_series(self.plan, np.arange(self.n_voxels))
            for coefficients, series in zip(self.params[shared:], own, strict=True):
                values += coefficients * series
        return values

    @property
    def left_out(self) -> dict[str, int]:
        """Why voxels were left out, and how many."""
        counts = {why: int((self.estimate.status == code).sum()) for code, why in REASONS.items()}
        return {why: count for why, count in counts.items() if count}

    def cov_params(self) -> Floats:
        """Return the covariance of the coefficients, shape ``(P, P, V)``."""
        return self.estimate.vcov(np.eye(self.params.shape[0]))

    def conf_int(self, alpha: float = 0.05) -> Floats:
        """Return the bounds of the interval of each coefficient.

        Parameters
        ----------
        alpha : float
            One less the coverage, for instance 0.05 for 95 %.

        Returns
        -------
        ndarray, shape (P, 2, V)

        Raises
        ------
        DataError
            An ``alpha`` that is not between 0 and 1.
        """
        half = t_isf(share(alpha) / 2, self.df_resid) * self.bse
        return np.stack([self.params - half, self.params + half], axis=1)

    def predict(self, exog: Floats | pd.DataFrame | None = None) -> Floats:
        """Return what the model expects at other rows of the design.

        Parameters
        ----------
        exog : array_like of shape (rows, P) or DataFrame, optional
            Values of the columns; of a table those called as :attr:`names`. The rows of the fit
            where it is left out.

        Returns
        -------
        ndarray, shape (rows, V)
            ``exog b``, in the units of the fit.

        Raises
        ------
        DataError
            If a column is missing, or there are too many.
        """
        if exog is None:
            return self.fittedvalues
        if isinstance(exog, pd.DataFrame):
            missing = [name for name in self.names if name not in exog]
            if missing:
                raise DataError(f"exog lacks the columns {missing}")
            exog = exog[list(self.names)].to_numpy(dtype=np.float64)
        rows = np.asarray(exog, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.params.shape[0]:
            raise DataError(
                f"exog has shape {rows.shape}; expected (rows, {self.params.shape[0]}), the "
                f"columns being {list(self.names)}"
            )
        return rows @ self.params

    def map(self, name: str) -> Floats:
        """Return a map by name.

        Parameters
        ----------
        name : str
            ``"rsquared"``, ``"scale"``, ``"rho"``, or a column: its coefficients.

        Returns
        -------
        ndarray, shape (V,)
            Of ``rho`` of a higher order ``(p, V)``.

        Raises
        ------
        DataError
            For another name.
        """
        if name in ("rsquared", "scale", "rho"):
            values: Floats = getattr(self, name)
            return values[0] if name == "rho" and self.order == 1 else values
        if name in self.names:
            return self.params[self.names.index(name)]
        known = ["rsquared", "scale", "rho", *self.names]
        raise DataError(f"no map called {name!r}; there are {known}")
