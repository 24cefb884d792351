"""The figures that validation/ states as equal stay equal."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# SPM and FSL write their maps as float32.
FLOAT32 = 1e-6
# Sums of 21 terms of order one, and where optimisers of the same function stop.
ROUNDING, ITERATED = 1e-12, 1e-6


@pytest.fixture
def script(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an importer of the scripts of data sets that are here."""
    monkeypatch.syspath_prepend(ROOT)

    def load(data_set: str, name: str) -> Any:
        if not (shared_data / data_set).is_dir():
            pytest.skip(f"the data set {data_set} is not in {shared_data}")
        return importlib.import_module(f"validation.{data_set}.{name}")

    return load


def assert_equal(rows: dict[str, dict[str, float]]) -> None:
    assert rows
    for name, figures in rows.items():
        assert figures["gap / max"] < FLOAT32, name


def test_spm_informed_basis(script: Any) -> None:
    spm = script("nft_block", "compare_spm")
    assert_equal(spm.same_columns(spm.B, slice(0, 3)))


def test_spm_autoregressive(script: Any) -> None:
    spm = script("nft_block", "compare_spm")
    assert_equal(spm.same_columns(spm.A, slice(1, 7)))


@pytest.mark.slow
def test_spm_twelve_sessions(script: Any) -> None:
    spm = script("haxby_multirun", "compare_spm")
    assert_equal(spm.one_model())
    assert_equal({"effect": spm.combined()["effect"]})


def test_fsl_fixed_effects(script: Any) -> None:
    assert_equal(script("fsl_film_voxels", "compare_fsl").fixed_effects())


def test_meta_analysis_of_studies(script: Any) -> None:
    pain = script("nimare_pain21", "compare_meta")
    for method in ("fe", "dl", "reml"):
        row = pain.with_pymare(method)
        exact = ITERATED if method == "reml" else ROUNDING
        assert max(row["estimate"], row["se"], row["p"]) < exact
        assert row.get("deviance ≤ theirs", 1.0) == 1.0
    assert all(row["gap / max"] < ITERATED for row in pain.with_statsmodels().values())


def test_shifted_conditions_matter_nowhere(script: Any) -> None:
    localizer = script("pyhrf_localizer", "count_active")
    run = localizer.run_of(*localizer.SETS["audio and video"])
    made = localizer.shifted(run)
    assert localizer.active(localizer.vx.lm("y ~ trial_type", run))["p < .001"] > 0.4
    assert localizer.active(localizer.vx.lm(made, run))["p < .001"] < 0.01


def test_spm_random_field(script: Any) -> None:
    wager = script("wager_group", "compare_spm_canlab")
    assert_equal(wager.random_field(wager.maps()))
