"""A group fit in words and tables: medians over voxels, laid out as R lays out a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit
    from voxlm.analysis.mixedfit import MixedFit

Floats = NDArray[np.float64]

KINDS = {
    "lmer": "Linear mixed model fit by {}",
    "meta": "Maps of known variance, between-map variance by {}",
    "lm": "Least squares, covariance {}",
    "robust": "M-estimate, {} norm",
}


def describe_group(fit: GroupFit) -> str:
    """Return the summary of a group fit."""
    lines = [KINDS[fit.model].format(_how(fit)), fit.formula, _voxels(fit), ""]
    if fit.model == "lmer":
        lines += [_criterion(cast("MixedFit", fit)), "", *_random(cast("MixedFit", fit)), ""]
    if fit.model == "meta":
        names = [f" {level}" for level in fit.options["levels"]] or [""]
        between = np.atleast_2d(fit.tau2)
        said = [f"tau²{n}: {_range(t)}" for n, t in zip(names, between, strict=True)]
        lines += ["   ".join([*said, f"I²: {_range(fit.i2)}"]), ""]
    lines += [f"Fixed effects, medians over {fit.space.counted}:", *_fixed(fit)]
    return "\n".join([*lines, *(f"note: {note}" for note in fit.design.notes)])


def _how(fit: GroupFit) -> str:
    if fit.model == "lmer":
        by = "REML" if fit.options["reml"] else "maximum likelihood"
        method = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}
        errors = "" if fit.options["cov"] == "gls" else ", errors of the joint information"
        weights = "" if fit.root is None else ", prior weights"
        return f"{by}, t by {method[fit.options['df']]}'s method{errors}{weights}"
    if fit.model == "meta":
        tests = "t by Knapp and Hartung" if fit.options["knapp_hartung"] else "z"
        return f"{fit.options['method'].upper()}, {tests}"
    weighted = "weighted, " if fit.root is not None else ""
    return weighted + str(fit.options["robust" if fit.model == "robust" else "cov_type"])


def _voxels(fit: GroupFit) -> str:
    n, fitted = fit.nobs, np.isfinite(fit.params).all(axis=0)
    said = [f"{fit.maps.n_maps} maps, {fit.n_voxels:,} {fit.space.counted}"]
    fewer = int(((n < fit.maps.n_maps) & (n > 0)).sum())
    if fewer:
        said.append(f"{fewer:,} of them fitted on fewer maps (at least {n[n > 0].min()})")
    for count, why in (
        (int((n == 0).sum()), "too few maps"),
        (int((~fitted & (n > 0)).sum()), "no variance, or an exact fit"),
        (int((~fit.converged & fitted).sum()), "not converged"),
    ):
        if count:
            said.append(f"{count:,} {why}")
    if fit.model == "lmer" and fit.singular.any():
        said.append(f"{int(fit.singular.sum()):,} singular (a variance of exactly 0)")
    return "; ".join(said)


def _random(fit: MixedFit) -> list[str]:
    head = (
        "Groups",
        "Name",
        "Variance",
        "Std.Dev.",
        "Corr",
        f"5 % to 95 % of {fit.space.counted}",
    )
    table: list[Sequence[str]] = [head]
    for block, cov in zip(fit.design.random, fit.cov_re.values(), strict=True):
        for a, name in enumerate(block.names):
            said = _middle(block.group, name, cov[a, a])
            with np.errstate(divide="ignore", invalid="ignore"):
                corr = [cov[a, b] / np.sqrt(cov[a, a] * cov[b, b]) for b in range(a)]
            words = " ".join(f"{np.nanmedian(c):.2f}" for c in corr if np.isfinite(c).any())
            table.append((*said, words, _span(cov[a, a])))
    table.append((*_middle("Residual", "", fit.scale), "", _span(fit.scale)))
    counts = ", ".join(f"{name} {n}" for name, n in _counts(fit).items())
    head_line = f"Random effects, medians over {fit.space.counted}:"
    return [head_line, *_aligned(table), f"Maps: {fit.maps.n_maps}, groups: {counts}"]


def _middle(group: str, name: str, variance: Floats) -> tuple[str, str, str, str]:
    middle = float(np.nanmedian(variance))
    words = name.replace("Intercept", "(Intercept)")
    return group, words, f"{middle:.4g}", f"{np.sqrt(middle):.4g}"


def _counts(fit: MixedFit) -> dict[str, int]:
    return {block.group: len(block.levels) for block in fit.design.random}


def _criterion(fit: MixedFit) -> str:
    """Say the criterion, and what information criteria go with it."""
    name = "REML criterion" if fit.options["reml"] else "-2 log L"
    aic, bic = np.nanmedian(fit.aic), np.nanmedian(fit.bic)
    return f"{name} {np.nanmedian(fit.deviance):.4g}, AIC {aic:.4g}, BIC {bic:.4g} (medians)"


def _fixed(fit: GroupFit) -> list[str]:
    rows: list[Sequence[str]] = [("", "Estimate", "Std. Error", "df", "t value", "Pr(>|t|) < 0.05")]
    with np.errstate(invalid="ignore"):
        share = 100 * np.nanmean(
            np.where(np.isnan(fit.pvalues), np.nan, fit.pvalues < 0.05), axis=1
        )
    for p, name in enumerate(fit.design.names):
        numbers = [np.nanmedian(a[p]) for a in (fit.params, fit.bse, fit.df, fit.tvalues)]
        shown = [f"{numbers[0]:.4g}", f"{numbers[1]:.4g}", f"{numbers[2]:.1f}", f"{numbers[3]:.3f}"]
        rows.append((name, *shown, f"{share[p]:.1f} % of {fit.space.counted}"))
    return _aligned(rows)


def _range(values: Floats) -> str:
    return f"{np.nanmedian(values):.4g} ({_span(values)})"


def _span(values: Floats) -> str:
    low, high = np.nanpercentile(values, [5, 95])
    return f"{low:.4g} to {high:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return [
        " ".join(
            cell.ljust(width) if c == 0 else cell.rjust(width + 1)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
