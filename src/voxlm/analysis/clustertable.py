"""The clusters of a verdict and their peaks, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.regions import label
from voxlm.errors import VoxlmError
from voxlm.inference.clusters import Clusters, find_clusters

if TYPE_CHECKING:
    from voxlm.analysis.verdict import Verdict

Floats = NDArray[np.float64]


def listed(verdict: Verdict) -> NDArray[np.bool_]:
    """Return the voxels whose clusters a verdict lists."""
    return verdict.significant if verdict.formed is None else verdict.formed


def clusters_of(
    verdict: Verdict, connectivity: int | None = None, min_distance: float = 8.0
) -> Clusters:
    """Return the clusters that a verdict lists, with their peaks."""
    space = verdict.contrast.space
    if not space.linked:
        raise VoxlmError("columns of an array have no clusters: give a region as an array of bool")
    return find_clusters(
        np.nan_to_num(verdict.contrast.stat),
        space.graph(connectivity or verdict.connectivity),
        listed(verdict),
        positions=space.places,
        min_distance=min_distance,
    )


def tabulate(verdict: Verdict, connectivity: int | None, min_distance: float) -> pd.DataFrame:
    """List clusters with their peaks; see :meth:`voxlm.Verdict.table`."""
    space = verdict.contrast.space
    if not space.linked:
        return _columns(verdict)
    found = clusters_of(verdict, connectivity, min_distance)
    number = np.array([k for k, peaks in enumerate(found.peaks) for _ in peaks], dtype=np.int64)
    rank = np.array([r for peaks in found.peaks for r in range(len(peaks))], dtype=np.int64)
    peaks = np.array([at for peaks in found.peaks for at in peaks], dtype=np.int64)
    pairs = zip(number.tolist(), rank.tolist(), strict=True)
    columns: dict[str, Any] = {
        "cluster": [f"{k + 1}{chr(ord('a') + r - 1) if r else ''}" for k, r in pairs],
        **space.where(peaks),
        "stat": verdict.contrast.stat[peaks],
        "p": verdict.p[peaks],
    }
    whole = _wholes(verdict, found)
    for name in whole.columns:
        values = whole[name].iloc[number].reset_index(drop=True).astype(object)
        columns[name] = values.where(pd.Series(rank == 0), pd.NA)
    if verdict.field is not None:
        heights = np.abs(verdict.contrast.stat[peaks])
        columns["p_peak"] = np.array([float(verdict.field.peak_p(h)) for h in heights])
    extra = [name for name in _extra(verdict) if name in columns]
    order = [name for name in columns if name not in extra] + extra
    return pd.DataFrame(columns)[order]


def _extra(verdict: Verdict) -> tuple[str, ...]:
    if verdict.field is not None:
        return "p_peak", "p_cluster"
    return ("discoveries", "tdp") if verdict.bounds is not None else ()


def _wholes(verdict: Verdict, found: Clusters) -> pd.DataFrame:
    """Return what is known of each cluster as a whole, one row a cluster."""
    space, K = verdict.contrast.space, len(found)
    peaks = np.array([peaks[0] for peaks in found.peaks], dtype=np.int64)
    summed = None
    if space.sizes is not None:
        summed = np.bincount(found.labels, space.sizes, minlength=K + 1)[1:]
    facts: dict[str, Any] = dict(space.extents(peaks, found.size, summed))
    if space.places is not None:
        weight = np.abs(np.nan_to_num(verdict.contrast.stat))
        total = np.bincount(found.labels, weight, minlength=K + 1)[1:]
        for axis, at in zip("xyz", space.places.T, strict=True):
            facts[f"com_{axis}"] = np.bincount(found.labels, weight * at, K + 1)[1:] / total
    if verdict.field is not None:
        facts["p_cluster"] = [
            float(verdict.field.cluster_p(n, verdict.forming)) for n in found.size.tolist()
        ]
    if verdict.bounds is not None:
        inside = [found.labels == k + 1 for k in range(K)]
        facts["discoveries"] = [verdict.bounds.discoveries(members) for members in inside]
        facts["tdp"] = [d / n for d, n in zip(facts["discoveries"], found.size, strict=True)]
    return pd.DataFrame(facts)


def _columns(verdict: Verdict) -> pd.DataFrame:
    """List significant columns of an array, the largest first."""
    stat, chosen = verdict.contrast.stat, np.flatnonzero(verdict.significant)
    chosen = chosen[np.argsort(-np.abs(stat[chosen]), kind="stable")]
    where = verdict.contrast.space.where(chosen)
    return pd.DataFrame({**where, "stat": stat[chosen], "p": verdict.p[chosen]})


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
