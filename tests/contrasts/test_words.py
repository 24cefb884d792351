"""Words of a formula as terms of a contrast."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.contrasts import hypothesis
from voxlm.errors import ContrastError

AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    events = pd.DataFrame(
        {"onset": np.arange(20) * 10.0, "duration": 2.0, "trial_type": ["face", "house"] * 10}
    )
    confounds = pd.DataFrame(
        rng.normal(size=(120, 10)), columns=[*AXES, *(f"a_comp_cor_{k:02d}" for k in range(4))]
    )
    return vx.Run(rng.normal(100, 1, (120, 3)), events=events, confounds=confounds, tr=2.0)


def columns(text, design):
    question = hypothesis(text, design.columns, meaning=design.meaning)
    assert question.kind == "F"
    return [design.names[int(np.flatnonzero(row)[0])] for row in question.C]


@pytest.mark.parametrize(
    ("formula", "text", "names"),
    [
        ("y ~ face + motion", "term(motion)", AXES),
        ("y ~ face + motion - rot_z", "term(motion)", AXES[:-1]),
        ("y ~ face + acompcor(2)", "term(acompcor(2))", ["a_comp_cor_00", "a_comp_cor_01"]),
        ("y ~ face + trans_x + motion", "term(trans_x)", ["trans_x"]),
        ("y ~ trial_type + motion", "term(trial_type)", ["trial_type[face]", "trial_type[house]"]),
    ],
)
def test_a_word_is_all_its_columns(formula, text, names, run):
    assert columns(text, vx.design(formula, run)) == names


def test_it_is_the_joint_test_of_its_columns(run):
    fit = vx.lm("y ~ face + motion", run)
    np.testing.assert_array_equal(fit.contrast("term(motion)").F, fit.contrast(", ".join(AXES)).F)


def test_near_words_are_named(run):
    design = vx.design("y ~ face + motion", run)
    with pytest.raises(ContrastError, match="did you mean 'motion'"):
        columns("term(moton)", design)
    with pytest.raises(ContrastError, match="unknown term 'motion24'"):
        columns("term(motion24)", design)
