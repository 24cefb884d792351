"""What is asked of a data set: task, space, subjects, sessions, and any entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxlm.bids.index import File
from voxlm.bids.names import ORDER, same
from voxlm.errors import DataError, did_you_mean

#: The space of images whose names give none.
NATIVE = "native"
SPECIAL = ("extension", "suffix")
Wanted = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    Parameters
    ----------
    tasks, sessions, subjects : tuple of str, or None
        Labels; None for the only task there is, and for all sessions and subjects.
    space : str or None
        None for the only one there is; ``"native"`` for images that name none.
    filters : dict of str to tuple
        The values that an entity may have; None among them where it may be absent.
    """

    tasks: tuple[str, ...] | None
    space: str | None
    subjects: tuple[str, ...] | None
    sessions: tuple[str, ...] | None
    filters: Mapping[str, Wanted]

    @classmethod
    def of(cls, task: Any, space: Any, subjects: Any, sessions: Any, filters: Any) -> Query:
        """Read what a user says, and refuse what cannot be."""
        if space is not None and not isinstance(space, str):
            raise DataError(f"space is one label, such as 'MNI152NLin2009cAsym', got {space!r}")
        return cls(
            _labels(task, "task"),
            space.removeprefix("space-") if space else None,
            _labels(subjects, "sub"),
            _labels(sessions, "ses"),
            _filters(filters),
        )

    def of_scans(self, files: Iterable[File]) -> list[File]:
        """Return the files whose scan is asked for, whatever their version."""
        return [f for f in files if self._scan(f) and self._passes(f, only_scans=True)]

    def choose(self, files: Sequence[File], derived: bool) -> list[File]:
        """Return the images that are asked for.

        Parameters
        ----------
        files : sequence of File
            Images.
        derived : bool
            Whether they are of derivatives: then ``desc-preproc`` is meant unless filters say.

        Raises
        ------
        DataError
            If a subject, session, task or space does not exist or has to be named, or if nothing
            fits.
        """
        self._check_known(files)
        here = [file for file in files if self._passes(file)]
        if derived and "desc" not in self.filters:
            here = [f for f in here if f.get("desc") in (None, "preproc")]
        here = [file for file in here if self._scan(file)]
        if not here:
            raise DataError(self._nothing(files, derived))
        if self.tasks is None:
            _only(here, "task", "task")
        if self.space is not None:
            return [file for file in here if (file.get("space") or NATIVE) == self.space]
        if derived:
            _only(here, "space", "space")
        return here

    def _scan(self, file: File) -> bool:
        wanted = {"task": self.tasks, "sub": self.subjects, "ses": self.sessions}
        return all(
            labels is None or any(same(key, label, file.get(key)) for label in labels)
            for key, labels in wanted.items()
        )

    def _passes(self, file: File, only_scans: bool = False) -> bool:
        if not only_scans:
            return all(_fits(file, key, values) for key, values in self.filters.items())
        scans = ("acq", "ce", "dir", "run")
        return all(_fits(file, key, self.filters[key]) for key in scans if key in self.filters)

    def _check_known(self, files: Sequence[File]) -> None:
        asked = {"sub": self.subjects, "ses": self.sessions, "task": self.tasks}
        if self.space is not None:
            asked["space"] = (self.space,)
        words = {"sub": "subject", "ses": "session", "task": "task", "space": "space"}
        for key, labels in asked.items():
            absent = NATIVE if key == "space" else None
            known = sorted({str(label) for f in files if (label := f.get(key) or absent)})
            for label in labels or ():
                if label not in known:
                    raise DataError(
                        f"there is no image of {words[key]} {label!r}; {did_you_mean(label, known)}"
                    )

    def _nothing(self, files: Sequence[File], derived: bool) -> str:
        asked = {key: " or ".join(map(repr, values)) for key, values in self.filters.items()}
        asked |= {"task": ", ".join(self.tasks)} if self.tasks else {}
        asked |= {"desc": "preproc"} if derived and "desc" not in self.filters else {}
        said = ", ".join(f"{key} {value}" for key, value in asked.items())
        have = "; ".join(f"{key}: {_counted(files, key)}" for key in asked)
        return f"none of {len(files)} images has {said}. There are {have or 'no images at all'}"


def _only(files: Sequence[File], key: str, argument: str) -> None:
    """Require one value of an entity, as none was named."""
    values = {file.get(key) for file in files}
    if len(values) > 1:
        some = sorted(value or NATIVE for value in values)
        raise DataError(
            f"there are images of {len(values)} {argument}s, {_counted(files, key)}: say which, "
            f"e.g. {argument}={some[0]!r}"
        )


def _counted(files: Iterable[File], key: str) -> str:
    absent = NATIVE if key == "space" else "none"
    special = key in SPECIAL
    counts = Counter(getattr(f.name, key) if special else f.get(key) or absent for f in files)
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))


def _fits(file: File, key: str, values: Wanted) -> bool:
    if key in SPECIAL:
        return getattr(file.name, key) in values
    return any(same(key, value, file.get(key)) for value in values)


def _labels(given: Any, key: str) -> tuple[str, ...] | None:
    """Return labels without their key: ``"sub-01"`` and ``"01"`` are the same."""
    if given is None:
        return None
    several = [given] if isinstance(given, (str, int)) else list(given)
    if not several:
        raise DataError(f"an empty list of {key}- labels asks for nothing")
    return tuple(str(label).removeprefix(f"{key}-") for label in several)


def _filters(given: Any) -> dict[str, Wanted]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(
            f"filters is a dict such as {{'desc': 'preproc', 'res': '2'}}, got {given!r}"
        )
    known = [*ORDER, *SPECIAL]
    for key in given:
        if key not in known:
            raise DataError(f"filters: {key!r} is no entity of BIDS; {did_you_mean(key, known)}")
    return {key: _values(value) for key, value in given.items()}


def _values(value: Any) -> Wanted:
    several = [value] if value is None or isinstance(value, (str, int)) else list(value)
    return tuple(None if one is None else str(one) for one in several)
