"""Mixed fits of parts of a study, as one fit of the whole: no map is read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.group import terms_of
from voxlm.analysis.groupdesign import covariates, group_design, scaled_design
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.mixedfit import MixedFit
from voxlm.analysis.statistics import solve_statistics
from voxlm.bids.mapfiles import check_space
from voxlm.bids.maps import Maps
from voxlm.design.check import check
from voxlm.design.columns import Design
from voxlm.errors import DataError
from voxlm.kernels.groupsums import merge_groups
from voxlm.kernels.rank import rank
from voxlm.models.intercept import InterceptEstimate
from voxlm.models.merging import TermsPart, merge_terms
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import Pieces
from voxlm.models.terms import lay_out

Floats = NDArray[np.float64]

# A part's columns make those of the whole when what they leave is rounding.
SPANS = 1e-8


def merge_statistics(fits: Sequence[GroupFit]) -> MixedFit:
    """Merge mixed fits of parts of the rows into the fit of all rows, from their statistics alone.

    Parameters
    ----------
    fits : sequence of GroupFit
        By :func:`voxlm.lmer` or :func:`voxlm.load_statistics`: one formula, the same voxels in the
        same order, each with some of the rows, such as one site's.

    Returns
    -------
    GroupFit
        Equal, to rounding, to ``lmer`` over all maps at once; its table is the parts' tables,
        stacked. What reads maps (``voxel``, modes of a random intercept) is refused.

    Raises
    ------
    DataError
        Other voxels or formulas; columns that the parts' own cannot make, such as splines with
        other knots; with one random intercept, a group that is in two parts.

    Notes
    -----
    With ``y_k = X_k b_k + r_k`` in part k and ``X_k T_k`` the whole's columns in its rows, the
    whole's coefficients minimise ``Σ |X_k (b_k - T_k b)|²``, and every sum of residuals that the
    likelihood needs moves by the design's products with ``b_k - T_k b``.

    Examples
    --------
    >>> from voxlm.analysis.group import lmer
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"subject": np.repeat(list("abcdef"), 3), "time": [0, 1, 2.5] * 6})
    >>> data = rng.normal(size=(18, 4))
    >>> sites = [slice(0, 9), slice(9, 18)]
    >>> parts = [
    ...     lmer("~ time + (1 | subject)", Maps(table[rows], data=data[rows])) for rows in sites
    ... ]
    >>> whole = lmer("~ time + (1 | subject)", Maps(table, data=data))
    >>> bool(np.allclose(merge_statistics(parts).params, whole.params))
    True
    """
    _check_alike(fits)
    first = fits[0]
    table = pd.concat([covariates(fit.maps) for fit in fits], ignore_index=True)
    maps = Maps.without_images(table, first.space)
    design = group_design(str(first.design.meaning.meaning.formula.text), maps)
    check(design)
    starts = np.cumsum([0, *[fit.maps.n_maps for fit in fits]])
    options = dict(first.options)
    if first.root is not None:
        options["weights"] = np.concatenate([fit.options["weights"] for fit in fits])
    else:
        _check_groups(design, starts)
    patterns, parts = [], []
    for chosen, voxels in _together(fits):
        pattern, part = _merge(fits, design, starts, chosen, voxels, options)
        patterns.append(pattern)
        parts.append(part)
    pieces: Pieces[Any] = Pieces(tuple(patterns), tuple(parts), first.n_voxels)
    return MixedFit("lmer", design, maps, pieces, options)


def _check_alike(fits: Sequence[GroupFit]) -> None:
    if not fits or any(fit.model != "lmer" for fit in fits):
        raise DataError("merge_statistics takes one fit by lmer or more")
    for number, fit in enumerate(fits[1:], start=2):
        check_space(fits[0].space, fit.space, number - 1)
        if (fit.formula, _told(fit)) != (fits[0].formula, _told(fits[0])):
            raise DataError(
                f"fit {number} is of {fit.formula} ({_told(fit)}), the first of "
                f"{fits[0].formula} ({_told(fits[0])}): only fits of one model merge"
            )


def _told(fit: GroupFit) -> dict[str, Any]:
    """Return what the verb was told; of weights, whether there were any."""
    return {**fit.options, "weights": "given" if fit.root is not None else None}


def _check_groups(design: Design, starts: NDArray[np.int64]) -> None:
    """Require that a single random intercept's groups lie in one part each."""
    if len(design.random) > 1 or design.random[0].names != ("Intercept",):
        return
    block, part = design.random[0], np.searchsorted(starts, np.arange(starts[-1]), side="right")
    for code, level in enumerate(block.levels):
        where = np.unique(part[block.codes == code])
        if where.size > 1:
            raise DataError(
                f"{block.group} {level} has maps in fits {where[0]} and {where[1]}: of one random "
                f"intercept, statistics merge over whole groups; rename it if it is another"
            )


