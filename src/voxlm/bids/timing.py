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
NO_UNIT = "the header names no unit"
PLACEHOLDER = "1 without a unit is what files carry when nobody set it"
HOW = (
    "Correct the one that is wrong: the sidecar in its file, the header by "
    "image = nibabel.load(path); image.header['pixdim'][4] = tr; vx.Run(image, …)"
)


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
    honoured; all that are given have to agree within a millisecond. A header with no time unit is
    not believed against another source, and not at all if it says 1, the value that files carry
    when nobody set one.

    Parameters
    ----------
    argument : float or None
        What the caller says, in seconds.
    sidecar : Sidecar
        Metadata beside the image.
    header : nibabel header
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
            raise DataError(
                f"{name}: the repetition time is contradictory: {sure[0]}, {claim}. {HOW}"
            )
    if sure:
        return sure[0].seconds, _passed_over(sure[0], claims, name)
    if claims and claims[0].doubt == NO_UNIT:
        return claims[0].seconds, (f"{name}: repetition time {claims[0]}, taken as seconds",)
    raise DataError(_missing(claims, header, name))


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
    zooms, unit = header.get_zooms(), header.get_xyzt_units()[1]
    if len(zooms) < 4 or unit not in (*UNITS, "unknown"):
        return None
    # The shortest decimal of a float32 is the number that was meant: 1.97, not 1.97000003.
    number = float(str(np.float32(zooms[3])))
    if not np.isfinite(number) or number <= 0:
        return None
    seconds = round(number * UNITS.get(unit, 1.0), 9)
    who = f"header, in {unit}" if unit in UNITS else "header"
    return Claim(seconds, who, _doubt(seconds, unit))


def _doubt(seconds: float, unit: str) -> str:
    if seconds > LONGEST_S:
        return f"too long for seconds, though its unit is {unit}"
    if unit == "unknown":
        return PLACEHOLDER if abs(seconds - 1.0) <= AGREE_S else NO_UNIT
    return ""


def _missing(claims: list[Claim], header: Any, name: str) -> str:
    if claims:
        says = f"{claims[0].seconds:g}, which is not believed: {claims[0].doubt}"
    else:
        zooms = header.get_zooms()
        says = f"{float(zooms[3]):g}" if len(zooms) > 3 else "nothing"
    return (
        f"{name}: the repetition time is missing: no tr= was given, no sidecar names one, and the "
        f"header says {says}. Give tr= in seconds, or RepetitionTime in the JSON beside the image"
    )
