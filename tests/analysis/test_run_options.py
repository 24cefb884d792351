"""What a run's options do to a fit, and what is said about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import voxlm as vx
from voxlm.errors import DataError, DesignError, FormulaError, VoxlmError

FORMULA = "y ~ face + house + motion"
# The fine grid of the convolution starts at the first scan, so events fall elsewhere in its steps.
FINE_GRID = 3e-3


def test_scaling(study: Any) -> None:
    Y = study.rows
    wanted = {
        "percent": 100 * (Y / Y.mean(axis=0) - 1),
        "grand_mean": 100 * (Y / Y.mean() - 1),
        None: Y,
    }
    for scaling, data in wanted.items():
        for run in (study.run(scaling=scaling), study.array_run(scaling=scaling)):
            fit = vx.lm(FORMULA, run)
            theirs = sm.OLS(data[:, 3], fit.design.matrix).fit()
            np.testing.assert_allclose(fit.params[:, 3], theirs.params, rtol=1e-8, atol=1e-9)
            np.testing.assert_allclose(fit.bse[:, 3], theirs.bse, rtol=1e-8)
            np.testing.assert_allclose(fit.resid[:, 3], theirs.resid, rtol=1e-6, atol=1e-9)


def test_no_contrast_depends_on_the_units(study: Any) -> None:
    asked = [
        vx.glsar(FORMULA, study.run(scaling=scaling), rtol=0.0).contrast("face - house").t
        for scaling in ("percent", "grand_mean", None)
    ]
    np.testing.assert_allclose(asked[1], asked[0], rtol=1e-8)
    np.testing.assert_allclose(asked[2], asked[0], rtol=1e-8)


@pytest.mark.parametrize("streamed", [True, False])
def test_sample_mask_is_a_fit_of_the_kept_scans(study: Any, streamed: bool) -> None:
    kept = np.ones(90, dtype=bool)
    kept[[0, 1, 2, 40, 41, 77]] = False
    make = study.run if streamed else study.array_run
    for mask in (kept, np.flatnonzero(kept)):
        fit = vx.lm(FORMULA, make(sample_mask=mask))
        X = vx.design(FORMULA, make()).matrix[kept]
        Y = 100 * (study.rows[kept] / study.rows[kept].mean(axis=0) - 1)
        theirs = sm.OLS(Y[:, 5], X).fit()
        np.testing.assert_allclose(fit.params[:, 5], theirs.params, rtol=1e-8)
        np.testing.assert_allclose(fit.bse[:, 5], theirs.bse, rtol=1e-8)
        assert (fit.df_resid, fit.nobs) == (theirs.df_resid, 84)
        assert fit.check(5)["largest_relative"].max() < 1e-8
        assert "84 of 90" in repr(fit)
        assert fit.resid.shape == fit.fittedvalues.shape == (84, fit.n_voxels)


def test_scans_cut_at_the_start_are_a_shorter_series(study: Any) -> None:
    fit = vx.glsar(FORMULA, study.run(sample_mask=np.arange(4, 90)))
    X = vx.design(FORMULA, study.run()).matrix[4:]
    Y = 100 * (study.rows[4:] / study.rows[4:].mean(axis=0) - 1)
    theirs = sm.GLSAR(Y[:, 0], X, rho=1).iterative_fit(maxiter=3, rtol=1e-4)
    np.testing.assert_allclose(fit.params[:, 0], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(fit.rho[:, 0], theirs.model.rho, rtol=1e-8)
    assert fit.check(5)["largest_relative"].max() < 1e-8


def test_statsmodels_cannot_follow_across_a_gap(study: Any) -> None:
    kept = np.setdiff1d(np.arange(90), [30])
    fit = vx.glsar(FORMULA, study.run(sample_mask=kept))
    assert fit.nobs == 87
    with pytest.raises(DataError, match="no notion of removed scans"):
        fit.check(3)
    with pytest.raises(DataError, match="no notion of removed scans"):
        fit.voxel(*np.argwhere(study.inside)[0])


def test_slice_time_ref_moves_the_clock_and_the_task(study: Any) -> None:
    start, middle = (vx.design(FORMULA, study.run(slice_time_ref=at)) for at in (0.0, 0.5))
    np.testing.assert_allclose(middle.frame.index - start.frame.index, 1.0)
    events = pd.read_csv(study.events, sep="\t")
    earlier = events.assign(onset=events["onset"] - 1.0)
    moved = vx.design(FORMULA, study.run(events=earlier))
    np.testing.assert_allclose(middle.matrix[:, :2], moved.matrix[:, :2], atol=FINE_GRID)
    np.testing.assert_array_equal(middle.matrix[:, 2:8], start.matrix[:, 2:8])
    assert np.abs(middle.matrix[:, 0] - start.matrix[:, 0]).max() > 0.01


def test_voxels_that_cannot_be_fitted_are_counted(odd_study: Any) -> None:
    fit = vx.glsar(FORMULA, odd_study.run())
    text = repr(fit)
    total = int(odd_study.inside.sum())
    assert f"{total - 4} fitted of {total}" in text
    for why in ("zero in every scan", "constant over scans", "not finite in some scan"):
        assert f"1 left out: {why}" in text
        assert fit.left_out[why] == 1
    places = [(2, 2, 2), (3, 2, 2), (0, 0, 1), (1, 1, 1)]
    columns = [fit.run.space.index(*place) for place in places]
    assert np.flatnonzero(np.isnan(fit.scale)).tolist() == sorted(columns)
    con = fit.contrast("face")
    for values in (fit.params, fit.bse, fit.tvalues, fit.rho, con.t, con.z, con.p, fit.rsquared):
        assert np.isnan(values[..., columns]).all()
        assert np.isfinite(np.delete(values, columns, axis=-1)).all()
    with pytest.raises(DataError, match="left out of the fit: zero in every scan"):
        fit.voxel(2, 2, 2)
    assert fit.check(1000)["largest_relative"].max() < 1e-8
    raw = vx.lm(FORMULA, odd_study.run(scaling=None))
    assert np.isfinite(raw.scale[columns[3]])


def test_a_fit_in_words(study: Any) -> None:
    text = repr(vx.glsar(FORMULA, study.run(), order=2))
    for line in (
        "AR(2) noise (GLSAR), in percent of each voxel's mean",
        "y ~ 1 + face + house + motion + cosine(1/128)",
        "2: face, house",
        "6: trans_x",
        "90 every 2 s, 88 in the fit",
        "rho[2]",
        "R²",
    ):
        assert line in text


def test_nothing_to_fit_is_said(study: Any) -> None:
    fit = vx.lm("y ~ face", study.array_run(scaling=None, confounds=None))
    assert "left out" not in repr(fit)
    flat = vx.Run(np.full((90, 3), 7.0), study.events, tr=2.0)
    fit = vx.lm("y ~ face", flat)
    assert "3 left out: constant over scans" in repr(fit)
    assert "no finite value" in repr(fit.contrast("face"))
    with pytest.raises(DataError, match="no voxel could be fitted"):
        fit.check()


def test_centred_data_are_refused_for_percent(study: Any) -> None:
    centred = study.rows - study.rows.mean(axis=0)
    with pytest.raises(DataError, match="pass scaling=None"):
        vx.lm("y ~ face", vx.Run(centred, study.events, tr=2.0))


def test_drift_needs_seconds(study: Any) -> None:
    with pytest.raises(DataError, match=r"cosine\(1/128\) is a frequency in Hz.*`- drift`"):
        vx.lm("y ~ motion", vx.Run(study.rows, confounds=study.confounds))
    fit = vx.lm("y ~ motion - drift", vx.Run(study.rows, confounds=study.confounds))
    assert fit.df_resid == 90 - 7
    assert vx.lm("y ~ 1 + poly(2)", vx.Run(study.rows)).df_resid == 87


def test_a_design_of_another_run(study: Any) -> None:
    made = vx.design("y ~ face", vx.Run(study.rows[:60], study.events, tr=2.0))
    with pytest.raises(DesignError, match=r"has 60 rows and .* 90 scans"):
        vx.lm(made, study.run())


def test_explain_says_what_words_mean(study: Any) -> None:
    told = vx.explain("y ~ trial_type/rt + motion", study.events, study.confounds)
    assert told.formula == "y ~ 1 + trial_type + trial_type:rt + motion + cosine(1/128)"
    table = told.table().set_index("word")
    assert table.loc["trial_type", "source"] == "events.trial_type"
    assert table.loc["rt", "source"] == "events.rt"
    assert "trans_x" in table.loc["motion", "columns"]
    assert told.formula in repr(told)
    frames = vx.explain("y ~ face", pd.read_csv(study.events, sep="\t"))
    assert frames.table().loc[0, "source"] == "level of events.trial_type"


def test_explain_refuses_what_a_fit_refuses(study: Any) -> None:
    with pytest.raises(FormulaError, match="did you mean 'face'"):
        vx.explain("y ~ fce", study.events)
    with pytest.raises(VoxlmError, match="does not exist"):
        vx.explain("y ~ face", study.folder / "nothing.tsv")
