"""Random terms as one factor worked on group by group, and others carried as columns.

Axes: n rows, q coefficients of a term, D parameters θ.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        The terms of the factor whose groups are worked on one by one, in order.
    theta : tuple of ndarray of int
        For each term, its θ: the lower triangle of Λ column by column, as lme4 has them.
    scale : ndarray, shape (D,)
        From θ of the scaled columns to θ of the columns themselves.
    levels : tuple of ndarray of int
        For each term, the codes that occur, in order.
    widths : tuple of int
        For each term, its coefficients, q.
    first : tuple of int
        For each term, its first coefficient (main) or its first column of the others.
    """

    blocks: RandomBlocks
    main: tuple[int, ...]
    theta: tuple[Ints, ...]
    scale: Floats
    levels: tuple[Ints, ...]
    widths: tuple[int, ...]
    first: tuple[int, ...]

    def places(self, k: int) -> tuple[Ints, Ints]:
        """Return the rows and columns of Λ that the θ of term k are, in their order."""
        column, row = zip(*triangle(self.widths[k]), strict=True)
        return np.array(row), np.array(column)


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
    """
    main = _main(terms)
    widths = tuple(term.matrix.shape[1] for term in terms)
    counts = [width * (width + 1) // 2 for width in widths]
    starts = np.cumsum([0, *counts])
    theta = tuple(np.arange(a, b) for a, b in itertools.pairwise(starts))
    size = [np.sqrt((term.matrix**2).mean(axis=0)) for term in terms]
    scale = [1.0 / size[k][a] for k, width in enumerate(widths) for _, a in triangle(width)]
    Z = np.hstack([terms[k].matrix / size[k] for k in main])
    places = np.full((Z.shape[1], Z.shape[1]), -1)
    first, at = [0] * len(terms), 0
    for k in main:
        first[k] = at
        for (b, a), place in zip(triangle(widths[k]), theta[k], strict=True):
            places[at + a, at + b] = place
        at += widths[k]
    others = [k for k in range(len(terms)) if k not in main]
    columns = [_columns(terms[k], size[k]) for k in others]
    for k, before in zip(others, np.cumsum([0, *[c.shape[1] for c in columns]]), strict=False):
        first[k] = int(before)
    codes = np.unique(terms[main[0]].codes, return_inverse=True)[1]
    blocks = random_blocks(
        X,
        codes.astype(np.int64),
        Z,
        places,
        np.hstack([np.empty((X.shape[0], 0)), *columns]),
        _links([(widths[k], theta[k], columns[i].shape[1]) for i, k in enumerate(others)]),
    )
    levels = tuple(np.unique(term.codes) for term in terms)
    return Layout(blocks, tuple(main), theta, np.array(scale), levels, widths, tuple(first))


def _columns(term: RandomTerm, size: Floats) -> Floats:
    """Return the columns of a term, level by level, each of mean square 1 before it is cut up."""
    present, codes = np.unique(term.codes, return_inverse=True)
    n, q = term.matrix.shape
    out = np.zeros((n, present.size, q))
    out[np.arange(n), codes] = term.matrix / size
    return out.reshape(n, present.size * q)


def _links(terms: Sequence[tuple[int, Ints, int]]) -> Ints:
    """Return which θ joins each column of the others to those after it."""
    widest = max((width for width, _, _ in terms), default=1)
    out = np.full((sum(count for _, _, count in terms), widest), -1)
    at = 0
    for width, theta, count in terms:
        for (b, a), place in zip(triangle(width), theta, strict=True):
            out[at + b : at + count : width, a - b] = place
        at += count
    return out


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


def triangle(q: int) -> list[tuple[int, int]]:
    """Return (column, row) of a lower triangle, column by column.

    Examples
    --------
    >>> triangle(2)
    [(0, 0), (0, 1), (1, 1)]
    """
    return [(b, a) for b in range(q) for a in range(b, q)]


def _main(terms: Sequence[RandomTerm]) -> list[int]:
    """Return the terms of the factor that has most coefficients."""
    sizes: dict[str, int] = {}
    for term in terms:
        count = np.unique(term.codes).size * term.matrix.shape[1]
        sizes[term.group] = sizes.get(term.group, 0) + count
    chosen = max(sizes, key=lambda name: sizes[name])
    return [k for k, term in enumerate(terms) if term.group == chosen]
