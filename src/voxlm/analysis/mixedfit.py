"""A mixed model fitted over maps: what lme4 and MixedLM have beside the fixed effects.

Axes: N maps, V voxels, P columns, K variance components, m groups, q coefficients of a term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.options import share
from voxlm.errors import DataError, did_you_mean
from voxlm.models.correlationprofile import correlation_interval
from voxlm.models.intervals import deviation_interval, effect_interval
from voxlm.models.pieces import Pieces
from voxlm.models.surface import Surface

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MixedFit(GroupFit):
    """A mixed model fitted at every voxel of the maps of a group; made by :func:`voxlm.lmer`.

    Beside what every :class:`~voxlm.analysis.groupfit.GroupFit` has: variance components, the
    conditional modes, certificates of the optimum, profile intervals.
    """

    @property
    def component_names(self) -> tuple[str, ...]:
        """Names of the rows of ``components``, such as ``subject: Intercept``."""
        return tuple(f"{b.group}: {name}" for b in self.design.random for name in b.names)

    @property
    def correlation_names(self) -> tuple[str, ...]:
        """Names of the rows of ``correlations``, such as ``subject: Intercept, time``."""
        return tuple(
            f"{b.group}: {one}, {other}"
            for b in self.design.random
            for one, other in combinations(b.names, 2)
        )

    @property
    def correlations(self) -> Floats:
        """Correlations of the random coefficients, shape ``(R, V)``; NaN beside a variance of 0."""
        found = [np.empty((0, self.n_voxels))]
        for cov in self.cov_re.values():
            with np.errstate(divide="ignore", invalid="ignore"):
                for a, b in combinations(range(len(cov)), 2):
                    found.append((cov[a, b] / np.sqrt(cov[a, a] * cov[b, b]))[None])
        return np.concatenate(found)

    @property
    def vcomp(self) -> Floats:
        """MixedLM's name of ``components``, shape ``(K, V)``."""
        return self.components

    @property
    def cov_re(self) -> dict[str, Floats]:
        """Covariance matrix of the coefficients of each random term, ``(q, q, V)``."""
        found = {}
        for k, block in enumerate(self.design.random):
            found[block.text] = self.pieces.gather(partial(_covariance, k))
        return found

    @property
    def icc(self) -> Floats:
        """Share of the random terms in all variance that is not fixed, shape ``(V,)``.

        With slopes, the variance of a random term is its mean over the maps (Johnson 2014).
        """
        between = self._between()
        return between / (between + self.scale)

    @property
    def rsquared_marginal(self) -> Floats:
        """R² of the fixed effects alone (Nakagawa & Schielzeth 2013), shape ``(V,)``."""
        fixed = self._explained()
        return fixed / (fixed + self._between() + self.scale)

    @property
    def rsquared_conditional(self) -> Floats:
        """R² of fixed and random effects together, shape ``(V,)``.

        Nakagawa & Schielzeth (2013), Methods Ecol Evol 4:133; for slopes Johnson (2014), 5:944.
        """
        fixed, between = self._explained(), self._between()
        return (fixed + between) / (fixed + between + self.scale)

    def _explained(self) -> Floats:
        """Variance over maps of the fixed effects' prediction."""
        out = np.full(self.n_voxels, np.nan)
        for pattern, part in zip(self.pieces.patterns, self.pieces.parts, strict=True):
            if part is not None:
                spread = np.atleast_2d(np.cov(self.design.matrix[pattern.rows].T))
                out[pattern.voxels] = np.einsum("pv,pr,rv->v", part.params, spread, part.params)
        return out

    def _between(self) -> Floats:
        """Mean over maps of the random terms' variance."""
        out = np.full(self.n_voxels, np.nan)
        for pattern, part in zip(self.pieces.patterns, self.pieces.parts, strict=True):
            if part is not None:
                total = np.zeros(pattern.voxels.size)
                for block, cov in zip(self.design.random, part.covariances, strict=True):
                    rows = block.matrix[pattern.rows]
                    total += np.einsum("ab,abv->v", rows.T @ rows / len(rows), cov)
                out[pattern.voxels] = total
        return out

    @property
    def gain(self) -> Floats:
        """How far Newton's step could still lower the deviance: the optimum's certificate, (V,)."""
        return self._gather("gain")

    @property
    def curvature(self) -> Floats:
        """Least curvature of the deviance, which a minimum has not negative, shape ``(V,)``.

        Where a variance is zero this is the slope of the deviance in that variance: the condition
        of Karush, Kuhn and Tucker at the boundary.
        """
        return self._gather("curvature")

    @property
    def restarts(self) -> NDArray[np.int64]:
        """How often the search for the optimum began again elsewhere, shape ``(V,)``."""
        return np.nan_to_num(self._gather("restarts")).astype(np.int64)

    @property
    def fittedvalues(self) -> Floats:
        """Fixed effects and conditional modes added up, shape ``(N, V)``; NaN where no map is."""
        out, modes = super().fittedvalues, self.ranef()
        for block in self.design.random:
            found = modes[block.text]
            found = found[:, None] if found.ndim == 2 else found
            for a in range(block.matrix.shape[1]):
                out += block.matrix[:, a, None] * found[block.codes, a]
        return out

    @property
    def random_effects(self) -> dict[str, Floats]:
        """MixedLM's name of :meth:`ranef`."""
        return self.ranef()

    def ranef(self) -> dict[str, Floats]:
        """Return the conditional modes (BLUPs) of the groups, by random term.

        Returns
        -------
        dict of str to ndarray, shape (m, V), or (m, q, V) for a term of q coefficients
            Rows follow ``levels(factor)``; NaN where a group has no map at a voxel.
        """
        found: dict[str, Floats] = {}
        for k, block in enumerate(self.design.random):
            out = np.full((len(block.levels), len(block.names), self.n_voxels), np.nan)
            for pattern, part in zip(self.pieces.patterns, self.pieces.parts, strict=True):
                if part is not None:
                    here = np.unique(block.codes[pattern.rows])
                    rows = self.response.values[np.ix_(pattern.rows, pattern.voxels)]
                    modes = part.modes(rows)
                    modes = modes[k] if isinstance(modes, list) else modes[:, None]
                    out[np.ix_(here, np.arange(out.shape[1]), pattern.voxels)] = modes
            found[block.text] = out[:, 0] if out.shape[1] == 1 else out
        return found

    def levels(self, factor: str) -> tuple[str, ...]:
        """Return the groups of a grouping factor, in the order of ``ranef``."""
        for block in self.design.random:
            if block.group == factor:
                return block.levels
        known = [block.group for block in self.design.random]
        raise DataError(f"no grouping factor called {factor!r}; {did_you_mean(factor, known)}")

    def VarCorr(self, voxel: int) -> pd.DataFrame:  # noqa: N802
        """Return the variance components of a voxel: groups, name, variance, sd, correlations.

        ``corr`` holds the correlations with the coefficients of the term that come before.
        """
        rows: list[tuple[Any, ...]] = []
        for block, cov in zip(self.design.random, self.cov_re.values(), strict=True):
            here = cov[:, :, voxel]
            sd = np.sqrt(np.diag(here))
            with np.errstate(divide="ignore", invalid="ignore"):
                corr = here / np.outer(sd, sd)
            for a, name in enumerate(block.names):
                rows.append((block.group, name, here[a, a], sd[a], tuple(corr[a, :a].tolist())))
        rows.append(("Residual", "", self.scale[voxel], self.sigma[voxel], ()))
        return pd.DataFrame(rows, columns=["groups", "name", "variance", "sd", "corr"])

    def refit(self, reml: bool) -> MixedFit:
        """Return the fit by REML or by ML, from the statistics kept: no map is read again."""
        parts = tuple(None if part is None else part.refit(reml) for part in self.pieces.parts)
        pieces = Pieces(self.pieces.patterns, parts, self.n_voxels)
        options = {**self.options, "reml": reml}
        if not reml:  # Kenward and Roger's adjustment is of REML
            options["df"] = "satterthwaite"
        return replace(self, pieces=pieces, options=options)

    def conf_int(
        self,
        alpha: float = 0.05,
        *,
        method: Literal["wald", "profile"] = "wald",
        of: Literal["fixed", "random", "correlations"] = "fixed",
        voxels: Any = None,
    ) -> Floats:
        """Return the bounds of ``1 - alpha`` intervals.

        Parameters
        ----------
        alpha : float
            One less the coverage.
        method : {"wald", "profile"}
            Wald: t times standard error. Profile: where the likelihood, by ML and all else at its
            best, falls below what the χ²₁ distribution allows; as lme4's ``confint``.
        of : {"fixed", "random", "correlations"}
            Columns; standard deviations of the random coefficients, the residual's last; or
            correlations of the random coefficients, as ``correlation_names`` has them. The last
            two by profile only.
        voxels : array_like of bool or int, optional
            Where; everywhere by default. A profile takes milliseconds a voxel.

        Returns
        -------
        ndarray, shape (P, 2, V), (K + 1, 2, V) or (R, 2, V)
        """
        at = np.arange(self.n_voxels) if voxels is None else np.arange(self.n_voxels)[voxels]
        at = np.atleast_1d(at)
        if method not in ("wald", "profile") or of not in ASKED:
            raise DataError(
                f"method is 'wald' or 'profile' and of is 'fixed', 'random' or 'correlations', got "
                f"{method!r}, {of!r}"
            )
        if of == "correlations" and not self.correlation_names:
            raise DataError("no random term has correlated coefficients, as (1 + time | g) has")
        if method == "wald":
            if of != "fixed":
                what = "standard deviation" if of == "random" else "correlation"
                raise DataError(f"the likelihood of a {what} is no parabola: say method='profile'")
            return super().conf_int(alpha)[:, :, at]
        rise = float(special.chdtri(1, share(alpha)))
        other = self.refit(False)
        kept = other.pieces.select(at)
        ask = ASKED[of]
        return kept.gather(lambda part: ask(part, rise))


