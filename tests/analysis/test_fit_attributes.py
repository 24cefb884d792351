"""Every attribute of a fit is statsmodels' own, at every voxel."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.regression.linear_model import RegressionResults

import voxlm as vx
from voxlm.errors import DataError

# The same arithmetic in another order: eps times the condition of a design with drift and motion.
EXACT = 1e-10
# Values stored in 16 or 32 bits are exact in float64; the target that was set for images.
IMAGES = 1e-6
FORMULA = "y ~ face + house + motion"
FITS = {"lm": {}, "glsar": {"order": 1}, "glsar2": {"order": 2, "maxiter": 5, "rtol": 1e-3}}


@pytest.fixture(scope="module", params=[*FITS], ids=str)
def pair(request: pytest.FixtureRequest, study: Any) -> tuple[vx.Fit, list[Any]]:
    """Return our fit, and statsmodels' at every voxel, of the run on disk."""
    options = FITS[request.param]
    verb = vx.glsar if options else vx.lm
    fit = verb(FORMULA, study.run(), **options)
    X = fit.design.frame.to_numpy()
    if not options:
        return fit, [sm.OLS(y, X).fit() for y in study.percent.T]
    maxiter, rtol = options.get("maxiter", 3), options.get("rtol", 1e-4)
    order = options["order"]
    return fit, [
        sm.GLSAR(y, X, rho=order).iterative_fit(maxiter=maxiter, rtol=rtol) for y in study.percent.T
    ]


def assert_same(ours: np.ndarray, theirs: list[Any], tolerance: float = EXACT) -> None:
    expected = np.stack([np.asarray(value, dtype=float) for value in theirs], axis=-1)
    assert ours.shape == expected.shape
    size = np.abs(expected).max()
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize(
    "name",
    ["params", "bse", "tvalues", "pvalues", "scale", "rsquared", "resid", "fittedvalues"],
)
def test_attributes(pair: tuple[vx.Fit, list[Any]], name: str) -> None:
    fit, theirs = pair
    assert_same(getattr(fit, name), [getattr(results, name) for results in theirs])


def test_counts(pair: tuple[vx.Fit, list[Any]]) -> None:
    fit, theirs = pair
    for name in ("df_resid", "df_model", "nobs"):
        assert getattr(fit, name) == getattr(theirs[0], name)


def test_rho(pair: tuple[vx.Fit, list[Any]]) -> None:
    fit, theirs = pair
    assert fit.rho.shape == (fit.order, fit.n_voxels)
    if fit.order:
        assert_same(fit.rho, [results.model.rho for results in theirs])


def test_methods(pair: tuple[vx.Fit, list[Any]]) -> None:
    fit, theirs = pair
    assert_same(fit.cov_params(), [results.cov_params() for results in theirs])
    assert_same(fit.conf_int(), [results.conf_int() for results in theirs])
    assert_same(fit.conf_int(0.2), [results.conf_int(0.2) for results in theirs])
    rows = np.random.default_rng(0).normal(size=(3, len(fit.params)))
    assert_same(fit.predict(rows), [results.predict(rows) for results in theirs])
    frame = pd.DataFrame(rows, columns=list(fit.design.names))[list(fit.design.names)[::-1]]
    np.testing.assert_array_equal(fit.predict(frame), fit.predict(rows))
    np.testing.assert_array_equal(fit.predict(), fit.fittedvalues)


def test_tests(pair: tuple[vx.Fit, list[Any]]) -> None:
    fit, theirs = pair
    c = np.zeros(len(fit.params))
    c[:2] = 1, -1
    asked = [results.t_test((c[None], np.array([0.1]))) for results in theirs]
    ours = fit.t_test("face - house = 0.1")
    assert_same(ours.effect, [one.effect.item() for one in asked])
    assert_same(ours.se, [one.sd.item() for one in asked])
    assert_same(ours.t, [one.tvalue.item() for one in asked])
    assert_same(ours.p, [one.pvalue.item() for one in asked])
    interval = [np.squeeze(one.conf_int()) + 0.0 for one in asked]
    assert_same(ours.conf_int(), interval)
    C = np.eye(len(fit.params))[:2]
    joint = [results.f_test(C) for results in theirs]
    for ours in (fit.f_test("face, house"), fit.wald_test(C), fit.contrast(C)):
        assert_same(ours.F, [one.fvalue for one in joint])
        assert_same(ours.p, [one.pvalue for one in joint])
        assert (ours.df_num, ours.df) == (2, joint[0].df_denom)


def test_arrays_give_the_same_numbers(pair: tuple[vx.Fit, list[Any]], study: Any) -> None:
    fit, _ = pair
    verb = vx.glsar if fit.order else vx.lm
    options = {"order": fit.order, "maxiter": fit.maxiter, "rtol": fit.rtol} if fit.order else {}
    other = verb(FORMULA, study.array_run(), **options)
    for name in ("params", "bse", "scale", "rho", "resid"):
        np.testing.assert_allclose(getattr(other, name), getattr(fit, name), rtol=EXACT, atol=EXACT)
    assert isinstance(other.contrast("face").image("z"), np.ndarray)


def test_voxel_is_statsmodels_own(pair: tuple[vx.Fit, list[Any]], study: Any) -> None:
    fit, theirs = pair
    column = 7
    i, j, k = np.argwhere(study.inside)[column]
    x, y, z = fit.run.space.mm([[i, j, k]])[0]
    for results in (
        fit.voxel(i, j, k),
        fit.voxel(x=i, y=j, z=k),
        fit.voxel(x=x, y=y, z=z, mm=True),
        fit.voxel(x=x + 1.2, y=y - 1.2, z=z + 1.8, mm=True),
    ):
        assert isinstance(getattr(results, "_results", results), RegressionResults)
        np.testing.assert_allclose(results.params, theirs[column].params, rtol=EXACT)
        np.testing.assert_allclose(fit.bse[:, column], results.bse, rtol=EXACT)
        assert list(results.params.index) == list(fit.design.names)
    assert "face" in str(results.summary())


