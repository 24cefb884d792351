"""Responses of one's own: sampled functions, functions of seconds, nilearn's callables, lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import VoxlmError
from voxlm.hrf.basis import boxcar
from voxlm.hrf.gamma import named
from voxlm.hrf.response import Response, Verbs, integrate, stands_in_seconds

Floats = NDArray[np.float64]
LENGTH = 32.0


class Own(Verbs):
    """Columns are made orthogonal in their order, as nilearn does for every response but FIR."""

    __slots__ = ()

    @property
    def orthogonal(self) -> bool:
        """Later columns are made orthogonal to earlier ones."""
        return True

    @property
    def in_seconds(self) -> bool:
        """True: these are functions of seconds."""
        return True

    def lead(self, tr: float, oversampling: int) -> int:  # noqa: ARG002
        """Return 0: the response is read where it falls."""
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Sampled(Own):
    """Basis functions given by their samples, such as FLOBS; see :func:`sampled`."""

    values: Floats
    step: float
    labels: tuple[str, ...]

    def at(self, t: Floats) -> Floats:
        """Return the functions at ``t`` seconds, straight lines between samples."""
        times = self.step * np.arange(len(self.values))
        columns = [np.interp(t, times, column, right=0.0) for column in self.values.T]
        return np.column_stack(columns)

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the functions, integrated over each step."""
        length = self.step * (len(self.values) - 1)
        return tuple(integrate(self.at, length, tr / oversampling).T)

    def __str__(self) -> str:
        return f"sampled({self.values.shape[1]} functions every {self.step:g} s)"


@dataclass(frozen=True, slots=True)
class Function(Own):
    """A function of seconds; see :func:`function`."""

    of: Callable[[Floats], ArrayLike]
    length: float = LENGTH
    label: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the function."""
        return (self.label,)

    def at(self, t: Floats) -> Floats:
        """Return the function at ``t`` seconds, shape ``(len(t), 1)``."""
        try:
            found = np.asarray(self.of(t), dtype=np.float64)
        except (TypeError, ValueError):
            found = np.array([float(self.of(x)) for x in t])  # type: ignore[arg-type]
        if found.shape != t.shape or not np.isfinite(found).all():
            raise VoxlmError(
                f"the response {self.label or 'function'} must give one finite value for each of "
                f"{t.size} times in seconds, got shape {found.shape}"
            )
        return found[:, None]

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the function, integrated over each step."""
        return tuple(integrate(self.at, self.length, tr / oversampling).T)

    def __str__(self) -> str:
        return self.label or "function"


@dataclass(frozen=True, slots=True)
class Kernel(Own):
    """A callable of ``(t_r, oversampling)`` that returns samples, as nilearn's models are."""

    of: Callable[[float, int], ArrayLike]
    label: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the function."""
        return (self.label,)

    @property
    def in_seconds(self) -> bool:
        """False: it is a function of the grid."""
        return False

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return what the callable returns."""
        found = np.asarray(self.of(tr, oversampling), dtype=np.float64)
        if found.ndim != 1 or not found.size or not np.isfinite(found).all():
            raise VoxlmError(
                f"the response {self.label or 'callable'} must return one row of finite samples, "
                f"got shape {found.shape}"
            )
        return (found,)

    def __str__(self) -> str:
        return self.label or "kernel"


@dataclass(frozen=True, slots=True)
class Several(Own):
    """Several responses as one basis."""

    members: tuple[Response, ...] = field(default=())

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all functions; an unnamed one after the first takes its number."""
        names = [label for member in self.members for label in member.labels]
        return tuple(name or (str(k) if k else "") for k, name in enumerate(names))

    @property
    def in_seconds(self) -> bool:
        """Whether all members are functions of seconds."""
        return all(stands_in_seconds(member) for member in self.members)

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the functions of all members."""
        return tuple(k for member in self.members for k in member.kernels(tr, oversampling))

    def __str__(self) -> str:
        return "[" + ", ".join(str(member) for member in self.members) + "]"


