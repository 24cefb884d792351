"""File names as BIDS spells them: entities, a suffix, an extension."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxlm.errors import DataError

#: Entities in the order of the BIDS specification; those of statistical maps come after.
ENTITIES = """
sub tpl ses cohort sample task tracksys acq nuc voi ce trc stain rec dir run mod echo flip inv
mt part proc hemi space split recording chunk atlas seg scale res den contrast stat label desc
"""
ORDER = tuple(ENTITIES.split())
#: Entities whose values are numbers, so that 1 and 01 are the same.
INDICES = frozenset({"run", "echo", "flip", "inv", "split", "chunk"})


@dataclass(frozen=True, slots=True)
class Name:
    """A file's name in its parts.

    Parameters
    ----------
    entities : dict of str to str
        In the order of the name.
    suffix : str
        What kind of file: ``bold``, ``events``.
    extension : str
        From the first dot on.

    Examples
    --------
    >>> name = Name.of("sub-01_task-rest_run-01_bold.nii.gz")
    >>> name.entities["run"], name.suffix, name.extension
    ('01', 'bold', '.nii.gz')
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str

    @classmethod
    def of(cls, path: str | Path) -> Name:
        """Read the parts of a path's last piece."""
        stem, dot, extension = Path(path).name.partition(".")
        *parts, suffix = stem.split("_")
        pairs = (part.partition("-") for part in parts if "-" in part)
        return cls({key: value for key, _, value in pairs}, suffix, dot + extension)

    def __str__(self) -> str:
        return bids_name(self.entities, self.suffix, self.extension)


def in_order(entities: Mapping[str, str]) -> dict[str, str]:
    """Return entities in the order of BIDS, unknown ones before ``desc``.

    Examples
    --------
    >>> in_order({"run": "1", "desc": "preproc", "sub": "01", "mine": "x"})
    {'sub': '01', 'run': '1', 'mine': 'x', 'desc': 'preproc'}
    """
    place = {key: at for at, key in enumerate(ORDER)}
    ordered = sorted(entities, key=lambda key: place.get(key, place["desc"] - 0.5))
    return {key: entities[key] for key in ordered}


def bids_name(entities: Mapping[str, str], suffix: str, extension: str = "") -> str:
    """Write a name, its entities in order.

    Examples
    --------
    >>> bids_name({"task": "faces", "sub": "01", "stat": "z"}, "statmap", ".nii.gz")
    'sub-01_task-faces_stat-z_statmap.nii.gz'
    """
    pairs = [f"{key}-{value}" for key, value in in_order(entities).items()]
    return "_".join([*pairs, suffix]) + extension


def check_entities(given: object) -> dict[str, str]:
    """Return entities in order; refuse keys and values that no name can hold.

    Examples
    --------
    >>> check_entities({"task": "faces", "sub": "01"})
    {'sub': '01', 'task': 'faces'}
    """
    if not isinstance(given, Mapping):
        raise DataError(f"entities is a dict such as {{'sub': '01'}}, got {given!r}")
    plain = {str(key): str(value) for key, value in given.items()}
    for key, value in plain.items():
        if not (re.fullmatch(r"[A-Za-z0-9]+", key) and re.fullmatch(r"[A-Za-z0-9+]+", value)):
            raise DataError(
                f"entities: {key!r}: {value!r} cannot stand in a BIDS name; keys and values are "
                "letters and digits, such as {'sub': '01'}"
            )
    return in_order(plain)


def same(key: str, one: str | None, other: str | None) -> bool:
    """Tell whether two values of an entity are the same; 1 and 01 are the same run.

    Examples
    --------
    >>> same("run", "1", "01"), same("sub", "1", "01"), same("res", None, None)
    (True, False, True)
    """
    return canonical(key, one) == canonical(key, other)


def canonical(key: str, value: str | None) -> str | None:
    """Return a value as it is compared."""
    if value is not None and key in INDICES and value.isdigit():
        return str(int(value))
    return value


def without(entities: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return the entities but for some."""
    left_out = set(keys)
    return {key: value for key, value in entities.items() if key not in left_out}


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return what a text is sorted by, so that 2 stands before 10.

    Examples
    --------
    >>> sorted(["10", "2", "b1"], key=natural)
    ['2', '10', 'b1']
    """
    pieces = re.findall(r"\d+|\D+", text)
    return tuple((0, int(p), p) if p.isdigit() else (1, 0, p) for p in pieces)
