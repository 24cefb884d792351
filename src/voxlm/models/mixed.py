"""Several random terms at every voxel: slopes, nested and crossed factors, REML or ML.

Axes: n rows, V voxels, P columns, Q contrast rows, D parameters θ, K variance components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockfit import BlockFit, block_forms, fit_blocks
from voxlm.kernels.randomblocks import BlockSums, reduce_blocks
from voxlm.models.satterthwaite import joint_df
from voxlm.models.terms import Layout

Floats = NDArray[np.float64]

ROUNDING = 8.0 * np.finfo(np.float64).eps
# Step of θ for derivatives: what is cut off is of its fourth power, after extrapolation.
STEP = 4e-3


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
    """

    layout: Layout
    sums: BlockSums
    reml: bool
    fit: BlockFit

    @property
    def weight(self) -> float:
        """N: rows, less columns for REML; the divisor of the residual variance."""
        n, P = self.layout.blocks.X.shape
        return float(n - self.reml * P)

    @cached_property
    def params(self) -> Floats:
        """Fixed effects, shape ``(P, V)``."""
        blocks = self.layout.blocks
        step = self.fit.solution[blocks.others.shape[1] :]
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
        for places, q in self._triangles():
            at = 0
            for b in range(q):
                column = places[at : at + q - b]
                signs[column] = np.where(theta[column[0]] < 0, -1.0, 1.0)
                at += q - b
        return theta * signs

    def _triangles(self) -> list[tuple[NDArray[np.int64], int]]:
        return [
            (places, int((np.sqrt(8 * places.size + 1) - 1) / 2)) for places in self.layout.theta
        ]

    @property
    def components(self) -> Floats:
        """Variances of the random coefficients, term by term, shape ``(K, V)``."""
        rows = []
        for places, q in self._triangles():
            root = np.zeros((q, q, self.theta.shape[1]))
            root[tuple(zip(*[(a, b) for b in range(q) for a in range(b, q)], strict=True))] = (
                self.theta[places]
            )
            rows += [np.einsum("bv,bv->v", root[a], root[a]) for a in range(q)]
        return np.stack(rows) * self.scale

    @property
    def deviance(self) -> Floats:
        """−2 log L, or −2 log REML, as lme4 counts it, shape ``(V,)``."""
        N = self.weight
        with np.errstate(divide="ignore"):
            value = N * (1.0 + np.log(2.0 * np.pi * self.scale)) + self.fit.random_det
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
    def converged(self) -> NDArray[np.bool_]:
        """Whether the optimum was reached, shape ``(V,)``."""
        return self.fit.converged

    @property
    def singular(self) -> NDArray[np.bool_]:
        """Whether a standard deviation in θ is exactly 0, shape ``(V,)``."""
        return np.asarray((self.fit.theta[self.layout.blocks.diagonal] == 0.0).any(axis=0))

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the GLS covariance of ``C b``, shape ``(Q, Q, V)``."""
        return block_forms(self.layout.blocks, self.sums, C, self.fit.theta)[0] * self.scale

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        return np.sqrt(np.einsum("ppv->pv", self.vcov(np.eye(self.params.shape[0]))))

    def test_parts(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the covariance of ``C b``, ``(Q, Q, V)``, and Satterthwaite's df, ``(V,)``."""
        forms = self._along(C)
        form = block_forms(self.layout.blocks, self.sums, C, self.fit.theta)[0]
        steep = [_slope([f[0] for f in four]) * self.scale for four in forms]
        cov = form * self.scale
        return cov, joint_df(cov, np.stack([*steep, form]), self._single)

    def _along(self, C: Floats) -> list[list[tuple[Floats, ...]]]:
        """Evaluate at one and two steps up and down along every θ."""
        found = []
        for k in range(self.fit.theta.shape[0]):
            four: list[tuple[Floats, ...]] = []
            for size in (STEP, -STEP, 2 * STEP, -2 * STEP):
                theta = self.fit.theta.copy()
                theta[k] += size
                four.append(block_forms(self.layout.blocks, self.sums, C, theta))
            found.append(four)
        return found

    def _single(self, variance: Floats, steep: Floats) -> Floats:
        """Return 2 f² / Var(f) for a variance f with its slopes in θ and σ²."""
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.einsum("dv,dev,ev->v", steep, self._uncertainty, steep, optimize=True)
            return 2.0 * variance**2 / spread

    @cached_property
    def _uncertainty(self) -> Floats:
        """Covariance of θ and σ²: twice the inverse of the deviance's Hessian."""
        D, V = self.fit.theta.shape
        s2, N = self.scale, self.weight
        none = np.zeros((1, self.params.shape[0]))
        at = block_forms(self.layout.blocks, self.sums, none, self.fit.theta)
        along = self._along(none)
        H = np.empty((D + 1, D + 1, V))
        for k in range(D):
            slope, bend = self._parts(along[k], at)
            H[k, k] = bend[0] / s2 + bend[1]
            H[k, D] = H[D, k] = -slope / s2**2
        for k, j in combinations(range(D), 2):
            H[k, j] = H[j, k] = self._mixed(k, j, along, at, none)
        H[D, D] = N / s2**2
        good = np.isfinite(H).all(axis=(0, 1))
        safe = np.moveaxis(np.where(good, H, np.eye(D + 1)[:, :, None]), 2, 0)
        inverse = 2.0 * np.moveaxis(np.linalg.inv(safe), 0, 2)
        return np.where(good, inverse, np.nan)

    def _value(self, parts: tuple[Floats, ...]) -> Floats:
        """Deviance at the fitted σ², up to a constant."""
        return parts[1] / self.scale + parts[2] + self.reml * parts[3]

    def _parts(
        self, four: list[tuple[Floats, ...]], at: tuple[Floats, ...]
    ) -> tuple[Floats, tuple[Floats, Floats]]:
        """Return the slope of Q, and the bends of Q and of the log determinants."""
        slope = _slope([f[1] for f in four])
        det = [f[2] + self.reml * f[3] for f in four]
        return slope, (
            _bend([f[1] for f in four], at[1]),
            _bend(det, at[2] + self.reml * at[3]),
        )

    def _mixed(
        self,
        k: int,
        j: int,
        along: list[list[tuple[Floats, ...]]],
        at: tuple[Floats, ...],
        none: Floats,
    ) -> Floats:
        """Return the mixed derivative in two θ."""
        found = []
        for times in (1, 2):
            h = times * STEP
            total = 2.0 * self._value(at)
            for sign in (1, -1):
                theta = self.fit.theta.copy()
                theta[[k, j]] += sign * h
                both = block_forms(self.layout.blocks, self.sums, none, theta)
                total = total + self._value(both)
            for four in (along[k], along[j]):
                for parts in four[2 * (times - 1) : 2 * times]:
                    total = total - self._value(parts)
            found.append(total / (2.0 * h * h))
        return (4.0 * found[0] - found[1]) / 3.0

    def modes(self, data: NDArray[Any] | None = None) -> list[Floats]:
        """Return the conditional modes, term by term, each ``(groups, q, V)``."""
        del data  # the statistics kept are enough
        blocks, layout = self.layout.blocks, self.layout
        T = blocks.others.shape[1]
        solution = self.fit.solution.copy()
        solution[:T] *= self.fit.theta[blocks.other_theta]
        m, q = blocks.gram.shape[:2]
        V = solution.shape[1]
        root = np.zeros((V, q, q))
        for a in range(q):
            for b in range(a + 1):
                if blocks.places[a, b] >= 0:
                    root[:, a, b] = self.fit.theta[blocks.places[a, b]]
        inner = np.empty((m, q, V))
        for i in range(m):
            left = self.sums.inner[i * q : (i + 1) * q] - blocks.meets[i] @ solution
            right = np.einsum("vab,av->vb", root, left)
            small = np.eye(q) + np.swapaxes(root, 1, 2) @ blocks.gram[i] @ root
            u = np.linalg.solve(small, right[:, :, None])
            inner[i] = (root @ u)[:, :, 0].T
        found = []
        for k, (first, (_, width)) in enumerate(zip(layout.first, self._triangles(), strict=True)):
            if k in layout.main:
                scale = layout.scale[layout.theta[k][:width]]
                found.append(inner[:, first : first + width] * scale[None, :, None])
            else:
                found.append(solution[first : first + layout.levels[k].size][:, None])
        return found

    def refit(self, reml: bool) -> MixedEstimate:
        """Return the REML or ML fit, from the statistics kept."""
        return self if reml == self.reml else solve_mixed(self.layout, self.sums, reml)


