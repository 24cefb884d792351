"""Corrections that need the p-values alone: none, Bonferroni, Holm, and false discovery rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.contrasts.statmap import StatMap
from voxlm.errors import VoxlmError, did_you_mean
from voxlm.kernels import tails

Statistic = Literal["t", "z", "F", "p"]
Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Which voxels are significant, and by what rule.

    Parameters
    ----------
    p : ndarray, shape (V,)
        Corrected p; NaN where there was no test.
    significant : ndarray of bool, shape (V,)
        The decision; False where there was no test.
    method : str
        The correction.
    alpha : float
        The level that it holds.
    n_tests : int
        Voxels with a p; NaN voxels are not tests.
    p_threshold : float
        Uncorrected p at or below which a voxel is significant; 0 where none can be.
    threshold : float or ndarray, shape (V,)
        The same in units of the statistic: a voxel at or above it is significant;
        per voxel where df is. Infinite where nothing is significant, NaN where only p is known.
    statistic : {"t", "z", "F", "p"}
        Whose units; of both signs where both count.
    words : str
        The threshold as a sentence.

    Examples
    --------
    >>> d = correct(np.array([0.001, 0.02, 0.04, 0.8, np.nan]), "fdr", alpha=0.05)
    >>> d.significant
    array([ True,  True, False, False, False])
    >>> d.p.round(3)
    array([0.004, 0.04 , 0.053, 0.8  ,   nan])
    >>> d.n_significant, d.n_tests
    (2, 4)
    """

    p: Array
    significant: Bools
    method: str
    alpha: float
    n_tests: int
    p_threshold: float
    threshold: float | Array
    statistic: Statistic
    words: str

    @property
    def n_significant(self) -> int:
        """Number of significant voxels."""
        return int(self.significant.sum())

    def told(self, unit: str = "voxels") -> str:
        """Say how many are significant, by what rule; ``unit`` is what a test is of."""
        return f"{self.n_significant:,} of {self.n_tests:,} {unit} significant: {self.words}"

    def __str__(self) -> str:
        return self.told()


class Corrected(NamedTuple):
    """What a correction says of n sorted p: corrected p, how many are rejected, the cut on p."""

    p: Array
    n_rejected: int
    cut: float


class Method(NamedTuple):
    """A correction: its function and what it holds, in words."""

    run: Callable[[Array, float], Corrected]
    words: str


def correct(
    evidence: StatMap | ArrayLike,
    method: str = "fdr",
    alpha: float = 0.05,
    two_sided: bool = True,
) -> Decision:
    """Correct for the number of tests and decide.

    Parameters
    ----------
    evidence : StatMap or array_like, shape (V,)
        A tested contrast, or p-values. NaN voxels are not tests and are not counted.
    method : {"fdr", "fdr_by", "bonferroni", "holm", "none"}
        ``fdr`` is Benjamini and Hochberg's (1995) step-up, ``fdr_by`` Benjamini and Yekutieli's
        (2001), which holds under any dependence; ``bonferroni`` and ``holm`` (1979) hold the
        family-wise error; ``none`` compares p with alpha.
    alpha : float
        The level, between 0 and 1.
    two_sided : bool
        Whether both signs of a t count, or positive effects alone. An F has one side, and p-values
        are taken as they are.

    Returns
    -------
    Decision
        Corrected p and decisions are those of ``statsmodels.stats.multitest.multipletests``. A
        voxel at the threshold itself is significant (``p <= cut``).

    Raises
    ------
    VoxlmError
        An unknown method, alpha outside (0, 1), p outside [0, 1], or no test at all.

    Notes
    -----
    ``nilearn.glm.fdr_threshold`` asks for ``p < alpha k / n`` where this asks for ``p <=``, and
    lowers its threshold on z by 1e-12; the two differ only where a p equals its bound exactly. It
    takes one-sided p of z; with half of alpha on ``|z|`` it decides as this does on two-sided p.

    Examples
    --------
    >>> print(correct([0.01, 0.2, 0.9], "bonferroni"))
    1 of 3 voxels significant: p <= 0.0166667 (family-wise error 0.05, Bonferroni over 3 tests)
    """
    chosen = _method(method)
    check_level(alpha)
    if isinstance(evidence, StatMap):
        raw = p_of(evidence, two_sided)
    else:
        raw = np.asarray(evidence, dtype=np.float64)
    tested = _tests(raw)
    order = np.flatnonzero(tested)[np.argsort(raw[tested], kind="stable")]
    result = chosen.run(raw[order], alpha)
    p = np.full(raw.shape, np.nan)
    p[order] = np.minimum(result.p, 1.0)
    significant = np.zeros(raw.shape, dtype=np.bool_)
    significant[order[: result.n_rejected]] = True
    cut = result.cut if result.n_rejected or method not in ("fdr", "fdr_by") else 0.0
    threshold, statistic = _in_units(evidence, cut, two_sided)
    n = len(order)
    words = (
        _words(cut, threshold, statistic, two_sided) + f" ({chosen.words.format(alpha=alpha, n=n)})"
    )
    return Decision(p, significant, method, alpha, n, cut, threshold, statistic, words)


