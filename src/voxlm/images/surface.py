"""Vertices of one hemisphere or of both: GIFTI out as GIFTI went in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from voxlm.errors import DataError
from voxlm.images.atomic import write_bytes
from voxlm.images.gifti import gifti_image
from voxlm.images.intent import intent_of
from voxlm.images.nifti import storable
from voxlm.images.parts import Sheet, starts
from voxlm.images.patches import Patches, check_values, named

# What BIDS puts after the entity ``hemi`` in a name.
AFTER_HEMI = [
    "space",
    "split",
    "recording",
    "chunk",
    "atlas",
    "seg",
    "scale",
    "res",
    "den",
    "contrast",
    "stat",
    "label",
    "desc",
]
LETTERS = {"left": "L", "right": "R"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Surface(Patches):
    """Vertices of a mask on the surfaces of the hemispheres.

    Columns are the vertices of the left hemisphere, then of the right one, each in their order.

    Parameters
    ----------
    parts : tuple of Sheet
        ``"left"`` and ``"right"``, or one of them.
    template : object, optional
        A nilearn ``SurfaceImage``; images are then of its type.

    Examples
    --------
    >>> left = Sheet("left", np.array([0, 2]), 3)
    >>> space = Surface((left, Sheet("right", np.array([1]), 3)))
    >>> space
    Surface(3 vertices: left 2, right 1)
    >>> space.index("right", 1)
    2
    >>> space.image([1.0, 2.0, 3.0])["left"].agg_data()
    array([1., 0., 2.], dtype=float32)
    """

    template: Any = None

    kind: ClassVar[str] = "a surface"
    part_name: ClassVar[str] = "hemisphere"
    extension: ClassVar[str] = ".func.gii"

    def __repr__(self) -> str:
        return f"Surface({self.n_voxels:,} vertices: {named(self.parts)})"

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values into GIFTI images, 0 outside the mask.

        Parameters
        ----------
        values : array_like, shape (V,) or (K, V)
            One map, or K of them as K data arrays.
        intent, df
            As for :meth:`voxlm.images.volume.Volume.image`.

        Returns
        -------
        dict of nibabel.GiftiImage
            By hemisphere, which :class:`voxlm.Run` and :class:`voxlm.Maps` take again. A
            ``SurfaceImage`` where the data were one.

        Raises
        ------
        DataError
            If ``values`` has another number of vertices, or the intent is unknown.
        """
        data = check_values(storable(values), self)
        intent_of(intent, df)
        whole = {}
        for part, start in zip(self.parts, starts(self.parts), strict=False):
            assert isinstance(part, Sheet)
            whole[part.name] = self._spread(data, start, part.n_vertices, part.vertices)
        if self.template is not None:
            turned = {side: np.asarray(full.T) for side, full in whole.items()}
            return type(self.template)(mesh=self.template.mesh, data=turned)
        return {side: gifti_image(full, side, intent, df) for side, full in whole.items()}

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> tuple[Path, ...]:
        """Write values as one GIFTI file a hemisphere, each whole or not at all.

        Parameters
        ----------
        path : path
            Ends in ``.gii``; ``hemi-L_`` and ``hemi-R_`` are put where BIDS has them.
        values, intent, df
            As for :meth:`image`.

        Returns
        -------
        tuple of Path
            The files.

        Raises
        ------
        DataError
            If the name ends otherwise.
        """
        target = Path(path)
        if not target.name.endswith(".gii"):
            raise DataError(f"{path}: maps of a surface are written as .gii; change the name's end")
        images = Surface.image(Surface(self.parts), values, intent, df)
        return tuple(
            write_bytes(target.with_name(hemi_name(target.name, side)), image.to_bytes())
            for side, image in images.items()
        )


def hemi_name(name: str, side: str) -> str:
    """Put a hemisphere into a file's name, where BIDS has it.

    Examples
    --------
    >>> hemi_name("sub-01_task-x_space-fsaverage5_stat-z_statmap.func.gii", "left")
    'sub-01_task-x_hemi-L_space-fsaverage5_stat-z_statmap.func.gii'
    >>> hemi_name("mask.func.gii", "right")
    'hemi-R_mask.func.gii'
    """
    entity = f"hemi-{LETTERS[side]}"
    pieces = re.sub(r"(?:^|_)hemi-[LR](?=_)", "", name).lstrip("_").split("_")
    at = next((n for n, piece in enumerate(pieces) if piece.split("-")[0] in AFTER_HEMI),
              len(pieces) - 1)  # fmt: skip
    return "_".join([*pieces[:at], entity, *pieces[at:]])
