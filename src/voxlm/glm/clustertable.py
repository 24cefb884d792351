"""Clusters of a thresholded map of z, with nilearn's columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.glm.masking import Masker, VolumeMasker
from voxlm.glm.thresholding import graph_of, threshold_stats_img
from voxlm.inference.clusters import find_clusters

VOLUME = ["Cluster ID", "X", "Y", "Z", "Peak Stat", "Cluster Size (mm3)"]
SURFACE = ["Cluster ID", "Hemisphere", "Peak Stat", "Cluster Size (vertices)"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a map is thresholded, as nilearn's reports say it.

    Parameters
    ----------
    threshold, alpha, height_control, cluster_threshold, two_sided
        As for :func:`voxlm.glm.threshold_stats_img`.
    min_distance : float
        Least distance between peaks of a cluster in millimetres.
    """

    threshold: float | None
    alpha: float
    height_control: str | None
    cluster_threshold: int
    two_sided: bool
    min_distance: float

    def of(self, z: Any, mask: Any) -> tuple[Any, float]:
        """Return the thresholded map and the threshold."""
        return threshold_stats_img(
            z,
            mask,
            self.alpha,
            self.threshold,
            self.height_control,
            self.cluster_threshold,
            self.two_sided,
        )

    def described(self, threshold: float, volume: bool) -> dict[str, Any]:
        """Say what was done, in the words of nilearn's reports."""
        found = float(np.round(threshold, 3))
        about: dict[str, Any] = {"Height control": str(self.height_control)}
        if self.height_control is None:
            about["Threshold Z"] = found
        else:
            about["\u03b1"] = self.alpha if self.alpha >= 0.001 else f"{self.alpha:.2E}"
            about["Threshold (computed)"] = found
        if volume:
            about["Cluster size threshold (voxels)"] = self.cluster_threshold
            about["Minimum distance (mm)"] = self.min_distance
        return about


def cluster_table(z: Any, masker: Masker, threshold: float, rule: Rule) -> pd.DataFrame:
    """List the clusters of a map and their peaks.

    Parameters
    ----------
    z : image
        The map, not thresholded.
    masker : VolumeMasker or SurfaceMasker
        Its voxels.
    threshold : float
        In z.
    rule : Rule
        Sides, least size, least distance between peaks.

    Returns
    -------
    DataFrame
        Numbered as nilearn does it; further peaks of cluster 1 are ``1a``, ``1b``.
    """
    values = np.nan_to_num(np.ravel(masker.transform(z)))
    height = np.abs(values) if rule.two_sided else values
    places = _places(masker)
    found = find_clusters(
        values,
        graph_of(masker),
        (height >= threshold) & (height > 0),
        min_size=max(1, rule.cluster_threshold),
        positions=places,
        min_distance=rule.min_distance,
    )
    rows: list[list[Any]] = []
    for number, (size, peaks) in enumerate(zip(found.size, found.peaks, strict=True), start=1):
        for rank, voxel in enumerate(peaks if isinstance(masker, VolumeMasker) else peaks[:1]):
            name = f"{number}{chr(ord('a') + rank - 1) if rank else ''}"
            where = _where(masker, int(voxel), places)
            extent = _extent(masker, int(size)) if rank == 0 else ""
            rows.append([name, *where, float(values[voxel]), extent])
    return pd.DataFrame(rows, columns=VOLUME if isinstance(masker, VolumeMasker) else SURFACE)


def _places(masker: Masker) -> NDArray[np.float64]:
    if isinstance(masker, VolumeMasker):
        return masker.space.mm(masker.space.voxels)
    parts = masker.template.mesh.parts
    inside = [np.asarray(parts[name].coordinates)[mask] for name, mask in masker.parts.items()]
    return np.concatenate(inside).astype(np.float64)


def _where(masker: Masker, at: int, places: NDArray[np.float64]) -> list[Any]:
    if isinstance(masker, VolumeMasker):
        return [float(place) for place in places[at]]
    for name, mask in masker.parts.items():
        count = int(mask.sum())
        if at < count:
            return [name]
        at -= count
    raise IndexError(at)


def _extent(masker: Masker, size: int) -> int:
    if isinstance(masker, VolumeMasker):
        return int(size * np.prod(masker.space.voxel_sizes))
    return size
