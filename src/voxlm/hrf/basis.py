"""Sets of simple functions: impulses, tents, splines, one gamma, and none at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from voxlm.errors import VoxlmError
from voxlm.hrf.gamma import density
from voxlm.hrf.response import Verbs, integrate

Floats = NDArray[np.float64]
MAX_FUNCTIONS = 100
MAX_DELAY = 200
LONGEST = 300.0
# A gamma density is below 1e-9 of its peak there.
GAMMA_SPREAD = 30.0


class Set(Verbs):
    """Functions of equal standing: none is made orthogonal to another, none is read ahead."""

    __slots__ = ()

    @property
    def orthogonal(self) -> bool:
        """Columns are left as they are."""
        return False

    @property
    def in_seconds(self) -> bool:
        """True: these are functions of seconds."""
        return True

    def lead(self, tr: float, oversampling: int) -> int:  # noqa: ARG002
        """Return 0: the response is read where it falls."""
        return 0


@dataclass(frozen=True, slots=True)
class FIR(Verbs):
    """One column a delay, the response at that many scans after the event.

    Parameters
    ----------
    delays : tuple of int
        Delays in scans. Each function lasts one TR and adds up to one, as nilearn's do: an event
        of no length gets height 1/50.

    Examples
    --------
    >>> fir([0, 1, 2]).labels
    ('delay_0', 'delay_1', 'delay_2')
    """

    delays: tuple[int, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """One a delay."""
        return tuple(f"delay_{delay}" for delay in self.delays)

    @property
    def orthogonal(self) -> bool:
        """Columns are left as they are."""
        return False

    def lead(self, tr: float, oversampling: int) -> int:  # noqa: ARG002
        """Read at the end of the scan that the delay names."""
        return oversampling - 1

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:  # noqa: ARG002
        """Return a box of one TR for each delay."""
        box = np.full(oversampling, 1.0 / oversampling)
        return tuple(np.concatenate([np.zeros(d * oversampling), box]) for d in self.delays)

    def __str__(self) -> str:
        return f"fir({list(self.delays)})"


@dataclass(frozen=True, slots=True)
class Tent(Set):
    """Piecewise-linear functions between knots in seconds, as AFNI's TENT(b, c, n).

    Parameters
    ----------
    start, stop : float
        First and last knot, seconds after the event.
    n : int
        Number of knots.

    Examples
    --------
    >>> tent(0, 14, 8).knots
    array([ 0.,  2.,  4.,  6.,  8., 10., 12., 14.])
    """

    start: float
    stop: float
    n: int

    @property
    def knots(self) -> Floats:
        """Where each function is one, seconds."""
        return np.linspace(self.start, self.stop, self.n)

    @property
    def labels(self) -> tuple[str, ...]:
        """One a knot."""
        return tuple(f"tent_{k}" for k in range(self.n))

    def at(self, t: Floats) -> Floats:
        """Return the functions at ``t`` seconds, shape ``(len(t), n)``."""
        step = (self.stop - self.start) / (self.n - 1)
        rise = 1.0 - np.abs(t[:, None] - self.knots) / step
        inside = (t >= self.start) & (t <= self.stop)
        return np.where(inside[:, None], np.maximum(rise, 0.0), 0.0)

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the functions, integrated over each step."""
        return tuple(integrate(self.at, self.stop, tr / oversampling, self.start).T)

    def __str__(self) -> str:
        return f"tent({self.start:g}, {self.stop:g}, {self.n})"


@dataclass(frozen=True, slots=True)
class Spline(Set):
    """Cubic B-splines between two times; the response is zero at both ends.

    Parameters
    ----------
    start, stop : float
        Where the response begins and ends, seconds after the event.
    n : int
        Number of functions.

    Examples
    --------
    >>> spline(0, 20, 6).at(np.array([0.0, 20.0])).tolist()[0]
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    start: float
    stop: float
    n: int

    @property
    def labels(self) -> tuple[str, ...]:
        """One a function."""
        return tuple(f"spline_{k}" for k in range(self.n))

    def at(self, t: Floats) -> Floats:
        """Return the functions at ``t`` seconds, shape ``(len(t), n)``."""
        inner = np.linspace(self.start, self.stop, self.n)
        knots = np.concatenate([[self.start] * 3, inner, [self.stop] * 3])
        inside = (t > self.start) & (t < self.stop)
        out = np.zeros((t.size, self.n))
        # The first and the last spline are the ones that are not zero at the ends.
        basis = scipy.interpolate.BSpline(knots, np.eye(self.n + 2), 3)
        out[inside] = np.asarray(basis(t[inside]))[:, 1:-1]
        return out

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the functions, integrated over each step."""
        return tuple(integrate(self.at, self.stop, tr / oversampling, self.start).T)

    def __str__(self) -> str:
        return f"spline({self.start:g}, {self.stop:g}, {self.n})"