def sampled(values: ArrayLike, step: float, labels: Sequence[str] | None = None) -> Sampled:
    """Return a response given by samples, such as a FLOBS basis.

    Parameters
    ----------
    values : array_like, shape (N,) or (N, B)
        One column a basis function; the first sample is at the event.
    step : float
        Seconds between samples.
    labels : sequence of str, optional
        What each function adds to column names; the first adds nothing, the others their number.

    Returns
    -------
    Sampled

    Raises
    ------
    VoxlmError
        For values that are no finite table, or labels of another number.

    Examples
    --------
    >>> basis = sampled([[0.0, 0.0], [1.0, 0.5], [0.0, -0.5], [0.0, 0.0]], step=2.0)
    >>> basis.labels
    ('', '1')
    """
    table = np.array(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all() or not step > 0:
        raise VoxlmError(
            f"sampled() takes finite samples (N, B), at least two, and a step in seconds; "
            f"got shape {table.shape}, step {step!r}"
        )
    count = table.shape[1]
    names = tuple(labels) if labels is not None else ("", *(str(k) for k in range(1, count)))
    if len(names) != count or len(set(names)) < count:
        raise VoxlmError(f"sampled() needs {count} different labels, got {list(names)}")
    table.setflags(write=False)
    return Sampled(table, float(step), names)


def function(
    of: Callable[[Floats], ArrayLike], length: float = LENGTH, label: str | None = None
) -> Function:
    """Return a response given as a function of seconds.

    Parameters
    ----------
    of : callable
        Maps times after the event, in seconds, to the response; an array or one number at a time.
    length : float
        Seconds after which it is zero.
    label : str, optional
        What it adds to column names; its own name if not given.

    Returns
    -------
    Function

    Raises
    ------
    VoxlmError
        A length that is not positive, or beyond 1000 s.

    Examples
    --------
    >>> def bump(t):
    ...     return np.exp(-((t - 5.0) ** 2) / 4.0)
    >>> function(bump).labels
    ('bump',)
    """
    if not 0 < length <= 1000:
        raise VoxlmError(f"a response lasts some seconds, got length={length!r}")
    return Function(of, float(length), name_of(of) if label is None else label)


def name_of(of: Any) -> str:
    """Return the name of a callable; a lambda has none."""
    name = getattr(of, "__name__", type(of).__name__)
    return "" if name == "<lambda>" else str(name)


def as_response(given: Any) -> Response:
    """Return anything that can stand for a response as one.

    Parameters
    ----------
    given : object
        A response; a text such as ``"spm + derivative"`` or ``"boxcar"``; None (no convolution); a
        callable ``f(t)`` of seconds or ``f(t_r, oversampling)`` as nilearn takes; a list of these.

    Returns
    -------
    Response

    Raises
    ------
    VoxlmError
        If it is none of these.

    Examples
    --------
    >>> print(as_response("glover"), as_response(None))
    glover boxcar
    """
    if given is None:
        return boxcar()
    if isinstance(given, str):
        return boxcar() if given == "boxcar" else named(given)
    if isinstance(given, Response):
        return given
    if isinstance(given, list | tuple) and given:
        return several(given)
    if callable(given):
        return from_callable(given)
    raise VoxlmError(
        f"{given!r} is no response; write 'spm' or 'glover', or give a value of vx.hrf, a function "
        "of seconds, or a list of them"
    )


def several(given: Sequence[Any]) -> Several:
    """Return a list of responses as one basis."""
    found = Several(tuple(as_response(member) for member in given))
    labels = found.labels
    if len(set(labels)) < len(labels):
        raise VoxlmError(f"the responses of a list need different names, got {list(labels)}")
    return found


def from_callable(of: Callable[..., Any]) -> Response:
    """Return a callable as a response, by how many arguments it needs."""
    try:
        wanted = inspect.signature(of).parameters.values()
    except (TypeError, ValueError) as error:
        raise VoxlmError(f"the arguments of {name_of(of)} cannot be read: {error}") from error
    plain = [p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in plain)
    samples = len(plain) >= 2 and plain[1].name in ("oversampling", "os")
    if needed == 2 or samples:
        return Kernel(of, name_of(of))
    if needed <= 1 and plain:
        return function(of)
    raise VoxlmError(
        f"{name_of(of)} takes {needed} arguments; a response is f(t) of seconds, "
        "or f(t_r, oversampling) returning samples"
    )
