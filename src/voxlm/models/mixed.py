"""Several random terms at every voxel: slopes, nested and crossed factors, REML or ML.

Axes: n rows, V voxels, P columns, Q contrast rows, D parameters θ, K variance components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockfit import BlockFit, fit_blocks
from voxlm.kernels.blockforms import block_forms
from voxlm.kernels.randomblocks import BlockSums, reduce_blocks
from voxlm.models.correlationprofile import Pair
from voxlm.models.kenward import kenward_parts
from voxlm.models.kenwardterms import BLOCK, term_basis, term_pieces
from voxlm.models.satterthwaite import joint_df
from voxlm.models.surface import (
    Neighbours,
    Point,
    Tests,
    around,
    observed_share,
    slope,
    uncertainty,
)
from voxlm.models.terms import Layout, RandomTerm, triangle

Floats = NDArray[np.float64]

ROUNDING = 8.0 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class MixedEstimate:
    """A mixed model at every voxel; NaN at voxels that do not vary.

    Parameters
    ----------
    layout : Layout
        The random terms.
    sums : BlockSums
        Statistics of the data: all that is kept of them.
    reml : bool
        Restricted likelihood, or likelihood.
    fit : BlockFit
        The optimum.
    terms : tuple of RandomTerm
        The random terms as they were given.
    tests : {"satterthwaite", "kenward-roger", "hessian"}
        As for :class:`voxlm.models.intercept.InterceptEstimate`.
    log_weights : float
        The sum of the logarithms of prior weights, by whose roots the rows were multiplied.
    """

    layout: Layout
    sums: BlockSums
    reml: bool
    fit: BlockFit
    terms: tuple[RandomTerm, ...] = ()
    tests: Tests = "satterthwaite"
    log_weights: float = 0.0

    @property
    def weight(self) -> float:
        """N: rows, less columns for REML; the divisor of the residual variance."""
        n, P = self.layout.blocks.X.shape
        return float(n - self.reml * P)

    @cached_property
    def params(self) -> Floats:
        """Fixed effects, shape ``(P, V)``."""
        blocks = self.layout.blocks
        step = self.fit.solution[blocks.links.shape[0] :]
        return self.sums.level(blocks) + blocks.Rinv @ step

    @property
    def scale(self) -> Floats:
        """Residual variance, shape ``(V,)``."""
        return self.fit.quadratic / self.weight

    @cached_property
    def theta(self) -> Floats:
        """lme4's θ, term by term in the order of the formula, shape ``(D, V)``."""
        theta = self.fit.theta * self.layout.scale[:, None]
        signs = np.ones_like(theta)
        for k, places in enumerate(self.layout.theta):
            _, column = self.layout.places(k)
            for b in range(self.layout.widths[k]):
                inside = places[column == b]
                signs[inside] = np.where(theta[inside[0]] < 0, -1.0, 1.0)
        return theta * signs

    @cached_property
    def covariances(self) -> list[Floats]:
        """Covariance matrix of each term's coefficients, term by term, ``(q, q, V)``."""
        found = []
        for k, places in enumerate(self.layout.theta):
            q = self.layout.widths[k]
            root = np.zeros((q, q, self.theta.shape[1]))
            root[self.layout.places(k)] = self.theta[places]
            found.append(np.einsum("abv,cbv->acv", root, root) * self.scale)
        return found

    @property
    def components(self) -> Floats:
        """Variances of the random coefficients, term by term, shape ``(K, V)``."""
        return np.concatenate([np.einsum("aav->av", cov) for cov in self.covariances])

    @property
    def deviance(self) -> Floats:
        """−2 log L, or −2 log REML, as lme4 counts it, shape ``(V,)``."""
        N = self.weight
        with np.errstate(divide="ignore"):
            value = N * (1.0 + np.log(2.0 * np.pi * self.scale)) + self.fit.random_det
        value = value - self.log_weights
        if not self.reml:
            return value
        known = 2.0 * np.log(np.abs(np.diag(self.layout.blocks.R))).sum()
        return value + self.fit.fixed_det + known

    @property
    def n_parameters(self) -> int:
        """Fixed effects, θ and residual variance."""
        return self.layout.blocks.X.shape[1] + self.layout.blocks.n_theta + 1

    @property
    def nobs(self) -> int:
        """Rows used, n."""
        return self.layout.blocks.X.shape[0]

    @property
    def df_resid(self) -> float:
        """Rows less columns."""
        n, P = self.layout.blocks.X.shape
        return float(n - P)

    @property
    def gain(self) -> Floats:
        """How far Newton's step could still lower the deviance, shape ``(V,)``."""
        return self.fit.gain

    @property
    def curvature(self) -> Floats:
        """Least eigenvalue of the Hessian in θ over the largest, shape ``(V,)``."""
        return self.fit.curvature

    @property
    def restarts(self) -> NDArray[np.int64]:
        """How often the search began again elsewhere, shape ``(V,)``."""
        return self.fit.restarts

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the optimum was reached, shape ``(V,)``."""
        return self.fit.converged

    @property
    def singular(self) -> NDArray[np.bool_]:
        """Whether a standard deviation in θ is exactly 0, shape ``(V,)``."""
        return np.asarray((self.fit.theta[self.layout.blocks.diagonal] == 0.0).any(axis=0))

    @property
    def inner_theta(self) -> Floats:
        """θ of the scaled columns, shape ``(D, V)``."""
        return self.fit.theta

    def point(self, theta: Floats, C: Floats, joint: bool = True) -> Point:
        """Evaluate at other θ of the scaled columns."""
        return self.points([theta], C, joint)[0]

    def points(self, thetas: Sequence[Floats], C: Floats, joint: bool = True) -> list[Point]:
        """Evaluate at several θ of the scaled columns."""
        return [
            Point(f.effect, f.form, f.quadratic, f.random_det, f.fixed_det)
            for f in block_forms(self.layout.blocks, self.sums, self._rows(C), thetas, joint)
        ]

    @property
    def deviations(self) -> list[tuple[NDArray[np.int64], float]]:
        """For every random coefficient: the θ of its row of Λ, and what to scale their norm by."""
        found = []
        for k, places in enumerate(self.layout.theta):
            row = self.layout.places(k)[0]
            for a in range(self.layout.widths[k]):
                found.append((places[row == a], float(self.layout.scale[places[row == a][0]])))
        return found

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of random coefficients that are correlated, term by term."""
        found = []
        for k, theta in enumerate(self.layout.theta):
            width, (rows, columns) = self.layout.widths[k], self.layout.places(k)
            for a, b in combinations(range(width), 2):
                rest = [c for c in range(width) if c not in (a, b)]
                found.append(Pair(theta, rows, columns, width, (a, b, *rest)))
        return found

    def select(self, voxels: NDArray[np.int64]) -> MixedEstimate:
        """Return the fit of some voxels."""
        s, f = self.sums, self.fit
        sums = BlockSums(*(getattr(s, at.name)[..., voxels] for at in fields(s)))
        return replace(
            self, sums=sums, fit=BlockFit(*(getattr(f, at.name)[..., voxels] for at in fields(f)))
        )

    def _rows(self, C: Floats) -> Floats:
        """Let a row of one zero stand for no contrast at all."""
        P = self.layout.blocks.X.shape[1]
        return C if C.shape[1] == P else np.zeros((1, P))

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the GLS covariance of ``C b``, shape ``(Q, Q, V)``."""
        return self.point(self.fit.theta, C).form * self.scale

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        form = self.point(self.fit.theta, np.eye(self.params.shape[0]), False).form
        return np.sqrt(form * self.scale)

    def test_parts(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the covariance of ``C b``, ``(Q, Q, V)``, and its degrees of freedom, ``(V,)``."""
        if self.tests == "kenward-roger":
            return self._kenward(C)
        cov, df = self._satterthwaite(C)
        return (cov + observed_share(self, C) if self.tests == "hessian" else cov), df

    def _satterthwaite(self, C: Floats) -> tuple[Floats, Floats]:
        near = around(self, C)
        form = near.at.form
        steep = [slope([p.form for p in four]) * self.scale for four in near.along]
        cov, single = form * self.scale, partial(_single, self._columns[2])
        return cov, joint_df(cov, np.stack([*steep, form]), single)

    def _kenward(self, C: Floats) -> tuple[Floats, Floats]:
        """Return Kenward and Roger's covariance and degrees of freedom."""
        basis = term_basis(self.layout, self.terms)
        parts = [
            cov[a, b]
            for cov, width in zip(self.covariances, self.layout.widths, strict=True)
            for b, a in triangle(width)
        ]
        sigma, rows = np.stack(parts) / self.scale, C @ self.layout.blocks.Rinv
        return kenward_parts(rows, sigma, self.scale, partial(term_pieces, basis), BLOCK)

    def each(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the variance of every row of ``C b`` and its df, each ``(Q, V)``."""
        if self.tests != "satterthwaite":
            asked = [self.test_parts(row[None]) for row in C]
            return np.stack([cov[0, 0] for cov, _ in asked]), np.stack([df for _, df in asked])
        if np.array_equal(C, np.eye(C.shape[1])):
            return self._columns[:2]
        return _each(around(self, C, False), self.scale, self._columns[2])

    @cached_property
    def _columns(self) -> tuple[Floats, Floats, Floats]:
        """Variance and df of every column, and the covariance of θ and σ²."""
        near = around(self, np.eye(self.params.shape[0]), False)
        spread = uncertainty(self, near)
        return *_each(near, self.scale, spread), spread

    def modes(self, data: NDArray[Any] | None = None) -> list[Floats]:
        """Return the conditional modes, term by term, each ``(groups, q, V)``."""
        del data  # the statistics kept are enough
        blocks, layout = self.layout.blocks, self.layout
        T = blocks.links.shape[0]
        solution = self.fit.solution.copy()
        solution[:T] = 0.0
        for t, o in zip(*np.nonzero(blocks.links >= 0), strict=True):
            solution[t + o] += self.fit.theta[blocks.links[t, o]] * self.fit.solution[t]
        inner = self._inner_modes(solution)
        found = []
        for k, first in enumerate(layout.first):
            width, count = layout.widths[k], layout.levels[k].size
            scale = layout.scale[layout.theta[k][:width]]
            if k in layout.main:
                found.append(inner[:, first : first + width] * scale[None, :, None])
            else:
                some = solution[first : first + count * width].reshape(count, width, -1)
                found.append(some * scale[None, :, None])
        return found

    def _inner_modes(self, solution: Floats) -> Floats:
        """Return the modes of the main factor, ``(m, q, V)``, given the others' and the step."""
        blocks = self.layout.blocks
        q, m, V = blocks.Z.shape[1], blocks.kind_of.size, solution.shape[1]
        root = np.zeros((V, q, q))
        for a, b in zip(*np.tril_indices(q), strict=True):
            if blocks.places[a, b] >= 0:
                root[:, a, b] = self.fit.theta[blocks.places[a, b]]
        left = (self.sums.inner - blocks.meets.T @ solution).reshape(m, q, V)
        inner = np.empty((m, q, V))
        for k, gram in enumerate(blocks.kinds):
            small = np.eye(q) + np.swapaxes(root, 1, 2) @ gram @ root
            middle = root @ np.linalg.solve(small, np.swapaxes(root, 1, 2))
            some = blocks.kind_of == k
            inner[some] = np.einsum("vab,mbv->mav", middle, left[some], optimize=True)
        return inner

    def refit(self, reml: bool) -> MixedEstimate:
        """Return the REML or ML fit, from the statistics kept."""
        if reml == self.reml:
            return self
        found = solve_mixed(self.layout, self.sums, reml, self.terms)
        # Kenward and Roger's adjustment is of REML
        kept = self.tests if self.tests == "hessian" else "satterthwaite"
        return replace(found, tests=kept, log_weights=self.log_weights)


def _each(near: Neighbours, scale: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return the variance of every row and its df, from what is around the optimum."""
    form = near.at.form
    steep = [slope([p.form for p in four]) * scale for four in near.along]
    slopes = np.stack([*steep, form])
    df = [_single(spread, form[q] * scale, slopes[:, q]) for q in range(form.shape[0])]
    return form * scale, np.stack(df)


def _single(spread: Floats, variance: Floats, steep: Floats) -> Floats:
    """Return 2 f² / Var(f) for a variance f with its slopes in θ and σ²."""
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.einsum("dv,dev,ev->v", steep, spread, steep, optimize=True)
        return 2.0 * variance**2 / across


def fit_mixed(
    layout: Layout, data: NDArray[Any], reml: bool = True, terms: Sequence[RandomTerm] = ()
) -> MixedEstimate:
    """Fit several random terms at every voxel.

    Parameters
    ----------
    layout : Layout
        From :func:`voxlm.models.terms.lay_out`.
    data : ndarray, shape (n, V)
        Maps.
    reml : bool
        Restricted likelihood, or likelihood.
    terms : sequence of RandomTerm
        The terms, for Kenward and Roger's tests.

    Returns
    -------
    MixedEstimate

    Notes
    -----
    Equal to ``lme4::lmer`` at its optimum.
    """
    return solve_mixed(layout, reduce_blocks(layout.blocks, data), reml, terms)


def solve_mixed(
    layout: Layout, sums: BlockSums, reml: bool, terms: Sequence[RandomTerm] = ()
) -> MixedEstimate:
    """Fit several random terms from statistics kept."""
    n = layout.blocks.X.shape[0]
    level = sums.shift
    if layout.blocks.constant is not None:
        level = level + layout.blocks.X.mean(axis=0) @ sums.start
    with np.errstate(invalid="ignore"):
        floor = ROUNDING**2 * (n * level**2 + sums.spread)
        rss = np.where(sums.rss <= floor, np.nan, sums.rss)
    known = BlockSums(sums.start, sums.inner, sums.outer, rss, sums.spread, sums.shift)
    return MixedEstimate(layout, known, reml, fit_blocks(layout.blocks, known, reml), tuple(terms))
