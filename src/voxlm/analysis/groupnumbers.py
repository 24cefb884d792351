"""The numbers of a model fitted over maps, with statsmodels' and lme4's names and voxels last.

Axes: N maps, V voxels, P columns, K variance components, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.options import share
from voxlm.bids.maps import Maps
from voxlm.design.columns import Design
from voxlm.errors import DataError
from voxlm.images.space import Space
from voxlm.kernels.tails import t_isf, t_to_p
from voxlm.models.pieces import Pieces

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class GroupNumbers:
    """What was fitted, and its numbers; :class:`voxlm.GroupFit` adds the verbs.

    Parameters
    ----------
    model, design, maps, pieces, options
        As in :class:`voxlm.GroupFit`.
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

    @property
    def fittedvalues(self) -> Floats:
        """Fixed effects at every map, offset included, shape ``(N, V)``; NaN where no map is."""
        out = np.full((self.maps.n_maps, self.n_voxels), np.nan)
        for pattern, part in zip(self.pieces.patterns, self.pieces.parts, strict=True):
            if part is not None:
                here = np.ix_(pattern.rows, pattern.voxels)
                out[here] = self.design.matrix[pattern.rows] @ part.params
        return out if self.design.offset is None else out + self.design.offset[:, None]

    @property
    def resid(self) -> Floats:
        """Maps less ``fittedvalues``, shape ``(N, V)``."""
        return np.asarray(self.maps.values - self.fittedvalues, dtype=np.float64)

    def conf_int(self, alpha: float = 0.05) -> Floats:
        """Return the bounds of the ``1 - alpha`` Wald interval of each column, ``(P, 2, V)``."""
        half = np.stack([t_isf(share(alpha) / 2, df) for df in self.df]) * self.bse
        return np.stack([self.params - half, self.params + half], axis=1)
