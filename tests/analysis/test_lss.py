"""Least squares separate from one fit is that of one fit a trial."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.design.trials import separate

# One fit read K ways against K fits: rounding of the projections.
EXACT = 1e-9
T, V = 150, 6


def run_of(**options):
    rng = np.random.default_rng(4)
    onset = np.arange(5.0, 270.0, 17.0)
    events = pd.DataFrame(
        {"onset": onset, "duration": 1.0, "trial_type": np.resize(["face", "house"], onset.size)}
    )
    confounds = pd.DataFrame({"trans_x": rng.standard_normal(T)})
    return vx.Run(100 + rng.standard_normal((T, V)), events, confounds, tr=2.0, **options)


@pytest.mark.parametrize("scaling", ["percent", None])
def test_one_pass_is_one_fit_a_trial(scaling):
    run = run_of(scaling=scaling)
    formula = "y ~ trials(trial_type) + trans_x"
    trials = vx.lss(formula, run)
    for k, design in enumerate(separate(vx.design(formula, run))):
        fit = vx.lm(design, run)
        np.testing.assert_allclose(trials.effect[k], fit.params[0], rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(trials.se[k], fit.bse[0], rtol=EXACT)
        assert trials.df[k] == fit.df_resid
        assert trials.table.trial[k] == design.names[0]


def test_removed_scans_are_left_out():
    keep = np.ones(T, dtype=bool)
    keep[60:63] = False
    run = run_of(sample_mask=keep)
    trials = vx.lss("y ~ trials(trial_type)", run)
    first = next(iter(separate(vx.design("y ~ trials(trial_type)", run))))
    np.testing.assert_allclose(trials.effect[0], vx.lm(first, run).params[0], rtol=EXACT)


def test_trials_keep_their_conditions():
    trials = vx.lss("y ~ trials(trial_type)", run_of())
    assert trials.table.condition.value_counts().to_dict() == {"face": 8, "house": 8}
    assert trials.image().shape == (16, V)


def test_a_formula_without_trials_is_refused():
    with pytest.raises(vx.DesignError, match="no single trials"):
        vx.lss("y ~ trial_type", run_of())
