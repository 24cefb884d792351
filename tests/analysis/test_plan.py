"""Plans: scrubbed scans under AR noise, and conditions that some run lacks."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import voxlm as vx
from voxlm.contrasts.combine import combine

T, V = 120, 7
# Both sides solve the same well-conditioned least squares by other routes.
EXACT = 1e-9


def events(conditions=("face", "house")):
    onset = np.arange(10.0, 220.0, 14.0)
    kind = np.resize(conditions, onset.size)
    return pd.DataFrame({"onset": onset, "duration": 2.0, "trial_type": kind})


def confounds(bad=()):
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"trans_x": rng.standard_normal(T)})
    displacement = np.full(T, 0.1)
    displacement[list(bad)] = 0.9
    table["framewise_displacement"] = displacement
    return table


def data(seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((T, V))
    for t in range(1, T):
        noise[t] += 0.4 * noise[t - 1]
    return 100.0 + noise


def run_of(seed=0, conditions=("face", "house"), bad=(), **options):
    return vx.Run(data(seed), events(conditions), confounds(bad), tr=2.0, **options)


def test_scrubbed_scans_are_removed_scans_under_ar_noise():
    bad = [20, 21, 60, 95]
    keep = np.ones(T, dtype=bool)
    keep[bad] = False
    scrubbed = vx.glsar("y ~ face + house + trans_x + scrub(fd=0.5)", run_of(bad=bad), order=2)
    masked = vx.glsar("y ~ face + house + trans_x", run_of(sample_mask=keep), order=2)
    # The scans are the same; the mean that percent refers to is that of the kept scans in both.
    assert scrubbed.design.names == masked.design.names
    for name in ("params", "bse", "rho", "scale"):
        np.testing.assert_allclose(getattr(scrubbed, name), getattr(masked, name), rtol=EXACT)
    assert any("no lag of the noise model reaches across" in note for note in scrubbed.design.notes)
    assert scrubbed.nobs == T - len(bad) - 2 * 4  # three cuts and the start cost two scans each


def test_scrubbed_scans_are_spikes_under_independent_noise():
    run = run_of(bad=[20, 60], scaling=None)
    fit = vx.lm("y ~ face + house + scrub(fd=0.5)", run)
    assert [name for name in fit.design.names if name.startswith("scrub")]
    theirs = sm.OLS(data()[:, 2], fit.design.frame).fit()
    np.testing.assert_allclose(fit.params[:, 2], theirs.params, rtol=EXACT)
    keep = np.ones(T, dtype=bool)
    keep[[20, 60]] = False
    masked = vx.lm("y ~ face + house", run_of(scaling=None, sample_mask=keep))
    ours, plain = fit.contrast("face - house"), masked.contrast("face - house")
    np.testing.assert_allclose(ours.t, plain.t, rtol=EXACT)
    assert ours.df == plain.df


def test_non_steady_state_spikes_do_not_break_the_noise_model():
    table = confounds()
    for scan in range(3):
        table[f"non_steady_state_outlier{scan:02d}"] = np.eye(T)[scan]
    run = vx.Run(data(), events(), table, tr=2.0)
    fit = vx.glsar("y ~ face + house + nonsteady", run)
    plain = vx.glsar("y ~ face + house", run_of(sample_mask=np.arange(T) >= 3))
    np.testing.assert_allclose(fit.params, plain.params, rtol=EXACT)
    np.testing.assert_allclose(fit.bse, plain.bse, rtol=EXACT)
    np.testing.assert_array_equal(fit.plan.kept, np.arange(T) >= 3)


def test_resid_leaves_out_what_the_fit_left_out():
    fit = vx.glsar("y ~ face + house + scrub(fd=0.5)", run_of(bad=[50]))
    assert fit.resid.shape == fit.fittedvalues.shape == (T - 1, V)


@pytest.fixture
def three_runs():
    return [run_of(0), run_of(1, ("face",)), run_of(2)]


def test_a_condition_absent_from_one_run_drops_out_with_a_note(three_runs):
    fixed = vx.glsar("y ~ face + house", three_runs)
    assert fixed[1].design.names[0] == "face"
    assert "house" not in fixed[1].design.names
    assert any(
        "without events in this run and left out: house" in note for note in fixed[1].design.notes
    )
    house = fixed.contrast("house")
    assert any("has no events" in note for note in house.hypothesis.notes)
    parts = [fixed[r].contrast("house") for r in (0, 2)]
    both = combine([(p.effect[None], p.se[None, None] ** 2, p.df) for p in parts])
    np.testing.assert_allclose(house.effect, both.effect[0])
    np.testing.assert_allclose(house.se**2, both.cov[0, 0])
    assert house.df == both.df
    assert fixed.contrast("face").df == fixed.df_resid


def test_a_condition_that_no_run_has_is_unknown(three_runs):
    with pytest.raises(vx.FormulaError, match="unknown name 'tool'"):
        vx.glsar("y ~ face + tool", three_runs)


def test_a_condition_absent_from_the_only_run_is_an_error():
    with pytest.raises(vx.FormulaError, match="unknown name 'house'"):
        vx.glsar("y ~ face + house", run_of(0, ("face",)))


def test_a_contrast_that_no_run_can_answer():
    runs = [run_of(0, ("face",)), run_of(1, ("house",))]
    fixed = vx.lm("y ~ face + house", runs)
    with pytest.raises(vx.ContrastError, match="no run"):
        fixed.contrast("face - house")


def test_a_level_absent_from_one_run_of_a_factor(three_runs):
    fixed = vx.lm("y ~ trial_type", three_runs)
    assert "trial_type[house]" not in fixed[1].design.names
    assert fixed.contrast("face - house").df == fixed[0].df_resid + fixed[2].df_resid


def test_errors_name_the_run(three_runs):
    three_runs[2] = vx.Run(data(), events(), confounds().assign(trans_x=1.0), tr=2.0)
    with pytest.raises(vx.DesignError, match=r"run 3 \(array\): the design has .* trans_x"):
        vx.glsar("y ~ face + house + trans_x", three_runs)
