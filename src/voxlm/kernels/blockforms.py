"""Deviance, coefficients and their covariance of several random terms at any θ.

Axes: D parameters, P columns, T coefficients of the other terms, Q contrast rows, G points, V
voxels, B blocks of lanes, W lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import (
    LaneSums,
    evaluate,
    from_lanes,
    lane_sums,
    point_lanes,
    to_lanes,
)
from voxlm.kernels.lanes import LANES
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

WIDEST = 16  # blocks of lanes at a time
MEMORY = 32_000_000  # bytes of statistics at a time


@dataclass(frozen=True, slots=True, eq=False)
class BlockForms:
    """What the data say at given θ.

    Parameters
    ----------
    form : ndarray, shape (Q, Q, V), or (Q, V) where only variances were asked for
        ``C (X'H⁻¹X)⁻¹ C'``.
    effect : ndarray, shape (Q, V)
        C times the step from least squares to GLS.
    quadratic : ndarray, shape (V,)
        Q, the whitened residual sum of squares.
    random_det, fixed_det : ndarray, shape (V,)
        ``log|H|``, and ``log|X'H⁻¹X| - log|X'X|``.
    """

    form: Floats
    effect: Floats
    quadratic: Floats
    random_det: Floats
    fixed_det: Floats


def block_forms(
    blocks: RandomBlocks, sums: BlockSums, C: Floats, thetas: Sequence[Floats], joint: bool = True
) -> list[BlockForms]:
    """Evaluate at given θ.

    Parameters
    ----------
    blocks, sums
        The design and the data.
    C : ndarray, shape (Q, P)
        Rows over the columns of X.
    thetas : sequence of ndarray, shape (D, V)
        Where, each voxel at its own: one or several points, which share what is made of the data.
    joint : bool
        The covariance of the rows, or their variances alone.

    Returns
    -------
    list of BlockForms
        One a point.
    """
    V, Q, T, G = sums.rss.size, C.shape[0], blocks.links.shape[0], len(thetas)
    rows = np.ascontiguousarray(C @ blocks.Rinv)
    form, parts = np.empty((G, Q, Q if joint else 1, V)), np.empty((G, 3, V))
    effect = np.empty((G, Q, V))

    def work(start: int, stop: int) -> None:
        here, n = slice(start, stop), stop - start
        data = (blocks.by_kind(sums.inner[:, here]), sums.outer[:, here], sums.rss[None, here])
        lanes = lane_sums(blocks, data, 1.0, True)
        for g, theta in enumerate(thetas):
            point = to_lanes(theta[:, here]).transpose(1, 0, 2)
            found, solution, some = inspect(lanes, point, rows, form.shape[2])
            parts[g][:, here] = from_lanes(found, n)
            effect[g][:, here] = rows @ from_lanes(solution, n)[T:]
            form[g][..., here] = from_lanes(some, n).reshape(*form.shape[1:3], n)

    over_blocks(V, block_width(blocks), work)
    return [
        BlockForms(f if joint else f[:, 0], e, *p)
        for f, e, p in zip(form, effect, parts, strict=True)
    ]


def block_width(blocks: RandomBlocks) -> int:
    """Return how many voxels to work on at a time."""
    S, kinds = blocks.first.size, blocks.pull.shape[1]
    rows = S + (kinds * (1 + S) if blocks.compact else blocks.meets.shape[1])
    return LANES * int(np.clip(MEMORY // (8 * LANES * rows), 1, WIDEST))


def inspect(
    lanes: LaneSums, theta: Floats, rows: Floats, wide: int
) -> tuple[Floats, Floats, Floats]:
    """Evaluate at θ ``(D, B, W)``, with what follows from F's factor.

    Returns the three parts ``(3, B, W)``; the modes of the other terms and the step from least
    squares to GLS ``(S, B, W)``; and, rows by ``wide`` of them (all, or each with itself alone),
    ``rows (Q'H⁻¹Q)⁻¹ rows'``, ``(Q·wide, B, W)``.
    """
    B, S, Q = lanes.rss.shape[0], lanes.space[5].shape[0], rows.shape[0]
    parts, steps = np.empty((B, 1, 3, LANES)), np.empty((B, S, LANES))
    out = np.empty((B, Q * wide, LANES))
    data = (lanes.inner, lanes.outer, lanes.rss, point_lanes(theta), np.arange(B))
    evaluate(lanes.design, *data, lanes.space, parts, rows, steps, out)
    return parts[:, 0].transpose(1, 0, 2), steps.transpose(1, 0, 2), out.transpose(1, 0, 2)
