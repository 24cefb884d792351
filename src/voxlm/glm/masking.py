"""Images to voxels and back, for the models: what nilearn's maskers do here.

Axes: T scans, V voxels or vertices, X Y Z a grid.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError, VoxlmError, VoxlmWarning
from voxlm.glm.faults import InputTypeError
from voxlm.glm.surfacemasking import SurfaceMasker as SurfaceMasker
from voxlm.glm.surfacemasking import check_same_mesh as check_same_mesh
from voxlm.glm.surfacemasking import surface_masker
from voxlm.images.background import background_mask
from voxlm.images.exact import ExactScans
from voxlm.images.mask import epi_mask, largest_part, mean_volume, read_mask
from voxlm.images.opening import Opened, is_image, open_image
from voxlm.images.patchopening import is_surface_image
from voxlm.images.resample import Grid, resample, target_grid
from voxlm.images.scans import ImageScans, Scans
from voxlm.images.smoothing import check_fwhm
from voxlm.images.space import Volume

AGREE = 0.5  # share of the runs that must have a voxel
Fwhm = tuple[float, float, float] | None
is_surface = is_surface_image


def is_volume(thing: object) -> bool:
    """Tell whether something is a path or a nibabel image."""
    return isinstance(thing, str | os.PathLike) or is_image(thing)


def opened(image: Any, role: str) -> Opened:
    """Open an image as far as its header."""
    check_there(image, role)
    return open_image(image, role)


def check_there(image: Any, role: str) -> None:
    """Require that the file of an image is there, if it is one."""
    if isinstance(image, str | os.PathLike) and not Path(image).expanduser().exists():
        raise DataError(f"File not found: '{os.fspath(image)}' ({role})")


def is_masker(thing: object) -> bool:
    """Tell whether something is a masker, nilearn's or ours."""
    return hasattr(thing, "transform") and hasattr(thing, "inverse_transform")


@dataclass(frozen=True, eq=False)
class VolumeMasker:
    """The voxels of a mask, smoothed and resampled on the way in.

    Parameters
    ----------
    space : Volume
        The grid and the mask on it.
    fwhm : tuple of float or None
        Smoothing in millimetres.
    """

    space: Volume
    fwhm: Fwhm = None

    @property
    def mask_img_(self) -> Any:
        """The mask as an image of 0 and 1."""
        return nib.Nifti1Image(self.space.mask.astype(np.int8), self.space.affine)

    @property
    def affine_(self) -> NDArray[np.float64]:
        """Voxel indices to millimetres."""
        return self.space.affine

    @property
    def n_elements_(self) -> int:
        """Number of voxels in the mask, V."""
        return self.space.n_voxels

    def scans(self, image: Any, kept: NDArray[np.bool_] | None = None) -> Scans:
        """Return an image as a source of rows, read when it is asked for them."""
        source = opened(image, "bold")
        grid = Grid(self.space.shape, self.space.affine)
        elsewhere = not Grid(source.grid, source.affine).same(grid)
        plain = source.dtype != np.float64 and (source.slope, source.inter) == (1.0, 0.0)
        if elsewhere or (self.fwhm is not None and not plain):
            return ExactScans(source, self.space, None, self.fwhm)
        return ImageScans(source, self.space, None, self.fwhm, kept)

    def transform(self, imgs: Any, sample_mask: ArrayLike | None = None) -> NDArray[Any]:
        """Return the voxels of one image or of a list, shape ``(V,)`` or ``(T, V)``."""
        if isinstance(imgs, list | tuple):
            return np.vstack([np.atleast_2d(self.transform(image)) for image in imgs])
        rows = self.scans(imgs).read(np.arange(self.n_elements_))
        if sample_mask is not None:
            rows = rows[np.asarray(sample_mask)]
        one = len(opened(imgs, "image").shape) == 3
        return rows[0] if one else rows

    def inverse_transform(self, values: ArrayLike) -> Any:
        """Return values ``(V,)`` or ``(K, V)`` as an image, 0 outside the mask."""
        data = np.asarray(values, dtype=np.float64)
        if data.shape[-1] != self.n_elements_ or data.ndim > 2:
            raise DataError(f"values of shape {data.shape} do not fit {self.n_elements_} voxels")
        full = np.zeros(self.space.shape + data.shape[:-1])
        full[self.space.mask] = data.T
        return nib.Nifti1Image(full, self.space.affine)


