"""Deviance, coefficients and their covariance of several random terms at any θ.

Axes: D parameters, P columns, T coefficients of the other terms, Q contrast rows, V voxels, W
lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from voxlm.kernels.blockdeviance import envelope_backward, evaluate, scratch
from voxlm.kernels.lanes import LANES, forward, load
from voxlm.kernels.randomblocks import BlockSums, RandomBlocks
from voxlm.kernels.threads import over_blocks

Floats = NDArray[np.float64]

BLOCK = 1024


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
        block = [np.ascontiguousarray(a[:, here]) for a in (sums.inner, sums.outer, theta)]
        some_form, some = np.empty((Q, form.shape[1], stop - start)), np.empty((3, stop - start))
        some_solution = np.empty((solution.shape[0], stop - start))
        rss = np.ascontiguousarray(sums.rss[here]).reshape(1, -1)
        _forms(blocks.design, *block[:2], rss, block[2], rows, some_form, some, some_solution)
        form[:, :, here], parts[:, here], solution[:, here] = some_form, some, some_solution

    over_blocks(V, BLOCK, work)
    return BlockForms(form if joint else form[:, 0], solution, *parts)


@njit(cache=True, nogil=True, error_model="numpy")
def _forms(design, inner, outer, rss, theta, rows, form, parts, solution):  # type: ignore[no-untyped-def]
    """Write forms, solution, Q and log determinants, LANES voxels at a time."""
    S, T, Q, D = design[8].size, design[10].shape[0], rows.shape[0], theta.shape[0]
    space = scratch(design)
    c, o, r = np.empty((inner.shape[0], LANES)), np.empty((T, LANES)), np.empty((1, LANES))
    th, out = np.empty((D, LANES)), np.empty((3, LANES))
    z = np.empty((Q, S - T, LANES))
    for at in range(0, rss.shape[1], LANES):
        n = min(LANES, rss.shape[1] - at)
        load(inner, at, n, c)
        load(outer, at, n, o)
        load(rss, at, n, r)
        load(theta, at, n, th)
        evaluate(design, c, o, r[0], th, space, out[0], out[1], out[2])
        parts[:, at : at + n] = out[:, :n]
        L = space[5][T:, T:]
        for a in range(Q):
            for i in range(S - T):
                z[a, i] = rows[a, i]
            forward(L, z[a])
        _products(z, form, at, n)
        envelope_backward(space[5], design[8], space[6])
        solution[:, at : at + n] = space[6][:, :n]


@njit(cache=True, nogil=True, error_model="numpy")
def _products(z, form, at, n):  # type: ignore[no-untyped-def]
    """Write the products of the rows, or of each with itself."""
    total = np.empty(LANES)
    joint = form.shape[1] == form.shape[0]
    for a in range(z.shape[0]):
        for b in range(0 if joint else a, a + 1):
            total[:] = 0.0
            for i in range(z.shape[1]):
                for w in range(LANES):
                    total[w] += z[a, i, w] * z[b, i, w]
            if joint:
                form[a, b, at : at + n] = total[:n]
                form[b, a, at : at + n] = total[:n]
            else:
                form[a, 0, at : at + n] = total[:n]
