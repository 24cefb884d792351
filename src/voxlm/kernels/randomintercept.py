r"""What design and groups alone say about a random intercept, computed once.

The model is ``y = X b + Z u + e`` with one random intercept a group: ``Var(y) = σ² H``,
``H = I + λ Z Z'``, λ the variance of u over that of e. With groups of sizes ``n_i``,
``H⁻¹ = I - Σ_i w_i 1_i 1_i'`` where ``w_i = λ / (1 + λ n_i)`` depends on the size alone. So groups
of one size act together, and with Q an orthonormal basis of X and ``s = Z'r`` the group sums of the
least squares residuals r, all that restricted likelihood needs of a voxel is, for each of the K
distinct sizes, the part of s inside the span of ``S_k = Z_k'Q`` (at most P numbers) and the energy
outside it (one number), and ``r'r``.

In the space of error contrasts H is diagonal in the eigenvectors of ``Z'MZ = diag(n_i) - SS'``,
``M = I - QQ'``. Those orthogonal to the spans have eigenvalue ``n_k``; the others come from one
small matrix of size J, the sum of the ranks. The deviance of a voxel is then a sum over J + K
eigenvalues: no matrix is left in the optimiser, and neither rows nor groups are counted again.

Axes: n rows, m groups, P columns, K distinct group sizes, J special directions, V voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A direction of S_k, or an eigenvalue, this small against the largest is rounding.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class InterceptBasis:
    """Design-only products of a random intercept.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        The fixed effects' columns, of full rank.
    groups : ndarray of int, shape (n,)
        The group of each row, 0 … m - 1.
    Q, R, Rinv : ndarray, shapes (n, P), (P, P), (P, P)
        X = QR, and the inverse of R.
    sizes : ndarray, shape (K,)
        Distinct group sizes, ascending.
    class_of : ndarray of int, shape (m,)
        The place of each group's size in ``sizes``.
    members : ndarray, shape (K,)
        Groups of each size.
    sums : ndarray, shape (m, P)
        S = Z'Q.
    special : ndarray, shape (J, m)
        Orthonormal rows that span the columns of each ``S_k``, class by class.
    special_class : ndarray of int, shape (J,)
        The class of each special direction.
    pull : ndarray, shape (P, J)
        ``S' special'``: what a special direction means for the fixed effects.
    gram : ndarray, shape (K, P, P)
        ``S_k'S_k``.
    turn, eigen : ndarray, shapes (J, J), (J,)
        Eigenvectors and eigenvalues of ``Z'MZ`` within the special directions; 0 where X already
        holds the direction.
    spare : ndarray, shape (K,)
        Multiplicity of the eigenvalue ``n_k`` outside the special directions.
    log_det : float
        ``log|X'X|``.
    constant : ndarray, shape (P,), or None
        Weights that make the constant of the columns; None where it is not in their span.
    """

    X: Floats
    groups: Ints
    Q: Floats
    R: Floats
    Rinv: Floats
    sizes: Floats
    class_of: Ints
    members: Floats
    sums: Floats
    special: Floats
    special_class: Ints
    pull: Floats
    gram: Floats
    turn: Floats
    eigen: Floats
    spare: Floats
    log_det: float
    constant: Floats | None

    @property
    def n_rows(self) -> int:
        """Number of rows, n."""
        return self.X.shape[0]

    @property
    def n_columns(self) -> int:
        """Number of columns, P."""
        return self.X.shape[1]

    @property
    def n_groups(self) -> int:
        """Number of groups, m."""
        return int(self.class_of.size)

    @property
    def identified(self) -> bool:
        """Whether the columns leave anything of the groups to estimate a variance from."""
        some = self.eigen.max(initial=0.0) > 0 or self.spare.max(initial=0.0) > 0
        return some and self.n_groups < self.n_rows

    @property
    def roots(self) -> tuple[Floats, Floats]:
        """Eigenvalues of ``Z'MZ`` that are not zero, with multiplicity; special ones first."""
        d = np.concatenate([self.eigen, self.sizes])
        count = np.concatenate([(self.eigen > 0).astype(np.float64), self.spare])
        return d, count


