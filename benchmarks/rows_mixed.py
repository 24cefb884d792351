"""Rows of mixed models over maps in memory, against least squares, statsmodels and lme4."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import voxlm as vx
from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps

VOXELS = 50_000
SAMPLE = 40  # voxels that statsmodels or lme4 fits
# The peers' optimisers stop near the optimum.
AGREE = 1 - 1e-6
# Least squares is another estimate of the same slope.
LOOSE = 0.7
FORMULAS = {
    "intercept": "~ group * age + t + (1 | subject)",
    "slopes": "~ group * age + t + (1 + t | subject)",
    "nested": "~ group * age + t + (1 | site/subject)",
}
SCRIPT = """
suppressMessages(library(lme4))
rows <- read.csv("table.csv", stringsAsFactors = TRUE); maps <- as.matrix(read.csv("maps.csv"))
fit <- function(v) {{ rows$y <- maps[, v]; suppressWarnings(suppressMessages(lmer(y {0}, rows))) }}
invisible(fit(1)); start <- proc.time()[["elapsed"]]
found <- sapply(seq_len(ncol(maps)), function(v) fixef(fit(v))[["t"]])
cat(proc.time()[["elapsed"]] - start, sprintf("%.12g", found))
"""


@cache
def study(kind: str, n_voxels: int = VOXELS) -> tuple[pd.DataFrame, Any]:
    """Return a table of 100 subjects in 20 sites, and maps; a third without variance between."""
    rng = np.random.default_rng(7)
    visits = np.full(100, 3)
    if kind == "slopes":
        visits[:23] = 2
    elif kind == "nested":
        visits[:30], visits[30:60] = 2, 4
    subject = np.repeat(np.arange(100), visits)
    t = rng.uniform(0, 4, subject.size)
    table = pd.DataFrame(
        {
            "subject": [f"s{k:03d}" for k in subject],
            "site": [f"c{k % 20:02d}" for k in subject],
            "group": np.where(subject % 2, "patient", "control"),
            "age": rng.uniform(20, 80, 100)[subject],
            "t": t,
        }
    )
    maps = rng.standard_normal((subject.size, n_voxels))
    strength = rng.choice([0.0, 0.7, 1.4], n_voxels)
    maps += strength * rng.standard_normal((100, n_voxels))[subject]
    if kind == "slopes":
        maps += 0.4 * strength * rng.standard_normal((100, n_voxels))[subject] * t[:, None]
    if kind == "nested":
        maps += 0.4 * strength * rng.standard_normal((20, n_voxels))[subject % 20]
    return table, maps


def tests(kind: str, table: pd.DataFrame, maps: Any) -> Any:
    """Fit, with standard errors and Satterthwaite's df of every column; return the t of t."""
    fit = vx.lmer(FORMULAS[kind], vx.Maps(table, data=maps))
    assert fit.df.shape == fit.bse.shape
    return fit.params[fit.design.names.index("t")]


def least_squares(settings: Settings) -> Measured:
    """Time a random intercept against least squares."""
    table, maps = study("intercept")
    X = vx.lm("~ group * age + t", vx.Maps(table, data=maps[:, :2])).design.matrix
    at = lambda: np.linalg.lstsq(X, maps, rcond=None)[0][3]  # noqa: E731
    ours, peer, mine, theirs = in_turn(lambda: tests("intercept", table, maps), at, settings.repeat)
    return Measured(ours, peer, same_maps(mine, theirs, "slope", LOOSE))


def mixedlm(settings: Settings) -> Measured:
    """Time a random intercept against statsmodels at some voxels, times what all would take."""
    table, maps = study("intercept")
    some = vx.lmer(FORMULAS["intercept"], vx.Maps(table, data=maps[:, :SAMPLE]))
    place = some.design.names.index("t")
    ours, peer, mine, theirs = in_turn(
        lambda: tests("intercept", table, maps),
        lambda: np.array([some.voxel(v).fe_params.iloc[place] for v in range(SAMPLE)]),
        settings.repeat,
    )
    said = same_maps(mine[:SAMPLE], theirs, "slope", AGREE)
    return Measured(ours, [seconds * VOXELS / SAMPLE for seconds in peer], said)


def lme4(kind: str, n_voxels: int) -> Any:
    """Return a measurement against lme4 at some voxels, times what all would take."""

    def measure(settings: Settings) -> Measured:
        if shutil.which("Rscript") is None:
            raise SystemExit("this row needs R with lme4")
        table, maps = study(kind, n_voxels)
        times, found = [], np.empty(0)
        with tempfile.TemporaryDirectory() as folder:
            table.to_csv(Path(folder) / "table.csv", index=False)
            frame = pd.DataFrame(maps[:, :SAMPLE])
            frame.to_csv(Path(folder) / "maps.csv", index=False, float_format="%.17g")
            script = SCRIPT.format(FORMULAS[kind])
            for _ in range(settings.repeat):
                command = ["Rscript", "-e", script]
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, check=True
                )
                first, *rest = done.stdout.split()
                times.append(float(first) * n_voxels / SAMPLE)
                found = np.array([float(word) for word in rest])
        ours, _, mine, _ = in_turn(lambda: tests(kind, table, maps), lambda: None, settings.repeat)
        return Measured(ours, times, same_maps(mine[:SAMPLE], found, "slope", AGREE))

    return measure


def large(settings: Settings) -> Measured:
    """Time 20,000 maps of 9,500 subjects with 25 columns, for a million voxels."""
    rng = np.random.default_rng(3)
    n, m, V = 20_000, 9_500, 6_000
    subject = np.sort(np.r_[np.arange(m), rng.integers(0, m, n - m)])
    table = pd.DataFrame(rng.standard_normal((n, 24)), columns=[f"x{k}" for k in range(24)])
    table["subject"] = subject.astype(str)
    maps = vx.Maps(table, data=rng.standard_normal((n, V)).astype(np.float32))
    formula = f"~ {' + '.join(f'x{k}' for k in range(24))} + (1 | subject)"
    ours, _, fit, _ = in_turn(lambda: vx.lmer(formula, maps).params, lambda: None, settings.repeat)
    said = f"{1e6 * min(ours) / V:.0f} µs a voxel; {fit.shape[1]:,} voxels, all of them fitted"
    return Measured([seconds * 1_000_000 / V for seconds in ours], [], said)


SIZE = f"(1 | subject), 300 maps, 100 subjects, 5 columns, {VOXELS:,} voxels, SE and df of 5"
ROWS = (
    Row("mixed-intercept", SIZE, "np.linalg.lstsq", "within", 2, 1, least_squares),
    Row("mixed-statsmodels", "the same", "statsmodels MixedLM", "faster", 5000, 25000, mixedlm),
    Row("mixed-lme4", "the same", "lme4 lmer", "faster", 1000, 4000, lme4("intercept", VOXELS)),
    Row(
        "mixed-slopes",
        "(1 + t | subject), 277 maps, 100 subjects, 4,000 voxels, SE and df of 5",
        "lme4 lmer",
        "faster",
        100,
        300,
        lme4("slopes", 4000),
    ),
    Row(
        "mixed-nested",
        "(1 | site/subject), 300 maps, 4,000 voxels, SE and df of 5",
        "lme4 lmer",
        "faster",
        300,
        1000,
        lme4("nested", 4000),
    ),
    Row(
        "mixed-large",
        "(1 | subject), 20,000 maps, 9,500 subjects, 25 columns, a million voxels",
        "—",
        "under",
        350,
        150,
        large,
    ),
)
