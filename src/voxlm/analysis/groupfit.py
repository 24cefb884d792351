"""A model fitted over maps, with statsmodels' and lme4's names and voxels last.

Axes: N maps, V voxels, P columns, Q contrast rows, K variance components, m groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.behind import resampling_of, residuals_of
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.groupnumbers import GroupNumbers
from voxlm.analysis.groupsummary import describe_group
from voxlm.analysis.savegroup import save_group
from voxlm.analysis.spec import ContrastSpec
from voxlm.analysis.termtests import TermTests, test_terms
from voxlm.bids.tables import read_table
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.contrasts.statmap import wald
from voxlm.errors import DataError, did_you_mean

# Pictures, the page's template and the peers are loaded by whoever wants them.
groupvoxel = lazy_loader.load("voxlm.analysis.groupvoxel", suppress_warning=True)
rlines = lazy_loader.load("voxlm.analysis.rlines", suppress_warning=True)
statistics = lazy_loader.load("voxlm.analysis.statistics", suppress_warning=True)
regions = lazy_loader.load("voxlm.analysis.regiontable", suppress_warning=True)
pages = lazy_loader.load("voxlm.analysis.pages.write", suppress_warning=True)

Floats = NDArray[np.float64]

MIXED: tuple[str, ...] = (
    "sigma",
    "theta",
    "components",
    "icc",
    "rsquared_marginal",
    "rsquared_conditional",
    "deviance",
    "aic",
    "bic",
)
MIXED += ("singular", "converged", "gain", "curvature", "restarts")
OTHER = {"lmer": MIXED, "meta": ("tau2", "i2", "deviance"), "lm": ("rsquared",), "robust": ()}


@dataclass(frozen=True, eq=False, repr=False)
class GroupFit(GroupNumbers):
    """A model fitted at every voxel of the maps of a group.

    Made by :func:`voxlm.lmer`, :func:`voxlm.meta` and, over maps, :func:`voxlm.lm`. Voxels that
    could not be fitted are NaN everywhere and are counted in the summary.

    Parameters
    ----------
    model : {"lmer", "meta", "lm", "robust"}
        What was fitted.
    design : Design
        Columns and random terms.
    maps : Maps
        The data.
    pieces : Pieces
        The numbers, by pattern of maps.
    options : mapping
        What the verb was told: ``reml``, ``method``, ``cov_type``, ``robust``, ``weights``, …
    """

    def contrast(self, spec: ContrastSpec) -> Contrast:
        """Ask a question of the fixed effects.

        Parameters
        ----------
        spec : str, array, dict or list of str
            As for a first-level fit: ``"group[T.patient]"``, ``"age, group[T.patient]:age"``.

        Returns
        -------
        Contrast
            Its degrees of freedom are a map: Satterthwaite's for ``lmer``.
        """
        return self._ask(spec, None)

    def anova(self, type: Literal[1, 2, 3] = 3) -> TermTests:
        """Test every term of the formula by F, at every voxel.

        Parameters
        ----------
        type : {3, 2, 1}
            3: each term beside all others, factors coded to sum to zero, so that main effects are
            means over the levels of what they interact with. 2: beside all terms that do not
            contain it. 1: after the terms before it.

        Returns
        -------
        TermTests
            Equal to lmerTest's ``anova(type=)``, and for ``lm`` to statsmodels' ``anova_lm``.
        """
        return test_terms(self, type)

    def t_test(self, spec: ContrastSpec) -> Contrast:
        """Test one row by t."""
        return self._ask(spec, "t")

    def f_test(self, spec: ContrastSpec) -> Contrast:
        """Test rows jointly by F."""
        return self._ask(spec, "F")

    def _ask(self, spec: ContrastSpec, kind: Literal["t", "F"] | None) -> Contrast:
        question = hypothesis(spec, self.design.columns, kind, self.design.meaning)
        check_estimable(question.C, self.design.matrix, self.design.names)
        effect, cov, df = self.pieces.test_parts(question.C)
        result = wald(effect, cov, df, question.kind, question.null)
        behind, residuals = resampling_of(self), residuals_of(self)
        return Contrast(question, result, self.space, behind, residuals)

    @property
    def own_maps(self) -> tuple[str, ...]:
        """Names of the model's own maps."""
        return OTHER[self.model]

    def values(self, name: str) -> Floats:
        """Return a map by name: a column, or one of the model's own such as ``sigma``."""
        if name in self.design.names:
            return self.params[self.design.names.index(name)]
        known = ["nobs", "df_resid", *OTHER[self.model]]
        if name not in known:
            said = did_you_mean(name, [*known, *self.design.names])
            raise DataError(f"no map called {name!r}; {said}")
        return np.asarray(getattr(self, name), dtype=np.float64)

    def image(self, name: str) -> Any:
        """Return a map as an image of the kind the maps were; an array for arrays."""
        return self.space.image(self.values(name))

    def save(
        self,
        out: str | PathLike[str],
        contrasts: Any = (),
        entities: Mapping[str, str] | None = None,
    ) -> Path:
        """Write everything as :meth:`voxlm.Fit.save`; ``entities`` make it BIDS derivatives."""
        return save_group(self, self.contrast, Path(out), contrasts, entities or {})

    def save_statistics(self, path: str | PathLike[str]) -> Path:
        """Write what :func:`voxlm.load_statistics` fits again, as :func:`voxlm.save_statistics`."""
        kept: Path = statistics.save_statistics(self, path)
        return kept

    def tidy(
        self,
        where: Any,
        *,
        summary: Literal["mean", "median", "voxels"] | None = None,
        names: Mapping[int, str] | None = None,
    ) -> pd.DataFrame:
        """Return a long table: one row a voxel and column, or a region and column.

        Parameters
        ----------
        where : int, (i, j, k), array of bool or int, path or image
            A voxel, some voxels, or regions: an image of whole numbers on the fit's grid, each a
            region, 0 outside (a mask is one region); of surfaces or grayordinates, a map of them.
        summary : {"mean", "median", "voxels"}, optional
            Of regions. ``mean``, which stands where nothing is said: every map is averaged over
            the region and the model is fitted to the averages. ``median``: medians over the
            region of what was fitted, a description and no test. ``voxels``: every voxel.
        names : mapping of int to str, optional
            What regions are called.

        Returns
        -------
        DataFrame
            ``voxel term estimate std_error df statistic p_value conf_low conf_high``; of regions,
            in place of ``voxel``, ``region n_voxels n_outside summary``: how many voxels were
            used, how many of the region were not fitted, and how the row was made.

        Raises
        ------
        DataError
            An image on another grid, values that are not whole, a region without a voxel here.

        Notes
        -----
        Averages are over the voxels of the region that a map has. ``meta`` gives an average the
        mean of its voxels' variances, which bounds its own from above.
        """
        return regions.tidy(self, where, summary, names)

    def cov_params(self) -> Floats:
        """Return the covariance of the coefficients, shape ``(P, P, V)``."""
        return self.pieces.test_parts(np.eye(len(self.design.columns)))[1]

    def predict(self, table: Any = None) -> Floats:
        """Return what the fixed effects predict, the offset included.

        Parameters
        ----------
        table : path or DataFrame, optional
            Further rows, coded as the fit's own were; those of the fit where left out.

        Returns
        -------
        ndarray, shape (rows, V)
            lme4's ``predict(re.form = NA)``.
        """
        if table is None:
            return GroupNumbers.fittedvalues.fget(self)  # type: ignore[attr-defined,no-any-return]
        frame = read_table(table, "table")[0]
        rows: Floats = self.design.meaning.rows(frame) @ self.params
        offset = self.design.meaning.offset(frame)
        return rows if offset is None else rows + offset[:, None]

    def voxel(self, i: int | str, j: int | None = None, k: int | None = None) -> Any:
        """Return statsmodels' own results for a voxel: the same maps, the same columns."""
        return groupvoxel.refit_voxel(self, self.space.index(i, j, k))

    def check(self, n: int = 20, seed: int = 0) -> pd.DataFrame:
        """Refit random voxels with statsmodels; tabulate the largest differences."""
        return groupvoxel.compare_group(self, n, seed)

    def to_r(
        self, folder: str | PathLike[str], i: int | str, j: int | None = None, k: int | None = None
    ) -> Path:
        """Write a voxel's table and the R lines that fit it.

        By lm, lmer with lmerTest, MASS' rlm or metafor's rma, with the levels, weights and offset
        of the fit.

        Returns
        -------
        Path
            The R script; the table lies beside it.
        """
        script: Path = rlines.write_r(self, self.space.index(i, j, k), Path(folder))
        return script

    def report(
        self,
        path: str | PathLike[str],
        contrasts: Any = (),
        *,
        correct: str = "fdr",
        alpha: float = 0.05,
        title: str | None = None,
        background: Any = None,
        **options: Any,
    ) -> Path:
        """Write one page on the group: model, contrasts, the maps at the peaks, variances, methods.

        Parameters
        ----------
        path : path
            Ends in ``.html``. The page holds its pictures and viewers and loads nothing.
        contrasts : iterable of str, Contrast or Verdict, or a dict of them by name
            What is shown and tabulated; a Verdict as it was decided.
        correct, alpha, **options
            As for :meth:`voxlm.Contrast.correct`.
        title : str, optional
            Of the page; the name of the data where not given.
        background : image, optional
            Under the maps; without it nilearn's template under maps in MNI space.

        Returns
        -------
        Path
            ``path``.
        """
        return pages.write_group_report(
            self, Path(path), contrasts, correct, alpha, title, background, options
        )

    def summary(self) -> str:
        """Describe the fit as ``summary(lmer)`` does, medians over voxels."""
        return describe_group(self)

    def __repr__(self) -> str:
        return describe_group(self)
