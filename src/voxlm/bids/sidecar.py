"""What the JSON beside an image says about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxlm.errors import DataError

SUFFIXES = (".nii.gz", ".dtseries.nii", ".dscalar.nii", ".nii", ".func.gii")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Metadata of an image, from its own JSON and those of the folders above it.

    Parameters
    ----------
    values : dict
        Keys of all files; the nearest file wins.
    origin : dict
        The file that each key came from.

    Examples
    --------
    >>> Sidecar({"RepetitionTime": 2.0}, {"RepetitionTime": Path("bold.json")}).number(
    ...     "RepetitionTime"
    ... )
    2.0
    """

    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Path] = field(default_factory=dict)

    def number(self, key: str) -> float | None:
        """Return a number, or None if there is no such key.

        Raises
        ------
        DataError
            If the value is not a number.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise DataError(f"{self.origin[key]}: {key} must be a number of seconds, got {value!r}")
        return float(value)


def read_sidecar(image: Path) -> Sidecar:
    """Read the JSON files that apply to an image.

    The file beside it with the same stem comes first. For BIDS names, files in its folder and in
    those above, up to the one with ``dataset_description.json``, apply as well if they have the
    same suffix and no entity that the image lacks; the nearer file wins.

    Parameters
    ----------
    image : Path
        A ``.nii`` or ``.nii.gz`` file.

    Returns
    -------
    Sidecar
        Empty if there are none.

    Raises
    ------
    DataError
        If one of them is not a JSON object.
    """
    values: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    for path in reversed(_applicable(image)):
        content = _load(path)
        values.update(content)
        origin.update(dict.fromkeys(content, path))
    return Sidecar(values, origin)


def read_beside(table: Path) -> dict[str, Any]:
    """Return what the JSON beside a table says, keyed by column; empty if there is none.

    Raises
    ------
    DataError
        If the file is not a JSON object.
    """
    path = table.with_suffix(".json")
    return _load(path) if path.is_file() else {}


def _stem(name: str) -> str:
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _applicable(image: Path) -> list[Path]:
    """List the JSON files that apply, nearest and most specific first."""
    stem = _stem(image.name)
    own = image.with_name(f"{stem}.json")
    found = [own] if own.is_file() else []
    root = dataset_root(image)
    if root is None:
        return found
    entities, suffix = _entities(stem)
    for folder in image.absolute().parents:
        fitting = [
            path
            for path in folder.glob(f"*{suffix}.json")
            if path.name != own.name and _fits(path.stem, entities, suffix)
        ]
        found += sorted(fitting, key=lambda path: -len(path.stem.split("_")))
        if folder == root:
            break
    return found


def dataset_root(image: Path) -> Path | None:
    """Return the nearest folder above a file that describes itself as a data set."""
    for folder in image.absolute().parents:
        if (folder / "dataset_description.json").is_file():
            return folder
    return None


def _entities(stem: str) -> tuple[frozenset[str], str]:
    *entities, suffix = stem.split("_")
    return frozenset(entities), suffix


def _fits(stem: str, entities: frozenset[str], suffix: str) -> bool:
    its_entities, its_suffix = _entities(stem)
    return its_suffix == suffix and its_entities <= entities


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object, {{…}}, got a {type(content).__name__}")
    return content
