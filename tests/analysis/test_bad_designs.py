"""Designs that cannot answer, through the public verbs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from small_study import N_SCANS, events_of, fitted, refused

import voxlm as vx
from voxlm.errors import DesignError, FormulaError, VoxlmError


def test_rank_deficient_designs_name_their_columns(bad: Any) -> None:
    table = pd.read_csv(bad.confounds, sep="\t")
    table["again"] = 2 * table["trans_x"] - table["rot_z"]
    text = refused(
        DesignError,
        lambda: fitted(bad, "y ~ face + motion + again", confounds=table),
        "rank",
        "again",
        "trans_x",
        "rot_z",
        "leave one of them out",
    )
    assert "trans_y" not in text
    refused(
        DesignError,
        lambda: fitted(bad, "y ~ face + flat", confounds=table.assign(flat=3.0)),
        "flat",
        "constant",
    )


def test_more_columns_than_scans(bad: Any) -> None:
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(N_SCANS, N_SCANS)))
    wide.columns = [f"c{k}" for k in range(N_SCANS)]
    text = " + ".join(wide.columns)
    refused(
        DesignError,
        lambda: fitted(bad, f"y ~ face + {text}", confounds=wide),
        f"{N_SCANS} scans",
        "columns",
        "use fewer confounds",
    )
    refused(
        DesignError,
        lambda: vx.glsar("y ~ face", bad.run(sample_mask=np.arange(20)), order=17),
        "AR(17)",
        "a lower order",
    )


def test_a_condition_without_events(bad: Any) -> None:
    refused(FormulaError, lambda: fitted(bad, "y ~ face + tool"), "unknown name 'tool'")
    table = events_of(bad)
    table.loc[table["trial_type"] == "house", "onset"] += 5000.0
    text = refused(DesignError, lambda: fitted(bad, events=table), "house", "no events")
    assert "leave it out of the formula" in text
    text = refused(
        DesignError,
        lambda: vx.lm("y ~ face", bad.run(sample_mask=np.arange(70, 72))),
    )
    assert text


def test_missing_values_where_they_count(bad: Any) -> None:
    table = pd.read_csv(bad.confounds, sep="\t")
    table.loc[7, "trans_x"] = np.nan
    path = bad.folder / "holes.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    text = refused(VoxlmError, lambda: fitted(bad, confounds=path), "trans_x", "row 8")
    assert "fill" in text
    assert fitted(bad, "y ~ face + rot_x", confounds=path).df_resid > 0
    gaps = events_of(bad)
    gaps.loc[2, "rt"] = np.nan
    refused(VoxlmError, lambda: fitted(bad, "y ~ trial_type/rt", events=gaps), "rt", "row 3")


def test_tables_that_the_formula_needs(bad: Any) -> None:
    refused(FormulaError, lambda: fitted(bad, events=None), "unknown name 'face'")
    refused(VoxlmError, lambda: fitted(bad, confounds=None), "confounds")
