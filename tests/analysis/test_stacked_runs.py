"""Several runs as one model, against dense least squares on the stacked scans."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.linalg import block_diag

import voxlm as vx
from voxlm.errors import DataError

V = 5
LENGTHS = (80, 100, 60)
# Both sides solve the same well-conditioned least squares by other routes.
EXACT = 1e-9


def one_run(number, T, conditions=("face", "house"), **options):
    rng = np.random.default_rng(number)
    noise = rng.standard_normal((T, V))
    for t in range(1, T):
        noise[t] += 0.4 * noise[t - 1]
    onset = np.arange(6.0, 2 * T - 20, 13.0)
    events = pd.DataFrame(
        {"onset": onset, "duration": 2.0, "trial_type": np.resize(conditions, onset.size)}
    )
    confounds = pd.DataFrame({"trans_x": rng.standard_normal(T).cumsum()})
    return vx.Run(100.0 * number + noise, events, confounds, tr=2.0, **options)


@pytest.fixture
def runs():
    return [one_run(k + 1, T) for k, T in enumerate(LENGTHS)]


def dense(runs, formula):
    """Return X and y stacked by hand: shared task columns, the rest a run."""
    frames = [vx.design(formula, run).frame for run in runs]
    task = np.vstack([frame[["face", "house"]] for frame in frames])
    nuisance = block_diag(*[frame.drop(columns=["face", "house"]) for frame in frames])
    data = [run.scans.array for run in runs]
    y = np.vstack([100 * (d / d.mean(axis=0) - 1) for d in data])
    return np.hstack([task, nuisance]), y


def test_lm_equals_least_squares_on_the_stacked_scans(runs):
    fit = vx.lm("y ~ face + house + trans_x", runs, stack=True)
    X, y = dense(runs, "y ~ face + house + trans_x")
    con = fit.contrast("face - house")
    for v in range(V):
        theirs = sm.OLS(y[:, v], X).fit()
        test = theirs.t_test(np.r_[1, -1, np.zeros(X.shape[1] - 2)])
        np.testing.assert_allclose(con.effect[v], test.effect[0], rtol=EXACT)
        np.testing.assert_allclose(con.t[v], test.tvalue[0, 0], rtol=EXACT)
        np.testing.assert_allclose(fit.scale[v], theirs.scale, rtol=EXACT)
        assert con.df == theirs.df_resid


@pytest.mark.parametrize("order", [1, 2])
def test_glsar_equals_dense_gls_with_its_rho(runs, order):
    fit = vx.glsar("y ~ face + house", runs, order=order, stack=True)
    X, y = dense(runs, "y ~ face + house")
    for v in range(V):
        rho = fit.rho[:, v]
        filters = []
        for T in LENGTHS:
            W = np.eye(T)[order:]
            for k in range(order):
                W = W - rho[k] * np.eye(T)[order - k - 1 : T - k - 1]
            filters.append(W)
        W = block_diag(*filters)
        theirs = sm.OLS(W @ y[:, v], W @ X).fit()
        np.testing.assert_allclose(fit.params[:2, v], theirs.params[:2], rtol=EXACT)
        np.testing.assert_allclose(fit.bse[:2, v], theirs.bse[:2], rtol=EXACT)
        assert fit.df_resid == theirs.df_resid


def test_columns_are_named_by_run(runs):
    names = vx.lm("y ~ face + house + trans_x", runs, stack=True).design.names
    assert names[:3] == ("face", "house", "trans_x[run=1]")
    assert "constant[run=3]" in names
    assert sum(name.startswith("drift_1[") for name in names) == 3


def test_a_condition_of_some_runs_is_one_column(runs):
    runs[1] = one_run(2, LENGTHS[1], ("face",))
    fit = vx.lm("y ~ face + house", runs, stack=True)
    column = fit.design.frame["house"].to_numpy()
    assert not column[LENGTHS[0] : LENGTHS[0] + LENGTHS[1]].any()
    assert column[: LENGTHS[0]].any()


def test_per_run_effects_and_contrasts_across_runs(runs):
    fit = vx.lm("y ~ trial_type:run", runs, stack=True)
    con = fit.contrast("trial_type[face]:run[1] - trial_type[face]:run[3]")
    single = [vx.lm("y ~ trial_type", run) for run in (runs[0], runs[2])]
    effects = [one.contrast("face").effect for one in single]
    np.testing.assert_allclose(con.effect, effects[0] - effects[1], rtol=1e-7)


def test_gaps_and_boundaries_cut_alike(runs):
    keep = np.ones(LENGTHS[0], dtype=bool)
    keep[40:43] = False
    runs[0] = one_run(1, LENGTHS[0], sample_mask=keep)
    fit = vx.glsar("y ~ face + house", runs, stack=True)
    assert fit.nobs == sum(LENGTHS) - 3 - 4  # three runs and one gap lose a scan each
    assert fit.resid.shape == (sum(LENGTHS) - 3, V)


def test_lm_hands_a_voxel_to_statsmodels(runs):
    fit = vx.lm("y ~ face + house", runs, stack=True)
    assert fit.check(3)["largest_relative"].max() < EXACT
    np.testing.assert_allclose(fit.voxel(2).params["face"], fit.params[0, 2], rtol=EXACT)


def test_runs_in_other_units_are_refused(runs):
    runs[1] = one_run(2, LENGTHS[1], scaling=None)
    with pytest.raises(vx.DataError, match="one model needs one of each"):
        vx.lm("y ~ face + house", runs, stack=True)


def test_images_stack_as_arrays_do(runs, tmp_path):

    images = []
    for k, run in enumerate(runs):
        data = run.scans.array.T.reshape(V, 1, 1, -1)
        path = tmp_path / f"run-{k}_bold.nii.gz"
        image = nib.Nifti1Image(data, np.eye(4))
        image.header.set_zooms((1, 1, 1, 2.0))
        image.header.set_xyzt_units("mm", "sec")
        nib.save(image, path)
        mask = nib.Nifti1Image(np.ones((V, 1, 1), np.uint8), np.eye(4))
        images.append(vx.Run(path, run.events, run.confounds, mask=mask))
    ours = vx.glsar("y ~ face + house", images, stack=True)
    arrays = vx.glsar("y ~ face + house", runs, stack=True)
    np.testing.assert_allclose(ours.params, arrays.params, rtol=1e-7, atol=1e-9)
    assert "3 runs stacked" in ours.run.name
    ours.save(tmp_path / "out", ["face - house"])
    assert (tmp_path / "out" / "provenance.json").exists()


def test_one_run_stacked_is_in_the_units_of_that_run():
    """A constant voxel is no part of the grand mean, and centred data are refused alike."""
    run = one_run(1, LENGTHS[0], scaling="grand_mean")
    data = run.scans.array.copy()
    data[:, 0] = 5.0
    alone, stacked = (
        vx.lm("y ~ face + house", vx.Run(data, run.events, tr=2.0, scaling="grand_mean")),
        vx.lm(
            "y ~ face + house",
            [vx.Run(data, run.events, tr=2.0, scaling="grand_mean") for _ in range(2)],
            stack=True,
        ),
    )
    np.testing.assert_allclose(stacked.params[:2], alone.params[:2], rtol=EXACT)
    for scaling in ("grand_mean", "percent"):
        centred = vx.Run(data - data.mean(axis=0) - 1, run.events, tr=2.0, scaling=scaling)
        for given in (centred, [centred, centred]):
            with pytest.raises(DataError, match="look centred already"):
                vx.lm(
                    "y ~ face + house", given, **({"stack": True} if given is not centred else {})
                )
