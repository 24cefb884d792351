"""Random-field theory: family-wise p of peaks and clusters, from smoothness alone.

A map is taken as a lattice sample of a smooth field of t, F, z or chi-squared statistics. The
expected Euler characteristic of what lies above a high threshold is nearly the chance of anything
lying there (Worsley et al., 1996); sizes of clusters follow from the expected volume of one
(Friston et al., 1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from voxlm.errors import VoxlmError
from voxlm.inference.roughness import FOUR_LOG_TWO, Roughness
from voxlm.kernels.tails import f_log_sf, t_log_sf

Array = NDArray[np.float64]

# Beyond this df a t is a z, and an F over its df a chi-squared, to the digits of the densities.
NORMAL_DF = 1e9
# Where a threshold is looked for at first.
HIGHEST = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class RandomField:
    """A statistic's field over a region, from which family-wise p follow.

    Parameters
    ----------
    roughness : Roughness
        Smoothness and resels.
    kind : {"t", "F"}
        The statistic; with infinite ``df`` a z, or a chi-squared over its degrees of freedom.
    df : float
        Residual degrees of freedom.
    df_num : int
        Numerator degrees of freedom of F.
    two_sided : bool
        Whether both signs count; p are then doubled before they are bounded by 1.

    Examples
    --------
    >>> where = Roughness(np.full(3, 4.0), np.array([1.0, 15.0, 80.0, 150.0]), 9600, 8800)
    >>> field = RandomField(where, "t", 28.0, 1, two_sided=False)
    >>> round(field.threshold(0.05), 2), field.peak_p([5.0]).round(3)
    (5.24, array([0.083]))
    """

    roughness: Roughness
    kind: Literal["t", "F"]
    df: float
    df_num: int
    two_sided: bool

    def __post_init__(self) -> None:
        if self.kind == "F" and not self.df + self.df_num > 3:
            raise VoxlmError(
                f"random-field theory of an F({self.df_num}, {self.df:g}) needs degrees of freedom "
                "that add up to more than 3: use permutation"
            )

    @property
    def sides(self) -> int:
        """2 where both signs of a t count, else 1."""
        return 2 if self.two_sided and self.kind == "t" else 1

    def expected(self, height: ArrayLike) -> Array:
        """Return the expected Euler characteristic above a height, both signs where they count."""
        found = euler_densities(self.kind, np.asarray(height, np.float64), self.df, self.df_num)
        return self.sides * np.tensordot(self.roughness.resels, found, axes=1)

    def peak_p(self, height: ArrayLike) -> Array:
        """Return the family-wise p of peaks: the chance that anything reaches so high.

        The smaller of random-field theory's and Bonferroni's, both being bounds, as in SPM.
        """
        size = np.asarray(height, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            found = -np.expm1(-np.maximum(self.expected(size), 0.0))
        # Below its mode the expected characteristic falls again; the chance does not.
        found = np.where(size < self._mode(), 1.0, found)
        return np.minimum(found, np.minimum(self._bonferroni(size), 1.0))

    def _bonferroni(self, height: Array) -> Array:
        tail = euler_densities(self.kind, height, self.df, self.df_num)[0]
        return np.asarray(self.sides * self.roughness.n_voxels * tail)

    def _mode(self) -> float:
        """Return the height from which the expected characteristic only falls."""
        grid = np.linspace(0.0, 30.0, 3001)
        return float(grid[np.argmax(self.expected(grid))])

    def threshold(self, alpha: float) -> float:
        """Return the height that peaks exceed by chance with probability ``alpha``."""
        high = HIGHEST
        while self.peak_p(high) > alpha:
            high *= 10.0
        return float(optimize.brentq(lambda u: float(self.peak_p(u)) - alpha, 0.0, high))

    def clusters(self, forming: float) -> tuple[float, float]:
        """Return the expected number of clusters above a height, and voxels in each."""
        number = float(self.expected(forming))
        highest = int(np.flatnonzero(self.roughness.resels > 0).max())
        found = euler_densities(self.kind, np.asarray(forming), self.df, self.df_num)
        size = found[0] / found[highest] * self.roughness.voxels_per_resel
        return number, float(size)

    def cluster_p(self, size: ArrayLike, forming: float) -> Array:
        """Return the family-wise p of clusters of so many voxels above a height.

        Parameters
        ----------
        size : array_like
            Voxels.
        forming : float
            The cluster-forming threshold, in units of the statistic.

        Notes
        -----
        Sizes to the power 2 / D are exponential, with the mean that random-field theory gives; the
        number of clusters is Poisson (Friston et al., 1994; Cao, 1999, gives other exponents for t
        and F, which SPM and this do not use). Degrees of freedom enter through the densities.
        """
        D = int(np.flatnonzero(self.roughness.resels > 0).max())
        number, mean = self.clusters(forming)
        if not (mean > 0 and number > 0):
            raise VoxlmError(
                f"{forming:g} is too low a height to form clusters by random-field theory: give a "
                "smaller forming_p"
            )
        beta = (special.gamma(D / 2 + 1) / mean) ** (2 / D)
        reach = np.exp(-beta * np.asarray(size, dtype=np.float64) ** (2 / D))
        return -np.expm1(-number * reach)

    def extent(self, alpha: float, forming: float) -> float:
        """Return the voxels that a cluster exceeds by chance with probability ``alpha``."""
        D = int(np.flatnonzero(self.roughness.resels > 0).max())
        number, mean = self.clusters(forming)
        share = -np.log1p(-alpha) / number
        if share >= 1:
            return 0.0
        return float((-np.log(share)) ** (D / 2) * mean / special.gamma(D / 2 + 1))

    def __str__(self) -> str:
        r = self.roughness
        width = " × ".join(f"{w:.3g}" for w in r.fwhm)
        shown = ", ".join(f"{x:.4g}" for x in r.resels)
        return f"{r.n_voxels:,} voxels, FWHM {width} voxels, resels {shown}"


def euler_densities(kind: str, height: Array, df: float, df_num: int = 1) -> Array:
    """Return the Euler characteristic densities of dimension 0 to 3, shape ``(4, …)``.

    Parameters
    ----------
    kind : {"t", "F"}
        The field.
    height : ndarray
        Thresholds, positive.
    df : float
        Residual degrees of freedom; infinite for z and chi-squared over ``df_num``.
    df_num : int
        Of an F.

    Notes
    -----
    Worsley et al. (1996), table 1, in resels.

    Examples
    --------
    >>> euler_densities("t", np.array(3.0), np.inf).round(6)
    array([0.00135 , 0.002944, 0.005867, 0.010393])
    """
    make = _of_t if kind == "t" else _of_f
    return make(np.asarray(height, dtype=np.float64), df, df_num)


def _of_t(t: Array, v: float, df_num: int) -> Array:
    del df_num
    a, turn = FOUR_LOG_TWO, 2.0 * np.pi
    normal = v > NORMAL_DF
    body = np.exp(-0.5 * t * t) if normal else np.exp(0.5 * (1 - v) * np.log1p(t * t / v))
    lift = 1.0
    if not normal:
        lift = np.exp(special.gammaln((v + 1) / 2) - special.gammaln(v / 2)) / np.sqrt(v / 2)
    curve = t * t - 1 if normal else (v - 1) * t * t / v - 1
    tail = np.exp(t_log_sf(np.atleast_1d(t), v)).reshape(np.shape(t))
    return np.array(
        [
            tail,
            a**0.5 / turn * body,
            a / turn**1.5 * lift * t * body,
            a**1.5 / turn**2 * curve * body,
        ]
    )


def _of_f(f: Array, v: float, k: int) -> Array:
    a, turn = FOUR_LOG_TWO, 2.0 * np.pi
    x = np.maximum(k * f, 1e-300)
    tail = np.exp(f_log_sf(np.atleast_1d(f), float(k), v)).reshape(np.shape(f))
    if v > NORMAL_DF:
        log_body = -0.5 * x - (k - 2) / 2 * np.log(2.0) - special.gammaln(k / 2)
        powers = [np.exp(log_body + (k - d) / 2 * np.log(x)) for d in (1, 2, 3)]
        curve = [1.0, x - (k - 1), x * x - (2 * k - 1) * x + (k - 1) * (k - 2)]
    else:
        r = x / v
        log_body = -(v + k - 2) / 2 * np.log1p(r) - special.gammaln(v / 2) - special.gammaln(k / 2)
        gammas = [special.gammaln((v + k - d) / 2) + (2 - d) / 2 * np.log(2.0) for d in (1, 2, 3)]
        powers = [
            np.exp(log_body + g + (k - d) / 2 * np.log(r))
            for d, g in zip((1, 2, 3), gammas, strict=True)
        ]
        curve = [
            1.0,
            (v - 1) * r - (k - 1),
            (v - 1) * (v - 2) * r * r - (2 * v * k - v - k - 1) * r + (k - 1) * (k - 2),
        ]
    lifted = [
        (a / turn) ** (d / 2) * c * p for d, c, p in zip((1, 2, 3), curve, powers, strict=True)
    ]
    return np.array([tail, *lifted])
