"""Which table, mask or sidecar goes with an image, by the rules of BIDS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from voxlm.bids.index import File
from voxlm.bids.names import canonical, same, without

#: What preprocessing adds to the name of a scan, or takes away.
ADDED = ("space", "cohort", "res", "den", "desc", "hemi")
#: Versions of one acquisition, of which a model takes one.
VERSIONS = (*ADDED, "echo", "part", "rec", "chunk")


def scan_of(file: File) -> tuple[tuple[str, str | None], ...]:
    """Return what tells one scan from another: entities that are not of a version."""
    kept = without(file.name.entities, VERSIONS)
    return tuple(sorted((key, canonical(key, value)) for key, value in kept.items()))


def events_for(bold: File, files: Iterable[File]) -> list[File]:
    """Find the events of an image by inheritance.

    A table applies if each of its entities is one of the image's, with the same value, and it lies
    in the image's data set at or above the place of a scan of that name. The nearest level wins;
    in a level, the table that names more.

    Parameters
    ----------
    bold : File
    files : iterable of File
        Tables of events.

    Returns
    -------
    list of File
        One, none, or those that contend.
    """
    entities = without(bold.name.entities, ADDED)
    fitting = [file for file in files if _inherits(file.name.entities, entities)]
    if not fitting:
        return []
    deepest = max(_depth(file) for file in fitting)
    level = [file for file in fitting if _depth(file) == deepest]
    most = max(len(file.name.entities) for file in level)
    return [file for file in level if len(file.name.entities) == most]


def confounds_for(bold: File, files: Iterable[File]) -> list[File]:
    """Find the confounds of an image: of the same scan, whatever its space.

    A table that says which echo or reconstruction it is of goes with that one alone. Where old and
    new names (``regressors``, ``timeseries``) stand side by side, the new one is taken.
    """
    entities = without(bold.name.entities, ADDED)
    found = [
        file
        for file in files
        if scan_of(file) == scan_of(bold)
        and _inherits(without(file.name.entities, ADDED), entities)
    ]
    new = [file for file in found if file.name.suffix == "timeseries"]
    return new or found


def mask_for(bold: File, files: Iterable[File]) -> list[File]:
    """Find the brain mask of an image: of the same scan, on the same grid."""
    entities = without(bold.name.entities, ADDED)
    return [
        file
        for file in files
        if scan_of(file) == scan_of(bold)
        and _inherits(without(file.name.entities, ADDED), entities)
        and all(same(key, file.get(key), bold.get(key)) for key in ("space", "cohort", "res"))
    ]


def first_in(roots: Sequence[Path], files: Iterable[File]) -> list[File]:
    """Return the files of the first data set that has any."""
    listed = list(files)
    for root in roots:
        if found := [file for file in listed if file.root == root]:
            return found
    return []


def _inherits(entities: Mapping[str, str], of: Mapping[str, str]) -> bool:
    return all(key in of and same(key, value, of[key]) for key, value in entities.items())


def _depth(file: File) -> int:
    return len(file.path.relative_to(file.root).parts)
