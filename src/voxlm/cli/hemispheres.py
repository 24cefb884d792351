"""Files of two hemispheres, given one after the other, as the pairs that they are."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import lazy_loader
import typer

from voxlm.cli.telling import MisuseError

meshes = lazy_loader.load("voxlm.images.meshes", suppress_warning=True)

Image = Path | dict[str, Path]


class Side(StrEnum):
    """A hemisphere."""

    left = "left"
    right = "right"


Hemisphere = Annotated[
    list[Side] | None,
    typer.Option(
        help="Of .gii files that say it neither in their name nor inside: of all, or in their "
        "order, repeated."
    ),
]


def images(
    option: str, paths: Sequence[Path] | None, hemisphere: Sequence[Side] | None = None
) -> list[Image]:
    """Return one image for each volume and for each pair of hemispheres.

    Parameters
    ----------
    option : str
        What they were given by, in messages.
    paths : sequence of Path or None
        Hemispheres of one map stand side by side, told apart by their names (``hemi-L``, ``lh.``,
        ``.L.``) or by what is written inside. Two neighbours of the same side are two maps of
        that side.
    hemisphere : sequence of Side, optional
        Of files that do not say, again and again in their order; left out, each is an image by
        itself, whose side its mesh may say.

    Examples
    --------
    >>> images("--bold", [Path("lh.func.gii"), Path("rh.func.gii")])
    [{'left': PosixPath('lh.func.gii'), 'right': PosixPath('rh.func.gii')}]
    """
    silent = cycle(side.value for side in hemisphere or ())
    found: list[Image] = []
    waiting: dict[str, Path] = {}
    for path in paths or ():
        side = None
        if path.name.endswith((".gii", ".gii.gz")):
            side = meshes.said_side(path, option) or next(silent, None)
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


def one_image(
    option: str, paths: Sequence[Path] | None, hemisphere: Sequence[Side] | None = None
) -> Image | None:
    """Return the only image of an option, or None where it was not given.

    Raises
    ------
    MisuseError
        If there are several.
    """
    found = images(option, paths, hemisphere)
    if len(found) > 1:
        raise MisuseError(
            f"{option} is one image, or one of each hemisphere; got {len(found)}: "
            + ", ".join(str(path) for path in paths or ())
        )
    return found[0] if found else None


def columns(
    option: str, names: Sequence[str] | None, hemisphere: Sequence[Side] | None = None
) -> str | tuple[str, ...] | dict[str, str] | None:
    """Return one column's name, or those of both hemispheres, or of the one that was named.

    Raises
    ------
    MisuseError
        If there are more.
    """
    if not names:
        return None
    if len(names) > 2:
        raise MisuseError(f"{option} is one column, or one a hemisphere; got {', '.join(names)}")
    sides = list(dict.fromkeys(side.value for side in hemisphere or ()))
    if len(sides) == 1 and len(names) == 1:
        return {sides[0]: names[0]}
    return names[0] if len(names) == 1 else tuple(names)


def one_mesh(paths: Sequence[Path] | None, hemisphere: Sequence[Side] | None = None) -> Any:
    """Return the surfaces by hemisphere."""
    return one_image("--mesh", paths, hemisphere)
