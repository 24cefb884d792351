"""What is largest in the maps of every permutation: statistic, clusters at thresholds, TFCE.

Whatever can be permuted (:class:`Sample`) gives whole maps, a few at a time; each thread grows
their trees in a room of its own.

Axes: V voxels, v of them tested, K permutations, J thresholds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.partition import Partition
from voxlm.kernels import permuted
from voxlm.kernels.maxtree import as_bits, as_weights, links, make_room
from voxlm.kernels.threads import over_blocks

if TYPE_CHECKING:
    from scipy import sparse

Array = NDArray[np.float64]
Floats = NDArray[np.floating]

# Whole maps held at a time. A fixed number, so that results do not depend on the machine.
MAP_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Enhancement:
    """How maps are enhanced; see :func:`voxlm.kernels.enhance.tfce`."""

    E: float = 0.5
    H: float = 2.0
    scaling: str = "exact"


class Sample(Protocol):
    """What can be permuted: least squares residuals, or a mixed model that is refitted."""

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which voxels can be tested, shape ``(V,)``; v of them."""

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Precision of permuted statistics."""

    @property
    def slack(self) -> float:
        """What rounding does to a permuted statistic, relative to its size."""

    @property
    def part(self) -> Partition:
        """The design."""

    @property
    def statistic(self) -> Array:
        """The observed statistic, shape ``(v,)``."""

    def maps(self, arrangements: Arrangements, start: int, stop: int, largest: Array) -> Floats:
        """Return permuted maps, ``(k, v)``; write what is largest of each, by sign."""


@dataclass(frozen=True, slots=True, eq=False)
class Maxima:
    """Null distributions of what is largest in a map, by sign (positive, negative).

    Parameters
    ----------
    share : ndarray, shape (K, 2)
        Largest share of variance explained (with variance groups: the statistic itself).
    tfce : ndarray, shape (K, 2), or None
        Largest enhancement.
    extent, mass : ndarray, shape (J, K, 2), or None
        Of the largest clusters above each threshold.
    """

    share: Array
    tfce: Array | None = None
    extent: Array | None = None
    mass: Array | None = None


def permute_statistics(
    data: Sample, arrangements: Arrangements, progress: Callable[[int], object] | None = None
) -> Maxima:
    """Take the largest statistic of every permutation of any sample, a few whole maps at a time."""
    largest = np.empty((arrangements.n, 2))

    def work(start: int, stop: int) -> None:
        data.maps(arrangements, start, stop, largest[start:stop])
        if progress is not None:
            progress(stop - start)

    over_blocks(arrangements.n, MAP_BATCH, work)
    return Maxima(largest)


def permute_trees(
    data: Sample,
    arrangements: Arrangements,
    graph: sparse.csr_array,
    *,
    enhancement: Enhancement | None = None,
    thresholds: Array | tuple[float, ...] = (),
    weights: Array | None = None,
    two_sided: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Maxima:
    """Take the largest statistic, enhancement and clusters of every permutation, a tree each.

    Parameters
    ----------
    data : Sample
    arrangements : Arrangements
    graph : csr_array, shape (v, v)
        Neighbours among the tested voxels.
    enhancement : Enhancement, optional
        Also enhance.
    thresholds : sequence of float
        Cluster-forming thresholds, in units of the statistic.
    weights : ndarray, shape (v,), optional
        Areas.
    two_sided : bool
        Whether negative clusters count.
    progress : callable, optional
    """
    cuts = np.asarray(thresholds, dtype=np.float64)
    power = np.array([-1.0, 0.0, 0.0])
    if enhancement is not None:
        steps = permuted.STEPS if enhancement.scaling == "per-map" else 0
        power = np.array([enhancement.E, enhancement.H, steps])
    starts, neighbours = links(graph)
    area = as_weights(weights)
    share = np.empty((arrangements.n, 2))
    found = np.zeros((arrangements.n, 1 + 2 * len(cuts), 2))
    rooms = _Rooms(int(data.tested.sum()))

    def work(start: int, stop: int) -> None:
        maps = data.maps(arrangements, start, stop, share[start:stop])
        room = rooms.room
        permuted.tree_maxima(
            maps, as_bits(maps), starts, neighbours, area, two_sided, power, cuts,
            room, found[start:stop],
        )  # fmt: skip
        if progress is not None:
            progress(stop - start)

    over_blocks(arrangements.n, MAP_BATCH, work)
    enhanced = None if enhancement is None else found[:, 0]
    by_cut = np.moveaxis(found[:, 1:].reshape(arrangements.n, len(cuts), 2, 2), 1, 0)
    return Maxima(share, enhanced, by_cut[:, :, 0], by_cut[:, :, 1])


class _Rooms(threading.local):
    """A room to grow trees in for each thread that asks."""

    def __init__(self, n_voxels: int) -> None:
        self.room = make_room(n_voxels)
