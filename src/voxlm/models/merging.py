"""The statistics of general random terms, merged from those of parts of the rows.

Every statistic is a sum over rows of a residual times something the design knows. When the
coefficients move from a part's own to those of the whole, so do its residuals, along its columns.

Axes: n rows, V voxels, P columns, q coefficients of a term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.pooled import Share, pooled_coefficients, pooled_spread
from voxlm.kernels.randomblocks import BlockSums
from voxlm.models.terms import Layout, RandomTerm

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TermsPart:
    """A part of the rows, reduced.

    Parameters
    ----------
    layout : Layout
        Its random terms, as they were reduced.
    sums : BlockSums
        Its statistics.
    own : sequence of RandomTerm
        Its terms, as they were laid out.
    terms : sequence of RandomTerm
        The terms of the whole in its rows.
    turn : ndarray, shape (p, P)
        From its columns to those of the whole.
    spins : sequence of ndarray, shape (q, q)
        From the coefficients' columns of each of its terms to those of the whole.
    """

    layout: Layout
    sums: BlockSums
    own: Sequence[RandomTerm]
    terms: Sequence[RandomTerm]
    turn: Floats
    spins: Sequence[Floats]


def merge_terms(
    whole: Layout, terms: Sequence[RandomTerm], parts: Sequence[TermsPart]
) -> BlockSums:
    """Merge statistics; the rows of the whole are those of the parts, stacked.

    Parameters
    ----------
    whole : Layout
        The terms of the stacked rows.
    terms : sequence of RandomTerm
        The same, before they were laid out.
    parts : sequence of TermsPart
        A group may have rows in several of them.

    Returns
    -------
    BlockSums
        Those of the stacked rows, to rounding.
    """
    blocks = whole.blocks
    shares = [
        Share(b.X, b.R, part.sums.level(b), part.sums.spread, part.turn)
        for part in parts
        for b in [part.layout.blocks]
    ]
    start, left = pooled_coefficients(blocks.Rinv, shares)
    rss = np.zeros(start.shape[1])
    for part, away in zip(parts, left, strict=True):
        along = part.layout.blocks.R @ away
        rss += part.sums.rss + np.einsum("pv,pv->v", along, along)
    totals = [_term_total(k, whole, terms, parts, left) for k in range(len(terms))]
    m, q = blocks.kind_of.size, blocks.Z.shape[1]
    inner = np.empty((m, q, rss.size))
    outer = np.empty((blocks.others.shape[1], rss.size))
    for k, (total, term) in enumerate(zip(totals, terms, strict=True)):
        at, (count, width) = whole.first[k], total.shape[:2]
        scaled = total / _size(term)
        if k in whole.main:
            inner[:, at : at + width] = scaled
        else:
            outer[at : at + count * width] = scaled.reshape(count * width, -1)
    shift = np.zeros(rss.size)
    return BlockSums(start, inner.reshape(m * q, -1), outer, rss, pooled_spread(shares), shift)


def _size(term: RandomTerm) -> Floats:
    """Return what the solver divides a term's columns by, shape ``(q, 1)``."""
    return np.asarray(np.sqrt((term.matrix**2).mean(axis=0)))[:, None]


def _term_total(
    k: int,
    whole: Layout,
    terms: Sequence[RandomTerm],
    parts: Sequence[TermsPart],
    left: Sequence[Floats],
) -> Floats:
    """Return one term's sums of residuals over each of its groups, ``(groups, q, V)``."""
    levels, width = whole.levels[k], terms[k].matrix.shape[1]
    total = np.zeros((levels.size, width, left[0].shape[1]))
    for part, away in zip(parts, left, strict=True):
        term = part.terms[k]
        place = np.searchsorted(levels, term.codes)
        mine = np.zeros(part.layout.levels[k].size, dtype=np.intp)
        mine[np.searchsorted(part.layout.levels[k], part.own[k].codes)] = place
        total[mine] += np.einsum("gav,ab->gbv", _own_sums(part, k), part.spins[k])
        meets = np.zeros((levels.size, width, part.layout.blocks.X.shape[1]))
        np.add.at(meets, place, term.matrix[:, :, None] * part.layout.blocks.X[:, None, :])
        total += np.einsum("gap,pv->gav", meets, away)
    return total


def _own_sums(part: TermsPart, k: int) -> Floats:
    """Return a part's own sums of residuals for a term, ``(groups, q, V)``."""
    layout, at, width = part.layout, part.layout.first[k], part.layout.widths[k]
    if k in layout.main:
        m, q = layout.blocks.kind_of.size, layout.blocks.Z.shape[1]
        own = part.sums.inner.reshape(m, q, -1)[:, at : at + width]
    else:
        count = layout.levels[k].size
        own = part.sums.outer[at : at + count * width].reshape(count, width, -1)
    return np.asarray(own * _size(part.own[k]))