@dataclass(frozen=True, slots=True)
class Gamma(Set):
    """One gamma density of unit area.

    Parameters
    ----------
    delay : float
        Its mean, seconds.
    dispersion : float
        Its variance over its mean, seconds.
    """

    delay: float
    dispersion: float

    @property
    def labels(self) -> tuple[str, ...]:
        """One, without a name of its own."""
        return ("",)

    def at(self, t: Floats) -> Floats:
        """Return the density at ``t`` seconds, shape ``(len(t), 1)``."""
        return density(t, self.delay / self.dispersion, self.dispersion)[:, None]

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the density, integrated over each step."""
        length = self.delay + GAMMA_SPREAD * self.dispersion
        return tuple(integrate(self.at, length, tr / oversampling).T)

    def __str__(self) -> str:
        return f"gamma({self.delay:g}, {self.dispersion:g})"


@dataclass(frozen=True, slots=True)
class Boxcar(Set):
    """No response at all: events enter as they are, on nilearn's grid."""

    @property
    def in_seconds(self) -> bool:
        """False: the grid is nilearn's."""
        return False

    @property
    def labels(self) -> tuple[str, ...]:
        """One, without a name of its own."""
        return ("",)

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:  # noqa: ARG002
        """Return a single one."""
        return (np.ones(1),)

    def __str__(self) -> str:
        return "boxcar"


def fir(delays: Iterable[int]) -> FIR:
    """Return impulses at delays in scans.

    Parameters
    ----------
    delays : iterable of int
        For instance ``range(8)``; not negative, each once.

    Returns
    -------
    FIR

    Raises
    ------
    VoxlmError
        No delays, one twice, or one that is no whole number from 0 on.

    References
    ----------
    .. [1] Dale AM (1999). Optimal experimental design for event-related fMRI. Human Brain Mapping
       8:109-114.

    Examples
    --------
    >>> fir(range(3)).labels
    ('delay_0', 'delay_1', 'delay_2')
    """
    found = [float(delay) for delay in delays]
    whole = all(delay == int(delay) and 0 <= delay <= MAX_DELAY for delay in found)
    if not found or not whole or len(set(found)) < len(found):
        raise VoxlmError(
            f"fir() takes different delays in whole scans from 0 to {MAX_DELAY}, got {found}"
        )
    return FIR(tuple(int(delay) for delay in found))


def tent(start: float, stop: float, n: int) -> Tent:
    """Return tents, as AFNI's ``TENT(start, stop, n)``.

    Parameters
    ----------
    start, stop : float
        First and last knot, seconds after the event.
    n : int
        Number of knots, 2 or more.

    Returns
    -------
    Tent

    Raises
    ------
    VoxlmError
        Times in another order, or too few knots or too many.

    Examples
    --------
    >>> tent(0, 12, 4).knots
    array([ 0.,  4.,  8., 12.])
    """
    return Tent(*span("tent", start, stop, n, 2))


def spline(start: float, stop: float, n: int) -> Spline:
    """Return cubic B-splines; the response is zero at both ends.

    Parameters
    ----------
    start, stop : float
        Where the response begins and ends, seconds after the event.
    n : int
        Number of functions, 2 or more.

    Returns
    -------
    Spline

    Raises
    ------
    VoxlmError
        Times in another order, or too few functions or too many.

    Examples
    --------
    >>> len(spline(0, 20, 6).labels)
    6
    """
    return Spline(*span("spline", start, stop, n, 2))


def gamma(delay: float = 6.0, dispersion: float = 1.0) -> Gamma:
    """Return one gamma density of unit area.

    Parameters
    ----------
    delay : float
        Its mean, seconds.
    dispersion : float
        Its variance over its mean, seconds; at most ``delay``.

    Returns
    -------
    Gamma

    Raises
    ------
    VoxlmError
        A time that is not positive, or too long.

    Examples
    --------
    >>> (kernel,) = gamma().kernels(2.0, 50)
    >>> round(float(kernel.sum()), 6)
    1.0
    """
    if not (0 < delay <= LONGEST and 0 < dispersion <= delay):
        raise VoxlmError(
            f"gamma() takes a delay of up to {LONGEST:g} s and a dispersion up to it, got {delay}, "
            f"{dispersion}"
        )
    return Gamma(float(delay), float(dispersion))


def boxcar() -> Boxcar:
    """Return no response at all: events enter the design as they are.

    Returns
    -------
    Boxcar

    Examples
    --------
    >>> boxcar().kernels(2.0, 50)
    (array([1.]),)
    """
    return Boxcar()


def span(word: str, start: Any, stop: Any, n: Any, least: int) -> tuple[float, float, int]:
    """Check the arguments of functions spread between two times."""
    numbers = all(isinstance(x, Real) for x in (start, stop, n))
    good = numbers and 0 <= start < stop <= LONGEST and least <= n <= MAX_FUNCTIONS
    if not good or n != int(n):
        raise VoxlmError(
            f"{word}() takes start and stop in seconds, from the event on and up to {LONGEST:g}, "
            f"and from {least} to {MAX_FUNCTIONS} functions, got {start}, {stop}, {n}"
        )
    return float(start), float(stop), int(n)
