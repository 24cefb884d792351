"""A design with its pictures and its answers to contrasts, before any image is opened."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm import report
from voxlm.analysis.described import describe_design
from voxlm.analysis.spec import ContrastSpec
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import Hypothesis, hypothesis
from voxlm.design import diagnose
from voxlm.design.columns import Design as Columns
from voxlm.errors import DesignError
from voxlm.formula.export import to_r, to_statsmodels


class Design(Columns):
    """A design matrix that knows what its columns mean, and can be asked and drawn.

    Made by :func:`voxlm.design`; ``fit.design`` is one. Its fields are those of
    :class:`voxlm.design.columns.Design`.

    Examples
    --------
    >>> from voxlm.design.columns import Column
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    >>> made = Design(X, (Column("face", "face", "task"), Column("house", "house", "task")))
    >>> made.efficiency("face - house")
    array([1.])
    """

    __slots__ = ()

    @classmethod
    def of(cls, columns: Columns) -> Design:
        """Give a record of columns these verbs."""
        return cls(**{field.name: getattr(columns, field.name) for field in fields(columns)})

    def __repr__(self) -> str:
        return describe_design(self)

    def hypothesis(self, spec: ContrastSpec) -> Hypothesis:
        """Read a contrast over these columns and check that the design can estimate it.

        Parameters
        ----------
        spec : str, array, dict or list of str
            As for :meth:`voxlm.Fit.contrast`.

        Returns
        -------
        Hypothesis
            Its rows ``C``, shape ``(Q, P)``, and null values.

        Raises
        ------
        ContrastError
            The text cannot be read, or the design cannot estimate it.
        """
        question = hypothesis(spec, self.coefficients, meaning=self.meaning)
        check_estimable(question.C, self.matrix, self.names)
        return question

    def efficiency(self, contrast: Any) -> NDArray[np.float64]:
        """Return how precisely each row of a contrast would be estimated.

        Parameters
        ----------
        contrast : str, array, dict or list
            As for :meth:`voxlm.Fit.contrast`.

        Returns
        -------
        ndarray, shape (Q,)
            One over the variance that independent noise of variance 1 would give the row. Beside
            columns that differ by voxel it is the most that any voxel can reach.

        Raises
        ------
        DesignError
            For a contrast of such a column: its values are in no design.
        """
        question, P = self.hypothesis(contrast), len(self.columns)
        weighed = np.flatnonzero(question.C[:, P:].any(axis=0))
        if weighed.size:
            raise DesignError(
                f"{self.varying[weighed[0]].name} differs from voxel to voxel, and so does the "
                f"efficiency of {question.text}; ask after the fit: fit.contrast(…).se"
            )
        return diagnose.efficiency(self.matrix, question.C[:, :P])

    def report(self, contrasts: Any = ()) -> pd.DataFrame:
        """Tabulate each column's inflation, overlap with the drift, and loss to confounds.

        Parameters
        ----------
        contrasts : dict of str to contrast, or list of str
            Their efficiencies are added in ``attrs["efficiency"]``.

        Returns
        -------
        DataFrame
            ``attrs`` holds the rank and the condition number.
        """
        table = super().report()
        named = contrasts if isinstance(contrasts, dict) else {str(c): c for c in contrasts}
        table.attrs["efficiency"] = {
            name: self.efficiency(spec).tolist() for name, spec in named.items()
        }
        return table

    def to_r(self, order: int = 0) -> str:
        """Write the R call that fits the same model to one voxel.

        Parameters
        ----------
        order : int
            Order of the AR noise; 0 for least squares.

        Returns
        -------
        str
            R code, in which ``d`` holds ``frame`` and the voxel's series ``y``;
            :meth:`voxlm.Fit.to_r` writes the data as well.

        Raises
        ------
        DesignError
            The design was made from columns, not from a formula.
        """
        return to_r(self._formula_meaning(), order)

    def to_statsmodels(self, order: int = 0, maxiter: int = 3) -> str:
        """Write the statsmodels call that fits the same model to one voxel.

        Parameters
        ----------
        order : int
            Order of the AR noise; 0 for least squares.
        maxiter : int
            Fits at most of the AR iteration.

        Returns
        -------
        str
            Python code, in which ``X`` is ``frame`` and ``y`` the voxel's series;
            :meth:`voxlm.Fit.to_statsmodels` writes the data as well.

        Raises
        ------
        DesignError
            The design was made from columns, not from a formula.
        """
        return to_statsmodels(self._formula_meaning(), order, maxiter)

    def _formula_meaning(self) -> Any:
        if self.meaning is None:
            raise DesignError("this design was made from columns, not from a formula")
        return self.meaning

    def plot(self, ax: Any = None) -> Any:
        """Draw the matrix, a row a scan, as :func:`voxlm.plot.design`; return the Axes."""
        return report.plot_design(self, ax=ax)

    def plot_correlation(self, ax: Any = None) -> Any:
        """Draw the columns' correlations, as :func:`voxlm.plot.design_correlation`."""
        return report.plot_correlation(self, ax=ax)
