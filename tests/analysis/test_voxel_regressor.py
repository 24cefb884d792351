"""The word voxel(): a regressor of each voxel's own, from formula to contrast."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import voxlm as vx
from voxlm.errors import ContrastError, DataError, DesignError, FormulaError

# Normal equations on an orthonormal basis against pinv of whitened rows.
RTOL = 1e-10
GRID, T = (4, 3, 2), 140
V = int(np.prod(GRID))


def study(folder):
    rng = np.random.default_rng(2)
    own = rng.normal(size=(*GRID, T)) * rng.uniform(0.5, 5, GRID)[..., None]
    noise = rng.normal(size=(*GRID, T))
    for t in range(1, T):
        noise[..., t] += 0.4 * noise[..., t - 1]
    own[0, 0, 0] = 2.0
    own[1, 0, 0, 5] = np.nan
    data = 500 + 3 * np.nan_to_num(own) + noise
    affine = np.diag([2.0, 2, 2, 1])
    mask = np.ones(GRID, dtype=np.uint8)
    mask[3, 2, 1] = 0
    nib.save(nib.Nifti1Image(own, affine), folder / "own.nii.gz")
    nib.save(nib.Nifti1Image(data, affine), folder / "bold.nii.gz")
    events = pd.DataFrame(
        {"onset": np.arange(14) * 20.0, "duration": 5.0, "trial_type": ["face", "house"] * 7}
    )
    return {
        "bold": nib.Nifti1Image(data, affine),
        "mask": nib.Nifti1Image(mask, affine),
        "events": events,
        "tr": 2.0,
    }


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return study(tmp_path)


FORMULA = 'y ~ face + house + voxel("own.nii.gz")'
NAME = 'voxel("own.nii.gz")'


@pytest.mark.parametrize("verb", [vx.lm, vx.glsar])
@pytest.mark.parametrize("more", [{}, {"sample_mask": np.r_[0:50, 55:T]}])
@pytest.mark.parametrize("scaling", ["percent", None])
def test_equals_statsmodels(verb, more, scaling, parts):
    fit = verb(FORMULA, vx.Run(**parts, **more, scaling=scaling))
    assert fit.names[-1] == NAME
    assert NAME not in fit.design.names
    assert fit.left_out == {
        "voxel regressor constant, or a sum of other columns": 1,
        "voxel regressor not finite in some scan": 1,
    }
    if verb is vx.lm or not more:
        table = fit.check(n=30)
        assert (table["largest_relative"] < RTOL).all()
    con = fit.contrast(f"face - 2*{NAME}")
    np.testing.assert_array_equal(con.effect, fit.contrast("face - 2*voxel").effect)
    at = fit.run.space.index(2, 1, 1)
    if verb is vx.lm:
        found = fit.voxel(2, 1, 1).t_test([1, 0, *[0] * (len(fit.names) - 3), -2])
        np.testing.assert_allclose(con.t[at], np.ravel(found.tvalue)[0], rtol=1e-9)
        joint = fit.f_test(f"face, {NAME}")
        R = np.zeros((2, len(fit.names)))
        R[0, 0] = R[1, -1] = 1
        np.testing.assert_allclose(
            joint.F[at], np.squeeze(fit.voxel(2, 1, 1).f_test(R).fvalue), rtol=1e-9
        )
    good = fit.estimate.status == 0
    # The regressor was put in with weight 3, in units of the data.
    if scaling is None:
        assert np.abs(fit.map(NAME)[good] - 3).max() < 1.0


def test_residuals_and_predictions(parts):
    fit = vx.glsar(FORMULA, vx.Run(**parts))
    at = fit.run.space.index(2, 2, 0)
    results = fit.voxel(2, 2, 0)
    np.testing.assert_allclose(fit.resid[:, at], results.resid, atol=1e-9)
    np.testing.assert_allclose(
        fit.cov_params()[..., at], results.cov_params(), rtol=1e-8, atol=1e-15
    )
    exog = fit.design.frame.assign(**{NAME: 1.0})
    np.testing.assert_allclose(
        fit.predict(exog)[:, at], fit.predict(exog[list(fit.names)].to_numpy())[:, at]
    )


def test_code_for_one_voxel_has_the_regressor(parts, tmp_path):
    fit = vx.glsar(FORMULA, vx.Run(**parts))
    scope = {}
    exec(fit.to_statsmodels(tmp_path / "voxel.csv", 2, 2, 0), scope)
    at = fit.run.space.index(2, 2, 0)
    np.testing.assert_allclose(scope["results"].params, fit.params[:, at], rtol=1e-9)
    assert "voxel..own.nii.gz.." in fit.to_r(tmp_path / "voxel.csv", 2, 2, 0)


def test_arrays_take_an_array(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    own, data = rng.normal(size=(2, 60, 5))
    np.save("own.npy", own)
    fit = vx.lm('y ~ voxel("own.npy") - drift', vx.Run(data, tr=2.0, scaling=None))
    for v in range(5):
        results = sm.OLS(data[:, v], np.c_[np.ones(60), own[:, v]]).fit()
        np.testing.assert_allclose(fit.params[:, v], results.params, rtol=1e-9)
        np.testing.assert_allclose(fit.tvalues[:, v], results.tvalues, rtol=1e-9)


def test_design_and_explain_do_not_open_the_file(parts, tmp_path):
    (tmp_path / "own.nii.gz").unlink()
    made = vx.design(FORMULA, vx.Run(**parts))
    assert [column.name for column in made.varying] == [NAME]
    assert NAME not in made.frame
    explained = vx.explain(FORMULA, parts["events"])
    assert "image with a value a scan and voxel" in repr(explained)
    assert NAME in explained.formula
    with pytest.raises(DataError, match=r"own\.nii\.gz"):
        vx.lm(made, vx.Run(**parts))


def test_saved_and_summed_up(parts, tmp_path):
    fit = vx.lm(FORMULA, vx.Run(**parts))
    out = fit.save(tmp_path / "out", contrasts=[NAME, "face"])
    assert NAME.replace('"', '\\"') in (out / "provenance.json").read_text()
    assert NAME in fit.summary()
    again = vx.lm(fit.design, vx.Run(**parts))
    np.testing.assert_array_equal(again.params, fit.params)
    one = vx.lm(FORMULA, [vx.Run(**parts)])
    np.testing.assert_allclose(one.contrast(NAME).t, fit.contrast(NAME).t)


def test_refused(parts, tmp_path):
    run = vx.Run(**parts)
    for text, message in [
        ("y ~ face + voxel(own)", "name of an image in quotes"),
        ('y ~ face + voxel("a.nii") + voxel("b.nii")', "one voxel"),
        ('y ~ face:voxel("a.nii")', "stands alone"),
        ('y ~ face - voxel("a.nii")', "removes nothing"),
    ]:
        with pytest.raises(FormulaError, match=message):
            vx.design(text, run)
    with pytest.raises(DesignError, match="the scans of one run"):
        vx.lm(FORMULA, [run, run])
    with pytest.raises(ContrastError, match="cannot call"):
        vx.lm(FORMULA, run).contrast('voxel("owm.nii.gz")')
    short = nib.Nifti1Image(np.zeros((*GRID, T - 1)), np.diag([2.0, 2, 2, 1]))
    nib.save(short, tmp_path / "short.nii.gz")
    with pytest.raises(DataError, match="resample it first"):
        vx.lm('y ~ face + voxel("short.nii.gz")', run)
    array = vx.Run(np.random.default_rng(0).normal(size=(T, 2)), tr=2.0, scaling=None)
    with pytest.raises(DataError, match="no such file"):
        vx.lm(FORMULA.replace("face + house + ", ""), array)
    np.save(tmp_path / "wrong.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match="has shape"):
        vx.lm('y ~ voxel("wrong.npy")', array)


@pytest.mark.parametrize("verb", [vx.lm, vx.glsar])
def test_a_series_a_slice(verb, parts, tmp_path):
    table = pd.DataFrame(np.random.default_rng(5).normal(size=(T, GRID[2])), columns=["z0", "z1"])
    table.to_csv(tmp_path / "resp.tsv", sep="\t", index=False)
    run = vx.Run(**parts)
    fit = verb('y ~ face + house + voxel("resp.tsv", slice=True)', run)
    for k in range(GRID[2]):
        one = vx.Run(**parts, confounds=table[[f"z{k}"]].rename(columns={f"z{k}": "resp"}))
        same = verb("y ~ face + house + resp", one)
        mine = run.space.voxels[:, 2] == k
        fitted = mine & (fit.estimate.status == 0)
        column = same.design.names.index("resp")
        np.testing.assert_allclose(fit.params[-1, fitted], same.params[column, fitted], rtol=1e-8)
        np.testing.assert_allclose(
            fit.contrast("face").t[fitted], same.contrast("face").t[fitted], rtol=1e-8
        )
    assert fit.check(5)["largest_relative"].max() < 1e-8


def test_a_series_a_slice_is_refused_where_it_cannot_be(parts, tmp_path):
    table = pd.DataFrame(np.ones((T, 3)), columns=list("abc"))
    table.to_csv(tmp_path / "three.tsv", sep="\t", index=False)
    formula = 'y ~ face + voxel("three.tsv", slice=True)'
    with pytest.raises(DataError, match="expected 140 scans and 2 slices"):
        vx.lm(formula, vx.Run(**parts))
    with pytest.raises(DataError, match="which has no slices"):
        vx.lm(formula, vx.Run(np.random.default_rng(0).random((T, 4)) + 9, parts["events"], tr=2.0))
    table = table[["a", "b"]].astype(object)
    table.loc[7, "b"] = "n/a"
    table.to_csv(tmp_path / "three.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match="row 8 of column b is not finite"):
        vx.lm(formula, vx.Run(**parts))
    with pytest.raises(FormulaError, match="slice is True or False"):
        vx.lm('y ~ face + voxel("three.tsv", slice=2)', vx.Run(**parts))
