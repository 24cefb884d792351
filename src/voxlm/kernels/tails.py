"""Tails of t and F: log survival, p and z, good to the ends of what a double can hold.

No tail is ever computed as ``1 - cdf``. Tails are carried as natural logarithms, so a
statistic of a thousand still has a log p and a z of its own; only ``p`` itself may underflow to 0.
Inputs broadcast; a scalar counts as one voxel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# From here on a t is a normal to the last bit, for any |t| < 1e6.
INFINITE_DF = 1e30
# From here on an F is a chi-squared to 1e-7 of its p for F < 50, and the beta function no better.
CHI_SQUARED_DF = 1e10
# Smallest tail taken from scipy; below it the continued fraction works on the logarithm.
UNDERFLOW = 1e-290
# Hill's expansion is used where y**10 <= HILL * df**6; its relative error in z is then < 2e-13.
HILL = 1e-6
HILL_DF = 100.0
# Finite statistics beyond this are taken as this: their squares would overflow.
LARGEST = 1e140
# Interpolation pays from so many voxels of one df on, and holds its digits between these t.
MANY = 2_000
NODES = 32
NEAREST, FARTHEST = 1e-6, 1e3
MAX_STEPS = 10_000
NEWTON_STEPS = 60
EPSILON = float(np.finfo(np.float64).eps)
LOG_HALF = float(np.log(0.5))
LOG_TEN = float(np.log(10.0))


def t_log_sf(t: ArrayLike, df: ArrayLike) -> Array:
    """Log of the upper tail of Student's t, ``log P(T > t)``.

    Parameters
    ----------
    t : array_like, shape (V,)
        Statistics.
    df : float or array_like, shape (V,)
        Degrees of freedom; may be infinite.

    Returns
    -------
    ndarray, shape (V,)
        Natural logarithms; NaN where ``t`` is NaN or ``df`` is not positive.

    Notes
    -----
    Wherever Hill's normalising expansion is exact to rounding it gives the tail, elsewhere the
    incomplete beta function, and its continued fraction where that underflows (DLMF 8.17.22).
    Many voxels of one small df share a Chebyshev interpolation of those.

    Examples
    --------
    >>> t_log_sf([0.0, 2.0, 1000.0], 100.0).round(4)
    array([  -0.6931,   -3.7253, -463.746 ])
    """
    stat, nu = _broadcast(t, df)
    upper = _t_tail(np.abs(stat), nu)[0]
    return np.where(stat < 0, _log_complement(upper), upper)


def t_to_p(t: ArrayLike, df: ArrayLike) -> Array:
    """Two-sided p of a t statistic, shape ``(V,)``; underflows to 0 below about 1e-308.

    Examples
    --------
    >>> t_to_p([-2.0, 0.0, 2.0], 100.0).round(4)
    array([0.0482, 1.    , 0.0482])
    """
    stat, nu = _broadcast(t, df)
    return 2.0 * np.exp(_t_tail(np.abs(stat), nu)[0])


def t_to_log10p(t: ArrayLike, df: ArrayLike) -> Array:
    """Base-10 logarithm of the two-sided p of a t statistic, shape ``(V,)``; never underflows.

    Examples
    --------
    >>> t_to_log10p([1000.0], 200.0).round(3)
    array([-371.155])
    """
    stat, nu = _broadcast(t, df)
    return (_t_tail(np.abs(stat), nu)[0] - LOG_HALF) / LOG_TEN


def t_to_z(t: ArrayLike, df: ArrayLike) -> Array:
    """Give the normal score with the tail of ``t`` and its sign; it does not saturate.

    Parameters
    ----------
    t : array_like, shape (V,)
        Statistics.
    df : float or array_like, shape (V,)
        Degrees of freedom; may be infinite, and then z is t.

    Returns
    -------
    ndarray, shape (V,)
        ``z`` with ``P(Z > z) = P(T > t)``; odd in ``t``.

    Examples
    --------
    >>> t_to_z([-5.0, 0.0, 5.0, 1000.0], 200.0).round(4)
    array([-4.8475,  0.    ,  4.8475, 41.2473])
    """
    stat, nu = _broadcast(t, df)
    return np.copysign(_t_tail(np.abs(stat), nu)[1], stat)


def f_log_sf(f: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> Array:
    """Log of the upper tail of F, ``log P(F' > f)``.

    Parameters
    ----------
    f : array_like, shape (V,)
        Statistics, not negative.
    df_num : float or array_like, shape (V,)
        Numerator degrees of freedom, Q.
    df : float or array_like, shape (V,)
        Denominator degrees of freedom; may be infinite (chi-squared / Q).

    Returns
    -------
    ndarray, shape (V,)
        Natural logarithms; NaN where an input is NaN, negative or not positive.

    Examples
    --------
    >>> f_log_sf([0.0, 4.0, 1e6], 3.0, 100.0).round(4)
    array([  -0.    ,   -4.6255, -513.3651])
    """
    stat, q, nu = _broadcast_f(f, df_num, df)
    return _f_tails(stat, q, nu)[0]


def f_to_p(f: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> Array:
    """Upper-tail p of an F statistic, shape ``(V,)``.

    Examples
    --------
    >>> f_to_p([4.0], 3.0, 100.0).round(5)
    array([0.0098])
    """
    return np.exp(f_log_sf(f, df_num, df))


def f_to_log10p(f: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> Array:
    """Base-10 logarithm of the upper-tail p of an F statistic, shape ``(V,)``.

    Examples
    --------
    >>> f_to_log10p([1e6], 3.0, 100.0).round(3)
    array([-222.952])
    """
    return f_log_sf(f, df_num, df) / LOG_TEN


def f_to_z(f: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> Array:
    """Give the normal score with the upper tail of ``f``: ``P(Z > z) = P(F' > f)``.

    An F has one tail. An F below the median of its null distribution has p > 0.5 and so a negative
    z, and F = 0 has z = -inf: the sign says how large the F is, never the direction of an effect.

    Examples
    --------
    >>> f_to_z([0.2, 4.0, 1e6], 3.0, 100.0).round(4)
    array([-1.26  ,  2.334 , 31.9056])
    """
    stat, q, nu = _broadcast_f(f, df_num, df)
    log_upper, log_lower = _f_tails(stat, q, nu)
    return np.where(
        log_upper <= LOG_HALF,
        -scipy.special.ndtri_exp(log_upper),
        scipy.special.ndtri_exp(log_lower),
    )


def t_isf(p: ArrayLike, df: ArrayLike) -> Array:
    """Return the t that leaves ``p`` above it: the inverse of the upper tail, shape ``(V,)``.

    Examples
    --------
    >>> t_isf([0.025], 100.0).round(4)
    array([1.984])
    """
    tail, nu = _broadcast(p, df)
    found = -scipy.special.stdtrit(np.minimum(nu, 1e15), tail)
    deep = ~np.isfinite(found) & (tail < 0.5)  # too small a tail for scipy
    if deep.any():
        found[deep] = np.sqrt(f_isf(2.0 * tail[deep], 1.0, nu[deep]))
    return np.where(nu >= INFINITE_DF, -scipy.special.ndtri(tail), found)


def f_isf(p: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> Array:
    """Return the F that leaves ``p`` above it: the inverse of the upper tail, shape ``(V,)``.

    Examples
    --------
    >>> f_isf([0.05], 3.0, 100.0).round(4)
    array([2.6955])
    """
    tail, q, nu = _broadcast_f(p, df_num, df)
    with np.errstate(divide="ignore"):
        goal = np.log(tail)
    known = np.isneginf(goal) | (goal == 0.0)
    goal = np.where(known, LOG_HALF, goal)
    # Wilson-Hilferty starts it, Newton's steps on log tail against log F finish it.
    u = 2.0 / (9.0 * q)
    f = np.maximum(1.0 - u - np.sqrt(u) * scipy.special.ndtri(np.exp(goal)), 0.1) ** 3
    for _ in range(NEWTON_STEPS):
        log_sf = f_log_sf(f, q, nu)
        slope = np.exp(_f_log_density(f, q, nu) - log_sf)
        step = np.clip((log_sf - goal) / slope, -5.0, 5.0)
        f = f * np.exp(step)
        if not np.any(np.abs(step) >= 4 * EPSILON):
            break
    ends = np.where(tail > 0, 0.0, np.inf)
    return np.where(known & np.isfinite(tail), ends, f)


def _f_log_density(f: Array, q: Array, nu: Array) -> Array:
    """Log of F times its density, the density of log F."""
    half_q, half_nu = q / 2.0, nu / 2.0
    chi = half_q * np.log(half_q * f) - half_q * f - scipy.special.gammaln(half_q)
    odds = q * f / nu
    beta = half_q * np.log(odds) - (half_q + half_nu) * np.log1p(odds)
    return np.where(nu >= CHI_SQUARED_DF, chi, beta - scipy.special.betaln(half_q, half_nu))


def _broadcast(t: ArrayLike, df: ArrayLike) -> tuple[Array, Array]:
    stat, nu = np.broadcast_arrays(
        np.atleast_1d(np.asarray(t, dtype=np.float64)), np.asarray(df, dtype=np.float64)
    )
    stat = np.where(np.isfinite(stat), np.clip(stat, -LARGEST, LARGEST), stat)
    return stat, np.where(nu > 0, np.minimum(nu, INFINITE_DF), np.nan)


def _broadcast_f(f: ArrayLike, df_num: ArrayLike, df: ArrayLike) -> tuple[Array, Array, Array]:
    stat, q, nu = np.broadcast_arrays(
        np.atleast_1d(np.asarray(f, dtype=np.float64)),
        np.asarray(df_num, dtype=np.float64),
        np.asarray(df, dtype=np.float64),
    )
    nu = np.where((nu > 0) & (q > 0), np.minimum(nu, INFINITE_DF), np.nan)
    stat = np.where(np.isfinite(stat), np.minimum(stat, LARGEST), stat)
    return np.where(stat >= 0, stat, np.nan), q, nu


def _t_tail(t: Array, nu: Array) -> tuple[Array, Array]:
    """Log upper tail and z of t >= 0, each ``(V,)``."""
    with np.errstate(invalid="ignore", over="ignore"):
        a = nu - 0.5
        y = np.sqrt(a * np.log1p(t * t / nu))
        z = _hill(y, 48.0 * a * a)
        expand = (nu >= HILL_DF) & (y <= (HILL * nu**6) ** 0.1)
    rest = ~expand
    near = rest & (t >= NEAREST) & (t <= FARTHEST)
    if np.count_nonzero(near) > MANY and np.all(nu == nu.flat[0]):
        z[near] = _one_df(t[near], float(nu.flat[0]))
        rest &= ~near
    log_sf = scipy.special.log_ndtr(-z)
    if rest.any():
        log_sf[rest] = _t_log_tail(t[rest], nu[rest])
        z[rest] = -scipy.special.ndtri_exp(log_sf[rest])
    return log_sf, z


def _one_df(t: Array, nu: float) -> Array:
    """Give z of many t >= 0 that share their df, by Chebyshev interpolation.

    With s = log(1 + t^2/df), z / sqrt(s) is so smooth in s that 32 nodes hold 13 digits for any df
    and any t up to a thousand.
    """
    s = np.log1p(t * t / nu)
    top = float(s.max())
    x = chebyshev.chebpts1(NODES)
    at = top * (x + 1.0) / 2.0
    log_sf = _t_log_tail(np.sqrt(nu * np.expm1(at)), np.full_like(at, nu))
    shape = -scipy.special.ndtri_exp(log_sf) / np.sqrt(at)
    series = np.linalg.solve(chebyshev.chebvander(x, NODES - 1), shape)
    return np.asarray(chebyshev.chebval(2.0 / top * s - 1.0, series) * np.sqrt(s))


def _hill(y: Array, b: Array) -> Array:
    """Hill (1970), Algorithm 395: the normal score of t as a series in 1/b."""
    y2 = y * y
    first = (y2 + 3.0) / b
    second = (((4.0 * y2 + 33.0) * y2 + 240.0) * y2 + 855.0) / (
        10.0 * b * (b + 0.8 * y2 * y2 + 100.0)
    )
    return np.asarray(y * (1.0 + first - second))


def _t_log_tail(t: Array, nu: Array) -> Array:
    """Log upper tail of t >= 0 through the incomplete beta function."""
    t2 = t * t
    with np.errstate(invalid="ignore"):
        # Near the centre the mass between 0 and t is the number that holds all its digits.
        centre = t2 < 1.0
        tail = np.empty_like(t)
        tail[centre] = 0.5 - 0.5 * scipy.special.betainc(
            0.5, nu[centre] / 2.0, t2[centre] / (nu[centre] + t2[centre])
        )
        tail[~centre] = scipy.special.stdtr(nu[~centre], -t[~centre])
    with np.errstate(divide="ignore"):
        log_sf = np.log(tail)
    deep = (tail < UNDERFLOW) & np.isfinite(t)
    if deep.any():
        half = nu[deep] / 2.0
        log_sf[deep] = LOG_HALF + _log_betainc(half, 0.5, t2[deep] / nu[deep])
    return np.asarray(log_sf)


def _f_tails(f: Array, q: Array, nu: Array) -> tuple[Array, Array]:
    """Log upper and log lower tail of F >= 0, each ``(V,)``."""
    chi = nu >= CHI_SQUARED_DF
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        odds = q * f / nu
        upper = scipy.special.betainc(nu / 2.0, q / 2.0, 1.0 / (1.0 + odds))
        lower = 1.0 - upper
        small = upper > 0.5
        lower[small] = scipy.special.betainc(
            q[small] / 2.0, nu[small] / 2.0, odds[small] / (1.0 + odds[small])
        )
        if chi.any():
            half_q, half_x = q[chi] / 2.0, q[chi] * f[chi] / 2.0
            upper[chi] = scipy.special.gammaincc(half_q, half_x)
            lower[chi] = scipy.special.gammainc(half_q, half_x)
        # The larger of the two tails comes from the smaller, which holds all its digits.
        log_upper = np.where(upper > 0.5, np.log1p(-lower), np.log(upper))
        log_lower = np.where(upper > 0.5, np.log(lower), np.log1p(-upper))
    deep = (upper < UNDERFLOW) & np.isfinite(f)
    beta, gamma = deep & ~chi, deep & chi
    log_upper[beta] = _log_betainc(nu[beta] / 2.0, q[beta] / 2.0, odds[beta])
    log_upper[gamma] = _log_gammaincc(q[gamma] / 2.0, q[gamma] * f[gamma] / 2.0)
    return log_upper, log_lower


def _log_complement(log_p: Array) -> Array:
    """``log(1 - exp(log_p))`` for a tail of at most one half."""
    return np.asarray(np.log1p(-np.exp(log_p)))


def _log_betainc(a: Array, b: Array | float, odds: Array) -> Array:
    """Log of I_x(a, b) at ``x = 1 / (1 + odds)``, for x below the mean (DLMF 8.17.22)."""
    log_x = -np.log1p(odds)
    front = a * log_x + b * (np.log(odds) + log_x) - np.log(a) - scipy.special.betaln(a, b)
    x = np.exp(log_x)

    def coefficient(k: int) -> Array:
        m = k // 2
        if k % 2:
            return np.asarray(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)))
        return np.asarray(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)))

    value = _lentz(np.ones_like(a), lambda k: (coefficient(k), 1.0))
    return np.asarray(front - np.log(value))


def _log_gammaincc(a: Array, x: Array) -> Array:
    """Log of Q(a, x) far in its tail, by Legendre's continued fraction (DLMF 8.9.2)."""
    front = a * np.log(x) - x - scipy.special.gammaln(a)
    value = _lentz(x + 1.0 - a, lambda k: (k * (a - k), x + 2.0 * k + 1.0 - a))
    return np.asarray(front - np.log(value))


def _lentz(first: Array, step: Callable[[int], tuple[Array, Array | float]]) -> Array:
    """Evaluate ``first + a1/(b1 + a2/(b2 + ...))`` by Lentz's method, (a, b) from ``step(k)``."""
    value, c, d = first.copy(), first.copy(), np.zeros_like(first)
    for k in range(1, MAX_STEPS):
        a, b = step(k)
        d = 1.0 / (b + a * d)
        c = b + a / c
        change = c * d
        value *= change
        if np.all(np.abs(change - 1.0) < EPSILON):
            break
    return value
