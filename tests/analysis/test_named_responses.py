"""Responses by value: for a whole model, and by name for one term."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx

EVENTS = pd.DataFrame(
    {"onset": [4.0, 24.0, 44.0, 64.0], "duration": 4.0, "trial_type": ["face", "house"] * 2}
)


@pytest.fixture
def run():
    return vx.Run(100 + np.random.default_rng(0).standard_normal((60, 3)), EVENTS, tr=2.0)


def decay(t):
    return np.exp(-t / 3.0)


def test_a_dict_names_responses_for_terms(run):
    named = {"default": "glover", "mine": decay, "early": vx.hrf.spm().shift(-1.0)}
    frame = vx.design("y ~ hrf(face, mine) + house", run, hrf=named).frame
    whole = vx.design("y ~ face", run, hrf=decay).frame
    glover = vx.design("y ~ house", run, hrf="glover").frame
    np.testing.assert_allclose(frame.iloc[:, 0], whole.iloc[:, 0])
    np.testing.assert_allclose(frame["house"], glover["house"])
    early = vx.design("y ~ hrf(face, early)", run, hrf=named).frame.iloc[:, 0].to_numpy()
    late = vx.design("y ~ face", run).frame["face"].to_numpy()
    assert np.argmax(early) <= np.argmax(late)
    assert not np.allclose(early, late)


def test_the_dict_reaches_every_verb(run):
    named = {"mine": decay}
    formula = "y ~ hrf(face, mine) + house"
    design = vx.design(formula, run, hrf=named)
    for verb in (vx.lm, vx.glsar):
        fit = verb(formula, run, hrf=named)
        np.testing.assert_array_equal(fit.design.matrix, design.matrix)
    assert "mine" in str(vx.explain(formula, EVENTS, hrf=named))


def test_a_name_that_no_response_has(run):
    with pytest.raises(vx.FormulaError, match="mine"):
        vx.design("y ~ hrf(face, mine)", run)