def _method(name: str) -> Method:
    if name not in METHODS:
        raise VoxlmError(
            f"unknown correction {name!r}; {did_you_mean(str(name), METHODS)} "
            f"The methods are: {', '.join(METHODS)}"
        )
    return METHODS[name]


def _tests(p: Array) -> Bools:
    if p.ndim != 1:
        raise VoxlmError(f"p-values have one axis, voxels (V,); got shape {p.shape}")
    tested = ~np.isnan(p)
    if not tested.any():
        raise VoxlmError("every p is NaN: there is no test to correct")
    if (p[tested] < 0).any() or (p[tested] > 1).any():
        worst = p[tested][np.argmax(np.abs(p[tested] - 0.5))]
        raise VoxlmError(
            f"p-values lie between 0 and 1, got {worst:g}: are these statistics rather than p?"
        )
    return np.asarray(tested)


def _none(p: Array, alpha: float) -> Corrected:
    return Corrected(p, int(np.sum(p <= alpha)), alpha)


def _bonferroni(p: Array, alpha: float) -> Corrected:
    cut = alpha / len(p)
    return Corrected(p * len(p), int(np.sum(p <= cut)), cut)


def _holm(p: Array, alpha: float) -> Corrected:
    left = np.arange(len(p), 0, -1)
    over = np.flatnonzero(p > alpha / left)
    k = int(over[0]) if over.size else len(p)
    return Corrected(np.maximum.accumulate(p * left), k, alpha / max(len(p) - k, 1))


def _step_up(p: Array, alpha: float, penalty: float) -> Corrected:
    share = np.arange(1, len(p) + 1) / len(p) / penalty
    under = np.flatnonzero(p <= share * alpha)
    k = int(under[-1]) + 1 if under.size else 0
    corrected = np.minimum.accumulate((p / share)[::-1])[::-1]
    return Corrected(corrected, k, float(share[k - 1] * alpha) if k else 0.0)


def _fdr(p: Array, alpha: float) -> Corrected:
    return _step_up(p, alpha, 1.0)


def _fdr_by(p: Array, alpha: float) -> Corrected:
    return _step_up(p, alpha, float(np.sum(1.0 / np.arange(1, len(p) + 1))))


METHODS: dict[str, Method] = {
    "fdr": Method(_fdr, "false discovery rate {alpha:g}, Benjamini-Hochberg over {n:,} tests"),
    "fdr_by": Method(
        _fdr_by, "false discovery rate {alpha:g}, Benjamini-Yekutieli over {n:,} tests"
    ),
    "bonferroni": Method(_bonferroni, "family-wise error {alpha:g}, Bonferroni over {n:,} tests"),
    "holm": Method(_holm, "family-wise error {alpha:g}, Holm over {n:,} tests"),
    "none": Method(_none, "level {alpha:g} at each of {n:,} tests, not corrected"),
}


def _in_units(
    evidence: StatMap | ArrayLike, cut: float, two_sided: bool
) -> tuple[float | Array, Statistic]:
    """Turn a cut on p into a threshold on the statistic."""
    if not isinstance(evidence, StatMap):
        return float("nan"), "p"
    name = name_of(evidence)
    if cut == 0.0:
        return float("inf"), name
    if evidence.kind == "t":
        found = tails.t_isf(cut / (2.0 if two_sided else 1.0), evidence.df)
    else:
        found = tails.f_isf(cut, evidence.df_num, evidence.df)
    values = np.unique(found[~np.isnan(found)])
    return (float(values[0]) if values.size == 1 else found), name


def check_level(alpha: object) -> None:
    """Refuse a level that is not a number between 0 and 1.

    Examples
    --------
    >>> check_level(5)
    Traceback (most recent call last):
        ...
    voxlm.errors.VoxlmError: alpha is a level between 0 and 1, for instance 0.05; got 5
    """
    if not isinstance(alpha, Real) or not 0.0 < float(alpha) < 1.0:
        raise VoxlmError(f"alpha is a level between 0 and 1, for instance 0.05; got {alpha!r}")


def name_of(evidence: StatMap) -> Literal["t", "z", "F"]:
    """Return what a statistic is called: a t of infinite degrees of freedom is a z."""
    return "z" if evidence.kind == "t" and np.isinf(evidence.df).all() else evidence.kind


def p_of(evidence: StatMap, two_sided: bool = True) -> Array:
    """Return uncorrected p: of both sides, or of the upper one.

    Examples
    --------
    >>> from voxlm.contrasts import wald
    >>> z = wald(np.array([[2.0, -2.0]]), np.ones((1, 1, 2)), np.inf, "t")
    >>> p_of(z, two_sided=False).round(4)
    array([0.0228, 0.9772])
    """
    if two_sided or evidence.kind == "F":
        return evidence.p
    return np.exp(tails.t_log_sf(evidence.stat, evidence.df))


def _words(cut: float, threshold: float | Array, statistic: str, two_sided: bool) -> str:
    if cut == 0.0:
        return "nothing reaches the threshold"
    if statistic == "p":
        return f"p <= {cut:.6g}"
    values = np.atleast_1d(threshold)
    low, high = np.nanmin(values), np.nanmax(values)
    shown = (
        f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}, as degrees of freedom differ"
    )
    name = f"|{statistic}|" if two_sided and statistic != "F" else statistic
    return f"{name} >= {shown}, p <= {cut:.4g}"
