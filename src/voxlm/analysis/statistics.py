"""The statistics a mixed fit keeps, on disk: ask again later without reading a map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.group import log_weights, read_tests, terms_of
from voxlm.analysis.groupdesign import group_design, scaled_design
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.mixedfit import MixedFit
from voxlm.bids.maps import Maps
from voxlm.bids.packing import pack_maps, unpack_maps
from voxlm.design.columns import Design
from voxlm.errors import DataError
from voxlm.images.atomic import replacing
from voxlm.kernels.groupsums import GroupSums
from voxlm.kernels.randomblocks import BlockSums
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import InterceptEstimate, solve_intercept
from voxlm.models.mixed import MixedEstimate, solve_mixed
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import Pieces
from voxlm.models.terms import lay_out

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
        "cov": fit.options["cov"],
        **({} if fit.root is None else {"weights": fit.options["weights"]}),
        "matrix": fit.design.matrix,
        "n_voxels": fit.n_voxels,
        "n_parts": len(fit.pieces.parts),
        **pack_maps(fit.maps),
    }
    for k, block in enumerate(fit.design.random):
        facts |= {f"codes{k}": block.codes, f"random{k}": block.matrix}
    for i, (pattern, part) in enumerate(zip(fit.pieces.patterns, fit.pieces.parts, strict=True)):
        facts |= {f"rows{i}": pattern.rows, f"voxels{i}": pattern.voxels}
        if part is not None:
            facts[f"kind{i}"] = "intercept" if isinstance(part, InterceptEstimate) else "terms"
            facts |= {f"{f.name}{i}": getattr(part.sums, f.name) for f in fields(part.sums)}
    with replacing(target) as unfinished:
        np.savez(unfinished, **facts)
    return target


def load_statistics(path: str | PathLike[str], maps: Maps | None = None) -> MixedFit:
    """Read statistics back as a fit: no voxel of a map is read.

    Parameters
    ----------
    path : path
        From :func:`save_statistics`.
    maps : Maps, optional
        Those that were fitted, where single voxels will be asked for: the same table and space.
        Left out, table and space are those of the file.

    Returns
    -------
    GroupFit
        What it is asked of a random intercept's modes, or of single voxels, needs the maps.

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
    >>> bool(np.all(load_statistics(file).params == fit.params))
    True
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = dict(file)
        formula, reml = str(kept["formula"]), bool(kept["reml"])
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise DataError(f"{path} does not hold statistics of a mixed fit: {error}") from error
    maps = unpack_maps(kept) if maps is None else maps
    if maps is None:
        raise DataError(f"{path} keeps no table and space: give the maps that were fitted")
    design = group_design(formula, maps)
    _check_same(design, maps, kept)
    options = {
        "reml": reml, "df": str(kept["df"]), "cov": str(kept["cov"]), "weights": kept.get("weights")
    }  # fmt: skip
    patterns: list[Pattern] = []
    parts: list[Any] = []
    for i in range(int(kept["n_parts"])):
        pattern = Pattern(kept[f"rows{i}"], kept[f"voxels{i}"])
        patterns.append(pattern)
        if f"kind{i}" not in kept:
            parts.append(None)
            continue
        kind = KINDS[str(kept[f"kind{i}"])]
        sums = kind(**{f.name: kept[f"{f.name}{i}"] for f in fields(kind)})
        parts.append(solve_statistics(design, pattern, sums, options))
    pieces: Pieces[Any] = Pieces(tuple(patterns), tuple(parts), int(kept["n_voxels"]))
    return MixedFit("lmer", design, maps, pieces, options)


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


def solve_statistics(
    design: Design, pattern: Pattern, sums: Any, options: Mapping[str, Any]
) -> InterceptEstimate | MixedEstimate:
    """Fit one pattern of maps from its statistics."""
    weights = options.get("weights")
    root = None if weights is None else np.sqrt(weights)
    design = scaled_design(design, root)
    X = design.matrix[pattern.rows]
    tests = read_tests(options["df"], options.get("cov", "gls"), options["reml"])
    if isinstance(sums, GroupSums):
        codes = np.unique(design.random[0].codes[pattern.rows], return_inverse=True)[1]
        basis = intercept_basis(X, codes.astype(np.int64))
        found = solve_intercept(basis, sums, options["reml"])
        return replace(found, tests=tests)
    terms = terms_of(design, pattern.rows)
    fitted = solve_mixed(lay_out(X, terms), sums, options["reml"], terms)
    return replace(fitted, tests=tests, log_weights=log_weights(root, pattern.rows))
