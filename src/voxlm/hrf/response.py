"""What a response is: some basis functions of time, ready to be sampled on any grid.

A kernel holds what each basis function adds up to over one step of the grid, so that the response
to a block is the same on every grid; where a function is given in seconds the steps are integrated,
not merely sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import VoxlmError

Floats = NDArray[np.float64]
Measure = Literal["peak", "area", "energy"]
MEASURES = ("peak", "area", "energy")


@runtime_checkable
class Response(Protocol):
    """A haemodynamic response as a value.

    ``labels`` has one entry a basis function: empty for the canonical one, else what is added to
    a column's name. ``orthogonal`` tells whether the columns of one condition are made orthogonal
    in their order.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the basis functions, length B."""

    @property
    def orthogonal(self) -> bool:
        """Whether later columns of a condition are made orthogonal to earlier ones."""

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the B basis functions, one value a step of ``tr / oversampling`` seconds."""

    def lead(self, tr: float, oversampling: int) -> int:
        """Return the grid steps by which the response is read ahead."""


class Verbs:
    """What can be done with every response; each verb returns a new one."""

    __slots__ = ()

    @property
    def in_seconds(self) -> bool:
        """Whether it is a function of seconds: events then stand where they are, off the grid too.

        Otherwise, as in nilearn, they move on to the next grid point.
        """
        return False

    def shift(self, seconds: float) -> Shifted:
        """Return the response that comes ``seconds`` later; negative is earlier.

        Examples
        --------
        >>> from voxlm.hrf import spm
        >>> print(spm().shift(1.0))
        spm.shift(1)
        """
        if not np.isfinite(seconds) or abs(seconds) > 1000:
            raise VoxlmError(f"a response is shifted by some seconds, got {seconds!r}")
        return Shifted(self, float(seconds))  # type: ignore[arg-type]

    def normalize(self, measure: Measure = "peak") -> Normalized:
        """Return the response scaled as a whole, so that its first function measures one.

        Parameters
        ----------
        measure : {"peak", "area", "energy"}
            The largest value; the integral over seconds; the root of the integral of the square.

        Examples
        --------
        >>> from voxlm.hrf import spm
        >>> (kernel,) = spm().normalize("peak").kernels(2.0, 50)
        >>> round(float(kernel.max()) / 0.04, 12)
        1.0
        """
        if measure not in MEASURES:
            raise VoxlmError(f"normalize() takes one of {', '.join(MEASURES)}, got {measure!r}")
        return Normalized(self, measure)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Changed(Verbs):
    """A response made of another: its functions have that one's names and properties."""

    inner: Response

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the basis functions."""
        return self.inner.labels

    @property
    def orthogonal(self) -> bool:
        """As for the response itself."""
        return self.inner.orthogonal

    @property
    def in_seconds(self) -> bool:
        """As for the response itself."""
        return stands_in_seconds(self.inner)

    def lead(self, tr: float, oversampling: int) -> int:
        """As for the response itself."""
        return self.inner.lead(tr, oversampling)


@dataclass(frozen=True, slots=True)
class Shifted(Changed):
    """A response that comes later or earlier."""

    seconds: float

    def lead(self, tr: float, oversampling: int) -> int:
        """Read ahead by the whole steps of an earlier response."""
        ahead = max(0, int(np.ceil(-self.seconds * oversampling / tr)))
        return self.inner.lead(tr, oversampling) + ahead

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Move each kernel; what falls between two steps is shared by them."""
        steps = self.seconds * oversampling / tr
        steps += max(0, int(np.ceil(-steps)))
        return tuple(delay(kernel, steps) for kernel in self.inner.kernels(tr, oversampling))

    def __str__(self) -> str:
        return f"{self.inner}.shift({self.seconds:g})"


@dataclass(frozen=True, slots=True)
class Normalized(Changed):
    """A response scaled as a whole."""

    measure: Measure

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Scale all functions by the one factor that brings the first to one."""
        kernels = self.inner.kernels(tr, oversampling)
        factor = 1.0 / measured(kernels[0], tr / oversampling, self.measure)
        return tuple(factor * kernel for kernel in kernels)

    def __str__(self) -> str:
        return f'{self.inner}.normalize("{self.measure}")'


def stands_in_seconds(response: Response) -> bool:
    """Tell whether a response is a function of seconds; one of another package may not say."""
    return bool(getattr(response, "in_seconds", False))


def delay(kernel: Floats, steps: float) -> Floats:
    """Move a kernel by ``steps`` of the grid, which need not be whole; its sum is kept.

    Examples
    --------
    >>> delay(np.array([2.0, 4.0]), 0.5)
    array([1., 3., 2.])
    """
    total = np.concatenate(([0.0], np.cumsum(kernel)))
    place = np.arange(int(np.ceil(kernel.size + steps)) + 1) - steps
    return np.diff(np.interp(place, np.arange(total.size), total))


def measured(kernel: NDArray[np.floating[Any]], step: float, measure: Measure) -> float:
    """Measure a kernel as a function of seconds."""
    match measure:
        case "peak":
            found = float(np.max(np.abs(kernel))) / step
        case "area":
            found = float(np.sum(kernel))
        case "energy":
            found = float(np.sqrt(np.sum(kernel**2) / step))
    if not found > 0:
        raise VoxlmError(f"a response whose {measure} is {found:g} cannot be normalised by it")
    return found


def integrate(
    function: Callable[[Floats], Floats], length: float, step: float, start: float = 0.0
) -> Floats:
    """Integrate functions of seconds over each step of a grid, by Simpson's rule.

    Parameters
    ----------
    function : callable
        Maps times ``(n,)`` in seconds to values ``(n, B)``.
    length : float
        Seconds after which the functions are zero.
    step : float
        Seconds.
    start : float
        Seconds before which the functions are zero; they may jump there and at ``length``.

    Returns
    -------
    ndarray, shape (N, B)
        Row k is the integral over ``[(k - 1) step, k step]``; row 0 is zero, as nothing answers
        an event before it.
    """
    steps = np.arange(int(np.ceil(length / step - 1e-9)) + 1)
    edges: Floats = np.clip(step * steps, start, length).astype(np.float64)
    middles: Floats = (0.5 * (edges[1:] + edges[:-1])).astype(np.float64)
    at_edges, at_middles = function(edges), function(middles)
    widths = np.diff(edges)[:, None]
    cells = widths / 6.0 * (at_edges[:-1] + 4.0 * at_middles + at_edges[1:])
    return np.vstack([np.zeros((1, cells.shape[1])), cells])