def _together(fits: Sequence[GroupFit]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each combination of the parts' patterns, which they are, and its voxels."""
    which = np.empty((len(fits), fits[0].n_voxels), dtype=np.int64)
    for row, fit in zip(which, fits, strict=True):
        for k, pattern in enumerate(fit.pieces.patterns):
            row[pattern.voxels] = k
    kinds, place = np.unique(which, axis=1, return_inverse=True)
    return [(kinds[:, k], np.flatnonzero(place.ravel() == k)) for k in range(kinds.shape[1])]


def _merge(
    fits: Sequence[GroupFit],
    design: Design,
    starts: NDArray[np.int64],
    chosen: NDArray[np.int64],
    voxels: NDArray[np.int64],
    options: dict[str, Any],
) -> tuple[Pattern, Any]:
    """Merge the parts at voxels where each has one pattern; None if a part could not be fitted."""
    patterns = [fit.pieces.patterns[k] for fit, k in zip(fits, chosen, strict=True)]
    found = [fit.pieces.parts[k] for fit, k in zip(fits, chosen, strict=True)]
    rows = np.concatenate([pattern.rows for pattern in patterns])
    merged = Pattern(rows, voxels)
    if any(part is None for part in found) or rank(design.matrix[rows]) < design.matrix.shape[1]:
        return merged, None
    sums = [
        _at(part.sums, np.searchsorted(pattern.voxels, voxels))
        for part, pattern in zip(found, patterns, strict=True)
    ]
    here = [
        np.flatnonzero(pattern.rows) + start
        for pattern, start in zip(patterns, starts[:-1], strict=True)
    ]
    turns = [
        _turn(fit.design.matrix[pattern.rows], design.matrix[at], "columns")
        for fit, pattern, at in zip(fits, patterns, here, strict=True)
    ]
    if isinstance(found[0], InterceptEstimate):
        parts = [(part.basis, one) for part, one in zip(found, sums, strict=True)]
        _, whole = merge_groups(parts, turns)
    else:
        weights = options["weights"]
        root = None if weights is None else np.sqrt(weights)
        scaled = scaled_design(design, root)
        whole = _merge_terms(fits, scaled, merged, found, sums, patterns, here, turns)
    return merged, solve_statistics(design, merged, whole, options)


def _merge_terms(
    fits: Sequence[GroupFit],
    design: Design,
    merged: Pattern,
    found: list[Any],
    sums: list[Any],
    patterns: list[Pattern],
    here: list[NDArray[np.int64]],
    turns: list[Floats],
) -> Any:
    """Merge the statistics of general random terms."""
    terms = terms_of(design, merged.rows)
    parts = []
    for fit, part, one, pattern, at, turn in zip(
        fits, found, sums, patterns, here, turns, strict=True
    ):
        inside = np.zeros(merged.rows.size, dtype=np.bool_)
        inside[at] = True
        own = terms_of(scaled_design(fit.design, fit.root), pattern.rows)
        wanted = terms_of(design, inside)
        spins = [
            _turn(mine.matrix, theirs.matrix, mine.text)
            for mine, theirs in zip(own, wanted, strict=True)
        ]
        parts.append(TermsPart(part.layout, one, own, wanted, turn, spins))
    return merge_terms(lay_out(design.matrix[merged.rows], terms), terms, parts)


def _at(sums: Any, places: NDArray[np.int64]) -> Any:
    """Return statistics at some voxels."""
    return type(sums)(**{f.name: getattr(sums, f.name)[..., places] for f in fields(sums)})


def _turn(own: Floats, wanted: Floats, what: str) -> Floats:
    """Return what makes the wanted columns of a part's own."""
    turn = np.linalg.lstsq(own, wanted, rcond=None)[0]
    left = np.abs(own @ turn - wanted).max(initial=0.0)
    if left > SPANS * max(np.abs(wanted).max(initial=0.0), 1.0):
        raise DataError(
            f"{what} of the merged table are not combinations of a part's own: a transform such as "
            f"bs() or scale() learned other values from the part; compute it in the tables first"
        )
    return np.asarray(turn)
