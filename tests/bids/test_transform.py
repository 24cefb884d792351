"""Instructions against what they say in words, computed by hand."""

import numpy as np
import pandas as pd
import pytest

from voxlm.bids.instructions import ARGUMENTS, check_instruction
from voxlm.bids.transform import transform
from voxlm.bids.verbs import VERBS
from voxlm.errors import DataError

EVENTS = pd.DataFrame(
    {
        "onset": [0.0, 10.0, 20.0, 30.0],
        "duration": [1.0, 1.0, 2.0, 2.0],
        "trial_type": ["go", "stop", "go", "stop"],
        "rt": [0.5, np.nan, 0.9, 0.7],
        "correct": [1, 0, 1, 1],
    }
)
CONFOUNDS = pd.DataFrame({"csf": [1.0, 2.0, 4.0, 8.0, 3.0], "wm": [0.0, 1.0, 0.0, 2.0, 5.0]})


def events(*steps):
    return transform(steps, EVENTS, CONFOUNDS)[0]


def scans(*steps):
    return transform(steps, EVENTS, CONFOUNDS)[1]


FACTOR = {"Name": "Factor", "Input": ["trial_type"]}


def test_every_declared_instruction_has_its_verb():
    assert set(VERBS) == set(ARGUMENTS)


@pytest.mark.parametrize(
    ("steps", "column", "expected"),
    [
        ([FACTOR], "trial_type.go", [1, 0, 1, 0]),
        ([{**FACTOR, "Constraint": "drop_one"}], "trial_type.stop", [0, 1, 0, 1]),
        ([{**FACTOR, "Constraint": "mean_zero"}], "trial_type.stop", [-1, 1, -1, 1]),
        ([{"Name": "Factor", "Input": "correct"}], "correct.1", [1, 0, 1, 1]),
        (
            [FACTOR, {"Name": "And", "Input": ["trial_type.stop", "correct"], "Output": "hit"}],
            "hit",
            [0, 0, 0, 1],
        ),
        (
            [FACTOR, {"Name": "or", "Input": ["trial_type.go", "correct"], "Output": "x"}],
            "x",
            [1, 0, 1, 1],
        ),
        ([{"Name": "Not", "Input": "correct", "Output": "wrong"}], "wrong", [0, 1, 0, 0]),
        ([{"Name": "Demean", "Input": "rt"}], "rt", [-0.2, 0, 0.2, 0.0]),
        ([{"Name": "Scale", "Input": "rt", "Rescale": False}], "rt", [-0.2, 0, 0.2, 0.0]),
        ([{"Name": "Scale", "Input": "rt"}], "rt", [-1, 0, 1, 0]),
        ([{"Name": "Threshold", "Input": "rt", "Threshold": 0.6}], "rt", [0, 0, 0.9, 0.7]),
        (
            [{"Name": "Threshold", "Input": "rt", "Threshold": 0.6, "Above": False}],
            "rt",
            [0.5, 0, 0, 0],
        ),
        (
            [FACTOR, {"Name": "Product", "Input": ["trial_type.go", "rt"], "Output": "pm"}],
            "pm",
            [0.5, 0, 0.9, 0],
        ),
        (
            [{"Name": "Sum", "Input": ["rt", "correct"], "Weights": [2, 1], "Output": "s"}],
            "s",
            [2, 0, 2.8, 2.4],
        ),
        ([{"Name": "Power", "Input": "rt", "Value": 2, "Output": "r2"}], "r2",
         [0.25, 0, 0.81, 0.49]),
        ([{"Name": "Copy", "Input": "rt", "Output": "again"}], "again", [0.5, 0, 0.9, 0.7]),
        ([{"Name": "Rename", "Input": "rt", "Output": "r"}], "r", [0.5, 0, 0.9, 0.7]),
        ([{"Name": "Split", "Input": "rt", "By": "trial_type"}], "rt.trial_type[go]",
         [0.5, 0, 0.9, 0]),
        (
            [{"Name": "Replace", "Input": "trial_type", "Replace": {"go": "all", "stop": "all"}},
             FACTOR],
            "trial_type.all",
            [1, 1, 1, 1],
        ),
        (
            [FACTOR, {"Name": "Group", "Input": ["trial_type.*"], "Output": "kinds"},
             {"Name": "Sum", "Input": "kinds", "Output": "any"}],
            "any",
            [1, 1, 1, 1],
        ),
    ],
)  # fmt: skip
def test_variables_of_events(steps, column, expected):
    np.testing.assert_allclose(events(*steps)[column], expected, atol=1e-15)


