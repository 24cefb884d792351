"""Grayordinates: vertices of the cortex and voxels below it, CIFTI out as CIFTI went in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.atomic import write_bytes
from voxlm.images.cifti import cifti_image
from voxlm.images.intent import intent_of
from voxlm.images.nifti import storable
from voxlm.images.patches import Patches, check_values, named


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Grayordinates(Patches):
    """The brain models of a CIFTI file and a mask on them.

    Columns follow the file's.

    Parameters
    ----------
    parts : tuple of Sheet or Lump
        The brain models, with what is in the mask.
    kept : ndarray of bool, shape (G,)
        Which of the file's grayordinates are in.
    models : nibabel Cifti2MatrixIndicesMap
        The file's brain models, for images.
    """

    kept: NDArray[np.bool_]
    models: Any

    kind: ClassVar[str] = "grayordinates"
    part_name: ClassVar[str] = "structure"
    unit: ClassVar[str] = "grayordinates"
    counted: ClassVar[str] = "grayordinates"
    extension: ClassVar[str] = ".dscalar.nii"

    def __repr__(self) -> str:
        return f"Grayordinates({self.n_voxels:,}: {named(self.parts)})"

    def image(self, values: ArrayLike, intent: str | None = None, df: Any = None) -> Any:
        """Turn values into a dense scalar image, 0 outside the mask.

        Parameters
        ----------
        values : array_like, shape (V,) or (K, V)
            One map, or K of them.
        intent : str, optional
            What the values are, as for :meth:`voxlm.images.volume.Volume.image`: the name of the
            map, and in its metadata.
        df : number, or two
            Degrees of freedom, in the map's metadata.

        Returns
        -------
        nibabel.Cifti2Image

        Raises
        ------
        DataError
            If ``values`` has another number of grayordinates, or the intent is unknown.
        """
        data = np.atleast_2d(check_values(storable(values), self))
        _, parameters, name = intent_of(intent, df)
        about = {"intent": name} if name else {}
        about |= {f"df{k}": f"{value:.17g}" for k, value in enumerate(parameters, start=1)}
        whole = self._spread(data, 0, self.kept.size, self.kept)
        return cifti_image(whole, self.models, name or "map", about)

    def write(
        self,
        path: str | os.PathLike[str],
        values: ArrayLike,
        intent: str | None = None,
        df: Any = None,
    ) -> tuple[Path, ...]:
        """Write values as a ``.dscalar.nii`` file, whole or not at all.

        Parameters
        ----------
        path : path
            Ends in ``.dscalar.nii``.
        values, intent, df
            As for :meth:`image`.

        Returns
        -------
        tuple of Path
            The file.

        Raises
        ------
        DataError
            If the name ends otherwise.
        """
        if not Path(path).name.endswith(".dscalar.nii"):
            raise DataError(
                f"{path}: maps of grayordinates are written as .dscalar.nii; change the name's end"
            )
        return (write_bytes(path, self.image(values, intent, df).to_bytes()),)