def _slope(four: list[Floats]) -> Floats:
    """Return the derivative from values at h, -h, 2h, -2h."""
    return (8.0 * (four[0] - four[1]) - (four[2] - four[3])) / (12.0 * STEP)


def _bend(four: list[Floats], at: Floats) -> Floats:
    """Return the second derivative from values at h, -h, 2h, -2h and between."""
    return (16.0 * (four[0] + four[1]) - (four[2] + four[3]) - 30.0 * at) / (12.0 * STEP**2)


def fit_mixed(layout: Layout, data: NDArray[Any], reml: bool = True) -> MixedEstimate:
    """Fit several random terms at every voxel.

    Parameters
    ----------
    layout : Layout
        From :func:`voxlm.models.terms.lay_out`.
    data : ndarray, shape (n, V)
        Maps.
    reml : bool
        Restricted likelihood, or likelihood.

    Returns
    -------
    MixedEstimate

    Notes
    -----
    Equal to ``lme4::lmer`` at its optimum.
    """
    return solve_mixed(layout, reduce_blocks(layout.blocks, data), reml)


def solve_mixed(layout: Layout, sums: BlockSums, reml: bool) -> MixedEstimate:
    """Fit several random terms from statistics kept."""
    n = layout.blocks.X.shape[0]
    level = sums.shift
    if layout.blocks.constant is not None:
        level = level + layout.blocks.X.mean(axis=0) @ sums.start
    with np.errstate(invalid="ignore"):
        floor = ROUNDING**2 * (n * level**2 + sums.spread)
        rss = np.where(sums.rss <= floor, np.nan, sums.rss)
    known = BlockSums(sums.start, sums.inner, sums.outer, rss, sums.spread, sums.shift)
    return MixedEstimate(layout, known, reml, fit_blocks(layout.blocks, known, reml))
