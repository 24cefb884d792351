"""The word voxel(): a regressor of each voxel's own, from formula to contrast."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import voxlm as vx
from voxlm.analysis.residuals import run_residuals
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
        ('y ~ face + voxel("a.nii") + voxel("a.nii")', "regressor twice"),
        ('y ~ face:voxel("a.nii")', "stands alone"),
        ('y ~ face - voxel("a.nii")', "removes nothing"),
    ]:
        with pytest.raises(FormulaError, match=message):
            vx.design(text, run)
    fit = vx.lm(FORMULA, run)
    with pytest.raises(ContrastError, match="did you mean 'voxel") as found:
        fit.contrast('face - voxel("owm.nii.gz")')
    assert found.value.span == (7, 26)
    with pytest.raises(ContrastError, match="cannot call"):
        fit.contrast("exp(face)")
    short = nib.Nifti1Image(np.zeros((*GRID, T - 1)), np.diag([2.0, 2, 2, 1]))
    nib.save(short, tmp_path / "short.nii.gz")
    with pytest.raises(DataError, match="resample it first"):
        vx.lm('y ~ face + voxel("short.nii.gz")', run)
    array = vx.Run(np.random.default_rng(0).normal(size=(T, 2)), tr=2.0, scaling=None)
    with pytest.raises(DataError, match=r"no such file.*own\.nii\.gz|no such file"):
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
    with pytest.raises(DataError, match="columns have no slices"):
        vx.lm(formula, vx.Run(np.random.default_rng(0).random((T, 4)) + 9, parts["events"], tr=2.0))
    table = table[["a", "b"]].astype(object)
    table.loc[7, "b"] = "n/a"
    table.to_csv(tmp_path / "three.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match="row 8 of column b is not finite"):
        vx.lm(formula, vx.Run(**parts))
    with pytest.raises(FormulaError, match="slice is True or False"):
        vx.lm('y ~ face + voxel("three.tsv", slice=2)', vx.Run(**parts))


def test_a_design_knows_the_names(parts):
    made = vx.design(FORMULA, vx.Run(**parts))
    assert f"confounds 1: {NAME}" in repr(made)
    assert "task      2: face, house" in repr(made)
    C = made.hypothesis(f"face - 2*{NAME}").C
    assert C.shape == (1, len(made.names) + 1)
    assert C[0, -1] == -2
    plain = vx.design("y ~ face + house", vx.Run(**parts))
    np.testing.assert_allclose(made.efficiency("face"), plain.efficiency("face"))
    assert set(made.report(["face - house"]).attrs["efficiency"]) == {"face - house"}
    with pytest.raises(DesignError, match="differs from voxel to voxel"):
        made.efficiency(f"face - {NAME}")
    with pytest.raises(ContrastError, match="did you mean"):
        made.hypothesis('voxel("on.nii.gz")')


def test_provenance_has_the_checksum(parts, tmp_path):
    fit = vx.lm(FORMULA, vx.Run(**parts))
    record = json.loads((fit.save(tmp_path / "out") / "provenance.json").read_text())
    (own,) = (file for file in record["runs"][0]["inputs"] if file["role"] == "voxel")
    digest = hashlib.sha256((tmp_path / "own.nii.gz").read_bytes()).hexdigest()
    assert own["sha256"] == digest


SIZES, AFFINE = (120, 100, 110), np.diag([2.0, 2, 2, 1])


@pytest.fixture
def three_runs(tmp_path, monkeypatch):
    """Three runs of unequal length, each with two regressors of its own in files of its own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(8)
    runs, data, own = [], [], []
    for number, n in enumerate(SIZES, start=1):
        series = rng.normal(size=(2, *GRID, n))
        series[0] *= 40.0
        noise = rng.normal(size=(*GRID, n))
        for t in range(1, n):
            noise[..., t] += 0.4 * noise[..., t - 1]
        bold = 500 + 0.1 * series[0] - 2 * series[1] + noise
        for word, values in zip(("heart", "breath"), series, strict=True):
            nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / f"sub-7_run-0{number}_{word}.nii")
        events = pd.DataFrame(
            {"onset": np.arange(10) * 18.0 + number, "duration": 5.0}
            | {"trial_type": ["face", "house"] * 5}
        )
        keep = np.r_[0:40, 43:n] if number == 2 else None
        runs.append(
            vx.Run(
                nib.Nifti1Image(bold, AFFINE),
                events=events,
                mask=nib.Nifti1Image(np.ones(GRID, dtype=np.uint8), AFFINE),
                tr=2.0,
                scaling=None,
                sample_mask=keep,
                entities={"sub": "7", "run": f"0{number}"},
            )
        )
        data.append(bold.reshape(V, n).T)
        own.append(series.reshape(2, V, n).transpose(0, 2, 1))
    return runs, data, own


