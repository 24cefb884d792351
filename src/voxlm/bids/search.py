"""The runs of a data set: which images, and which tables with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxlm.bids.index import IMAGES, File, files_under
from voxlm.bids.names import canonical, in_order, natural, without
from voxlm.bids.partners import (
    VERSIONS,
    confounds_for,
    events_for,
    first_in,
    mask_for,
    scan_of,
)
from voxlm.bids.places import Places
from voxlm.bids.query import Query
from voxlm.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Found:
    """One run as it lies on disk.

    Parameters
    ----------
    entities : dict of str to str
        Of the image, in the order of BIDS.
    bold : Path, or dict with "left" and "right"
        The image; of a surface, the file of each hemisphere.
    events, confounds, mask, raw : Path or None
        What goes with it; ``raw`` is the image as acquired.
    problems : tuple of str
        What is missing or doubled, in sentences.
    """

    entities: Mapping[str, str]
    bold: Path | Mapping[str, Path]
    events: Path | None = None
    confounds: Path | None = None
    mask: Path | None = None
    raw: Path | None = None
    problems: tuple[str, ...] = ()

    @property
    def first(self) -> Path:
        """The image, or that of the left hemisphere."""
        return self.bold if isinstance(self.bold, Path) else self.bold["left"]

    @property
    def key(self) -> str:
        """Subject and session, as results are keyed."""
        parts = [f"{key}-{self.entities[key]}" for key in ("sub", "ses") if key in self.entities]
        return "_".join(parts)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of a search, by what they are.

    Parameters
    ----------
    roots : tuple of Path
        The data sets, raw first.
    bold, events, confounds, masks, raw : list of File
        ``bold`` are the images to choose from; ``raw`` those as acquired.
    """

    roots: tuple[Path, ...]
    bold: list[File]
    events: list[File]
    confounds: list[File]
    masks: list[File]
    raw: list[File]


def fill_shelf(places: Places, query: Query) -> Shelf:
    """Index the data sets and sort their files by kind."""
    _check_subjects(places.roots, query)
    listed = {root: files_under(root, query.subjects) for root in places.roots}
    every = [file for files in listed.values() for file in files]
    derived = [file for root in places.derivatives for file in listed[root]]
    raw = [f for f in (listed[places.raw] if places.raw else []) if _is_bold(f)]
    bold = [f for f in derived if _is_bold(f)] if places.derivatives else raw
    return Shelf(
        roots=places.roots,
        bold=bold,
        events=[f for f in every if f.name.suffix == "events" and f.name.extension == ".tsv"],
        confounds=[f for f in every if _is_confounds(f)],
        masks=[f for f in every if f.name.suffix == "mask" and f.get("desc") == "brain"],
        raw=raw,
    )


def search(places: Places, query: Query) -> list[Found]:
    """Find the runs that a query asks for, with what goes with each.

    Parameters
    ----------
    places : Places
        Where to look.
    query : Query
        What for.

    Returns
    -------
    list of Found
        In natural order of their entities.

    Raises
    ------
    DataError
        If nothing fits, or if it has to be said which task, space or data set is meant.
    """
    shelf = fill_shelf(places, query)
    chosen = query.choose(shelf.bold, derived=bool(places.derivatives))
    _one_root(chosen)
    scans: dict[Any, list[File]] = {}
    for file in chosen:
        scans.setdefault(scan_of(file), []).append(file)
    _one_version(list(scans.values()))
    found = [_found(files, shelf) for files in scans.values()]
    found = _agree(found, "events") if shelf.events else found
    found = _agree(found, "confounds")
    found = _agree(found, "mask")
    found += _unprocessed(scans, shelf, query) if places.derivatives else []
    return sorted(found, key=lambda one: _order(one.entities))


def _check_subjects(roots: Sequence[Path], query: Query) -> None:
    known = sorted(
        {path.name.removeprefix("sub-") for root in roots for path in root.glob("sub-*")}
    )
    for label in query.subjects or ():
        if label not in known:
            raise DataError(f"there is no subject {label!r}; {did_you_mean(label, known)}")


def _is_bold(file: File) -> bool:
    return file.name.suffix == "bold" and file.name.extension in IMAGES


def _is_confounds(file: File) -> bool:
    kinds = ("timeseries", "regressors")
    about = (file.get("desc"), file.name.extension)
    return file.name.suffix in kinds and about == ("confounds", ".tsv")


def _one_root(chosen: Sequence[File]) -> None:
    """Require the images to come from one folder of derivatives."""
    roots = sorted({file.root for file in chosen})
    if len(roots) > 1:
        names = ", ".join(str(root) for root in roots)
        raise DataError(
            f"{len(roots)} data sets of derivatives hold such images: {names}; say which with "
            f"derivatives={roots[0].name!r}, or part them by filters={{'desc': …}}"
        )


def _one_version(scans: Sequence[list[File]]) -> None:
    """Say once what is the same for every scan: that there are several versions of it."""
    images = [_combined(files) for files in scans]
    differ = {tuple(_differ(files)) for files in images}
    if len(scans) > 1 and len(differ) == 1 and differ not in ({()}, {("hemi",)}):
        raise DataError(f"each of {len(scans)} runs {_doubled(images[0])}")