def intercept_basis(X: Floats, groups: Ints) -> InterceptBasis:
    """Compute the design-only products of ``X b + (1 | group)``.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns of full rank.
    groups : ndarray of int, shape (n,)
        The group of each row, 0 … m - 1, all in use.

    Returns
    -------
    InterceptBasis

    Raises
    ------
    numpy.linalg.LinAlgError
        If X is rank-deficient to rounding.

    Examples
    --------
    >>> basis = intercept_basis(np.ones((6, 1)), np.array([0, 0, 1, 1, 2, 2]))
    >>> basis.sizes, basis.spare, basis.eigen
    (array([2.]), array([2.]), array([0.]))
    """
    Q, R = qr(X, mode="economic")
    Rinv = solve_triangular(R, np.eye(X.shape[1]))
    counts = np.bincount(groups)
    sizes, class_of = np.unique(counts, return_inverse=True)
    sums = group_sums(Q, groups, counts.size)
    special, special_class = _special(sums, class_of, sizes.size)
    pull = sums.T @ special.T
    turn, eigen = _spectrum(pull, sizes[special_class].astype(np.float64))
    members = np.bincount(class_of).astype(np.float64)
    gram = np.stack([part @ part.T for part in _by_class(pull, special_class, sizes.size)])
    return InterceptBasis(
        X=X,
        groups=np.ascontiguousarray(groups, dtype=np.int64),
        Q=np.ascontiguousarray(Q),
        R=R,
        Rinv=Rinv,
        sizes=sizes.astype(np.float64),
        class_of=class_of.astype(np.int64),
        members=members,
        sums=sums,
        special=np.ascontiguousarray(special),
        special_class=special_class,
        pull=np.ascontiguousarray(pull),
        gram=gram,
        turn=np.ascontiguousarray(turn.T),
        eigen=eigen,
        spare=members - np.bincount(special_class, minlength=sizes.size),
        log_det=2.0 * float(np.log(np.abs(np.diag(R))).sum()),
        constant=_constant(Q, Rinv),
    )


def group_sums(rows: Floats, groups: Ints, n_groups: int) -> Floats:
    """Sum the rows of each group, ``Z' rows``, shape ``(m, columns)``.

    Examples
    --------
    >>> group_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0]), 2)
    array([[5.],
           [2.]])
    """
    total = np.zeros((n_groups, rows.shape[1]))
    np.add.at(total, groups, rows)
    return total


def _special(sums: Floats, class_of: Ints, n_classes: int) -> tuple[Floats, Ints]:
    """Return orthonormal rows that span the columns of each class of S, and their classes."""
    m = class_of.size
    scale = np.linalg.norm(sums, axis=0).max(initial=0.0)
    rows, classes = [], []
    for k in range(n_classes):
        inside = np.flatnonzero(class_of == k)
        left, length, _ = np.linalg.svd(sums[inside], full_matrices=False)
        found = int(np.sum(length > NEGLIGIBLE * scale))
        block = np.zeros((found, m))
        block[:, inside] = left[:, :found].T
        rows.append(block)
        classes += [k] * found
    return np.concatenate(rows), np.array(classes, dtype=np.int64)


def _by_class(pull: Floats, special_class: Ints, n_classes: int) -> list[Floats]:
    return [pull[:, special_class == k] for k in range(n_classes)]


def _spectrum(pull: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Diagonalise ``Z'MZ`` within the special directions."""
    eigen, turn = np.linalg.eigh(np.diag(sizes) - pull.T @ pull)
    return turn, np.where(eigen > NEGLIGIBLE * sizes.max(initial=0.0), eigen, 0.0)


def _constant(Q: Floats, Rinv: Floats) -> Floats | None:
    """Return weights w with X w = 1, where there are such."""
    inside = Q.sum(axis=0)
    if np.abs(1.0 - Q @ inside).max() > 1e-9:
        return None
    weights: Floats = Rinv @ inside
    return weights