@pytest.mark.parametrize(
    ("steps", "column", "expected"),
    [
        ([{"Name": "Lag", "Input": "csf", "Order": 0}], "csf", [1, 1, 2, 4, 8]),
        ([{"Name": "Lag", "Input": "csf", "Shift": -1, "Order": 1}], "csf", [2, 4, 8, 3, 3]),
        (
            [{"Name": "Lag", "Input": "csf", "Order": 1, "Mode": "constant", "Difference": True}],
            "csf",
            [1, 1, 2, 4, -5],
        ),
        ([{"Name": "Product", "Input": ["csf", "wm"], "Output": "p"}], "p", [0, 2, 0, 16, 15]),
    ],
)
def test_variables_of_scans(steps, column, expected):
    np.testing.assert_allclose(scans(*steps)[column], expected, atol=1e-12)


def test_orthogonal_means_uncorrelated_and_keeps_the_mean():
    found = scans({"Name": "Orthogonalize", "Input": "csf", "Other": "wm", "Output": "o"})["o"]
    assert abs(np.corrcoef(found, CONFOUNDS.wm)[0, 1]) < 1e-12
    slope = np.polyfit(CONFOUNDS.wm, CONFOUNDS.csf, 1)[0]
    np.testing.assert_allclose(found, CONFOUNDS.csf - slope * CONFOUNDS.wm)


def test_timing_of_its_own_makes_rows_of_its_own():
    found = events(FACTOR, {"Name": "Assign", "Input": "rt", "Target": "trial_type.go",
                            "TargetAttr": "duration", "Output": "epoch"})  # fmt: skip
    mine = found[found.epoch != 0]
    assert mine.onset.tolist() == [0.0, 20.0]
    assert mine.duration.tolist() == [0.5, 0.9]
    others = found[found.epoch == 0]
    pd.testing.assert_frame_equal(
        others[EVENTS.columns].reset_index(drop=True), EVENTS, check_dtype=False
    )
    assert (mine[["trial_type.go", "correct"]] == 0).all(axis=None)


def test_tables_given_are_not_changed():
    before = EVENTS.copy(), CONFOUNDS.copy()
    transform([FACTOR, {"Name": "Scale", "Input": ["rt", "csf"]}], EVENTS, CONFOUNDS)
    pd.testing.assert_frame_equal(EVENTS, before[0])
    pd.testing.assert_frame_equal(CONFOUNDS, before[1])


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([{"Name": "Scale", "Input": "rtt"}], "instruction 1 (Scale): no variable 'rtt'; did you"),
        ([{"Name": "Scale", "Input": "trial_type"}], "holds words"),
        ([{"Name": "Product", "Input": ["rt", "csf"], "Output": "x"}], "lives on"),
        ([{"Name": "Lag", "Input": "rt"}], "lives on events"),
        ([{"Name": "Lag", "Input": "csf", "Mode": "wrap"}], "Mode 'wrap'"),
        ([{"Name": "Copy", "Input": ["rt", "correct"], "Output": "x"}], "1 outputs for 2 inputs"),
        ([FACTOR, {"Name": "Copy", "Input": "trial_type", "Output": "x"}], "no variable"),
        ([{"Name": "Delete", "Input": "rt"}, {"Name": "Demean", "Input": "rt"}], "no variable"),
        ([{"Name": "Select", "Input": "rt"}, {"Name": "Demean", "Input": "correct"}], "no var"),
        ([{"Name": "Orthogonalize", "Input": "rt", "Other": "correct"}], "after convolution"),
    ],
)
def test_what_cannot_be_done_names_the_instruction(steps, says):
    with pytest.raises(DataError, match="instruction") as caught:
        events(*steps)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("step", "level", "says"),
    [
        ({}, "run", "has a Name"),
        ({"Name": "Convolve", "Input": "a"}, "run", "the response belongs to the formula"),
        ({"Name": "Filter", "Input": "a", "Query": "a > 3"}, "run", "its query is code"),
        ({"Name": "Scale"}, "run", "Scale needs Input"),
        ({"Name": "And", "Input": "a"}, "run", "And needs Output"),
        ({"Name": "Split", "Input": "a"}, "run", "Split needs By"),
        ({"Name": "Scale", "Input": "a", "Demeen": True}, "run", "did you mean 'Demean'?"),
        ({"Name": "Lag", "Input": "a"}, "group", "no meaning for a table with one row a map"),
    ],
)
def test_instructions_are_checked_before_any_table(step, level, says):
    problem = check_instruction(step, level)
    assert problem is not None
    assert says in problem[1]


def test_spelling_of_other_programs_is_read():
    assert check_instruction({"name": "Or_", "Input": "a"}) is not None
    assert check_instruction({"Name": "and", "Input": ["a", "b"], "output": "c"}) is None
    assert check_instruction({"Name": "Scale", "Input": "a", "replace_na": "after"}) is None


def test_arguments_of_a_wrong_kind_name_the_instruction():
    step = {"Name": "Power", "Input": ["rt"], "Value": "two"}
    with pytest.raises(DataError, match=r"instruction 1 \(Power\): an argument cannot be used"):
        transform([step], pd.DataFrame({"onset": [0.0], "duration": 1.0, "rt": 2.0}))
