"""Designs that cannot answer, and confounds that do not fit."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.errors import DataError, DesignError
from voxlm.formula import Schema, parse, resolve

EVENTS = pd.DataFrame(
    {
        "onset": [0.0, 12.0, 25.0, 40.0, 55.0, 71.0],
        "duration": [2.0] * 6,
        "trial_type": ["face", "house", "face", "tool", "house", "tool"],
        "correct": [1.0, 1.0, 1.0, 0.0, 1.0, 0.0],
    }
)
CLOCK = Clock(60, 2.0)


def design(formula, events=EVENTS, confounds=None, clock=CLOCK, schema=None):
    schema = schema or Schema.of(events, confounds)
    return build(resolve(parse(formula), schema), events, confounds, clock)


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("y ~ trial_type + face", "face = trial_type[face]"),
        ("y ~ face + face:correct", "face:correct = face"),
        ("y ~ face + house + face:house", "face:house"),
        ("y ~ tool:correct", "correct is 0 in every event of tool"),
    ],
)
def test_dependent_and_empty_columns_are_named(formula, sentence):
    with pytest.raises(DesignError) as caught:
        check(design(formula))
    assert sentence in str(caught.value)


def test_dependent_confounds_are_named_with_their_equation():
    rng = np.random.default_rng(0)
    confounds = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    confounds["c"] = 2.0 * confounds.a - confounds.b
    with pytest.raises(DesignError, match="c = 2·a − b"):
        check(design("y ~ face + a + b + c", confounds=confounds))
    check(design("y ~ face + a + b", confounds=confounds))


def test_units_of_confounds_do_not_decide_the_rank():
    rng = np.random.default_rng(0)
    confounds = pd.DataFrame(
        {"tiny": 1e-9 * rng.normal(size=60), "huge": 1e9 * rng.normal(size=60)}
    )
    check(design("y ~ face + tiny + huge", confounds=confounds))


def test_a_condition_without_events_in_this_run():
    with pytest.raises(DesignError, match="the condition tool has no events in this run"):
        check(
            design("y ~ face + tool", EVENTS[EVENTS.trial_type != "tool"], schema=Schema.of(EVENTS))
        )
    with pytest.raises(DesignError, match="the condition tool has no events"):
        check(
            design("y ~ trial_type", EVENTS[EVENTS.trial_type != "tool"], schema=Schema.of(EVENTS))
        )


def test_fewer_scans_than_columns():
    short = Clock(8, 15.0)
    with pytest.raises(DesignError, match="8 scans cannot answer for 8 columns"):
        check(design("y ~ trial_type + poly(4)", clock=short))


def test_confounds_of_another_length():
    confounds = pd.DataFrame({"a": np.arange(58.0)})
    with pytest.raises(DataError, match="58 rows and the run 60 scans"):
        design("y ~ face + a", confounds=confounds)
    with pytest.raises(DataError, match="a needs confounds"):
        build(resolve(parse("y ~ a"), Schema.of(EVENTS, confounds)), EVENTS, None, CLOCK)


def test_first_rows_of_differences_are_zero_and_said_so():
    a = np.random.default_rng(1).normal(size=60)
    derivative = np.r_[np.nan, np.diff(a)]
    confounds = pd.DataFrame({"trans_x": a, "trans_x_derivative1": derivative, "csf": a**2})
    made = design("y ~ face + trans_x_derivative1", confounds=confounds)
    assert made.matrix[0, 1] == 0.0
    assert np.array_equal(made.matrix[1:, 1], derivative[1:])
    assert any("trans_x_derivative1" in note and "set to 0" in note for note in made.notes)
    confounds.loc[0, "csf"] = np.nan
    with pytest.raises(DataError, match="csf is missing in row 1; only differences"):
        design("y ~ csf", confounds=confounds)
    confounds.loc[[4, 9], "trans_x_derivative1"] = np.nan
    with pytest.raises(DataError, match="missing in rows 5, 10"):
        design("y ~ trans_x_derivative1", confounds=confounds)


def test_computed_motion_equals_fmriprep():
    rng = np.random.default_rng(2)
    axes = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    six = pd.DataFrame(rng.normal(size=(60, 6)), columns=axes)
    whole = six.copy()
    for axis in axes:
        whole[f"{axis}_derivative1"] = six[axis].diff()
        whole[f"{axis}_power2"] = six[axis] ** 2
        whole[f"{axis}_derivative1_power2"] = six[axis].diff() ** 2
    for word, count in (("motion", 6), ("motion12", 12), ("motion24", 24)):
        computed = design(f"y ~ {word} - drift", confounds=six)
        read = design(f"y ~ {word} - drift", confounds=whole)
        assert computed.names == read.names
        assert len(computed.names) == count + 1
        assert np.allclose(computed.matrix, read.matrix, rtol=1e-15, atol=0)
        assert any("were computed" in note for note in computed.notes) == (count > 6)


def test_motion_without_one_axis():
    confounds = pd.DataFrame(
        np.ones((60, 5)), columns=["trans_x", "trans_y", "trans_z", "rot_x", "rot_y"]
    )
    with pytest.raises(Exception, match="lacks rot_z"):
        design("y ~ motion - rot_z", confounds=confounds)


def test_two_columns_of_one_name():
    confounds = pd.DataFrame({"constant": np.arange(60.0)})
    with pytest.raises(DesignError, match="two columns are called constant"):
        design("y ~ face + constant", confounds=confounds)


def test_cosine_in_seconds_instead_of_hertz():
    with pytest.raises(DesignError, match=r"did you mean cosine\(1/128\)"):
        design("y ~ face + cosine(128)")
