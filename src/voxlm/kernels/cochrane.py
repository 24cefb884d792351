"""Cochrane and Orcutt's iteration, many voxels side by side.

A voxel has one series, its data, and K columns of its own beside the P that all share; K is mostly
0. Each of the K + 1 series is a *side*, known by its lagged products with the basis and with the
other sides. By Frisch and Waugh: at any ρ every side is whitened and cleaned of the whitened
design, and the own coefficients are those of the cleaned columns alone, a K × K system; so the
design is factored once a step whatever K is.

Axes: P shared columns, K own columns, p order, U scans near an edge, W lanes (voxels worked side by
side), V voxels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from voxlm.kernels.arone import factor_either, solve_one, workspace
from voxlm.kernels.lanes import (
    FAST,
    LANES,
    add_weighted,
    backward,
    cut_off,
    forward,
    load,
    store,
    times,
    toeplitz_solve,
    whitening,
)
from voxlm.kernels.sides import allocate, less_explained, mix_sides, mixture, whitened_product


@njit(cache=True, nogil=True, error_model="numpy")
def solve_voxels(  # type: ignore[no-untyped-def]
    design, data, own, both, span, limits, results, iterations, converged
):
    """Iterate the voxels of a span, LANES at a time."""
    P, K, p = design[0].shape[2], own[0].shape[0], both.shape[1] - 1
    sides, shared = allocate(K + 1, P, p, design[6].shape[0]), np.empty((*both.shape[:2], LANES))
    mixed = mixture(sides, K)
    factors = workspace(P, design[5].shape[0])
    left, weight = np.empty((K + 1, K + 1, LANES)), np.empty((K + 1, LANES))
    rho, a = np.empty((p, LANES)), np.empty((p + 1, LANES))
    b, last = np.empty((P + K, LANES)), np.empty((P + K, LANES))
    active = np.empty(LANES, dtype=np.bool_)
    maxiter, rtol, bins = limits
    for at in range(span[0], span[1], LANES):
        n = min(LANES, span[1] - at)
        take_sides(data, own, both, design[3], at, n, sides, shared)
        rho[:] = 0.0
        active[:] = True
        iterations[at : at + n] = maxiter
        converged[at : at + n] = False
        # Before the first ρ there is a fit at ρ = 0, which leaves out the same scans.
        iteration = 0 if maxiter > 1 else 1
        while True:
            whitening(rho, a)
            fit_sides(design, sides, shared, factors, a, left, iteration == 0)
            mix_sides(sides, shared, left, weight, mixed)
            coefficients(design[8], mixed[0], mixed[4], b)
            for k in range(K):
                b[P + k] = weight[k + 1]
            if iteration == 0:
                last[:] = b
            elif iteration >= maxiter - 1 or settle(
                b, last, rtol, active, n, iteration, at, iterations, converged
            ):
                break
            yule_walker(design, mixed, active, rho)
            cut_off(rho, bins, active)
            iteration += 1
        put_away(design[8], sides, b, rho, left, at, n, results)


@njit(cache=True, nogil=True, error_model="numpy")
def take_sides(data, own, both, ones, at, n, sides, shared):  # type: ignore[no-untyped-def]
    """Copy the statistics of n voxels into the lanes."""
    take(data, ones, at, n, sides, 0)
    projection, offset, cross, total, auto, near = own
    for k in range(projection.shape[0]):
        side = (projection[k], offset[k], cross[k], total[k], auto[k], near[k])
        take(side, ones, at, n, sides, k + 1)
    for pair in range(both.shape[0]):
        load(both[pair], at, n, shared[pair])


@njit(cache=True, nogil=True, error_model="numpy")
def take(sums, ones, at, n, sides, i):  # type: ignore[no-untyped-def]
    """Copy the statistics of one side, the constant put back."""
    projection, offset, cross, total, auto, near = sums
    start = sides[0][i]
    load(projection, at, n, start)
    for c in range(start.shape[0]):
        for w in range(n):
            start[c, w] += ones[0, c] * offset[at + w]
    load(cross, at, n, sides[1][i])
    load(total, at, n, sides[2][i])
    load(auto, at, n, sides[3][i])
    load(near, at, n, sides[4][i])


@njit(cache=True, nogil=True, error_model="numpy")
def fit_sides(design, sides, shared, factors, a, left, at_zero):  # type: ignore[no-untyped-def]
    """Regress every side on the whitened design; write the products of what is left."""
    gram, eigen, _, _, _, edges, edge_rows, first, _ = design
    A, inverse, spread, small = factors
    _, H, _, g, e, z, step = sides
    n = H.shape[0]
    if at_zero and n == 1:
        times(first, e[0], step[0])  # what is left is not asked for
        return
    for i in range(n):
        right_hand_side(edges, edge_rows, H[i], g[i], e[i], a, z[i], left[i, i])
    closed = False
    if not at_zero:
        closed = factor_either(gram, eigen, edges, edge_rows, a, A, inverse, spread, small)
    for i in range(n):
        if at_zero:
            times(first, e[i], step[i])
        else:
            solve_step(closed, A, inverse, spread, small, z[i], step[i])
        less_explained(step[i], z[i], left[i, i])
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            whitened_product(edges, shared[pair], e[i], e[j], a, left[i, j])
            less_explained(step[i], z[j], left[i, j])
            left[j, i] = left[i, j]
            pair += 1


@njit(cache=True, nogil=True, error_model="numpy")
def put_away(Rinv, sides, b, rho, left, at, n, results):  # type: ignore[no-untyped-def]
    """Store what was found for n voxels; ``b`` is overwritten."""
    params, rho_out, ssr, along, curvature = results
    store(b, at, n, params)
    store(rho, at, n, rho_out)
    for w in range(n):
        ssr[at + w] = left[0, 0, w]
    for k in range(along.shape[0]):
        coefficients(Rinv, sides[0][k + 1], sides[6][k + 1], b)
        store(b[: Rinv.shape[0]], at, n, along[k])
        store(left[k + 1, 1:], at, n, curvature[k])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def coefficients(Rinv, start, step, b):  # type: ignore[no-untyped-def]
    """Write ``R⁻¹ (start + step)``: from the orthonormal basis to the columns of X."""
    P = Rinv.shape[0]
    for i in range(P):
        for w in range(LANES):
            b[i, w] = 0.0
        add_weighted(b[i], Rinv[i], start, 0, P)
        add_weighted(b[i], Rinv[i], step, 0, P)


@njit(cache=True, nogil=True, error_model="numpy")
def settle(b, last, rtol, active, n, iteration, at, iterations, converged):  # type: ignore[no-untyped-def]
    """Stop the lanes whose coefficients moved by less than rtol; tell whether all have."""
    P = b.shape[0]
    any_active = False
    for w in range(n):
        if not active[w]:
            continue
        settled = True
        for i in range(P):
            # as a negation, so that NaN counts as moving
            if not abs(last[i, w] - b[i, w]) < rtol * abs(last[i, w]):
                settled = False
                break
        if settled:
            active[w] = False
            converged[at + w] = True
            iterations[at + w] = iteration + 1
        else:
            any_active = True
            for i in range(P):
                last[i, w] = b[i, w]
    return not any_active


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def yule_walker(design, mixed, active, rho):  # type: ignore[no-untyped-def]
    """Estimate ρ from the residuals of ``start + step``, in the lanes that are still active."""
    _, eigen, lag_gram, ones, pairs, _, _, _, _ = design
    _, H, s, g, step, scratch = mixed
    p, P = rho.shape[0], step.shape[0]
    gamma = np.empty((p + 1, LANES))
    mean = np.empty(LANES)
    for k in range(p + 1):
        sum_k, cov = s[k].copy(), g[k].copy()
        for i in range(P):
            o, d = ones[k, i], step[i]
            for w in range(LANES):
                sum_k[w] -= o * d[w]
        if k == 0:
            for i in range(P):
                d = step[i]
                for w in range(LANES):
                    cov[w] += d[w] * d[w]
            for w in range(LANES):
                mean[w] = sum_k[w] / pairs[0]
                gamma[0, w] = cov[w] / pairs[0] - mean[w] * mean[w]
            continue
        if eigen.size:
            for i in range(P):
                for w in range(LANES):
                    scratch[i, w] = eigen[i] * step[i, w]
        else:
            times(lag_gram[k], step, scratch)
        for i in range(P):
            d, half, h = step[i], scratch[i], H[(k - 1) * P + i]
            for w in range(LANES):
                cov[w] += d[w] * (0.5 * half[w] - h[w])
        for w in range(LANES):
            gamma[k, w] = (cov[w] - mean[w] * sum_k[w]) / pairs[k] + mean[w] * mean[w]
    if p == 1:
        for w in range(LANES):
            if active[w]:
                rho[0, w] = gamma[1, w] / gamma[0, w]
    else:
        for w in range(LANES):
            if active[w]:
                toeplitz_solve(gamma, w, rho)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def right_hand_side(edges, edge_rows, H, g, e, a, z, ssr):  # type: ignore[no-untyped-def]
    """Write the whitened Q'r and r'r of the OLS residuals r."""
    p, P = a.shape[0] - 1, z.shape[0]
    for w in range(LANES):
        ssr[w] = 0.0
    for i in range(P):
        zi = z[i]
        for w in range(LANES):
            zi[w] = 0.0
    weight = np.empty(LANES)
    for k in range(p + 1):
        for w in range(LANES):
            weight[w] = 0.0
        for j in range(p + 1 - k):
            for w in range(LANES):
                weight[w] += a[j, w] * a[j + k, w]
        twice = 1.0 if k == 0 else 2.0
        for w in range(LANES):
            ssr[w] += twice * weight[w] * g[k, w]
        if k == 0:
            continue  # residuals are orthogonal to Q
        for i in range(P):
            zi, h = z[i], H[(k - 1) * P + i]
            for w in range(LANES):
                zi[w] += weight[w] * h[w]
    remove_edges(edges, edge_rows, a, e, z, ssr)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def remove_edges(edges, edge_rows, a, e, z, ssr):  # type: ignore[no-untyped-def]
    """Take away the rows that zero padding added at the ends of each segment."""
    P = z.shape[0]
    residual = np.empty(LANES)
    for row in range(edges.shape[0]):
        for w in range(LANES):
            residual[w] = 0.0
        for j in range(edges.shape[1]):
            scan = edges[row, j]
            if scan >= 0:
                for w in range(LANES):
                    residual[w] += a[j, w] * e[scan, w]
        for w in range(LANES):
            ssr[w] -= residual[w] * residual[w]
        for j in range(edges.shape[1]):
            scan = edges[row, j]
            if scan < 0:
                continue
            for i in range(P):
                q, zi = edge_rows[scan, i], z[i]
                for w in range(LANES):
                    zi[w] -= q * a[j, w] * residual[w]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def solve_step(closed, A, inverse, spread, small, z, step):  # type: ignore[no-untyped-def]
    """Solve for the step from OLS to the whitened fit, by the factor at hand."""
    for i in range(step.shape[0]):
        for w in range(LANES):
            step[i, w] = z[i, w]
    if closed:
        solve_one(inverse, spread, small, step, np.empty((spread.shape[0], LANES)))
    else:
        forward(A, step)
        backward(A, step)
