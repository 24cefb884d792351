"""The double-gamma responses of SPM and Glover, with their derivatives.

``spm`` and ``glover`` are nilearn 0.14's, which designs are held to. Those are defined by their
grid: the kernel starts one micro-step late, its time axis of 32 s includes both ends, and its
samples add up to one. So they depend a little on the micro-step, whichever it is: with 50 and with
400 steps to a TR of 2 s the response to a block of 6 s differs by 0.3 % of its peak, its
derivatives by 0.7 %.

``spm_exact`` and ``glover_exact`` are the same functions of seconds with no grid: densities
integrated in closed form over 32 s, of area one, differences taken over the same 0.1 s and 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from voxlm.errors import VoxlmError
from voxlm.hrf.response import Verbs

Floats = NDArray[np.float64]

LENGTH = 32.0
TIME_STEP = 0.1
WIDTH_STEP = 0.01
MODIFIERS = ("derivative", "dispersion")
EXACT = "_exact"


@dataclass(frozen=True, slots=True)
class DoubleGamma(Verbs):
    """A peak less an undershoot, each a gamma density.

    Parameters
    ----------
    name : str
        What it is called in formulas.
    delay, undershoot : float
        Times of the peak and of the undershoot, seconds.
    dispersion, u_dispersion : float
        Their widths.
    ratio : float
        Size of the undershoot relative to the peak.
    with_derivative, with_dispersion : bool
        Whether the derivative in time, and that in width, are further basis functions.
    width_u_dispersion : float
        Width of the undershoot inside the derivative in width. It equals ``u_dispersion`` for
        SPM; for Glover nilearn uses 1.0 there although the response itself has 0.9, and designs
        are nilearn's.
    exact : bool
        Whether the functions are integrated over each step, so that no grid shows in them, or
        sampled as nilearn does.

    Examples
    --------
    >>> (kernel,) = spm().kernels(tr=2.0, oversampling=50)
    >>> kernel.shape, round(float(kernel.sum()), 12), int(kernel.argmax())
    ((800,), 1.0, 126)
    >>> print(glover(derivative=True))
    glover + derivative
    """

    name: str
    delay: float
    undershoot: float
    dispersion: float
    u_dispersion: float
    ratio: float
    with_derivative: bool = False
    with_dispersion: bool = False
    width_u_dispersion: float = 1.0
    exact: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the basis functions."""
        flags = (self.with_derivative, self.with_dispersion)
        return ("", *(word for word, on in zip(MODIFIERS, flags, strict=True) if on))

    @property
    def orthogonal(self) -> bool:
        """Derivatives are made orthogonal to the response itself."""
        return True

    @property
    def in_seconds(self) -> bool:
        """Whether it is a function of seconds and not of the grid."""
        return self.exact

    def lead(self, tr: float, oversampling: int) -> int:  # noqa: ARG002
        """Return 0: the response is read where it falls."""
        return 0

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the basis functions, one sample every ``tr / oversampling`` seconds."""
        return sample(self, tr, oversampling)

    def __str__(self) -> str:
        return " + ".join([self.name, *self.labels[1:]])


def spm(derivative: bool = False, dispersion: bool = False, *, exact: bool = False) -> DoubleGamma:
    """Return SPM's canonical response.

    Parameters
    ----------
    derivative, dispersion : bool
        Whether to add the derivative in time, and that in width.
    exact : bool
        True: the function itself, integrated; ``"spm_exact"`` in a formula. False: nilearn's
        samples of it, which start one micro-step late.

    Returns
    -------
    DoubleGamma

    References
    ----------
    .. [1] Friston KJ et al. (1998). Event-related fMRI: characterizing differential responses.
       NeuroImage 7:30-40.

    Examples
    --------
    >>> spm(derivative=True).labels
    ('', 'derivative')
    >>> print(spm(derivative=True, exact=True))
    spm_exact + derivative
    """
    name = f"spm{EXACT}" if exact else "spm"
    return DoubleGamma(name, 6, 16.0, 1.0, 1.0, 0.167, derivative, dispersion, exact=exact)


def glover(
    derivative: bool = False, dispersion: bool = False, *, exact: bool = False
) -> DoubleGamma:
    """Return Glover's response.

    Parameters
    ----------
    derivative, dispersion : bool
        Whether to add the derivative in time, and that in width.
    exact : bool
        True: the function itself, integrated; ``"glover_exact"`` in a formula. Its derivative in
        width then has the response's own undershoot. False: nilearn's samples of it.

    Returns
    -------
    DoubleGamma

    References
    ----------
    .. [1] Glover GH (1999). Deconvolution of impulse response in event-related BOLD fMRI.
       NeuroImage 9:416-429.

    Examples
    --------
    >>> glover().ratio
    0.48
    >>> glover(exact=True).width_u_dispersion
    0.9
    """
    name, under = (f"glover{EXACT}", 0.9) if exact else ("glover", 1.0)
    return DoubleGamma(name, 6, 12.0, 0.9, 0.9, 0.48, derivative, dispersion, under, exact)


def density(t: Floats, shape: float, scale: float) -> Floats:
    """Gamma density at ``t`` seconds, zero before 0.

    Examples
    --------
    >>> density(np.array([-1.0, 0.0, 1.0]), 2.0, 1.0).round(4)
    array([0.    , 0.    , 0.3679])
    """
    x = np.maximum(t, 0.0) / scale
    return np.where(
        t > 0,
        np.exp(scipy.special.xlogy(shape - 1.0, x) - x - scipy.special.gammaln(shape)) / scale,
        0.0,
    )


def area(gamma: DoubleGamma, t: Floats) -> Floats:
    """Integrate a peak less an undershoot from 0 to ``t`` seconds.

    Examples
    --------
    >>> area(spm(), np.array([-1.0, 0.0, 1e6])).round(3)
    array([0.   , 0.   , 0.833])
    """
    since = np.maximum(t, 0.0)
    peak = scipy.special.gammainc(gamma.delay / gamma.dispersion, since / gamma.dispersion)
    under = scipy.special.gammainc(
        gamma.undershoot / gamma.u_dispersion, since / gamma.u_dispersion
    )
    return np.asarray(peak - gamma.ratio * under)


def canonical(
    gamma: DoubleGamma, tr: float, oversampling: int, onset: float = 0.0, length: float = LENGTH
) -> Floats:
    """Sample the response itself, starting ``onset`` seconds late; the samples add up to one."""
    step = tr / oversampling
    if gamma.exact:
        edges = np.minimum(step * np.arange(int(np.ceil(length / step - 1e-9)) + 1), length)
        total = area(gamma, edges - onset)
        return np.concatenate(([0.0], np.diff(total) / total[-1]))
    # The axis includes both ends and the density starts one step late: nilearn's definition.
    t = np.linspace(0.0, length, int(np.rint(length / step))) - onset - step
    peak = density(t, gamma.delay / gamma.dispersion, gamma.dispersion)
    under = density(t, gamma.undershoot / gamma.u_dispersion, gamma.u_dispersion)
    out = peak - gamma.ratio * under
    return np.asarray(out / out.sum())


def time_derivative(
    gamma: DoubleGamma, tr: float, oversampling: int, onset: float = 0.0, length: float = LENGTH
) -> Floats:
    """Sample the derivative in time: a forward difference over 0.1 s of responses of sum one."""
    now, later = (
        canonical(gamma, tr, oversampling, start, length) for start in (onset, onset + TIME_STEP)
    )
    return (now - later) / TIME_STEP


def width_derivative(
    gamma: DoubleGamma, tr: float, oversampling: int, onset: float = 0.0, length: float = LENGTH
) -> Floats:
    """Sample the derivative in width: a forward difference over 0.01 of responses of sum one."""
    narrow = replace(gamma, u_dispersion=gamma.width_u_dispersion)
    wide = replace(narrow, dispersion=gamma.dispersion + WIDTH_STEP)
    before, after = (canonical(g, tr, oversampling, onset, length) for g in (narrow, wide))
    return (before - after) / WIDTH_STEP


@lru_cache(maxsize=256)
def sample(gamma: DoubleGamma, tr: float, oversampling: int) -> tuple[Floats, ...]:
    """Sample the basis functions, read-only."""
    out = [canonical(gamma, tr, oversampling)]
    if gamma.with_derivative:
        out.append(time_derivative(gamma, tr, oversampling))
    if gamma.with_dispersion:
        out.append(width_derivative(gamma, tr, oversampling))
    for kernel in out:
        kernel.setflags(write=False)
    return tuple(out)


def named(text: str) -> DoubleGamma:
    """Return the response that a text names.

    Parameters
    ----------
    text : str
        ``"spm"``, ``"glover"``, ``"spm_exact"`` or ``"glover_exact"``, and after a ``+``
        ``derivative``, ``dispersion`` or both.

    Returns
    -------
    DoubleGamma

    Raises
    ------
    VoxlmError
        If the text names none.

    Examples
    --------
    >>> named("glover + derivative + dispersion").labels
    ('', 'derivative', 'dispersion')
    """
    word, *added = (piece.strip().lower() for piece in text.split("+"))
    makers = {"spm": spm, "glover": glover}
    plain = word.removesuffix(EXACT)
    if plain not in makers or set(added) - set(MODIFIERS) or len(set(added)) < len(added):
        raise VoxlmError(
            f"{text!r} names no response; write 'spm', 'glover', 'spm_exact' or 'glover_exact', "
            "and add '+ derivative' or '+ derivative + dispersion' to it"
        )
    return makers[plain]("derivative" in added, "dispersion" in added, exact=word.endswith(EXACT))
