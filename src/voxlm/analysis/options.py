"""Options of the verbs, checked and worded once."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from voxlm.errors import DataError


def real(value: object) -> TypeGuard[float]:
    """Tell whether something is one real number.

    Examples
    --------
    >>> real(np.float32(2)), real("2")
    (True, False)
    """
    return isinstance(value, (int, float, np.integer, np.floating))


def whole(value: object, name: str, hint: str = "") -> int:
    """Return a whole number of at least 1.

    Raises
    ------
    DataError
        If it is anything else.

    Examples
    --------
    >>> whole(2.0, "order")
    2
    """
    if not real(value) or not value >= 1 or value % 1:
        raise DataError(f"{name} is a whole number of at least 1, got {value!r}{hint}")
    return int(value)


def share(value: object, name: str = "alpha") -> float:
    """Return a number between 0 and 1.

    Raises
    ------
    DataError
        If it is anything else.

    Examples
    --------
    >>> share(0.05)
    0.05
    """
    if not real(value) or not 0 < value < 1:
        raise DataError(f"{name} is a number between 0 and 1, for instance 0.05; got {value!r}")
    return float(value)
