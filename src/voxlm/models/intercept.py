"""A random intercept at every voxel: ``X b + (1 | group)``, REML or ML.

Axes: n rows, m groups, V voxels, P columns, Q contrast rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.groupsums import GroupSums, reduce_groups
from voxlm.kernels.profile import Curvature, Profile, curvature, profile_ratio
from voxlm.kernels.randomintercept import InterceptBasis, group_sums
from voxlm.kernels.shrunk import shrunk_forms, shrunk_step
from voxlm.kernels.threads import over_blocks
from voxlm.models.correlationprofile import Pair
from voxlm.models.kenward import intercept_pieces, kenward_parts
from voxlm.models.satterthwaite import joint_df
from voxlm.models.surface import Point, Tests, observed_share

Floats = NDArray[np.float64]

BLOCK = 4096
# A spread below a few units in the last place of the level is rounding, not signal.
ROUNDING = 8.0 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class InterceptEstimate:
    """A random-intercept model at every voxel; NaN at voxels that do not vary.

    Parameters
    ----------
    basis : InterceptBasis
        Design-only products.
    sums : GroupSums
        Statistics of the data: all that is kept of them.
    reml : bool
        Restricted likelihood, or likelihood.
    profile : Profile
        The variance ratio, and the deviance's parts there.
    step : ndarray, shape (P, V)
        From least squares to GLS in the orthonormal basis.
    tests : {"satterthwaite", "kenward-roger", "hessian"}
        How contrasts are tested; ``hessian`` is Satterthwaite's df beside the covariance of the
        joint observed information.
    """

    basis: InterceptBasis
    sums: GroupSums
    reml: bool
    profile: Profile
    step: Floats
    tests: Tests = "satterthwaite"

    @property
    def weight(self) -> float:
        """N: rows, less columns for REML; the divisor of the residual variance."""
        return float(self.basis.n_rows - self.reml * self.basis.n_columns)

    @cached_property
    def params(self) -> Floats:
        """Fixed effects, shape ``(P, V)``."""
        return self.sums.level(self.basis) + self.basis.Rinv @ self.step

    @property
    def ratio(self) -> Floats:
        """Variance of the intercept over that of the residual, shape ``(V,)``."""
        return self.profile.ratio

    @property
    def theta(self) -> Floats:
        """Its root, lme4's θ, shape ``(1, V)``."""
        return np.sqrt(self.ratio)[None]

    @property
    def scale(self) -> Floats:
        """Residual variance, shape ``(V,)``."""
        return self.profile.quadratic / self.weight

    @property
    def components(self) -> Floats:
        """Variance of the random intercept, shape ``(1, V)``."""
        return (self.ratio * self.scale)[None]

    @property
    def deviance(self) -> Floats:
        """−2 log L, or −2 log REML, as lme4 counts it, shape ``(V,)``."""
        N = self.weight
        with np.errstate(divide="ignore"):
            value = N * (1.0 + np.log(2.0 * np.pi * self.scale)) + self.profile.log_det
        return value + self.reml * self.basis.log_det

    @property
    def n_parameters(self) -> int:
        """Fixed effects, variance ratio and residual variance."""
        return self.basis.n_columns + 2

    @property
    def nobs(self) -> int:
        """Rows used, n."""
        return self.basis.n_rows

    @property
    def df_resid(self) -> float:
        """Rows less columns."""
        return float(self.basis.n_rows - self.basis.n_columns)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the minimum was reached, shape ``(V,)``."""
        return self.profile.converged

    @property
    def singular(self) -> NDArray[np.bool_]:
        """Whether the variance of the intercept is exactly 0, shape ``(V,)``."""
        return self.ratio == 0.0

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the GLS covariance of ``C b``, shape ``(Q, Q, V)``."""
        return shrunk_forms(self.basis, C, self.ratio)[0] * self.scale

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        return np.sqrt(np.einsum("ppv->pv", self.vcov(np.eye(self.basis.n_columns))))

    def df(self, C: Floats) -> Floats:
        """Return Satterthwaite's degrees of freedom of the test of the rows of C, ``(V,)``."""
        return self.test_parts(C)[1]

    def test_parts(self, C: Floats) -> tuple[Floats, Floats]:
        """Return the covariance of ``C b``, ``(Q, Q, V)``, and its degrees of freedom, ``(V,)``."""
        if self.tests == "kenward-roger":
            rows, pieces = C @ self.basis.Rinv, partial(intercept_pieces, self.basis)
            return kenward_parts(rows, self.theta, self.scale, pieces, BLOCK)
        cov, df = self._satterthwaite(C)
        return (cov + observed_share(self, C) if self.tests == "hessian" else cov), df

    def _satterthwaite(self, C: Floats) -> tuple[Floats, Floats]:
        """Return GLS covariance and Satterthwaite's degrees of freedom.

        The variance of a row is a function of λ and σ²; its own variance comes from the observed
        information about them. With λ exactly 0 only σ² is uncertain, and df is N.
        """
        form, slope = shrunk_forms(self.basis, C, self.ratio)
        cov = form * self.scale
        by_ratio, by_scale = slope * self.scale, form
        return cov, joint_df(cov, np.stack([by_ratio, by_scale]), self._single)

    @property
    def inner_theta(self) -> Floats:
        """θ, shape ``(1, V)``."""
        return self.theta

    def points(self, thetas: Sequence[Floats], C: Floats, joint: bool = True) -> list[Point]:
        """Evaluate at several θ, each of shape ``(1, V)``."""
        return [self.point(theta, C, joint) for theta in thetas]

    def point(self, theta: Floats, C: Floats, joint: bool = True) -> Point:
        """Evaluate at other θ, shape ``(1, V)``."""
        ratio = theta[0] ** 2
        rows = C if C.shape[1] == self.basis.n_columns else np.zeros((1, self.basis.n_columns))
        form = shrunk_forms(self.basis, rows, ratio)[0]
        d, T, rss0 = _quadratic_terms(self.basis, self.sums)
        quadratic = rss0 + sum(t / (1.0 + ratio * at) for at, t in zip(d, T, strict=True))
        dets = []
        for reml in (False, True):
            e, counts = _determinant_terms(self.basis, reml)
            dets.append(sum(c * np.log1p(ratio * at) for at, c in zip(e, counts, strict=True)))
        step = rows @ self.basis.Rinv @ shrunk_step(self.basis, self.sums, ratio)
        form = form if joint else np.einsum("qqv->qv", form)
        return Point(step, form, quadratic, dets[0], dets[1] - dets[0])

    @property
    def deviations(self) -> list[tuple[NDArray[np.int64], float]]:
        """For the one random coefficient: its θ, and what to scale it by."""
        return [(np.zeros(1, dtype=np.int64), 1.0)]

    @property
    def pairs(self) -> list[Pair]:
        """None: one coefficient is correlated with nothing."""
        return []

    def select(self, voxels: NDArray[np.int64]) -> InterceptEstimate:
        """Return the fit of some voxels."""
        s, f = self.sums, self.profile
        sums = GroupSums(*(getattr(s, at.name)[..., voxels] for at in fields(s)))
        profile = Profile(*(getattr(f, at.name)[..., voxels] for at in fields(f)))
        return replace(self, sums=sums, profile=profile, step=self.step[:, voxels])

    @property
    def covariances(self) -> list[Floats]:
        """Variance of the intercept as a matrix, ``[(1, 1, V)]``."""
        return [self.components[None]]

    @cached_property
    def _certificate(self) -> tuple[Floats, Floats]:
        at, N, lam = self._curvature, self.weight, self.ratio
        relative = at.fall / self.profile.quadratic
        e, counts = _determinant_terms(self.basis, self.reml)
        slope = N * relative + sum(c * x / (1.0 + lam * x) for x, c in zip(e, counts, strict=True))
        bend = N * (at.bend / self.profile.quadratic - relative**2) + at.log_det_bend
        gradient, curved = lam * slope, lam * (slope + lam * bend)
        inside = ~self.singular
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(inside, 0.5 * gradient**2 / np.abs(curved), 0.0)
        return gain, np.where(inside, curved, 2.0 * slope)

    @property
    def gain(self) -> Floats:
        """How far Newton's step could still lower the deviance, shape ``(V,)``."""
        return self._certificate[0]

    @property
    def curvature(self) -> Floats:
        """Curvature in log λ; where λ is 0, twice the slope there; shape ``(V,)``."""
        return self._certificate[1]

    @property
    def restarts(self) -> NDArray[np.int64]:
        """None: a grid over all λ finds the valley of the minimum, shape ``(V,)``."""
        return np.zeros(self.ratio.size, dtype=np.int64)

    def _single(self, variance: Floats, steep: Floats) -> Floats:
        """Return 2 f² / Var(f) for a variance f with its slopes in λ and σ²."""
        s2, N, bend = self.scale, self.weight, self._curvature
        ll = bend.log_det_bend + bend.bend / s2
        ls = -bend.fall / s2**2
        ss = N / s2**2
        with np.errstate(divide="ignore", invalid="ignore"):
            det = ll * ss - ls**2
            spread = (ss * steep[0] ** 2 - 2 * ls * steep[0] * steep[1] + ll * steep[1] ** 2) / det
            nu = variance**2 / spread
        return np.where(self.singular, N, nu)

    @cached_property
    def _curvature(self) -> Curvature:
        d, T, _ = _quadratic_terms(self.basis, self.sums)
        e, counts = _determinant_terms(self.basis, self.reml)
        return curvature(d, T, e, counts, self.ratio)

    def modes(self, data: NDArray[Any]) -> Floats:
        """Return the conditional modes (BLUPs) of the groups, shape ``(m, V)``.

        Parameters
        ----------
        data : ndarray, shape (n, V)
            The maps that were fitted: groups are not among the statistics kept.
        """
        basis = self.basis
        rows = np.asarray(data, dtype=np.float64)
        if basis.constant is not None:
            # Residuals of data less a level keep their digits on a large baseline.
            rows = rows - self.sums.shift
        start = self.params - self.sums.level(basis) + self.sums.start
        s = group_sums(rows - basis.X @ start, basis.groups, basis.n_groups)
        return s * self.shrinkage()

    def shrinkage(self) -> Floats:
        """Return ``λ / (1 + λ n_i)``, shape ``(m, V)``: from group sums to modes."""
        size = basis_sizes(self.basis)
        return self.ratio / (1.0 + np.outer(size, self.ratio))

    def refit(self, reml: bool) -> InterceptEstimate:
        """Return the REML or ML fit, from the statistics kept."""
        if reml == self.reml:
            return self
        found = solve_intercept(self.basis, self.sums, reml)
        # Kenward and Roger's adjustment is of REML
        kept = self.tests if self.tests == "hessian" else "satterthwaite"
        return replace(found, tests=kept)


