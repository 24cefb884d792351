"""A design cut in two for one hypothesis: the part that is tested, and the nuisance part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DesignError
from voxlm.kernels.rank import rank, unit_columns

Array = NDArray[np.float64]

# Part of a row's length outside the row space of X that still counts as rounding.
OUTSIDE = 1e-8
# Part of the constant's length outside a span that still counts as rounding.
CONSTANT = 1e-8


class Partition(NamedTuple):
    """Orthonormal bases of the two parts of a design.

    Parameters
    ----------
    tested : ndarray, shape (N, Q)
        What the hypothesis is about, orthogonal to the nuisance. With one row it points so that the
        effect and ``tested' y`` have one sign.
    nuisance : ndarray, shape (N, k)
        All that the design can fit when the hypothesis holds.
    df : float
        Residual degrees of freedom, N - rank.
    offset : ndarray, shape (N,)
        What the null values predict; taken off the data.
    mean_is_tested : bool
        Whether the hypothesis fixes the mean: the constant is in the design, not in the nuisance.
    """

    tested: Array
    nuisance: Array
    df: float
    offset: Array
    mean_is_tested: bool

    @property
    def kind(self) -> str:
        """``"t"`` with one row, else ``"F"``."""
        return "t" if self.tested.shape[1] == 1 else "F"


def partition(X: ArrayLike, C: ArrayLike, null: ArrayLike = 0.0) -> Partition:
    """Cut a design in two so that ``C b`` is a question about one part alone.

    Parameters
    ----------
    X : array_like, shape (N, P)
        The design, of any rank.
    C : array_like, shape (P,) or (Q, P)
        Rows of weights, independent and estimable.
    null : float or array_like, shape (Q,)
        Values of ``C b`` under the null hypothesis.

    Returns
    -------
    Partition

    Raises
    ------
    DesignError
        Shapes that do not fit, values that are not finite, a contrast that is not estimable or has
        dependent rows, no residual degrees of freedom.

    Notes
    -----
    The partition of Winkler et al. (2014), appendix A: the nuisance is X times the null space of C,
    not what is left when columns are dropped. A contrast of two columns therefore keeps their sum.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> found = partition(X, [1.0, -1.0])
    >>> found.tested[:, 0], np.abs(found.nuisance[:, 0]), found.df
    (array([ 0.5,  0.5, -0.5, -0.5]), array([0.5, 0.5, 0.5, 0.5]), 2)
    """
    design, rows, values = _read(X, C, null)
    N, Q = len(design), len(rows)
    # Columns of unit length: rank and estimability do not depend on their units.
    length = np.linalg.norm(design, axis=0)
    length = np.where(length > 0, length, 1.0)
    unit, rows = unit_columns(design), rows / length
    found = rank(design)
    left, singular, right = np.linalg.svd(unit, full_matrices=False)
    left, singular, right = left[:, :found], singular[:found], right[:found]
    inside = rows @ right.T
    outside = np.linalg.norm(rows - inside @ right, axis=1)
    if (outside > OUTSIDE * np.linalg.norm(rows, axis=1)).any() or rank(rows.T) < Q:
        raise DesignError(
            "the contrast cannot be tested: its rows are not estimable from the design, or depend "
            "on each other"
        )
    # In the basis `left` of the design, C b is `direction' (left' X b)`.
    direction = (inside / singular).T
    turned, triangle = np.linalg.qr(direction, mode="complete")
    flip = np.sign(np.diag(triangle[:Q]))
    tested = left @ (turned[:, :Q] * flip)
    nuisance = left @ turned[:, Q:]
    df = N - found
    if df < 1:
        raise DesignError(f"{N} maps and {found} independent columns leave no residual to permute")
    offset = tested @ np.linalg.solve((triangle[:Q] * flip[:, None]).T, values)
    mean = _holds_constant(left) and not _holds_constant(nuisance)
    return Partition(tested, nuisance, df, offset, mean)


def _read(X: ArrayLike, C: ArrayLike, null: ArrayLike) -> tuple[Array, Array, Array]:
    design = np.asarray(X, dtype=np.float64)
    rows = np.atleast_2d(np.asarray(C, dtype=np.float64))
    if design.ndim != 2 or rows.ndim != 2 or rows.shape[1] != design.shape[1]:
        raise DesignError(
            f"the design has shape {design.shape}, the contrast {rows.shape}: expected (N, P) and "
            "(Q, P)"
        )
    if not (np.isfinite(design).all() and np.isfinite(rows).all()):
        raise DesignError("the design or the contrast has values that are not finite")
    if not rows.any(axis=1).all():
        raise DesignError("a row of the contrast is zero: it asks nothing")
    return design, rows, np.broadcast_to(np.asarray(null, dtype=np.float64), (len(rows),))


def _holds_constant(basis: Array) -> bool:
    """Say whether the constant lies in the span of orthonormal columns."""
    ones = np.full(len(basis), 1.0 / np.sqrt(len(basis)))
    return bool(np.linalg.norm(ones - basis @ (basis.T @ ones)) < CONSTANT)
