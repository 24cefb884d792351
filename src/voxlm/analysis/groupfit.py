"""A model fitted over maps, with statsmodels' and lme4's names and voxels last.

Axes: N maps, V voxels, P columns, Q contrast rows, K variance components, m groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.behind import resampling_of, residuals_of
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.groupsummary import describe_group
from voxlm.analysis.savegroup import save_group
from voxlm.analysis.spec import ContrastSpec
from voxlm.analysis.termtests import TermTests, test_terms
from voxlm.bids.maps import Maps
from voxlm.contrasts.estimable import check_estimable
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.contrasts.statmap import wald
from voxlm.design.columns import Design
from voxlm.errors import DataError, did_you_mean
from voxlm.images.space import Space
from voxlm.kernels.tails import t_isf, t_to_p
from voxlm.models.pieces import Pieces

# Pictures, the page's template and the peers are loaded by whoever wants them.
groupvoxel = lazy_loader.load("voxlm.analysis.groupvoxel", suppress_warning=True)
statistics = lazy_loader.load("voxlm.analysis.statistics", suppress_warning=True)
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
class GroupFit:
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

    model: Literal["lmer", "meta", "lm", "robust"]
    design: Design
    maps: Maps
    pieces: Pieces[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def formula(self) -> str:
        """The formula as understood, with what it implies written out."""
        return self.design.formula

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.maps.space

    @cached_property
    def response(self) -> Maps:
        """What was fitted: the maps less the formula's offset."""
        return self.maps.adjusted(self.design.offset)

    @property
    def root(self) -> Floats | None:
        """Roots of the prior weights of the maps, shape ``(N,)``; None without weights."""
        weights = self.options.get("weights")
        return None if weights is None else np.sqrt(weights)

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return self.pieces.n_voxels

    @cached_property
    def params(self) -> Floats:
        """Fixed effects, shape ``(P, V)``."""
        return self.pieces.gather(lambda part: part.params)

    @cached_property
    def _tests(self) -> tuple[Floats, Floats]:
        """Standard errors and degrees of freedom of every column, each ``(P, V)``."""
        variance, df = self.pieces.each(np.eye(len(self.design.columns)))
        with np.errstate(invalid="ignore"):
            return np.sqrt(variance), df

    @property
    def bse(self) -> Floats:
        """Standard errors, shape ``(P, V)``."""
        return self._tests[0]

    @property
    def df(self) -> Floats:
        """Degrees of freedom of each column's t, shape ``(P, V)``."""
        return self._tests[1]

    @cached_property
    def tvalues(self) -> Floats:
        """Coefficients over their standard errors, shape ``(P, V)``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.params / self.bse

    @cached_property
    def pvalues(self) -> Floats:
        """Two-sided p-values, shape ``(P, V)``."""
        return np.stack([t_to_p(t, df) for t, df in zip(self.tvalues, self.df, strict=True)])

    @cached_property
    def nobs(self) -> NDArray[np.int64]:
        """Maps used at each voxel, shape ``(V,)``; 0 where none could be."""
        counts = np.zeros(self.n_voxels, dtype=np.int64)
        for pattern, part in zip(self.pieces.patterns, self.pieces.parts, strict=True):
            counts[pattern.voxels] = 0 if part is None else part.nobs
        return counts

    @property
    def df_resid(self) -> Floats:
        """Maps less columns, shape ``(V,)``; NaN where nothing was fitted."""
        return self._gather("df_resid", scalar=True)

    @property
    def scale(self) -> Floats:
        """Residual variance, shape ``(V,)``; not for ``meta``, which is told its variances."""
        return self._gather("scale")

    @property
    def sigma(self) -> Floats:
        """Residual standard deviation, shape ``(V,)``."""
        return np.sqrt(self.scale)

    @property
    def theta(self) -> Floats:
        """lme4's θ: relative standard deviations, one row a component."""
        return self._gather("theta")

    @property
    def components(self) -> Floats:
        """Variances of the random coefficients, shape ``(K, V)``, in the order of ``VarCorr``."""
        return self._gather("components")

    @property
    def tau2(self) -> Floats:
        """Variance between maps (``meta``), shape ``(V,)``; ``(G, V)`` by variance groups."""
        return self._gather("tau2")

    @property
    def i2(self) -> Floats:
        """Share of the variance that is between maps (``meta``), 0 to 1, shape ``(V,)``."""
        return self._gather("i2")

    @property
    def rsquared(self) -> Floats:
        """R² (``lm``), shape ``(V,)``."""
        return self._gather("rsquared")

    @property
    def deviance(self) -> Floats:
        """−2 log L, restricted where the fit is by REML, shape ``(V,)``."""
        return self._gather("deviance")

    @property
    def llf(self) -> Floats:
        """Log likelihood, restricted where the fit is by REML, shape ``(V,)``."""
        return -0.5 * self.deviance

    @property
    def aic(self) -> Floats:
        """Deviance and twice the number of parameters, shape ``(V,)``."""
        return self.deviance + 2.0 * self._gather("n_parameters", scalar=True)

    @property
    def bic(self) -> Floats:
        """Deviance and log n times the number of parameters, shape ``(V,)``."""
        with np.errstate(divide="ignore"):
            size = np.log(self.nobs)
        return self.deviance + size * self._gather("n_parameters", scalar=True)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the optimum was reached, shape ``(V,)``; False where nothing was fitted."""
        if self.model == "lm":
            return np.asarray(np.isfinite(self.params).all(axis=0))
        return np.nan_to_num(self._gather("converged")).astype(np.bool_)

    @property
    def singular(self) -> NDArray[np.bool_]:
        """Whether a variance component is exactly 0, shape ``(V,)``."""
        return np.nan_to_num(self._gather("singular")).astype(np.bool_)

    def _gather(self, name: str, scalar: bool = False) -> Floats:
        part = next(part for part in self.pieces.parts if part is not None)
        if not hasattr(part, name):
            raise DataError(f"a fit by {self.model} has no {name}")
        if not scalar:
            return self.pieces.gather(lambda p: getattr(p, name))
        return self.pieces.gather(lambda p: np.full(p.params.shape[1], float(getattr(p, name))))

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

    def conf_int(self, alpha: float = 0.05) -> Floats:
        """Return the bounds of the ``1 - alpha`` Wald interval of each column, ``(P, 2, V)``."""
        half = np.stack([t_isf(alpha / 2, df) for df in self.df]) * self.bse
        return np.stack([self.params - half, self.params + half], axis=1)

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

    def tidy(self, where: Any) -> pd.DataFrame:
        """Return a long table: one row a voxel and column.

        Parameters
        ----------
        where : int, or array of bool or int
            A voxel, or a region of voxels.

        Returns
        -------
        DataFrame
            ``voxel term estimate std_error df statistic p_value conf_low conf_high``.
        """
        voxels = np.atleast_1d(np.arange(self.n_voxels)[where])
        low, high = np.moveaxis(self.conf_int()[:, :, voxels], 1, 0)
        columns = {
            "estimate": self.params[:, voxels],
            "std_error": self.bse[:, voxels],
            "df": self.df[:, voxels],
            "statistic": self.tvalues[:, voxels],
            "p_value": self.pvalues[:, voxels],
            "conf_low": low,
            "conf_high": high,
        }
        terms = np.tile(self.design.names, voxels.size)
        head = {"voxel": np.repeat(voxels, len(self.design.names)), "term": terms}
        return pd.DataFrame({**head, **{name: v.T.ravel() for name, v in columns.items()}})

    def voxel(self, i: int | str, j: int | None = None, k: int | None = None) -> Any:
        """Return statsmodels' own results for a voxel: the same maps, the same columns."""
        return groupvoxel.refit_voxel(self, self.space.index(i, j, k))

    def check(self, n: int = 20, seed: int = 0) -> pd.DataFrame:
        """Refit random voxels with statsmodels; tabulate the largest differences."""
        return groupvoxel.compare_group(self, n, seed)

    def to_r(
        self, folder: str | PathLike[str], i: int | str, j: int | None = None, k: int | None = None
    ) -> Path:
        """Write a voxel's table and the R lines that fit it with lme4 and lmerTest.

        Returns
        -------
        Path
            The R script; the table lies beside it.
        """
        return groupvoxel.write_r(self, self.space.index(i, j, k), Path(folder))

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