def test_voxels_that_are_not_there(study: Any) -> None:
    fit = vx.lm(FORMULA, study.run())
    with pytest.raises(DataError, match=r"outside the grid: indices go from 0 to \(5, 4, 3\)"):
        fit.voxel(6, 0, 0)
    with pytest.raises(DataError, match=r"voxel \(0, 0, 0\) is outside the mask .* nearest voxel"):
        fit.voxel(0, 0, 0)
    with pytest.raises(DataError, match=r"at \(900, 0, 0\) mm: voxel .* is outside the grid"):
        fit.voxel(x=900, y=0, z=0, mm=True)
    with pytest.raises(DataError, match="three indices"):
        fit.voxel(3)
    with pytest.raises(DataError, match="say which voxel"):
        fit.voxel()
    arrays = vx.lm(FORMULA, study.array_run())
    np.testing.assert_allclose(arrays.voxel(3).params, arrays.params[:, 3], rtol=EXACT)
    with pytest.raises(DataError, match="column 999 does not exist"):
        arrays.voxel(999)
    with pytest.raises(DataError, match="without places"):
        arrays.voxel(x=1, y=2, z=3, mm=True)


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i2", ">i2"])
def test_check_finds_no_difference(new_study: Any, dtype: str) -> None:
    run = new_study(3, dtype).run()
    for fit in (vx.lm(FORMULA, run), vx.glsar(FORMULA, run), vx.glsar(FORMULA, run, order=3)):
        table = fit.check(n=12, seed=1)
        assert table["largest_relative"].max() < (EXACT if dtype == "<f8" else IMAGES)
        assert {"params", "bse", "tvalues", "pvalues", "scale", "df_resid"} <= set(table.index)
        assert ("rho" in table.index) == bool(fit.order)
        pd.testing.assert_frame_equal(table, fit.check(n=12, seed=1))


def test_check_can_fail(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = vx.lm(FORMULA, study.run())
    fit.params[0, :] *= 1 + 1e-6
    table = fit.check(n=5)
    assert table.loc["params", "largest_relative"] > 1e-8
    assert table.loc["scale", "largest_relative"] < EXACT


def test_smoothed_runs_are_refitted_from_smoothed_data(study: Any) -> None:
    fit = vx.glsar(FORMULA, study.run(smoothing_fwhm=5))
    assert fit.check(n=8)["largest_relative"].max() < IMAGES
    plain = vx.glsar(FORMULA, study.run())
    assert np.median(fit.scale) < 0.8 * np.median(plain.scale)


def test_the_verb_survives_the_layer_of_its_name(study: Any) -> None:
    importlib.import_module("voxlm.design.check")
    assert vx.design("y ~ face", study.run()).names[0] == "face"
    assert vx.design("y ~ face", study.run()).frame.shape[0] == study.rows.shape[0]


def test_nothing_passed_in_is_changed(study: Any) -> None:
    events = pd.read_csv(study.events, sep="\t")
    confounds = pd.read_csv(study.confounds, sep="\t")
    kept = [frame.copy(deep=True) for frame in (events, confounds)]
    rows = study.rows
    before = rows.copy()
    vx.glsar(FORMULA, vx.Run(rows, events, confounds, tr=study.tr)).contrast("face").correct()
    pd.testing.assert_frame_equal(events, kept[0])
    pd.testing.assert_frame_equal(confounds, kept[1])
    np.testing.assert_array_equal(rows, before)


def test_a_design_made_before_can_be_fitted(study: Any) -> None:
    run = study.run()
    made = vx.design(FORMULA, run)
    np.testing.assert_array_equal(vx.lm(made, run).params, vx.lm(FORMULA, run).params)
    assert vx.lm(made, run).contrast("face - house").df == vx.lm(FORMULA, run).df_resid


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"order": 0}, "for 0 use lm"),
        ({"order": 1.5}, "whole number of at least 1"),
        ({"maxiter": 0}, "maxiter is a whole number"),
        ({"rtol": -1}, "rtol is a number of at least 0"),
        ({"rtol": float("nan")}, "rtol is a number of at least 0"),
    ],
)
def test_options_that_make_no_sense(study: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        vx.glsar(FORMULA, study.array_run(), **options)


def test_what_is_no_run(study: Any) -> None:
    for data in (study.rows, [study.bold], [], "bold.nii.gz"):
        with pytest.raises(DataError, match=r"vx\.Run\(bold"):
            vx.lm(FORMULA, data)
    fit = vx.lm(FORMULA, study.array_run())
    with pytest.raises(DataError, match="exog lacks the columns"):
        fit.predict(pd.DataFrame({"face": [1.0]}))
    with pytest.raises(DataError, match=r"exog has shape \(2, 2\)"):
        fit.predict(np.ones((2, 2)))
    with pytest.raises(DataError, match="no map called 'rh0'"):
        fit.image("rh0")


def test_maps(study: Any) -> None:
    fit = vx.glsar(FORMULA, study.run())
    for name, values in (("rsquared", fit.rsquared), ("rho", fit.rho[0]), ("face", fit.params[0])):
        data = np.asarray(fit.image(name).dataobj)
        np.testing.assert_allclose(data[study.inside], values, rtol=1e-6)
        assert not data[~study.inside].any()
    two = vx.glsar(FORMULA, study.run(), order=2)
    assert two.image("rho").shape == (*study.inside.shape, 2)
