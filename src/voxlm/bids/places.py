"""Which folders belong together: the raw data set and its derivatives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxlm.bids.index import is_dataset, is_derivative
from voxlm.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look.

    Parameters
    ----------
    raw : Path or None
        The data set as it was acquired.
    derivatives : tuple of Path
        What was made of it, the first to be asked first; empty to analyse the raw images.
    """

    raw: Path | None
    derivatives: tuple[Path, ...]

    @property
    def roots(self) -> tuple[Path, ...]:
        """All of them, raw first."""
        return (() if self.raw is None else (self.raw,)) + self.derivatives


def find_places(dataset: Any, derivatives: Any) -> Places:
    """Find the raw data set and the derivatives to use.

    Parameters
    ----------
    dataset : path
        A BIDS data set, raw or of derivatives.
    derivatives : path, sequence of paths, False or None
        Relative paths are looked for in ``derivatives/``, in the data set, and here. False for
        the raw images. None for every data set under ``derivatives/`` (or the folder itself).

    Returns
    -------
    Places

    Raises
    ------
    DataError
        If a folder is missing or holds no subjects.
    """
    if not isinstance(dataset, (str, os.PathLike)):
        raise DataError(f"dataset is the path of a folder, got {type(dataset).__name__}")
    root = Path(dataset).expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"the data set {root} does not exist")
    if derivatives is None and (is_derivative(root) or _under_derivatives(root)):
        _check(root)
        return Places(_raw_of(root), (root,))
    if derivatives is False:
        _check(root)
        return Places(root, ())
    found = _under(root) if derivatives is None else _named(root, derivatives)
    if derivatives is None and not found:
        _check(root)
        raise DataError(
            f"{root / 'derivatives'} holds no preprocessed data set; name its folder with "
            "derivatives=…, or analyse the raw images with derivatives=False"
        )
    return Places(root, tuple(found))


def _check(root: Path) -> None:
    if not is_dataset(root):
        raise DataError(f"{root} has no folders sub-…, so it is no BIDS data set")


def _under(root: Path) -> list[Path]:
    """List the data sets in ``derivatives/``, or that folder itself if it is one."""
    folder = root / "derivatives"
    if is_dataset(folder):
        return [folder]
    return sorted(path for path in folder.glob("*") if is_dataset(path))


def _named(root: Path, derivatives: Any) -> list[Path]:
    several: Sequence[Any]
    several = [derivatives] if isinstance(derivatives, (str, os.PathLike)) else list(derivatives)
    return [_one(root, Path(name).expanduser()) for name in several]


def _one(root: Path, name: Path) -> Path:
    tried = [root / "derivatives" / name, root / name, name.absolute()]
    for path in tried:
        if is_dataset(path):
            return path
    known = [path.name for path in _under(root)]
    there = next((path for path in tried if path.is_dir()), None)
    if there is not None:
        raise DataError(f"{there} has no folders sub-…, so it is no data set of derivatives")
    raise DataError(
        f"there is no folder {tried[0]}, nor {tried[1]}, nor {tried[2]}; "
        f"{did_you_mean(str(name), known)}"
    )


def _under_derivatives(root: Path) -> bool:
    """Tell whether a data set lies in ``derivatives/`` and says nothing of itself."""
    return root.parent.name == "derivatives" and is_dataset(root)


def _raw_of(root: Path) -> Path | None:
    """Find the raw data set of derivatives: around them, or within."""
    around = root.parent.parent if root.parent.name == "derivatives" else root.parent
    for folder in (around, root / "sourcedata" / "raw", root / "sourcedata"):
        if folder != root and is_dataset(folder):
            return folder
    return None
