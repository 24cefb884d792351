"""Files of two hemispheres, given one after the other, as the pairs that they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lazy_loader

from voxlm.cli.telling import MisuseError

gifti = lazy_loader.load("voxlm.images.gifti", suppress_warning=True)

Image = Path | dict[str, Path]


def images(option: str, paths: Sequence[Path] | None) -> list[Image]:
    """Return one image for each volume and for each pair of hemispheres.

    Parameters
    ----------
    option : str
        What they were given by, in messages.
    paths : sequence of Path or None
        Hemispheres of one map stand side by side, told apart by their names (``hemi-L``, ``lh.``,
        ``.L.``). Two neighbours of the same side are two maps of that side.

    Examples
    --------
    >>> images("--bold", [Path("lh.func.gii"), Path("rh.func.gii")])
    [{'left': PosixPath('lh.func.gii'), 'right': PosixPath('rh.func.gii')}]
    """
    found: list[Image] = []
    waiting: dict[str, Path] = {}
    for path in paths or ():
        side = _side(option, path) if path.name.endswith((".gii", ".gii.gz")) else None
        if waiting and (side is None or side in waiting):
            found.append(waiting)
            waiting = {}
        if side is None:
            found.append(path)
            continue
        waiting[side] = path
        if len(waiting) == 2:
            found.append(waiting)
            waiting = {}
    return [*found, waiting] if waiting else found


def one_image(option: str, paths: Sequence[Path] | None) -> Image | None:
    """Return the only image of an option, or None where it was not given.

    Raises
    ------
    MisuseError
        If there are several.
    """
    found = images(option, paths)
    if len(found) > 1:
        raise MisuseError(
            f"{option} is one image, or one of each hemisphere; got {len(found)}: "
            + ", ".join(str(path) for path in paths or ())
        )
    return found[0] if found else None


def columns(option: str, names: Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return one column's name, or those of both hemispheres.

    Raises
    ------
    MisuseError
        If there are more.
    """
    if not names:
        return None
    if len(names) > 2:
        raise MisuseError(f"{option} is one column, or one a hemisphere; got {', '.join(names)}")
    return names[0] if len(names) == 1 else tuple(names)


def one_mesh(paths: Sequence[Path] | None) -> Any:
    """Return the surfaces by hemisphere."""
    return one_image("--mesh", paths)


def _side(option: str, path: Path) -> str:
    side: str | None = gifti.side_of(path)
    if side is None:
        raise MisuseError(
            f"{option} {path}: its name does not say which hemisphere it is of; rename it with "
            "hemi-L or hemi-R, lh. or rh., .L. or .R."
        )
    return side