def _found(files: list[File], shelf: Shelf) -> Found:
    """Put one scan together: its image, and what goes with it."""
    file, bold, problems = _image(files)
    partners: dict[str, Any] = {}
    kinds: dict[str, tuple[Callable[[File, Iterable[File]], list[File]], list[File]]] = {
        "events": (events_for, shelf.events),
        "confounds": (confounds_for, shelf.confounds),
        "mask": (mask_for, shelf.masks),
    }
    for kind, (rule, several) in kinds.items():
        fitting = first_in(_nearest(file, shelf.roots, kind), rule(file, several))
        if len(fitting) > 1:
            problems += (f"{file.path.name}: {kind} {_doubled(fitting)}",)
        partners[kind] = fitting[0].path if len(fitting) == 1 else None
    raw = [other for other in shelf.raw if scan_of(other) == scan_of(file)]
    entities = in_order(without(file.name.entities, ["hemi"] if isinstance(bold, dict) else []))
    return Found(entities, bold, **partners, raw=raw[0].path if raw else None, problems=problems)


def _nearest(file: File, roots: Sequence[Path], kind: str) -> tuple[Path, ...]:
    """Order the data sets: events from the raw one first, the rest from the image's own."""
    own = (file.root, *(root for root in roots if root != file.root))
    return tuple(roots) if kind == "events" else own


def _image(files: list[File]) -> tuple[File, Path | dict[str, Path], tuple[str, ...]]:
    """Choose the image of a scan: one file, or one of each hemisphere."""
    files = _combined(files)
    sides = {file.get("hemi"): file for file in files}
    if len(files) == 2 and set(sides) == {"L", "R"} and _differ(files) == ["hemi"]:
        return sides["L"], {"left": sides["L"].path, "right": sides["R"].path}, ()
    file = files[0]
    if len(files) > 1:
        return file, file.path, (f"{file.path.parent}: the image {_doubled(files)}",)
    if file.get("hemi") is not None:
        other = {"L": "R", "R": "L"}.get(str(file.get("hemi")), "other")
        missing = f"{file.path.name}: there is no file of hemisphere {other} beside it"
        return file, file.path, (missing,)
    return file, file.path, ()


def _combined(files: list[File]) -> list[File]:
    """Return the images of all echoes together, where there are such."""
    return [file for file in files if file.get("echo") is None] or files


def _differ(files: Sequence[File]) -> list[str]:
    """Name the entities in which files differ."""
    keys = dict.fromkeys(key for file in files for key in file.name.entities)
    return [key for key in keys if len({canonical(key, file.get(key)) for file in files}) > 1]


def _doubled(files: Sequence[File]) -> str:
    """Say that files contend, in what they differ, and how to choose."""
    names = ", ".join(file.path.name for file in files[:4]) + (", …" if len(files) > 4 else "")
    said = f"is there {len(files)} times: {names}"
    differ = _differ(files)
    if not differ:
        kinds = {file.name.extension for file in files}
        how = f"filters={{'extension': {sorted(kinds)[0]!r}}}" if len(kinds) > 1 else "one folder"
        return f"{said}; they have the same entities, so keep one of them or give {how}"
    key = differ[0]
    values = sorted({str(file.get(key)) for file in files if file.get(key) is not None})
    also = " or None" if any(file.get(key) is None for file in files) else ""
    choice = " or ".join(repr(value) for value in values)
    return (
        f"{said}; they differ in {', '.join(differ)}: say which with "
        f"filters={{{key!r}: {values[0]!r}}} ({choice}{also})"
    )


def _agree(found: list[Found], kind: str) -> list[Found]:
    """Name the runs that lack what others have."""
    have = sum(getattr(one, kind) is not None for one in found)
    if have == 0 and kind != "events":
        return found
    return [
        one
        if getattr(one, kind) is not None or any(f": {kind} is there" in p for p in one.problems)
        else replace(one, problems=(*one.problems, _lacks(one, kind, have, len(found))))
        for one in found
    ]


PATTERNS = {
    "events": "{}_events.tsv",
    "confounds": "{}_desc-confounds_timeseries.tsv",
    "mask": "{}_desc-brain_mask.nii.gz",
}


def _lacks(one: Found, kind: str, have: int, total: int) -> str:
    kept = without(one.entities, ["desc"] if kind == "mask" else VERSIONS)
    stem = "_".join(f"{key}-{value}" for key, value in kept.items())
    rest = f" ({have} of {total} runs have theirs)" if have else ""
    what = "no events go" if kind == "events" else f"no {kind} goes"
    return f"{one.first.name}: {what} with it; looked for {PATTERNS[kind].format(stem)}{rest}"


def _unprocessed(scans: Mapping[Any, Any], shelf: Shelf, query: Query) -> list[Found]:
    """Name the raw images of which there is no preprocessed one."""
    missing: dict[Any, File] = {}
    for file in query.of_scans(shelf.raw):
        if (scan := scan_of(file)) not in scans:
            missing.setdefault(scan, file)
    return [
        Found(
            in_order(file.name.entities),
            file.path,
            problems=(f"{file.path.name}: no preprocessed image of it fits what was asked for",),
        )
        for file in missing.values()
    ]


def _order(entities: Mapping[str, str]) -> tuple[Any, ...]:
    keys = ("sub", "ses", "task", "acq", "ce", "dir", "run")
    return tuple(natural(entities.get(key, "")) for key in keys)
