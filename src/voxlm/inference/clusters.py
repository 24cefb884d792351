"""Clusters of significant voxels on a neighbour graph: labels, sizes, peaks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import VoxlmError
from voxlm.kernels.graph import components

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Connected sets of voxels of one sign, positive ones first, each sign by its largest value.

    Parameters
    ----------
    labels : ndarray of int, shape (V,)
        Number of each voxel's cluster, from 1; 0 outside all clusters.
    size : ndarray of int, shape (K,)
        Voxels in each of the K clusters.
    sign : ndarray of int, shape (K,)
        1 or -1.
    peaks : tuple of ndarray of int
        Voxels of the local maxima of each cluster, the largest first, at most ``n_peaks`` of them.
    value : tuple of ndarray
        The statistic at these voxels.

    Examples
    --------
    >>> from voxlm.kernels.graph import volume_graph
    >>> values = np.array([3.0, 4.0, 0.1, -5.0, -3.5, -3.0])
    >>> found = find_clusters(values, volume_graph((6, 1, 1), range(6)), np.abs(values) > 2)
    >>> found.labels
    array([1, 1, 0, 2, 2, 2])
    >>> found.size, found.value
    (array([2, 3]), (array([4.]), array([-5.])))
    """

    labels: Ints
    size: Ints
    sign: Ints
    peaks: tuple[Ints, ...]
    value: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.size)

    def __str__(self) -> str:
        lines = [" cluster   voxels      peak   at voxel"]
        for k, (size, voxels, values) in enumerate(
            zip(self.size, self.peaks, self.value, strict=True)
        ):
            for rank, (voxel, value) in enumerate(zip(voxels, values, strict=True)):
                name = f"{k + 1}{chr(ord('a') + rank - 1) if rank else ''}"
                shown = "" if rank else str(size)
                lines.append(f"{name:>8} {shown:>8} {value:>9.3f} {voxel:>10}")
        return "\n".join(lines)


def find_clusters(
    values: ArrayLike,
    graph: scipy.sparse.csr_array,
    inside: ArrayLike,
    *,
    min_size: int = 1,
    positions: ArrayLike | None = None,
    min_distance: float = 8.0,
    n_peaks: int = 4,
    peak_graph: scipy.sparse.csr_array | None = None,
) -> Clusters:
    """Find the clusters of a thresholded map.

    Parameters
    ----------
    values : array_like, shape (V,)
        The statistic.
    graph : csr_array, shape (V, V)
        Neighbours. Voxels of different sign are never in one cluster.
    inside : array_like of bool, shape (V,)
        The voxels above threshold, as ``Decision.significant``.
    min_size : int
        Clusters of fewer voxels are left out.
    positions : array_like, shape (V, 3), optional
        Places in mm. With them, further local maxima of each cluster are given beside its peak.
    min_distance : float
        Least distance between two peaks of a cluster, in mm.
    n_peaks : int
        At most so many peaks a cluster.
    peak_graph : csr_array, shape (V, V), optional
        Neighbours that a local maximum must reach; ``graph`` by default. Of equal neighbours the
        first in voxel order counts.

    Returns
    -------
    Clusters

    Raises
    ------
    VoxlmError
        If the graph has another number of voxels than the map, or ``inside`` has NaN voxels.
    """
    stat, keep = np.asarray(values, dtype=np.float64), np.asarray(inside, dtype=np.bool_)
    _check(stat, keep, graph, min_size)
    where = None if positions is None else np.asarray(positions, dtype=np.float64)
    sign = np.where(stat < 0, -1, 1)
    labels = components(graph, keep, sign)
    order = _order(np.abs(stat), sign, labels, min_size)
    number = np.zeros(labels.max(initial=-1) + 2, dtype=np.int64)
    number[order] = np.arange(1, len(order) + 1)
    labels = number[labels]
    size = np.bincount(labels, minlength=len(order) + 1)[1:]
    reach = graph if peak_graph is None else peak_graph
    maxima = None if where is None else _local_maxima(stat, labels, reach)
    members = _members(labels, len(order))
    peaks = tuple(_peaks(np.abs(stat), m, maxima, where, min_distance, n_peaks) for m in members)
    signs = np.array([sign[p[0]] for p in peaks], dtype=np.int64)
    return Clusters(labels, size, signs, peaks, tuple(stat[p] for p in peaks))


def _check(
    stat: Array, keep: NDArray[np.bool_], graph: scipy.sparse.csr_array, min_size: int
) -> None:
    V = len(stat)
    if graph.shape != (V, V):
        raise VoxlmError(f"the neighbour graph has {graph.shape[0]} voxels, the map has {V}")
    if keep.shape != (V,):
        raise VoxlmError(f"'inside' has shape {keep.shape}, the map has {V} voxels")
    if np.isnan(stat[keep]).any():
        raise VoxlmError("a voxel without a statistic (NaN) cannot be inside a cluster")
    if min_size < 1:
        raise VoxlmError(f"min_size counts voxels and is at least 1, got {min_size!r}")


def _order(size_of: Array, sign: Ints, labels: Ints, min_size: int) -> Ints:
    """Return the labels to keep, positive clusters first, each sign by its peak."""
    K = int(labels.max(initial=-1)) + 1
    kept = np.flatnonzero(labels >= 0)
    peak = np.zeros(K)
    np.maximum.at(peak, labels[kept], size_of[kept])
    side = np.ones(K, dtype=np.int64)
    side[labels[kept]] = sign[kept]
    enough = np.bincount(labels[kept], minlength=K) >= min_size
    order = np.lexsort((-peak, -side))
    return np.asarray(order[enough[order]])


def _members(labels: Ints, K: int) -> list[Ints]:
    """Return the voxels of each cluster, in voxel order."""
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(1, K + 2))
    return [order[a:b] for a, b in pairwise(edges.tolist())]


def _local_maxima(stat: Array, labels: Ints, graph: scipy.sparse.csr_array) -> NDArray[np.bool_]:
    """Mark voxels that no neighbour of their own cluster exceeds."""
    V = len(stat)
    height = np.abs(stat)
    rows = np.repeat(np.arange(V), np.diff(graph.indptr))
    columns = graph.indices
    same = (labels[rows] == labels[columns]) & (labels[rows] > 0)
    rows, columns = rows[same], columns[same]
    tie_lost = (height[columns] == height[rows]) & (columns < rows)
    beaten = rows[(height[columns] > height[rows]) | tie_lost]
    maxima = labels > 0
    maxima[beaten] = False
    return np.asarray(maxima)


def _peaks(
    height: Array,
    members: Ints,
    maxima: NDArray[np.bool_] | None,
    where: Array | None,
    min_distance: float,
    n_peaks: int,
) -> Ints:
    """Return the peaks of one cluster, largest first, none too near a larger one."""
    if maxima is None or where is None:
        return members[[int(np.argmax(height[members]))]]
    candidates = members[maxima[members]]
    candidates = candidates[np.argsort(-height[candidates], kind="stable")]
    found: list[int] = []
    for voxel in candidates.tolist():
        gap = np.linalg.norm(where[found] - where[voxel], axis=1)
        if np.all(gap > min_distance):
            found.append(voxel)
        if len(found) == n_peaks:
            break
    return np.array(found, dtype=np.int64)
