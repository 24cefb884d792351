"""One voxel as a table, with the R or statsmodels code that fits it: what a statistician pastes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voxlm.analysis.fitted import Fitted
from voxlm.analysis.voxelwise import columns_at, series
from voxlm.errors import DataError

RESERVED = frozenset(
    [
        "if",
        "else",
        "repeat",
        "while",
        "function",
        "for",
        "next",
        "break",
        "in",
        "TRUE",
        "FALSE",
        "NULL",
        "Inf",
        "NaN",
        "NA",
        "T",
        "F",
        "data",
    ]
)
UNITS = {
    "percent": "percent of the voxel's mean",
    "grand_mean": "percent of the mean over voxels",
    None: "the units of the data",
}


def statsmodels_code(fit: Fitted, at: int, csv: Path) -> str:
    """Write one voxel's table, and return Python code that fits it by statsmodels alone.

    Parameters
    ----------
    fit : Fitted
        A fitted run.
    at : int
        Position on the voxel axis.
    csv : path
        The table: the series at the retained scans, then the columns of the design.

    Returns
    -------
    str
        Ends with ``results``, statsmodels' own. Where scans were removed, which GLSAR knows
        nothing of, it is OLS of the whitened rows at the ρ of the fit.
    """
    write_table(fit, at, csv)
    lines = ["import pandas as pd", "import statsmodels.api as sm", ""]
    lines += [f"# {described(fit)}", f"data = pd.read_csv({quoted(csv)})"]
    lines += ["y, X = data.iloc[:, 0], data.iloc[:, 1:]"]
    if fit.order == 0:
        lines += ["results = sm.OLS(y, X).fit()"]
    elif len(starts(fit)) == 1:
        lines += [
            f"model = sm.GLSAR(y, X, rho={fit.order})",
            f"results = model.iterative_fit(maxiter={fit.maxiter}, rtol={fit.rtol!r})",
        ]
    else:
        lines += [
            "# GLSAR knows no removed scans: these are the whitened rows at the rho of the fit,",
            f"# without the first {fit.order} of each run of consecutive scans.",
            f"rho = {fit.rho[:, at].tolist()}",
            f"starts = {starts(fit)}",
            f"dropped = {{start + k for start in starts for k in range({fit.order})}}",
            "rows = [t for t in range(len(data)) if t not in dropped]",
            "white = data - sum(r * data.shift(k + 1) for k, r in enumerate(rho))",
            "results = sm.OLS(white.iloc[rows, 0], white.iloc[rows, 1:]).fit()",
        ]
    return "\n".join([*lines, "print(results.summary())", ""])


def r_code(fit: Fitted, at: int, csv: Path) -> str:
    """Write one voxel's table, and return the R code of the same model.

    Parameters
    ----------
    fit : Fitted
        A fitted run.
    at : int
        Position on the voxel axis.
    csv : path
        As for :func:`statsmodels_code`.

    Returns
    -------
    str
        ``fit`` by ``lm``; with AR noise by ``nlme::gls``, whose REML estimate of ρ differs from
        Yule and Walker's, followed by ``same``, the least squares at the ρ found here.
    """
    write_table(fit, at, csv)
    lines = [f"# {described(fit)}"]
    lines += [f"data <- read.csv({quoted(csv)}, check.names = FALSE)"]
    names = r_names([response_name(fit), *fit.names])
    if names != [response_name(fit), *fit.names]:
        lines += [f"names(data) <- c({', '.join(json.dumps(name) for name in names)})"]
    if fit.order == 0:
        return "\n".join([*lines, f"fit <- lm({r_formula(fit)}, data = data)", *shown("fit")])
    first = ", ".join(str(start + 1) for start in starts(fit))
    noise = f"corARMA(form = ~ 1 | .series, p = {fit.order}, q = 0)"
    rho = ", ".join(f"{value:.17g}" for value in fit.rho[:, at])
    lines += [
        f"data$.series <- cumsum(seq_len(nrow(data)) %in% c({first}))",
        "",
        "# gls keeps the first scans and estimates the correlation by REML: near, not equal.",
        "library(nlme)",
        f"fit <- gls({r_formula(fit)}, data = data,",
        f"           correlation = {noise})",
        *shown("fit"),
        "# The same estimator: least squares of whitened rows, at the rho found here.",
        f"rho <- c({rho})",
        "place <- ave(seq_len(nrow(data)), data$.series, FUN = seq_along)",
        "white <- as.matrix(data[, names(data) != '.series'])",
        "raw <- white",
        "for (k in seq_along(rho)) {",
        "  late <- (k + 1):nrow(raw)",
        "  white[late, ] <- white[late, ] - rho[k] * raw[late - k, ]",
        "}",
        "white <- white[place > length(rho), ]",
        "same <- lm(white[, 1] ~ 0 + white[, -1])",
        *shown("same"),
    ]
    return "\n".join(lines)


def shown(name: str) -> list[str]:
    """Write the line that prints a result."""
    return [f"print(summary({name}), digits = 8)", ""]


def described(fit: Fitted) -> str:
    """Say what the table holds."""
    return f"{fit.formula}; the series in {UNITS[fit.run.scaling]}".replace("\n", " ")


def starts(fit: Fitted) -> list[int]:
    """List the first row of each run of consecutive scans."""
    return [int(start) for start, _ in fit.estimate.basis.segments]


def response_name(fit: Fitted) -> str:
    """Return a name for the series that no column has."""
    name = "y"
    while name in fit.names:
        name += "_"
    return name


def write_table(fit: Fitted, at: int, csv: Path) -> None:
    """Write the series of a voxel and the columns, a row a retained scan, all digits kept."""
    if not csv.parent.is_dir():
        raise DataError(f"there is no folder {csv.parent} to write {csv.name} in")
    voxel = np.array([at])
    table = columns_at(fit, voxel)[0].copy()
    table.insert(0, response_name(fit), series(fit, voxel)[:, 0])
    table.to_csv(csv, index=False)


def r_formula(fit: Fitted) -> str:
    """Write the columns as an R formula; R is told of the constant, for its R²."""
    response, *names = r_names([response_name(fit), *fit.names])
    ones = [
        column.role == "constant" and bool(np.all(values == 1.0))
        for column, values in zip(fit.design.columns, fit.estimate.X.T, strict=True)
    ] + [False] * len(fit.design.varying)
    rest = [name for name, one in zip(names, ones, strict=True) if not one]
    return f"{response} ~ {' + '.join(['1' if any(ones) else '0', *rest])}"


def r_names(names: Sequence[str]) -> list[str]:
    """Write names as R and nlme read them bare, each another.

    Examples
    --------
    >>> r_names(["rt", "trial_type[face]", "2back", "a b", "a-b", "if"])
    ['rt', 'trial_type.face.', 'X2back', 'a.b', 'a.b.1', 'if.']
    """
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._]", ".", name)
        plain = plain if re.match(r"[A-Za-z]", plain) else f"X{plain}"
        plain = f"{plain}." if plain in RESERVED else plain
        number, free = 0, plain
        while free in found:
            number += 1
            free = f"{plain}.{number}"
        found.append(free)
    return found


def quoted(path: Path) -> str:
    """Write a path as both languages read a text."""
    return json.dumps(str(path.resolve()), ensure_ascii=False)
