"""Thresholds on maps of z, with nilearn's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from warnings import warn

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import ndtr, ndtri

from voxlm.errors import DataError, VoxlmError
from voxlm.glm.faults import InputTypeError, named_by_nilearn
from voxlm.glm.masking import (
    SurfaceMasker,
    VolumeMasker,
    check_images,
    is_surface,
    make_masker,
)
from voxlm.glm.paths import open_path
from voxlm.glm.weights import check_one_of
from voxlm.images.opening import open_image
from voxlm.inference.ari import ari
from voxlm.inference.decision import correct
from voxlm.kernels.graph import components, volume_graph
from voxlm.kernels.mesh import mesh_graph

Floats = NDArray[np.float64]
DEFAULT_Z_THRESHOLD = float(-ndtri(0.001))
BELOW = 1e-12  # what nilearn takes off the FDR threshold, so that the voxel at it stays in
METHODS = ["fpr", "fdr", "bonferroni", "fwe", None]


def fdr_threshold(z_vals: ArrayLike, alpha: float) -> float:
    """Return the z from which Benjamini and Hochberg's procedure rejects, one-sided.

    Parameters
    ----------
    z_vals : array_like, shape (V,)
        z; NaN is no test.
    alpha : float
        False discovery rate.

    Returns
    -------
    float
        Infinite where nothing is rejected.

    Examples
    --------
    >>> round(fdr_threshold([4.0, 3.5, 2.8, 2.5, 1.9, 1.2], alpha=0.05), 2)
    1.9
    """
    if not 0 <= alpha <= 1:
        raise VoxlmError(f"alpha should be between 0 and 1. {alpha} was provided")
    z = np.ravel(np.asarray(z_vals, dtype=np.float64))
    z = -np.sort(-z[~np.isnan(z)])
    if alpha == 0 or not z.size:
        return np.inf
    if alpha == 1:
        return float(z[-1]) - BELOW
    rejected = correct(ndtr(-z), "fdr", alpha).n_significant
    return float(z[rejected - 1]) - BELOW if rejected else np.inf


def threshold_stats_img(
    stat_img: Any = None,
    mask_img: Any = None,
    alpha: float = 0.001,
    threshold: float | None = None,
    height_control: str | None = "fpr",
    cluster_threshold: int = 0,
    two_sided: bool = True,
) -> tuple[Any, float]:
    """Threshold a map of z by height and by size of clusters.

    Parameters
    ----------
    stat_img : image, optional
        A map of z. May be left out for ``"fpr"`` and None.
    mask_img : image, optional
        The voxels that are tests; where left out, those that differ from the map's background.
    alpha : float
        The level.
    threshold : float, optional
        The threshold itself, for ``height_control=None``; 3.0 where left out.
    height_control : {"fpr", "fdr", "bonferroni", "fwe", None}
        What ``alpha`` controls: the level at each voxel, the false discovery rate, or the
        family-wise error: by Bonferroni, or (``"fwe"``) by Holm's step-down, which holds the same
        error and rejects no less.
    cluster_threshold : int
        Clusters of fewer voxels, of one sign and connected by faces, are set to 0.
    two_sided : bool
        Whether negative values count too, by their size.

    Returns
    -------
    image, float
        The map, 0 below the threshold, and the threshold.
    """
    check_one_of(height_control, METHODS, "height_control")
    if cluster_threshold < 0:
        raise VoxlmError(f"'cluster_threshold' must be > 0. Got {cluster_threshold=}")
    threshold = _asked(threshold, height_control, two_sided)
    level = alpha / 2 if two_sided else alpha
    if height_control == "fpr":
        threshold = float(-ndtri(level))
    if stat_img is None:
        if threshold is None:
            raise VoxlmError(f"'stat_img' cannot be None for {height_control=}")
        return None, threshold
    masker = _masker(stat_img, mask_img)
    everywhere = make_masker([stat_img], False, "background")
    values = _one_map(everywhere, stat_img)
    stats = masker.transform(stat_img).ravel()
    if threshold is None:
        threshold = _controlled(np.abs(stats) if two_sided else stats, str(height_control), level)
    kept = np.nan_to_num(values)
    if mask_img is not None:
        kept = np.where(_inside(masker), kept, 0.0)
    kept = np.where(_above(kept, threshold, two_sided), kept, 0.0)
    if cluster_threshold > 0:
        kept = _large(kept, graph_of(everywhere), cluster_threshold)
    return _like(stat_img, everywhere, kept), threshold


def _asked(threshold: float | None, control: str | None, two_sided: bool) -> float | None:
    """Return the threshold that was asked for, saying where it is not used."""
    if control is not None:
        if threshold is not None:
            say_unused(threshold, control)
        return None
    chosen = 3.0 if threshold is None else float(threshold)
    if chosen == 3.0:
        _future()
    if two_sided and chosen < 0:
        raise VoxlmError(
            f"'threshold' should not be a negative value when two_sided=True. Got {chosen}."
        )
    return chosen


def say_unused(threshold: float, control: str) -> None:
    """Say that a threshold does nothing beside a rule that finds one."""
    warn(
        f"\n'threshold={float(threshold)}' is not used with 'height_control={control!r}'."
        "\n'threshold' is only used when 'height_control=None'. "
        "\n'threshold' was set to 'None'. ",
        UserWarning,
        stacklevel=4,
    )


def _future() -> None:
    warn(
        "\nFrom nilearn version>=0.15, the default 'threshold' will be set to "
        f"{DEFAULT_Z_THRESHOLD}.",
        FutureWarning,
        stacklevel=4,
    )


def _controlled(stats: Floats, control: str, level: float) -> float:
    tests = stats[~np.isnan(stats)]
    if control == "fdr":
        return fdr_threshold(tests, level)
    if control == "bonferroni":
        return float(-ndtri(level / tests.size))
    return float(-ndtri(correct(ndtr(-tests), "holm", level).p_threshold))


def _above(values: Floats, threshold: float, two_sided: bool) -> NDArray[np.bool_]:
    if two_sided:
        return np.abs(values) >= threshold
    return values >= threshold if threshold >= 0 else values <= threshold


def _large(values: Floats, graph: sparse.csr_array, least: int) -> Floats:
    """Set clusters of one sign with fewer than ``least`` voxels to 0."""
    labels = components(graph, values != 0, np.sign(values))
    if labels.max(initial=-1) < 0:
        return values
    size = np.bincount(labels[labels >= 0])
    return np.where((labels >= 0) & (size[labels] >= least), values, 0.0)


def cluster_level_inference(
    stat_img: Any,
    mask_img: Any = None,
    threshold: float | list[float] = 3.0,
    alpha: float = 0.05,
    verbose: int = 0,  # noqa: ARG001
) -> Any:
    """Bound from below the share of true discoveries in each cluster, whatever the threshold.

    Parameters
    ----------
    stat_img : image
        A map of z.
    mask_img : image, optional
        The voxels that are tests; where left out, those that differ from the map's background.
    threshold : float or list of float
        Heights that form clusters.
    alpha : float
        One less the confidence of all bounds together.
    verbose : int
        Taken for nilearn's signature; nothing is printed.

    Returns
    -------
    image
        The bound at the voxels of each cluster of positive z; 0 elsewhere. Where clusters of
        several thresholds lie in each other, that of the highest.

    References
    ----------
    .. [1] Rosenblatt J.D. et al., "All-Resolutions Inference for brain imaging", NeuroImage 181,
       2018.
    """
    if not isinstance(threshold, list) and threshold == 3.0:
        _future()
    heights = sorted(threshold) if isinstance(threshold, list) else [threshold]
    if any(height < 0 for height in heights):
        raise VoxlmError(
            f"'threshold' cannot be negative or contain negative values. Got: {threshold=}."
        )
    if not 0 < alpha < 1:
        raise VoxlmError(f"alpha should be between 0 and 1. {alpha} was provided")
    masker = _masker(stat_img, mask_img)
    stats = np.nan_to_num(masker.transform(stat_img).ravel())
    graph = graph_of(masker)
    out = np.zeros(stats.size)
    for part in _parts(masker):
        family = ari(np.where(part, ndtr(-stats), np.nan), alpha)
        for height in heights:
            labels = components(graph, (stats > height) & part)
            for k in range(labels.max(initial=-1) + 1):
                out[labels == k] = family.proportion(labels == k)
    return masker.inverse_transform(out)


def _parts(masker: VolumeMasker | SurfaceMasker) -> list[NDArray[np.bool_]]:
    """Return the families of tests: hemispheres are judged each by itself."""
    if isinstance(masker, VolumeMasker):
        return [np.ones(masker.n_elements_, dtype=np.bool_)]
    which = np.concatenate([np.full(int(m.sum()), k) for k, m in enumerate(masker.parts.values())])
    return [which == k for k in range(len(masker.parts)) if (which == k).any()]


def graph_of(masker: VolumeMasker | SurfaceMasker) -> sparse.csr_array:
    """Return who is next to whom: by faces of voxels, or by edges of the mesh."""
    if isinstance(masker, VolumeMasker):
        return volume_graph(masker.space.shape, np.flatnonzero(masker.space.mask.ravel()))
    meshes = masker.template.mesh.parts
    graphs = [
        mesh_graph(meshes[name].faces, mask) for name, mask in masker.parts.items() if mask.any()
    ]
    return sparse.csr_array(sparse.block_diag(graphs, format="csr"))


def _masker(stat_img: Any, mask_img: Any) -> VolumeMasker | SurfaceMasker:
    check_images(stat_img, "stat_img")
    if is_surface(stat_img):
        for part in stat_img.data.parts.values():
            if np.ndim(part) > 1 and np.shape(part)[1] != 1:
                raise DataError(f"Data for each part of img should be 1D. Found: {np.shape(part)}")
    elif (
        len(open_image(stat_img, "stat_img").shape) > 3
        and open_image(stat_img, "stat_img").shape[3] != 1
    ):
        raise named_by_nilearn(InputTypeError, "DimensionError")(
            "Input data has incompatible dimensionality: a map has three axes"
        )
    return make_masker([stat_img], mask_img, "background")


def _inside(masker: VolumeMasker | SurfaceMasker) -> NDArray[np.bool_]:
    if isinstance(masker, VolumeMasker):
        return masker.space.mask.ravel()
    return np.concatenate(list(masker.parts.values()))


def _one_map(masker: VolumeMasker | SurfaceMasker, image: Any) -> Floats:
    return np.asarray(masker.transform(image), dtype=np.float64).ravel()


def _like(
    image: Any, masker: VolumeMasker | SurfaceMasker, values: Sequence[float] | Floats
) -> Any:
    made = masker.inverse_transform(np.asarray(values))
    if isinstance(made, nib.Nifti1Image) and len(open_image(image, "stat_img").shape) == 4:
        return nib.Nifti1Image(made.get_fdata()[..., None], made.affine)
    return made


open_path(__name__)
