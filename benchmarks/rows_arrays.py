"""Rows on data in memory: 300 scans × 24 columns × 50,000 voxels, float64."""

from __future__ import annotations

from functools import cache
from statistics import median
from typing import Any

from benchmarks.data import array_data
from benchmarks.measure import Measured, Row, Settings, in_turn, same_maps
from benchmarks.ours import design_of, fit_array
from benchmarks.peer_nilearn import nilearn_array
from benchmarks.peer_statsmodels import statsmodels_voxels

SAMPLE = 200  # voxels that statsmodels fits
# nilearn estimates ρ once, from OLS residuals and otherwise than statsmodels, rounds it to bins,
# and keeps the degrees of freedom of OLS; only OLS itself agrees to rounding.
CORRELATION = {0: 1 - 1e-12, 1: 0.995, 3: 0.99}
EXACT = 1 - 1e-12


@cache
def _data() -> tuple[Any, Any, Any]:
    return array_data()


def _against_nilearn(order: int, settings: Settings) -> Measured:
    data, matrix, weights = _data()
    design = design_of(matrix, [f"column_{i}" for i in range(matrix.shape[1])])
    noise = f"ar{order}" if order else "ols"
    ours, peer, mine, theirs = in_turn(
        lambda: fit_array(data, design, weights, order),
        lambda: nilearn_array(data, matrix, weights, noise, settings.peer_jobs),
        settings.repeat,
    )
    return Measured(ours, peer, same_maps(mine[0], theirs[0], "t", CORRELATION[order]))


def ols(settings: Settings) -> Measured:
    """Time OLS against nilearn."""
    return _against_nilearn(0, settings)


def ar_one(settings: Settings) -> Measured:
    """Time AR(1) against nilearn."""
    return _against_nilearn(1, settings)


def ar_three(settings: Settings) -> Measured:
    """Time AR(3) against nilearn."""
    return _against_nilearn(3, settings)


def voxel_by_voxel(settings: Settings) -> Measured:
    """Time AR(1) against statsmodels at some voxels, times what all would take."""
    data, matrix, weights = _data()
    design = design_of(matrix, [f"column_{i}" for i in range(matrix.shape[1])])
    chosen = slice(0, None, data.shape[1] // SAMPLE)
    some = data[:, chosen]
    ours, peer, mine, theirs = in_turn(
        lambda: fit_array(data, design, weights, 1),
        lambda: statsmodels_voxels(some, matrix, weights),
        settings.repeat,
    )
    said = same_maps(mine[0][chosen], theirs, "t", EXACT)
    share = some.shape[1] / data.shape[1]
    said += f"; {some.shape[1]} voxels took statsmodels {median(peer):.2f} s"
    return Measured(ours, [seconds / share for seconds in peer], said)


SIZE = "300 × 24 × 50,000 float64"
ROWS = (
    Row(
        "arrays-ar1",
        f"arrays {SIZE}: AR(1), one t contrast",
        "nilearn run_glm ar1",
        "faster",
        12,
        30,
        ar_one,
    ),
    Row("arrays-ar3", "the same, AR(3)", "nilearn run_glm ar3", "faster", 20, 60, ar_three),
    Row("arrays-ols", "the same, OLS", "nilearn run_glm ols", "faster", 1.5, 3, ols),
    Row(
        "statsmodels",
        "the same, AR(1), voxel by voxel",
        f"statsmodels GLSAR, from {SAMPLE} voxels",
        "faster",
        300,
        1000,
        voxel_by_voxel,
    ),
)
