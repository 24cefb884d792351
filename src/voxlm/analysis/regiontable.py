"""Long tables of a group fit: of voxels, and of regions that an image names.

Axes: N maps, V voxels, P columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.group import lmer
from voxlm.analysis.groupdesign import covariates
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.lmmaps import lm_maps
from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps
from voxlm.errors import DataError, VoxlmWarning
from voxlm.images.region import names_region, read_labels
from voxlm.images.space import Space, one_of

Floats = NDArray[np.float64]

SUMMARIES = ("mean", "median", "voxels")
NUMBERS = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")


def tidy(
    fit: GroupFit, where: Any, summary: str | None, names: Mapping[int, str] | None
) -> pd.DataFrame:
    """Return a long table of voxels or regions; see :meth:`voxlm.GroupFit.tidy`."""
    if not names_region(where):
        if summary is not None or names is not None:
            raise DataError("summary= and names= are for regions, which an image or a path names")
        voxels = voxels_at(where, fit.space)
        terms = {"voxel": np.repeat(voxels, len(fit.design.names)), **_terms(fit, voxels.size)}
        return pd.DataFrame({**terms, **_flat(_numbers(fit, voxels))})
    chosen = "mean" if summary is None else summary
    if chosen not in SUMMARIES:
        raise DataError(f"summary is {', '.join(SUMMARIES)}, got {summary!r}")
    labels, sizes = read_labels(where, fit.space)
    unknown = sorted(set(names or {}) - set(sizes))
    if unknown:
        raise DataError(f"names= calls region {unknown[0]}, which the image does not have")
    fitted = np.isfinite(fit.params).all(axis=0)
    regions = {label: np.flatnonzero((labels == label) & fitted) for label in sizes}
    if not any(voxels.size for voxels in regions.values()):
        raise DataError(f"no region has a {one_of(fit.space)} that was fitted")
    make = {"mean": _averaged, "median": _median, "voxels": _every}[chosen]
    parts = []
    for label, voxels, table in make(fit, regions):
        named = {} if names is None else {"name": names.get(label, "")}
        head = {"region": label, **named, "n_voxels": voxels.size}
        head |= {"n_outside": sizes[label] - voxels.size, "summary": _told(fit, chosen)}
        for at, (name, value) in enumerate(head.items()):
            table.insert(at, name, value)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def voxels_at(where: Any, space: Space) -> NDArray[np.int64]:
    """Return positions on the voxel axis.

    Parameters
    ----------
    where : int, tuple, array of bool or int, path or image
        Positions; a place, as a space's ``index`` takes it; or a region of any label.
    space : Space

    Raises
    ------
    DataError
        Positions that do not exist.
    """
    if names_region(where):
        return np.flatnonzero(read_labels(where, space)[0])
    if isinstance(where, tuple) and space.unit != "columns":
        return np.array([space.index(*where)])
    every = np.arange(space.n_voxels)
    try:
        return np.atleast_1d(every[where])
    except (IndexError, TypeError) as error:
        raise DataError(
            f"{where!r} names no {one_of(space)}: give a position, (i, j, k) in images, an array "
            f"of bool or int over the {every.size:,} {space.counted}, or an image of regions"
        ) from error


def _terms(fit: GroupFit, times: int) -> dict[str, Any]:
    return {"term": np.tile(np.array(fit.design.names, dtype=object), times)}


def _numbers(fit: GroupFit, voxels: NDArray[np.int64]) -> dict[str, Floats]:
    """Return what is tabulated, by name, each ``(P, v)``."""
    low, high = np.moveaxis(fit.conf_int()[:, :, voxels], 1, 0)
    wanted = (fit.params, fit.bse, fit.df, fit.tvalues, fit.pvalues)
    some = [values[:, voxels] for values in wanted]
    return dict(zip(NUMBERS, (*some, low, high), strict=True))


def _flat(found: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values.T.ravel() for name, values in found.items()}


def _told(fit: GroupFit, summary: str) -> str:
    if summary == "mean":
        return f"fit of the mean over {fit.space.counted}"
    return f"median over {fit.space.counted}" if summary == "median" else one_of(fit.space)


def _averaged(fit: GroupFit, regions: Mapping[int, NDArray[np.int64]]) -> Any:
    """Average every map over each region, and fit the averages."""
    filled = [label for label, voxels in regions.items() if voxels.size]
    means = np.stack([_mean(fit.maps.values[:, regions[k]]) for k in filled], axis=1)
    known = None
    if fit.model == "meta":
        variances = fit.maps.variances
        assert variances is not None
        there = np.isfinite(fit.maps.values) & np.isfinite(variances)
        gone = [np.where(there[:, regions[k]], variances[:, regions[k]], np.nan) for k in filled]
        known = np.stack([_mean(values) for values in gone], axis=1)
    again = refit_maps(fit, Maps(covariates(fit.maps), data=means, variance=known, zeros="keep"))
    columns = _numbers(again, np.arange(len(filled)))
    for label, voxels in regions.items():
        place = filled.index(label) if label in filled else None
        yield label, voxels, _row(fit, columns, place)


def _median(fit: GroupFit, regions: Mapping[int, NDArray[np.int64]]) -> Any:
    """Take the median of every number over each region."""
    for label, voxels in regions.items():
        found = _numbers(fit, voxels)
        empty = voxels.size == 0
        columns = {k: v if empty else np.nanmedian(v, axis=1)[:, None] for k, v in found.items()}
        yield label, voxels, _row(fit, columns, None if empty else 0)


def _every(fit: GroupFit, regions: Mapping[int, NDArray[np.int64]]) -> Any:
    """List every voxel of each region."""
    for label, voxels in regions.items():
        terms = {"voxel": np.repeat(voxels, len(fit.design.names)), **_terms(fit, voxels.size)}
        yield label, voxels, pd.DataFrame({**terms, **_flat(_numbers(fit, voxels))})


def _row(fit: GroupFit, columns: Mapping[str, Floats], place: int | None) -> pd.DataFrame:
    """Return a region's rows; NaN where it has no voxel."""
    none = np.full(len(fit.design.names), np.nan)
    found = {k: none if place is None else v[:, place] for k, v in columns.items()}
    return pd.DataFrame({**_terms(fit, 1), **found})


def _mean(values: NDArray[np.floating]) -> Floats:
    """Return the mean of what each map has, shape ``(N,)``; NaN where it has nothing."""
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / there.sum(axis=1))


def refit_maps(fit: GroupFit, maps: Maps) -> GroupFit:
    """Fit a fit's formula, with its options, to other maps of the same table."""
    formula, options = fit.design.meaning.meaning.formula.text, fit.options
    with warnings.catch_warnings():
        # The fit has warned of its table already.
        warnings.simplefilter("ignore", VoxlmWarning)
        if fit.model == "lmer":
            return lmer(formula, maps, **options)
        if fit.model == "meta":
            asked = {name: options[name] for name in ("method", "knapp_hartung")}
            return meta(formula, maps, variance_groups=options["groups"], **asked)
        kind = options["cov_type"]
        own = {"cluster": "cluster", "variance_groups": "variance_groups"}.get(kind)
        return lm_maps(
            formula,
            maps,
            weights=options["weights"],
            robust=options["robust"],
            cov_type="nonrobust" if own else kind,
            **({own: options["groups"]} if own else {}),
        )
