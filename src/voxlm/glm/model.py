"""Results of a linear model and of contrasts of its coefficients, with nilearn's names.

Axes: P columns, Q contrast rows, V voxels; one series has no voxel axis.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.contrasts.statmap import wald
from voxlm.errors import ContrastError
from voxlm.glm.paths import open_path
from voxlm.kernels.tails import t_isf

Floats = NDArray[np.float64]
STORED = ("t", "effect", "sd")


class LikelihoodModelResults:
    """Coefficients, their covariance and the noise of a fitted model.

    Parameters
    ----------
    theta : ndarray, shape (P,) or (P, V)
        Coefficients.
    Y : ndarray, shape (T,) or (T, V)
        The data.
    model : OLSModel or ARModel
        What was fitted.
    cov : ndarray, shape (P, P)
        Covariance of the coefficients for unit noise.
    dispersion : float or ndarray, shape (V,)
        Residual variance.
    nuisance : object
        Kept as it is given.
    """

    def __init__(
        self,
        theta: Any,
        Y: Any,
        model: Any,
        cov: Any = None,
        dispersion: Any = 1.0,
        nuisance: Any = None,
    ) -> None:
        self.theta, self.Y, self.model, self.cov = theta, Y, model, cov
        self.dispersion, self.nuisance = dispersion, nuisance
        self.df_total = model.df_total if Y is None else np.shape(Y)[0]
        self.df_model = model.df_model
        self.df_residuals = self.df_total - self.df_model

    @property
    def logL(self) -> Any:  # noqa: N802
        """Log-likelihood at the coefficients."""
        return self.model.logL(self.theta, self.Y, nuisance=self.nuisance)

    def t(self, column: Any = None) -> Any:
        """Return coefficients over their standard errors, all or those of some columns."""
        chosen = np.arange(self.theta.shape[0]) if column is None else np.asarray(column)
        unit = np.diag(self.cov)[chosen]
        if np.ndim(self.theta) > 1 and unit.ndim:
            unit = unit[:, None]
        return self.theta[chosen] / _root(unit * self.dispersion)

    def vcov(
        self,
        matrix: ArrayLike | None = None,
        column: Any = None,
        dispersion: Any = None,
        other: ArrayLike | None = None,
    ) -> Any:
        """Return the covariance of coefficients or of contrasts of them.

        Parameters
        ----------
        matrix : array_like, shape (Q, P), optional
            Contrast rows.
        column : int or sequence of int, optional
            Instead, columns.
        dispersion : float or ndarray, optional
            Noise variance; that of the fit by default.
        other : array_like, optional
            Rows on the other side; ``matrix`` by default.

        Returns
        -------
        ndarray
            ``(Q, Q)`` or ``(Q, Q, V)``; a single column gives ``()`` or ``(V,)``.
        """
        if self.cov is None:
            raise ContrastError("there is no covariance of the coefficients: give cov")
        scale = np.asarray(self.dispersion if dispersion is None else dispersion)
        if matrix is not None:
            left = np.asarray(matrix)
            unit = left @ self.cov @ np.transpose(left if other is None else np.asarray(other))
        elif column is None:
            unit = self.cov
        else:
            at = np.asarray(column)
            unit = self.cov[at, at] if at.ndim == 0 else self.cov[np.ix_(at, at)]
        return np.multiply.outer(unit, scale) if scale.ndim else unit * float(scale)

    def Tcontrast(  # noqa: N802
        self, matrix: ArrayLike, store: Collection[str] = STORED, dispersion: Any = None
    ) -> TContrastResults:
        """Test one row by t; short rows are filled up with zeros.

        Parameters
        ----------
        matrix : array_like, shape (P,) or (1, P)
            Weights.
        store : collection of {"t", "effect", "sd"}
            What to keep.
        dispersion : float or ndarray, optional
            Noise variance; that of the fit by default.

        Returns
        -------
        TContrastResults
        """
        row = np.atleast_2d(np.asarray(matrix))
        if row.size == 0:
            raise ContrastError(f"t contrasts cannot be empty: got {matrix!r}")
        if row.shape[0] != 1:
            raise ContrastError(f"t contrasts should have only one row: got {matrix!r}.")
        if set(store) - set(STORED):
            raise ContrastError(f"store takes {', '.join(STORED)}; got {sorted(store)}")
        row = pad_contrast(row, self.theta.shape[0], "t")
        effect = np.squeeze(row @ self.theta)
        sd = np.sqrt(np.squeeze(self.vcov(matrix=row, dispersion=dispersion)))
        return TContrastResults(
            t=effect / _root(sd**2) if "t" in store else None,
            sd=sd if "sd" in store else None,
            effect=effect if "effect" in store else None,
            df_den=self.df_residuals,
        )

    def Fcontrast(  # noqa: N802
        self, matrix: ArrayLike, dispersion: Any = None, invcov: Any = None
    ) -> FContrastResults:
        """Test rows jointly by F.

        Parameters
        ----------
        matrix : array_like, shape (P,) or (Q, P)
            Weights.
        dispersion : float or ndarray, optional
            Noise variance; that of the fit by default.
        invcov : ndarray, shape (Q, Q), optional
            The inverse of the covariance of the contrast for unit noise, where known.

        Returns
        -------
        FContrastResults
        """
        rows = np.atleast_2d(np.asarray(matrix))
        P = self.theta.shape[0]
        if rows.shape[1] != P:
            raise ContrastError(
                f"F contrasts should have shape[1]={P}, but this has shape[1]={rows.shape[1]}"
            )
        effect = rows @ self.theta
        scale = np.asarray(self.dispersion if dispersion is None else dispersion, dtype=np.float64)
        unit = self.vcov(matrix=rows, dispersion=1.0) if invcov is None else np.linalg.inv(invcov)
        V = max(np.atleast_1d(scale).size, effect.reshape(len(rows), -1).shape[1])
        cov = np.broadcast_to(unit[:, :, None] * np.atleast_1d(scale), (*unit.shape, V))
        found = wald(effect.reshape(len(rows), -1), cov, float(self.df_residuals or np.nan), "F")
        return FContrastResults(
            effect=effect,
            covariance=self.vcov(matrix=rows, dispersion=np.atleast_1d(scale)),
            F=np.squeeze(found.stat),
            df_num=len(rows),
            df_den=self.df_residuals,
        )

    def conf_int(
        self, alpha: float = 0.05, cols: Sequence[int] | None = None, dispersion: Any = None
    ) -> Any:
        """Return the bounds of the two-sided ``1 - alpha`` interval of coefficients.

        Parameters
        ----------
        alpha : float
            One less the coverage.
        cols : sequence of int, optional
            The columns; all by default.
        dispersion : float or ndarray, optional
            Noise variance; that of the fit by default.

        Returns
        -------
        ndarray, shape (len(cols), 2) or (len(cols), 2, V)
        """
        chosen = range(self.theta.shape[0]) if cols is None else cols
        times = float(t_isf(alpha / 2, float(self.df_residuals))[0])
        bounds = []
        for i in chosen:
            half = times * np.sqrt(self.vcov(column=i, dispersion=dispersion))
            bounds.append([self.theta[i] - half, self.theta[i] + half])
        return np.asarray(bounds)


class TContrastResults:
    """A t contrast: statistic, standard error and effect; an array of t under ``np.asarray``."""

    def __init__(self, t: Any, sd: Any, effect: Any, df_den: Any = None) -> None:
        self.t, self.sd, self.effect = t, sd, effect
        self.df_den = np.inf if df_den is None else df_den

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.t, dtype=dtype)

    def __str__(self) -> str:
        return f"<T contrast: effect={self.effect}, sd={self.sd}, t={self.t}, df_den={self.df_den}>"


class FContrastResults:
    """An F contrast: statistic, effects, their covariance; an array of F under ``np.asarray``."""

    def __init__(
        self, effect: Any, covariance: Any, F: Any, df_num: Any, df_den: Any = None
    ) -> None:
        self.effect, self.covariance, self.F, self.df_num = effect, covariance, F, df_num
        self.df_den = np.inf if df_den is None else df_den

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.F, dtype=dtype)

    def __str__(self) -> str:
        return f"<F contrast: F={self.F!r}, df_den={self.df_den}, df_num={self.df_num}>"


def pad_contrast(rows: NDArray[Any], n_columns: int, stat_type: str) -> NDArray[Any]:
    """Fill rows that are shorter than the design up with zeros, and say so.

    Parameters
    ----------
    rows : ndarray, shape (q,) or (Q, q)
        Weights of the first q columns.
    n_columns : int
        P.
    stat_type : {"t", "F"}
        For the sentence.

    Returns
    -------
    ndarray, shape (P,) or (Q, P)

    Raises
    ------
    ContrastError
        If there are more weights than columns.

    Examples
    --------
    >>> pad_contrast(np.array([1.0, -1.0]), 2, "t")
    array([ 1., -1.])
    """
    given = rows.shape[-1]
    if stat_type == "t":
        words = f"t contrasts should be of length P={n_columns}, but it has length {given}."
    else:
        words = f"F contrasts should have {n_columns} columns, but it has {given}."
    if given > n_columns:
        raise ContrastError(words)
    if given == n_columns:
        return rows
    if stat_type == "F":
        words = words.replace("it has", "it has only")
    warn(f"{words} The rest of the contrast was padded with zeros.", UserWarning, stacklevel=3)
    short = [(0, 0)] * (rows.ndim - 1) + [(0, n_columns - given)]
    return np.pad(rows, short)


def _root(variance: Any) -> Any:
    """Return the root of a variance; NaN where there is none, so that no t is made of rounding."""
    return np.sqrt(np.where(np.asarray(variance) > 0, variance, np.nan))


open_path(__name__)