Masker = VolumeMasker | SurfaceMasker


def make_masker(
    imgs: Sequence[Any],
    mask: Any,
    strategy: str,
    smoothing_fwhm: Any = None,
    target_affine: Any = None,
    target_shape: Any = None,
    *,
    only_fitted: bool = False,
) -> Masker:
    """Return the masker that images and a model's parameters ask for.

    Parameters
    ----------
    imgs : sequence of images
        All of them, for a mask that is computed.
    mask : image, path, fitted masker, False or None
        False takes every voxel; None computes a mask.
    strategy : {"epi", "background"}
        How to compute one.
    smoothing_fwhm, target_affine, target_shape
        As the models have them. Of a masker that is given, its own smoothing is used where the
        model has none; the masker itself is never changed.
    only_fitted : bool
        Whether a masker has to be fitted; else its ``mask_img`` will do.

    Returns
    -------
    VolumeMasker or SurfaceMasker
    """
    fwhm, given = smoothing_fwhm, mask
    if is_masker(mask):
        given = getattr(mask, "mask_img_", getattr(mask, "mask_img", None))
        if only_fitted and not hasattr(mask, "mask_img_"):
            name = type(mask).__name__
            raise VoxlmError(
                f"This {name} instance is not fitted yet: mask_img={name}() knows no mask; "
                f"call its fit() first"
            )
        fwhm = _chosen(fwhm, getattr(mask, "smoothing_fwhm", None))
        _say_used(mask, smoothing_fwhm, fwhm)
    check_kinds(given, imgs[0])
    if is_surface(imgs[0]):
        _warn_of_grids(target_affine=target_affine, target_shape=target_shape)
        return surface_masker(imgs, given, fwhm)
    sources = [opened(image, "bold") for image in imgs]
    check_same_grid(sources)
    grid = Grid(sources[0].grid, sources[0].affine)
    if given is not None and given is not False:
        inside, grid = _given_mask(given)
    elif given is False:
        inside = np.ones(grid.shape, dtype=np.bool_)
    else:
        inside = _computed_mask(sources, strategy)
    wanted = target_grid(grid, target_affine, target_shape)
    if not wanted.same(grid):
        inside = resample(inside.astype(np.float64), grid, wanted, order=0) > 0.5
    return VolumeMasker(Volume(inside, wanted.affine, sources[0].header), check_fwhm(fwhm))


def _chosen(model: Any, masker: Any) -> Any:
    """Return the model's own smoothing, or the masker's where the model has none."""
    if model is None or masker is None:
        return masker if model is None else model
    if np.any(np.asarray(model) != np.asarray(masker)):
        warnings.warn(
            f"Parameter 'smoothing_fwhm' of the masker overridden: {model} mm as the model asks, "
            f"not the masker's {masker} mm",
            VoxlmWarning,
            stacklevel=4,
        )
    return model


def _say_used(masker: Any, model: Any, fwhm: Any) -> None:
    """Say what is taken from a masker that was given, in nilearn's words."""
    lines = [f"Parameter mask_img :\n    that of the given {type(masker).__name__}\n"]
    if model is None and fwhm is not None:
        lines.append(
            f"Parameter smoothing_fwhm :\n    Masker parameter {fwhm}"
            f" - overriding estimator parameter {model}\n"
        )
    lines += [
        f"Parameter {name} :\n    {getattr(masker, name)} is not applied: give the model a drift\n"
        for name in ("detrend", "low_pass", "high_pass")
        if getattr(masker, name, None)
    ]
    warnings.warn(
        "Overriding provided-default estimator parameters with provided masker parameters :\n"
        + "".join(lines),
        UserWarning,
        stacklevel=4,
    )


