r"""What Kenward and Roger's method needs of several random terms.

With all random columns side by side, Z of M columns and covariance σ²D, ``A = Z'Z``:
``K = Z'H⁻¹Z = (I + A D)⁻¹ A`` and ``R = Z'H⁻¹X = (I + A D)⁻¹ Z'X`` take one factoring of an M × M
matrix a voxel. The residual's own parameter needs no n × n matrix either, since
``I = H - Σ_r σ_r G_r``.

Axes: V voxels, M random columns, P columns, r variance parameters, the last the residual's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.kernels.threads import over_blocks
from voxlm.models.kenward import Pieces
from voxlm.models.terms import Layout, RandomTerm, triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 256
MOST = 6000  # random columns of a dense factor


@dataclass(frozen=True, slots=True, eq=False)
class TermBasis:
    """Design-only products of all random columns.

    Parameters
    ----------
    gram : ndarray, shape (M, M)
        A.
    meets : ndarray, shape (M, P)
        ``Z'Q``, Q the orthonormal basis of X.
    at : tuple of tuple of (ndarray, ndarray)
        For each parameter, the pairs of columns that its ``G_r`` joins.
    n_rows : int
        n.
    """

    gram: Floats
    meets: Floats
    at: tuple[tuple[tuple[Ints, Ints], ...], ...]
    n_rows: int


def term_basis(layout: Layout, terms: tuple[RandomTerm, ...]) -> TermBasis:
    """Prepare a design.

    Raises
    ------
    DataError
        More random columns than a dense factor is good for.
    """
    columns, at, before = [], [], 0
    for term in terms:
        present, codes = np.unique(term.codes, return_inverse=True)
        n, q = term.matrix.shape
        Z = np.zeros((n, q, present.size))
        Z[np.arange(n)[:, None], np.arange(q), codes[:, None]] = term.matrix
        columns.append(Z.reshape(n, q * present.size))
        place = [before + a * present.size + np.arange(present.size) for a in range(q)]
        for b, a in triangle(q):
            both = ((place[a], place[b]), (place[b], place[a]))
            at.append(both[:1] if a == b else both)
        before += q * present.size
    if before > MOST:
        raise DataError(
            f"Kenward and Roger's method factors all {before:,} random coefficients together, and "
            f"more than {MOST:,} are too many; use df='satterthwaite'"
        )
    Z = np.hstack(columns)
    return TermBasis(Z.T @ Z, Z.T @ layout.blocks.Q, tuple(at), layout.blocks.X.shape[0])


def term_pieces(basis: TermBasis, sigma: Floats) -> Pieces:
    """Return the pieces at variance parameters over σ², shape ``(r - 1, V)``."""
    count, V = sigma.shape[0] + 1, sigma.shape[1]
    P = basis.meets.shape[1]
    out = Pieces(
        np.empty((V, P, P)),
        np.empty((count, V, P, P)),
        np.empty((count, count, V, P, P)),
        np.empty((count, count, V)),
    )

    def work(start: int, stop: int) -> None:
        for v in range(start, stop):
            _voxel(basis, sigma[:, v], out, v)

    over_blocks(V, 16, work)
    return out


def _voxel(basis: TermBasis, sigma: Floats, out: Pieces, v: int) -> None:
    """Write the pieces of one voxel."""
    M, P = basis.meets.shape
    D = np.zeros((M, M))
    for value, pairs in zip(sigma, basis.at, strict=True):
        for i, j in pairs:
            D[i, j] = value
    left = np.eye(M) + basis.gram @ D
    solved = np.linalg.solve(left, np.hstack([basis.gram, basis.meets]))
    K, R = solved[:, :M], solved[:, M:]
    within = np.eye(P) - basis.meets.T @ D @ R
    out.phi[v] = np.linalg.inv(within)
    last = sigma.size
    one = np.array([sum(np.einsum("ii->", K[np.ix_(i, j)]) for i, j in p) for p in basis.at])
    for r, pairs in enumerate(basis.at):
        out.P[r, v] = -sum(R[i].T @ R[j] for i, j in pairs)
    for r, s in product(range(last), repeat=2):
        total, cross = 0.0, np.zeros((P, P))
        for (i, j), (k, m) in product(basis.at[r], basis.at[s]):
            total += float(np.sum(K[np.ix_(j, k)] * K[np.ix_(i, m)]))
            cross += R[i].T @ K[np.ix_(j, k)] @ R[m]
        out.traces[r, s, v], out.Q[r, s, v] = total, cross
    _residual(sigma, one, within, basis.n_rows, out, v)


def _residual(sigma: Floats, one: Floats, within: Floats, n: int, out: Pieces, v: int) -> None:
    """Add the residual's parameter: ``I = H - Σ_r σ_r G_r``."""
    last = sigma.size
    out.P[last, v] = -(within + np.einsum("r,rij->ij", sigma, out.P[:last, v]))
    for s in range(last):
        out.traces[last, s, v] = one[s] - sigma @ out.traces[:last, s, v]
        out.traces[s, last, v] = out.traces[last, s, v]
        out.Q[last, s, v] = -out.P[s, v] - np.einsum("r,rij->ij", sigma, out.Q[:last, s, v])
        out.Q[s, last, v] = out.Q[last, s, v].T
    out.traces[last, last, v] = n - sigma @ one - sigma @ out.traces[:last, last, v]
    out.Q[last, last, v] = -out.P[last, v] - np.einsum("r,rij->ij", sigma, out.Q[:last, last, v])
