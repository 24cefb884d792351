"""What a map's header says its values are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxlm.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Intent:
    """A NIfTI intent: its code, how many degrees of freedom it takes, and a name.

    Parameters
    ----------
    code : int
        The number in the header.
    n_df : int
        How many parameters the code has.
    name : str
        The name in the header, at most 16 letters.
    """

    code: int
    n_df: int
    name: str


INTENTS = {
    "t": Intent(3, 1, "t"),
    "F": Intent(4, 2, "F"),
    "z": Intent(5, 0, "z"),
    "p": Intent(22, 0, "p"),
    "neglog10p": Intent(24, 0, "-log10 p"),
    "estimate": Intent(1001, 0, "estimate"),
    "effect": Intent(1001, 0, "effect"),
    "se": Intent(1001, 0, "standard error"),
    "variance": Intent(1001, 0, "variance"),
    "label": Intent(1002, 0, "label"),
}


def intent_of(
    name: str | None, df: ArrayLike | Sequence[ArrayLike] | None
) -> tuple[int, tuple[float, ...], str]:
    """Turn an intent's name and degrees of freedom into what the header takes.

    Parameters
    ----------
    name : str or None
        One of ``t F z p neglog10p estimate effect se variance label``; None for no intent.
    df : number, array, or a sequence of them
        One for t, two (numerator, denominator) for F. An array, shape ``(V,)``, whose values
        differ has no place in a header: the intent is then left out, its name kept.

    Returns
    -------
    tuple
        Code, parameters, name.

    Raises
    ------
    DataError
        If the name is unknown or the number of degrees of freedom is wrong.

    Examples
    --------
    >>> intent_of("t", 57)
    (3, (57.0,), 't')
    >>> intent_of("F", (2, 57))
    (4, (2.0, 57.0), 'F')
    """
    if name is None:
        return 0, (), ""
    if name not in INTENTS:
        raise DataError(f"unknown intent {name!r} for an image; {did_you_mean(name, INTENTS)}")
    intent = INTENTS[name]
    parts = _parts(df, intent)
    single = [float(part.flat[0]) for part in parts if part.size and _is_constant(part)]
    if len(single) < len(parts):
        return 0, (), f"{intent.name}, df vary"
    return intent.code, tuple(single), intent.name


def _parts(
    df: ArrayLike | Sequence[ArrayLike] | None, intent: Intent
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return one array a parameter of the intent."""
    if intent.n_df == 0:
        return []
    given = list(df) if isinstance(df, (tuple, list)) else [] if df is None else [df]
    if len(given) != intent.n_df:
        wanted = {1: "one number, df=", 2: "two numbers, df=(numerator, denominator)"}
        raise DataError(
            f"an image of {intent.name} values needs {wanted[intent.n_df]}, got {len(given)}"
        )
    return [np.asarray(part, dtype=np.float64) for part in given]


def _is_constant(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and (finite == finite[0]).all())
