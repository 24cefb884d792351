"""From a null distribution to p-values: by counting, and by a Pareto tail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Share of the null distribution that the tail is fitted to, and the least number of values.
TAIL_SHARE = 0.1
TAIL_LEAST = 25


def count_p(observed: ArrayLike, null: ArrayLike, slack: float | Array = 0.0) -> Array:
    """Return ``(1 + b) / (1 + K)``, b the null values that reach the observed one.

    Parameters
    ----------
    observed : array_like, shape (V,)
        Observed values; NaN gives NaN.
    null : array_like, shape (K,)
        Null values, of maxima for family-wise p; the observed arrangement is not among them.
    slack : float or ndarray, shape (V,)
        A null value this little below the observed one is a tie.

    Examples
    --------
    >>> count_p([3.0, 1.5, 0.0, np.nan], [1.0, 2.0, 1.5])
    array([0.25, 0.75, 1.  ,  nan])
    """
    value, ordered = np.asarray(observed, dtype=np.float64), np.sort(np.asarray(null, np.float64))
    with np.errstate(invalid="ignore"):
        least = np.where(np.isinf(value), value, value - slack)
    reached = len(ordered) - np.searchsorted(ordered, least, side="left")
    return np.where(np.isnan(value), np.nan, (1.0 + reached) / (1.0 + len(ordered)))


class ParetoTail(NamedTuple):
    """A generalized Pareto distribution above a point of a null distribution.

    Parameters
    ----------
    start : float
        Where it begins.
    share : float
        Probability of lying above it.
    shape, scale : float
        Positive shapes are heavy tails; with a negative shape the tail ends.
    """

    start: float
    share: float
    shape: float
    scale: float

    def p(self, observed: ArrayLike) -> Array:
        """Return the probability of reaching values above ``start``.

        Examples
        --------
        >>> ParetoTail(2.0, 0.1, 0.0, 1.0).p([2.0, 3.0]).round(4)
        array([0.1   , 0.0368])
        """
        over = (np.asarray(observed, dtype=np.float64) - self.start) / self.scale
        if abs(self.shape) < 1e-12:
            return np.asarray(self.share * np.exp(-over))
        base = np.maximum(1.0 + self.shape * over, 0.0)
        with np.errstate(divide="ignore"):
            return np.asarray(self.share * base ** (-1.0 / self.shape))


def fit_tail(null: ArrayLike, share: float = TAIL_SHARE) -> ParetoTail | None:
    """Fit a generalized Pareto tail to the upper part of a null distribution.

    Parameters
    ----------
    null : array_like, shape (K,)
        Null values.
    share : float
        Part of them that the tail is fitted to.

    Returns
    -------
    ParetoTail or None
        None where fewer than 25 values lie in the tail, they are all alike, or one is infinite.

    Notes
    -----
    The tail of Winkler et al. (2016), fitted by probability-weighted moments (Hosking and Wallis,
    1987), which exist for the light tails of maxima and need no iteration. It smooths p below about
    5 / K; above that counting is as good.
    """
    ordered = np.sort(np.asarray(null, dtype=np.float64))
    K = len(ordered)
    m = int(np.floor(share * K))
    if m < TAIL_LEAST or not ordered[K - m - 1] < ordered[-1] < np.inf:
        return None
    start = 0.5 * (ordered[K - m - 1] + ordered[K - m])
    over = ordered[K - m :] - start
    first = over.mean()
    weights = (m - np.arange(1, m + 1) + 0.35) / m
    second = float(np.mean(weights * over))
    gap = first - 2.0 * second
    if gap <= 0:
        return None
    shape = 2.0 - first / gap
    return ParetoTail(float(start), m / K, float(shape), float(2.0 * first * second / gap))


def tail_p(observed: ArrayLike, null: ArrayLike, slack: float | Array = 0.0) -> Array:
    """Return p by counting, and by a Pareto tail where the observed value lies in the tail.

    Parameters
    ----------
    observed, null, slack
        As for :func:`count_p`.

    Returns
    -------
    ndarray, shape (V,)
        Below the tail's start, and where no tail can be fitted, as :func:`count_p`. A p is never 0:
        beyond the end of a tail that ends it is a thousandth of the smallest count.
    """
    value, counted = np.asarray(observed, dtype=np.float64), count_p(observed, null, slack)
    tail = fit_tail(null)
    if tail is None:
        return counted
    with np.errstate(invalid="ignore"):
        inside = value > tail.start
    least = 1e-3 / (1.0 + np.size(null))
    counted[inside] = np.maximum(tail.p(value[inside]), least)
    return counted