def basis_sizes(basis: InterceptBasis) -> Floats:
    """Return the rows of each group, shape ``(m,)``."""
    return basis.sizes[basis.class_of]


def fit_intercept(
    basis: InterceptBasis, data: NDArray[Any], reml: bool = True
) -> InterceptEstimate:
    """Fit a random intercept at every voxel.

    Parameters
    ----------
    basis : InterceptBasis
        Design-only products.
    data : ndarray, shape (n, V)
        Maps.
    reml : bool
        Restricted likelihood, or likelihood.

    Returns
    -------
    InterceptEstimate

    Notes
    -----
    Equal to ``lme4::lmer(y ~ X + (1 | group))`` at its optimum; the optimum is the global one of
    the profiled deviance, and a variance of zero is exactly zero.

    Examples
    --------
    >>> from voxlm.kernels.randomintercept import intercept_basis
    >>> basis = intercept_basis(np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> fit = fit_intercept(basis, np.array([[1.0], [2.0], [5.0], [8.0]]))
    >>> fit.params, fit.scale, fit.components, fit.df(np.ones((1, 1)))
    (array([[4.]]), array([2.5]), array([[11.25]]), array([1.]))
    """
    return solve_intercept(basis, reduce_groups(basis, data), reml)


def solve_intercept(basis: InterceptBasis, sums: GroupSums, reml: bool) -> InterceptEstimate:
    """Fit a random intercept from statistics kept."""
    d, T, rss0 = _quadratic_terms(basis, sums)
    e, counts = _determinant_terms(basis, reml)
    level = sums.shift + (0.0 if basis.constant is None else basis.X.mean(axis=0) @ sums.start)
    with np.errstate(invalid="ignore"):
        flat = sums.spread <= basis.n_rows * (ROUNDING * level) ** 2
        exact = sums.rss <= ROUNDING**2 * (basis.n_rows * level**2 + sums.spread)
    rss0 = np.where(flat | exact, np.nan, rss0)
    weight = float(basis.n_rows - reml * basis.n_columns)
    profile = profile_ratio(d, T, rss0, e, counts, weight, float(basis.sizes.mean()))
    return InterceptEstimate(basis, sums, reml, profile, shrunk_step(basis, sums, profile.ratio))


def _quadratic_terms(basis: InterceptBasis, sums: GroupSums) -> tuple[Floats, Floats, Floats]:
    """Return eigenvalues, their energies and what no λ explains: the terms of Q."""
    d, count = basis.roots
    kept = np.flatnonzero(count > 0)
    T = np.empty((kept.size, sums.n_voxels))

    @np.errstate(invalid="ignore", over="ignore")
    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        special = basis.turn @ sums.special[:, here]
        energy = np.concatenate([special**2, sums.rest[:, here]])
        T[:, here] = energy[kept] / d[kept, None]

    over_blocks(sums.n_voxels, BLOCK, work)
    rss0 = np.maximum(sums.rss - T.sum(axis=0), 0.0)
    return d[kept], T, np.where(np.isfinite(sums.rss), rss0, np.nan)


def _determinant_terms(basis: InterceptBasis, reml: bool) -> tuple[Floats, Floats]:
    """Return eigenvalues and multiplicities of the log determinant."""
    if not reml:
        return basis.sizes, basis.members
    d, count = basis.roots
    return d[count > 0], count[count > 0]