def _warn_of_grids(**options: Any) -> None:
    """Say which options of volumes do nothing on a surface, as nilearn does."""
    for name, value in options.items():
        if value is not None:
            warnings.warn(
                f"{name} is for volumes; surface data are taken as they are. "
                f"Resample them on the mesh first",
                VoxlmWarning,
                stacklevel=4,
            )


def _given_mask(mask: Any) -> tuple[NDArray[np.bool_], Grid]:
    source = opened(mask, "mask_img")
    if len(source.shape) > 3 and source.shape[3] != 1:
        raise DataError(f"a mask has three axes, mask_img has {source.shape}")
    return read_mask(source), Grid(source.grid, source.affine)


def _computed_mask(sources: Sequence[Opened], strategy: str) -> NDArray[np.bool_]:
    if strategy == "background":
        return background_mask(np.mean([mean_volume(source) for source in sources], axis=0))
    masks = [epi_mask(mean_volume(source)) for source in sources]
    common = np.mean(masks, axis=0) > AGREE
    if not common.any():
        raise DataError("the masks computed for the runs have no voxel in common; give mask_img")
    return largest_part(common)


def check_kinds(mask: Any, image: Any) -> None:
    """Require that a mask and an image are both volumes or both surfaces."""
    if mask is None or mask is False:
        return
    if is_surface(mask) != is_surface(image):
        raise InputTypeError(
            "Mask and input images must be of compatible types.\n"
            f"Got mask of type: {type(mask).__name__}, image of type: {type(image).__name__}"
        )


def check_same_grid(sources: Sequence[Opened]) -> None:
    """Require that all images lie on one grid."""
    first = Grid(sources[0].grid, sources[0].affine)
    wrong = [
        f"- {k}: shape {s.grid}, affine\n{s.affine}"
        for k, s in enumerate(sources)
        if not Grid(s.grid, s.affine).same(first)
    ]
    if wrong:
        raise DataError(
            "Following field of view errors were detected: these images do not lie on the grid "
            f"of image 0, shape {first.shape}, affine\n{first.affine}\n" + "\n".join(wrong)
        )


def check_images(imgs: Any, name: str) -> list[Any]:
    """Return one image or a list of them as a list, refusing what is no image."""
    listed = list(imgs) if isinstance(imgs, list | tuple) else [imgs]
    if not listed or not all(is_volume(image) or is_surface(image) for image in listed):
        kinds = [type(image).__name__ for image in listed]
        raise InputTypeError(
            f"'{name}' must be a single instance / a list of any of the following:\n"
            f"- string\n- pathlib.Path\n- NiftiImage\n- SurfaceImage\nGot: {kinds}"
        )
    for k, image in enumerate(listed):
        _check_filled(image, f"{name}[{k}]" if len(listed) > 1 else name)
    if any(is_surface(image) for image in listed):
        for image in listed[1:]:
            if not is_surface(image):
                raise InputTypeError(f"'{name}' mixes surfaces and volumes")
            check_same_mesh(listed[0], image)
    return listed


def _check_filled(image: Any, name: str) -> None:
    """Refuse an image in memory without a scan or without a voxel."""
    if is_surface(image):
        shapes = [np.shape(part) for part in image.data.parts.values()]
    else:
        shapes = [image.shape] if is_image(image) else []
    if any(0 in shape for shape in shapes):
        raise DataError(f"{name} is empty: its shape is {', '.join(map(str, shapes))}")


def n_scans_of(image: Any) -> int:
    """Return the number of scans of an image."""
    if is_surface(image):
        shapes = [np.shape(part) for part in image.data.parts.values()]
        return int(shapes[0][1]) if len(shapes[0]) > 1 else 1
    return opened(image, "bold").n_scans


def stack(masker: Masker, imgs: Iterable[Any]) -> NDArray[np.float64]:
    """Return single maps as rows, NaN kept, shape ``(N, V)``."""
    listed = list(imgs)
    counts = [n_scans_of(image) for image in listed]
    out, start = np.empty((sum(counts), masker.n_elements_)), 0
    for image, count in zip(listed, counts, strict=True):
        out[start : start + count] = masker.transform(image)
        start += count
    return out
