"""Deviance, coefficients and their covariance of several random terms at any θ.

Axes: D parameters, P columns, T coefficients of the other terms, Q contrast rows, V voxels, W
lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import LaneSums, from_lanes, lane_sums, to_lanes
from voxlm.kernels.lanes import FAST, LANES
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

WIDEST = 16  # blocks of lanes at a time
MEMORY = 32_000_000  # bytes of factors at a time


@dataclass(frozen=True, slots=True, eq=False)
class BlockForms:
    """What the data say at given θ.

    Parameters
    ----------
    form : ndarray, shape (Q, Q, V), or (Q, V) where only variances were asked for
        ``C (X'H⁻¹X)⁻¹ C'``.
    solution : ndarray, shape (T + P, V)
        Spherical modes of the other terms, and the step from least squares to GLS in the
        orthonormal basis.
    quadratic : ndarray, shape (V,)
        Q, the whitened residual sum of squares.
    random_det, fixed_det : ndarray, shape (V,)
        ``log|H|``, and ``log|X'H⁻¹X| - log|X'X|``.
    """

    form: Floats
    solution: Floats
    quadratic: Floats
    random_det: Floats
    fixed_det: Floats


def block_forms(
    blocks: RandomBlocks, sums: BlockSums, C: Floats, theta: Floats, joint: bool = True
) -> BlockForms:
    """Evaluate at given θ.

    Parameters
    ----------
    blocks, sums
        The design and the data.
    C : ndarray, shape (Q, P)
        Rows over the columns of X.
    theta : ndarray, shape (D, V)
        Where, each voxel at its own.
    joint : bool
        The covariance of the rows, or their variances alone.

    Returns
    -------
    BlockForms
    """
    V, Q = sums.rss.size, C.shape[0]
    rows = np.ascontiguousarray(C @ blocks.Rinv)
    form, parts = np.empty((Q, Q if joint else 1, V)), np.empty((3, V))
    solution = np.empty((blocks.first.size, V))

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        data = (blocks.by_kind(sums.inner[:, here]), sums.outer[:, here], sums.rss[None, here])
        lanes = lane_sums(blocks, data, 1.0, True, kept=True)
        found = lanes.parts(to_lanes(theta[:, here]).transpose(1, 0, 2))
        parts[:, here] = from_lanes(found, stop - start)
        out = np.empty((lanes.rss.shape[0], Q * form.shape[1], LANES))
        _forms(lanes.space[5], blocks.links.shape[0], rows, np.empty((*rows.shape, LANES)), out)
        some = from_lanes(out.transpose(1, 0, 2), stop - start)
        form[:, :, here] = some.reshape(*form.shape[:2], -1)
        solution[:, here] = from_lanes(solve_steps(lanes), stop - start)

    over_blocks(V, block_width(blocks), work)
    return BlockForms(form if joint else form[:, 0], solution, *parts)


def block_width(blocks: RandomBlocks) -> int:
    """Return how many voxels to work on at a time."""
    factor = 8 * LANES * blocks.first.size**2
    return LANES * int(np.clip(MEMORY // factor, 1, WIDEST))


def solve_steps(lanes: LaneSums) -> Floats:
    """Return ``L⁻ᵀ`` times what the last evaluation left, shape ``(S, B, W)``."""
    steps = lanes.space[6]
    _backward(lanes.space[5], lanes.design[8], steps)
    return steps.transpose(1, 0, 2)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _backward(factors, first, steps):  # type: ignore[no-untyped-def]
    """Overwrite the steps by ``L⁻ᵀ`` times them."""
    for block in range(factors.shape[0]):
        A, z = factors[block], steps[block]
        for i in range(first.size - 1, -1, -1):
            zi, d = z[i], A[i, i]
            for w in range(LANES):
                zi[w] *= d[w]
            for j in range(first[i], i):
                for w in range(LANES):
                    z[j, w] -= A[i, j, w] * zi[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _forms(factors, T, rows, z, out):  # type: ignore[no-untyped-def]
    """Write the products of the whitened rows, or of each with itself."""
    Q, P = rows.shape
    joint = out.shape[1] == Q * Q
    for block in range(factors.shape[0]):
        L = factors[block]
        for a in range(Q):
            for i in range(P):
                zi = z[a, i]
                for w in range(LANES):
                    zi[w] = rows[a, i]
                for k in range(i):
                    for w in range(LANES):
                        zi[w] -= L[T + i, T + k, w] * z[a, k, w]
                for w in range(LANES):
                    zi[w] *= L[T + i, T + i, w]
            for b in range(0 if joint else a, a + 1):
                total = out[block, a * Q + b if joint else a]
                for w in range(LANES):
                    total[w] = 0.0
                for i in range(P):
                    for w in range(LANES):
                        total[w] += z[a, i, w] * z[b, i, w]
                if joint:
                    for w in range(LANES):
                        out[block, b * Q + a, w] = total[w]