HEART = 'voxel("sub-{sub}_run-{run}_heart.nii")'
BREATH = 'voxel("sub-{sub}_run-{run}_breath.nii")'
TWO = f"y ~ face + house + {HEART} + {BREATH}"


def whitened(rows, rho, cuts):
    return np.vstack([rows[a + 1 : b] - rho * rows[a : b - 1] for a, b in cuts])


def brute(y, X, rho, cuts):
    """Least squares at a given AR(1) coefficient, by dense algebra: effects and covariance."""
    if rho is not None:
        y, X = whitened(y[:, None], rho, cuts)[:, 0], whitened(X, rho, cuts)
    scale = np.abs(X).max(axis=0)
    inverse = np.linalg.inv((X / scale).T @ (X / scale)) / np.outer(scale, scale)
    b = inverse @ (X.T @ y)
    left = y - X @ b
    return b, inverse * (left @ left) / (len(y) - X.shape[1])


@pytest.mark.parametrize("verb", [vx.lm, vx.glsar])
@pytest.mark.parametrize("weighting", ["unweighted", "precision"])
def test_several_runs_have_a_file_each(verb, weighting, three_runs):
    runs, data, own = three_runs
    fixed = verb(TWO, runs)
    con = fixed.contrast(f"face - 3*{BREATH}", weighting=weighting)
    assert abs(float(np.median(fixed.contrast(BREATH).effect)) + 2) < 0.05
    for fit, run in zip(fixed, runs, strict=True):
        assert fit.names[-2:] == (HEART, BREATH)
        if verb is vx.lm or run.sample_mask is None:
            assert fit.check(5)["largest_relative"].max() < 1e-9
    for v in (0, 11, V - 1):
        effects, variances = [], []
        for k, fit in enumerate(fixed):
            keep = np.ones(SIZES[k], bool) if fit.plan.kept is None else fit.plan.kept
            cuts = [(0, 40), (40, int(keep.sum()))] if k == 1 else [(0, SIZES[k])]
            X = np.c_[fit.design.matrix[keep], own[k][:, keep, v].T]
            rho = fit.rho[0, v] if fit.order else None
            b, cov = brute(data[k][keep, v], X, rho, cuts)
            c = fixed[k].contrast(f"face - 3*{BREATH}").hypothesis.C[0]
            effects.append(c @ b)
            variances.append(c @ cov @ c)
        effects, variances = np.array(effects), np.array(variances)
        weight = 1 / variances if weighting == "precision" else np.ones(3)
        weight /= weight.sum()
        np.testing.assert_allclose(con.effect[v], weight @ effects, rtol=1e-8)
        np.testing.assert_allclose(con.se[v] ** 2, weight**2 @ variances, rtol=1e-8)


