"""The clusters of a verdict and their peaks, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.neighbours import neighbours
from voxlm.analysis.regions import label
from voxlm.errors import VoxlmError
from voxlm.images.space import Volume
from voxlm.inference.clusters import Clusters, find_clusters

if TYPE_CHECKING:
    from voxlm.analysis.verdict import Verdict

Floats = NDArray[np.float64]

COLUMNS = ("cluster", "x", "y", "z", "stat", "p", "voxels", "mm3", "com_x", "com_y", "com_z")


def listed(verdict: Verdict) -> NDArray[np.bool_]:
    """Return the voxels whose clusters a verdict lists."""
    return verdict.significant if verdict.formed is None else verdict.formed


def clusters_of(
    verdict: Verdict, connectivity: int | None = None, min_distance: float = 8.0
) -> Clusters:
    """Return the clusters that a verdict lists, with their peaks."""
    space = verdict.contrast.space
    if not isinstance(space, Volume):
        raise VoxlmError("columns of an array have no clusters: give a region as an array of bool")
    return find_clusters(
        np.nan_to_num(verdict.contrast.stat),
        neighbours(space, connectivity or verdict.connectivity),
        listed(verdict),
        positions=space.mm(space.voxels),
        min_distance=min_distance,
    )


def tabulate(verdict: Verdict, connectivity: int | None, min_distance: float) -> pd.DataFrame:
    """List clusters with their peaks; see :meth:`voxlm.Verdict.table`."""
    space = verdict.contrast.space
    if not isinstance(space, Volume):
        return _columns(verdict)
    found = clusters_of(verdict, connectivity, min_distance)
    mm = space.mm(space.voxels)
    volume = float(np.prod(space.voxel_sizes))
    rows = []
    for k, peaks in enumerate(found.peaks):
        members = np.flatnonzero(found.labels == k + 1)
        whole = _whole(verdict, members, mm, volume)
        for rank, voxel in enumerate(peaks.tolist()):
            row: dict[str, Any] = {
                "cluster": f"{k + 1}{chr(ord('a') + rank - 1) if rank else ''}",
                **dict(zip("xyz", mm[voxel].tolist(), strict=True)),
                "stat": verdict.contrast.stat[voxel],
                "p": verdict.p[voxel],
            }
            row |= whole if rank == 0 else dict.fromkeys(whole, pd.NA)
            if verdict.field is not None:
                height = np.abs(verdict.contrast.stat[voxel])
                row["p_peak"] = float(verdict.field.peak_p(height))
            rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS, *_extra(verdict)])


def _extra(verdict: Verdict) -> tuple[str, ...]:
    if verdict.field is not None:
        return "p_peak", "p_cluster"
    return ("discoveries", "tdp") if verdict.bounds is not None else ()


def _whole(
    verdict: Verdict, members: NDArray[np.int64], mm: Floats, volume: float
) -> dict[str, Any]:
    """Return what is known of a cluster as a whole."""
    weight = np.abs(verdict.contrast.stat[members])
    centre = weight @ mm[members] / weight.sum()
    facts: dict[str, Any] = {"voxels": members.size, "mm3": members.size * volume}
    facts |= dict(zip(("com_x", "com_y", "com_z"), centre.tolist(), strict=True))
    if verdict.field is not None:
        facts["p_cluster"] = float(verdict.field.cluster_p(members.size, verdict.forming))
    if verdict.bounds is not None:
        inside = np.zeros(len(verdict.p), dtype=np.bool_)
        inside[members] = True
        facts["discoveries"] = verdict.bounds.discoveries(inside)
        facts["tdp"] = facts["discoveries"] / members.size
    return facts


def _columns(verdict: Verdict) -> pd.DataFrame:
    """List significant columns of an array, the largest first."""
    stat, chosen = verdict.contrast.stat, np.flatnonzero(verdict.significant)
    chosen = chosen[np.argsort(-np.abs(stat[chosen]), kind="stable")]
    return pd.DataFrame({"column": chosen, "stat": stat[chosen], "p": verdict.p[chosen]})


def tdp_map(verdict: Verdict) -> Floats:
    """Return at each voxel the true-discovery proportion of its cluster; 0 outside clusters."""
    if verdict.bounds is None or verdict.formed is None:
        raise VoxlmError(
            f"true-discovery proportions come from correct('ari') or 'pari'; this verdict is by "
            f"{verdict.method!r}"
        )
    labels = label(verdict.contrast, verdict.formed, verdict.connectivity)
    _, _, shares = verdict.bounds.by_label(labels + 1)
    return np.concatenate([[0.0], shares])[labels + 1]
