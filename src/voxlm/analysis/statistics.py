"""The statistics a mixed fit keeps, on disk: ask again later without reading a map."""

from __future__ import annotations

from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.groupdesign import group_design
from voxlm.analysis.groupfit import GroupFit
from voxlm.bids.maps import Maps
from voxlm.design.columns import Design
from voxlm.errors import DataError
from voxlm.kernels.groupsums import GroupSums
from voxlm.kernels.randomblocks import BlockSums
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import InterceptEstimate, solve_intercept
from voxlm.models.kenward import kenward_roger
from voxlm.models.mixed import MixedEstimate, solve_mixed
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import Pieces
from voxlm.models.terms import RandomTerm, lay_out

KINDS: dict[str, type[Any]] = {"intercept": GroupSums, "terms": BlockSums}


def save_statistics(fit: GroupFit, path: str | PathLike[str]) -> Path:
    """Write the statistics of a mixed fit as a ``.npz`` file.

    Parameters
    ----------
    fit : GroupFit
        By :func:`voxlm.lmer`.
    path : path
        Ends in ``.npz``.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the fit is not by lmer, or the name does not end in ``.npz``.
    """
    target = Path(path)
    if fit.model != "lmer":
        raise DataError(f"statistics are kept by lmer; this fit is by {fit.model}")
    if target.suffix != ".npz":
        raise DataError(f"statistics are written as .npz, got {target.name!r}")
    facts: dict[str, Any] = {
        "formula": fit.formula,
        "reml": fit.options["reml"],
        "df": fit.options["df"],
        "matrix": fit.design.matrix,
        "n_voxels": fit.n_voxels,
        "n_parts": len(fit.pieces.parts),
    }
    for k, block in enumerate(fit.design.random):
        facts |= {f"codes{k}": block.codes, f"random{k}": block.matrix}
    for i, (pattern, part) in enumerate(zip(fit.pieces.patterns, fit.pieces.parts, strict=True)):
        facts |= {f"rows{i}": pattern.rows, f"voxels{i}": pattern.voxels}
        if part is not None:
            facts[f"kind{i}"] = "intercept" if isinstance(part, InterceptEstimate) else "terms"
            facts |= {f"{f.name}{i}": getattr(part.sums, f.name) for f in fields(part.sums)}
    np.savez(target, **facts)
    return target


def load_statistics(path: str | PathLike[str], maps: Maps) -> GroupFit:
    """Read statistics back as a fit; the maps' table is used, their voxels are not read.

    Parameters
    ----------
    path : path
        From :func:`save_statistics`.
    maps : Maps
        Those that were fitted: the same table, the same space.

    Returns
    -------
    GroupFit
        What it is asked of the groups' modes, or of single voxels, reads the maps.

    Raises
    ------
    DataError
        If the file is not one of these, or the maps are others.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from voxlm.analysis.group import lmer
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"subject": np.repeat(list("abcdef"), 3), "time": [0, 1, 2.5] * 6})
    >>> maps = Maps(table, data=rng.normal(size=(18, 4)))
    >>> fit = lmer("~ time + (1 | subject)", maps)
    >>> file = save_statistics(fit, Path(tempfile.mkdtemp()) / "kept.npz")
    >>> bool(np.all(load_statistics(file, maps).params == fit.params))
    True
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = dict(file)
        formula, reml = str(kept["formula"]), bool(kept["reml"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} does not hold statistics of a mixed fit: {error}") from error
    design = group_design(formula, maps)
    _check_same(design, maps, kept)
    patterns, parts = [], []
    for i in range(int(kept["n_parts"])):
        pattern = Pattern(kept[f"rows{i}"], kept[f"voxels{i}"])
        patterns.append(pattern)
        parts.append(_solve(design, pattern, kept, i, reml) if f"kind{i}" in kept else None)
    pieces: Pieces[Any] = Pieces(tuple(patterns), tuple(parts), int(kept["n_voxels"]))
    return GroupFit("lmer", design, maps, pieces, {"reml": reml, "df": str(kept["df"])})


def _check_same(design: Design, maps: Maps, kept: dict[str, NDArray[Any]]) -> None:
    """Require the table and the space that were fitted."""
    same = np.array_equal(design.matrix, kept["matrix"])
    for k, block in enumerate(design.random):
        same = same and f"codes{k}" in kept and np.array_equal(block.codes, kept[f"codes{k}"])
        same = same and np.array_equal(block.matrix, kept[f"random{k}"])
    if not same:
        raise DataError(
            "the table of these maps gives other columns or groups than the table that was fitted"
        )
    if maps.space.n_voxels != int(kept["n_voxels"]):
        raise DataError(
            f"the statistics are of {int(kept['n_voxels']):,} voxels and the maps have "
            f"{maps.space.n_voxels:,}: give them the mask that was used"
        )


def _solve(
    design: Design, pattern: Pattern, kept: dict[str, NDArray[Any]], i: int, reml: bool
) -> InterceptEstimate | MixedEstimate:
    """Fit one pattern from its statistics."""
    kind = str(kept[f"kind{i}"])
    sums = KINDS[kind](**{f.name: kept[f"{f.name}{i}"] for f in fields(KINDS[kind])})
    X = design.matrix[pattern.rows]
    if kind == "intercept":
        codes = np.unique(design.random[0].codes[pattern.rows], return_inverse=True)[1]
        found = solve_intercept(intercept_basis(X, codes.astype(np.int64)), sums, reml)
        return kenward_roger(found) if str(kept["df"]) == "kenward-roger" else found
    terms = [
        RandomTerm(b.codes.astype(np.int64), b.matrix, b.group, b.text).rows(pattern.rows)
        for b in design.random
    ]
    return solve_mixed(lay_out(X, terms), sums, reml)