def _covariance(k: int, part: Any) -> Floats:
    """Return the covariance of the coefficients of term k."""
    found: Floats = part.covariances[k]
    return found


def _fixed_bounds(part: Any, rise: float) -> Floats:
    """Return profile bounds of every column, shape ``(P, 2, v)``."""
    away = part.params - part.point(part.inner_theta, np.eye(len(part.params)), False).effect
    bounds = [effect_interval(part, row, rise) for row in np.eye(len(part.params))]
    return np.stack(bounds) + away[:, None]


def _random_bounds(part: Any, rise: float) -> Floats:
    """Return profile bounds of every standard deviation, shape ``(K + 1, 2, v)``."""
    surface: Surface = part
    found = []
    for places, scale in part.deviations:

        def ratio(theta: Floats, places: Any = places, scale: float = scale) -> Floats:
            return scale * np.sqrt((theta[places] ** 2).sum(axis=0))

        zero = np.isin(np.arange(len(part.inner_theta)), places)
        found.append(deviation_interval(surface, ratio, zero, rise))
    one: Callable[[Floats], Floats] = lambda theta: np.ones(theta.shape[1])  # noqa: E731
    none = np.zeros(len(part.inner_theta), dtype=np.bool_)
    return np.stack([*found, deviation_interval(surface, one, none, rise)])


def _correlation_bounds(part: Any, rise: float) -> Floats:
    """Return profile bounds of every correlation, shape ``(R, 2, v)``."""
    return np.stack([correlation_interval(part, pair, rise) for pair in part.pairs])


ASKED = {"fixed": _fixed_bounds, "random": _random_bounds, "correlations": _correlation_bounds}
