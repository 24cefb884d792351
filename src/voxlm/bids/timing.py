"""The repetition time, from whoever knows it, if all who know it agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from voxlm.bids.sidecar import Sidecar
from voxlm.errors import DataError

AGREE_S = 1e-3  # repetition times closer than this are the same: headers and sidecars round
LONGEST_S = 100.0  # a header's number above this is not seconds, whatever its unit says
UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
NO_UNIT = "header, which names no unit"
UNSET = 1.0  # what the field holds in a file in which nobody set it
PLACEHOLDER = "1 without a unit is what files carry when nobody set it"
HOW = (
    "Correct the one that is wrong: the sidecar in its file, the header by "
    "image = nibabel.load(path); image.header['pixdim'][4] = tr; vx.Run(image, …)"
)


@dataclass(frozen=True, slots=True)
class TimeStep:
    """What files of surfaces and grayordinates say of time.

    Parameters
    ----------
    seconds : float or None
        From scan to scan; None where nothing is said.
    who : str
        The kind of file, in words.
    """

    seconds: float | None
    who: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A repetition time and who says so.

    Parameters
    ----------
    seconds : float
        The value.
    who : str
        The source, in words.
    doubt : str
        Why it is not believed against another source; empty if it is.
    """

    seconds: float
    who: str
    doubt: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:g} s ({self.who})"


def repetition_time(
    argument: float | None, sidecar: Sidecar, header: Any, name: str
) -> tuple[float, tuple[str, ...]]:
    """Find the repetition time in seconds.

    The argument comes first, then the BIDS sidecar, then the header, whose unit (s, ms, µs) is
    honoured; all that are given have to agree within a millisecond. A header that says 1 and names
    no unit is not believed: files carry that when nobody set it.

    Parameters
    ----------
    argument : float or None
        What the caller says, in seconds.
    sidecar : Sidecar
        Metadata beside the image.
    header : nibabel header or TimeStep
        Of the image.
    name : str
        The image, in messages.

    Returns
    -------
    tr : float
        Seconds.
    notes : tuple of str
        What was passed over or assumed.

    Raises
    ------
    DataError
        If no source has a usable value, or two contradict each other.
    """
    claims = [
        claim
        for claim in (_of_argument(argument), _of_sidecar(sidecar), _of_header(header))
        if claim is not None
    ]
    sure = [claim for claim in claims if not claim.doubt]
    for claim in sure[1:]:
        if abs(claim.seconds - sure[0].seconds) > AGREE_S:
            aside = " (1 is also what a header says when nobody set it)" if _unset(claim) else ""
            raise DataError(
                f"{name}: the repetition time is contradictory: {sure[0]}, {claim}{aside}. {HOW}"
            )
    if not sure:
        raise DataError(_missing(claims, header, name))
    return sure[0].seconds, _passed_over(sure[0], claims, name) + _assumed(sure, name)


def _unset(claim: Claim) -> bool:
    return claim.who.startswith("header") and abs(claim.seconds - UNSET) <= AGREE_S


def _assumed(sure: list[Claim], name: str) -> tuple[str, ...]:
    """Say so if all rests on a header that may not mean it."""
    if sure[0].who == NO_UNIT:
        return (f"{name}: repetition time {sure[0]}, taken as seconds",)
    if _unset(sure[0]):
        return (f"{name}: repetition time {sure[0]}, as headers also say when nobody set it",)
    return ()


def _passed_over(used: Claim, claims: list[Claim], name: str) -> tuple[str, ...]:
    return tuple(
        f"{name}: the header's repetition time {claim.seconds:g} ({claim.doubt}) was passed over "
        f"for {used}"
        for claim in claims
        if claim.doubt and abs(claim.seconds - used.seconds) > AGREE_S
    )


def check_tr(value: object, who: str) -> float:
    """Return a repetition time as a float.

    Raises
    ------
    DataError
        If it is not a positive, finite number.
    """
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = float("nan")
    if isinstance(value, (bool, str)) or not np.isfinite(seconds) or seconds <= 0:
        raise DataError(f"{who} must be a positive number of seconds, got {value!r}")
    return seconds


def _of_argument(value: float | None) -> Claim | None:
    return None if value is None else Claim(check_tr(value, "tr"), "argument tr")


def _of_sidecar(sidecar: Sidecar) -> Claim | None:
    value = sidecar.number("RepetitionTime")
    if value is None:
        return None
    path = sidecar.origin["RepetitionTime"]
    return Claim(check_tr(value, f"{path}: RepetitionTime"), f"sidecar {path.name}")


def _of_header(header: Any) -> Claim | None:
    if isinstance(header, TimeStep):
        return None if header.seconds is None else Claim(header.seconds, header.who)
    zooms, unit = header.get_zooms(), header.get_xyzt_units()[1]
    if len(zooms) < 4 or unit not in (*UNITS, "unknown"):
        return None
    # The shortest decimal of a float32 is the number that was meant: 1.97, not 1.97000003.
    number = float(str(np.float32(zooms[3])))
    if not np.isfinite(number) or number <= 0:
        return None
    seconds = round(number * UNITS.get(unit, 1.0), 9)
    if seconds > LONGEST_S:
        return Claim(seconds, "header", f"too long for seconds, though its unit is {unit}")
    if unit in UNITS:
        return Claim(seconds, f"header, in {unit}")
    return Claim(seconds, NO_UNIT, PLACEHOLDER if abs(seconds - UNSET) <= AGREE_S else "")


def _missing(claims: list[Claim], header: Any, name: str) -> str:
    if claims:
        says = f"{claims[0].seconds:g}, which is not believed: {claims[0].doubt}"
    elif isinstance(header, TimeStep):
        says = "nothing"
    else:
        zooms = header.get_zooms()
        says = f"{float(zooms[3]):g}" if len(zooms) > 3 else "nothing"
    return (
        f"{name}: the repetition time is missing: no tr= was given, no sidecar names one, and the "
        f"header says {says}. Give tr= in seconds, or RepetitionTime in the JSON beside the image"
    )
