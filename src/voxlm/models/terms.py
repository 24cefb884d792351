"""Random terms as one factor with coefficients and others with intercepts.

Axes: n rows, q coefficients of a term, D parameters θ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DesignError
from voxlm.kernels.randomblocks import RandomBlocks, random_blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RandomTerm:
    """One random term of a design.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The group of each row.
    matrix : ndarray, shape (n, q)
        What each coefficient multiplies; ones for an intercept.
    group : str
        The grouping factor; terms of one factor have the same name.
    text : str
        The term as written.
    """

    codes: Ints
    matrix: Floats
    group: str
    text: str

    @property
    def intercept(self) -> bool:
        """Whether the term is an intercept alone."""
        return self.matrix.shape[1] == 1 and bool(np.all(self.matrix == 1.0))

    def rows(self, kept: NDArray[np.bool_]) -> RandomTerm:
        """Return the term of some rows."""
        return RandomTerm(self.codes[kept], self.matrix[kept], self.group, self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How the terms lie in the blocks.

    Parameters
    ----------
    blocks : RandomBlocks
        Design-only products.
    main : tuple of int
        The terms of the factor with coefficients, in order.
    theta : tuple of ndarray of int
        For each term, its θ: the lower triangle of Λ column by column, as lme4 has them.
    scale : ndarray, shape (D,)
        From θ of the scaled columns to θ of the columns themselves.
    levels : tuple of ndarray of int
        For each term, the codes that occur, in order.
    first : tuple of int
        For each term, its first coefficient (main) or its first column of the others.
    """

    blocks: RandomBlocks
    main: tuple[int, ...]
    theta: tuple[Ints, ...]
    scale: Floats
    levels: tuple[Ints, ...]
    first: tuple[int, ...]


def lay_out(X: Floats, terms: Sequence[RandomTerm]) -> Layout:
    """Arrange random terms for the solver.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        The fixed effects' columns.
    terms : sequence of RandomTerm
        At least one.

    Returns
    -------
    Layout

    Raises
    ------
    DesignError
        Slopes in two factors.
    """
    main = _main(terms)
    group = terms[main[0]].group
    Z = np.hstack([terms[k].matrix for k in main])
    size = np.sqrt((Z**2).mean(axis=0))
    q = Z.shape[1]
    places, other_theta = np.full((q, q), -1), []
    theta: list[Ints] = []
    first, scale, others = [], [], []
    coefficient = columns = count = 0
    for k, term in enumerate(terms):
        width = term.matrix.shape[1]
        D = width * (width + 1) // 2
        theta.append(np.arange(count, count + D))
        if k in main:
            first.append(coefficient)
            for (b, a), place in zip(_triangle(width), theta[-1], strict=True):
                places[coefficient + a, coefficient + b] = place
                scale.append(1.0 / size[coefficient + a])
            coefficient += width
        else:
            first.append(columns)
            present, codes = np.unique(term.codes, return_inverse=True)
            others.append(np.equal.outer(codes, np.arange(present.size)).astype(np.float64))
            other_theta += [count] * present.size
            columns += present.size
            scale.append(1.0)
        count += D
    codes = np.unique(terms[main[0]].codes, return_inverse=True)[1]
    blocks = random_blocks(
        X,
        codes.astype(np.int64),
        Z / size,
        places.astype(np.int64),
        np.hstack(others) if others else np.empty((X.shape[0], 0)),
        np.array(other_theta, dtype=np.int64),
    )
    levels = tuple(np.unique(term.codes) for term in terms)
    assert all(terms[k].group == group for k in main)
    return Layout(blocks, tuple(main), tuple(theta), np.array(scale), levels, tuple(first))


def varies(X: Floats, term: RandomTerm) -> bool:
    """Tell whether the columns leave anything of a term's groups.

    Examples
    --------
    >>> term = RandomTerm(np.array([0, 0, 1, 1]), np.ones((4, 1)), "g", "(1 | g)")
    >>> varies(np.ones((4, 1)), term), varies(np.repeat(np.eye(2), 2, axis=0), term)
    (True, False)
    """
    codes = np.unique(term.codes, return_inverse=True)[1]
    Z = np.zeros((codes.size, codes.max() + 1))
    Z[np.arange(codes.size), codes] = term.matrix[:, 0]
    Q = np.linalg.qr(X)[0]
    left = Z - Q @ (Q.T @ Z)
    return bool(np.linalg.norm(left) > 1e-8 * np.linalg.norm(Z)) and Z.shape[1] < codes.size


def _triangle(q: int) -> list[tuple[int, int]]:
    """Return (column, row) of a lower triangle, column by column."""
    return [(b, a) for b in range(q) for a in range(b, q)]


def _main(terms: Sequence[RandomTerm]) -> list[int]:
    """Return the terms of the factor that has slopes, or else the most groups."""
    slopes = {term.group for term in terms if not term.intercept}
    if len(slopes) > 1:
        raise DesignError(
            f"slopes vary over {' and '.join(sorted(slopes))}; only one factor may have slopes, "
            f"the others intercepts"
        )
    sizes = {term.group: np.unique(term.codes).size for term in terms}
    chosen = next(iter(slopes)) if slopes else max(sizes, key=lambda name: sizes[name])
    return [k for k, term in enumerate(terms) if term.group == chosen]