@pytest.mark.parametrize("verb", [vx.lm, vx.glsar])
def test_a_stack_has_a_column_a_run(verb, three_runs):
    runs, data, own = three_runs
    fit = verb(TWO, runs, stack=True)
    assert fit.names[-6:] == tuple(f"{n}[run={r}]" for r in (1, 2, 3) for n in (HEART, BREATH))
    keep = [np.ones(n, bool) for n in SIZES]
    keep[1][40:43] = False
    starts = np.cumsum([0, *(int(k.sum()) for k in keep)])
    cuts = [(0, 120), (120, 160), (160, starts[2]), (starts[2], starts[3])]
    con = fit.contrast(f"face - house + 2*`{BREATH}[run=2]`")
    for v in (0, 7, V - 1):
        y = np.concatenate([rows[k, v] for rows, k in zip(data, keep, strict=True)])
        Z = np.zeros((len(y), 6))
        for r in range(3):
            Z[starts[r] : starts[r + 1], 2 * r : 2 * r + 2] = own[r][:, keep[r], v].T
        X = np.c_[fit.design.matrix, Z]
        rho = fit.rho[0, v] if fit.order else None
        b, cov = brute(y, X, rho, cuts)
        np.testing.assert_allclose(fit.params[:, v], b, rtol=1e-7, atol=1e-9)
        c = con.hypothesis.C[0]
        np.testing.assert_allclose(con.se[v] ** 2, c @ cov @ c, rtol=1e-8)
        np.testing.assert_allclose(fit.fittedvalues[:, v], X @ b, rtol=1e-8)
        if rho is not None:
            # ρ is that of the residuals one step before the last: a further fit moves it little.
            left = y - X @ b
            pairs = np.concatenate([left[a : e - 1] * left[a + 1 : e] for a, e in cuts])
            assert abs(pairs.mean() / (left @ left / len(y)) - rho) < 0.02
    if verb is vx.lm:
        assert fit.check(5)["largest_relative"].max() < 1e-8


def test_files_of_runs_are_named_or_missed(three_runs, tmp_path):
    runs, _, _ = three_runs
    with pytest.raises(DataError, match=r"run 1 .*asks for \{sess\}.*did you mean 'ses'|sess"):
        vx.lm('y ~ face + voxel("run-{sess}.nii")', runs)
    (tmp_path / "sub-7_run-03_heart.nii").unlink()
    with pytest.raises(DataError, match=r"run 3 .*no such file.*sub-7_run-0"):
        vx.lm(TWO, runs)
    one = vx.lm(f"y ~ face + house + {HEART}", runs[:1])
    assert len(one) == 1
    fixed = vx.lm('y ~ face + voxel("sub-7_run-01_heart.nii")', [runs[0], runs[0]])
    assert any("one file for all 2 runs" in note for note in fixed[0].design.notes)


def test_one_value_a_voxel_stands_in_for_the_constant(three_runs, tmp_path):
    runs, data, _ = three_runs
    density = np.random.default_rng(1).uniform(0.5, 1.5, GRID)
    nib.save(nib.Nifti1Image(density, AFFINE), tmp_path / "gm.nii.gz")
    with pytest.raises(DesignError, match="what the constant is"):
        vx.lm('y ~ face + voxel("gm.nii.gz")', runs)
    fixed = vx.lm('y ~ 0 + face + house + voxel("gm.nii.gz") - drift', runs)
    flat = density.reshape(V)
    for k in (0, 2):
        X = np.c_[fixed[k].design.matrix, np.full(SIZES[k], flat[5])]
        found = sm.OLS(data[k][:, 5], X).fit()
        np.testing.assert_allclose(fixed[k].params[:, 5], found.params, rtol=1e-9)
        np.testing.assert_allclose(fixed[k].bse[:, 5], found.bse, rtol=1e-9)


def test_residual_images_leave_out_what_the_regressor_explains(tmp_path):
    rng = np.random.default_rng(3)
    own, events = rng.normal(size=(40, 5)), pd.DataFrame({"onset": [10.0], "duration": 4.0})
    np.save(tmp_path / "own.npy", own)
    run = vx.Run(100 + own + rng.normal(size=(40, 5)), events, tr=2.0, scaling=None)
    fit = vx.lm(f'y ~ event + voxel("{tmp_path / "own.npy"}")', run)
    rows = np.concatenate(list(run_residuals((fit,))))
    np.testing.assert_allclose(rows, fit.resid / np.sqrt((fit.resid**2).sum(axis=0)), atol=1e-12)
