"""Every file of a data set, by bids2table."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from voxlm.bids.names import Name
from voxlm.errors import DataError

IMAGES = (".nii.gz", ".nii", ".func.gii", ".dtseries.nii")


@dataclass(frozen=True, slots=True)
class File:
    """A file with the parts of its name.

    Parameters
    ----------
    path : Path
        Absolute.
    name : Name
        Its entities, suffix and extension.
    root : Path
        The data set it belongs to.
    """

    path: Path
    name: Name
    root: Path

    def get(self, key: str) -> str | None:
        """Return the value of an entity, or None."""
        return self.name.entities.get(key)


def files_under(root: Path, subjects: Sequence[str] | None) -> list[File]:
    """List the functional files of a data set, those above the subjects' folders included.

    Parameters
    ----------
    root : Path
        A folder with folders ``sub-…``.
    subjects : sequence of str or None
        Labels; None for all.

    Returns
    -------
    list of File
        Sorted by path; JSON sidecars are not listed.

    Raises
    ------
    DataError
        If bids2table is not installed, or cannot read this folder.
    """
    try:
        bids2table = import_module("bids2table")
    except ModuleNotFoundError as missing:
        raise DataError(
            "data sets are searched with bids2table, which is not installed; install it with: "
            "pip install 'voxlm[bids]'"
        ) from missing
    include = None if subjects is None else [f"sub-{label}" for label in subjects]
    logger = logging.getLogger("bids2table")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what it finds odd is judged here, where it matters
    try:
        with _undotted(root) as place:
            table = bids2table.index_dataset(place, include_subjects=include)
    finally:
        logger.setLevel(level)
    rows: Any = zip(*(table.column(c).to_pylist() for c in ("datatype", "path")), strict=True)
    paths = [
        root / path for datatype, path in rows if datatype == "func" or path.endswith("_events.tsv")
    ]
    paths += sorted(root.glob("*_events.tsv"))
    return sorted((File(path, Name.of(path), root) for path in paths), key=lambda f: str(f.path))


@contextmanager
def _undotted(root: Path) -> Iterator[Path]:
    """Give a folder by a name that bids2table takes: it passes over ``ds000114-1.0.1``."""
    if not root.suffix:
        yield root
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / "dataset"
        try:
            link.symlink_to(root, target_is_directory=True)
        except OSError as error:
            raise DataError(
                f"bids2table passes over folders with a dot in their name, such as {root.name}, "
                f"and no link to it can be made ({error.strerror}): rename it"
            ) from error
        yield link


def is_derivative(root: Path) -> bool:
    """Tell whether a data set's description calls it a derivative."""
    return description(root).get("DatasetType") == "derivative"


def description(root: Path) -> dict[str, Any]:
    """Return ``dataset_description.json``; empty where it is missing or no object."""
    path = root / "dataset_description.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder holds subjects."""
    return folder.is_dir() and any(path.is_dir() for path in folder.glob("sub-*"))
