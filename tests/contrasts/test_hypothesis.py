"""Vectors, dicts, lists and matrices as hypotheses; redundancy, kinds, records."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from voxlm.contrasts import hypothesis
from voxlm.design.columns import Column
from voxlm.errors import ContrastError

COLUMNS = [
    Column("trial_type[face]", "trial_type", "task", "face", aliases=("face",)),
    Column("trial_type[house]", "trial_type", "task", "house", aliases=("house",)),
    Column("trial_type[tool]", "trial_type", "task", "tool", aliases=("tool",)),
    Column("constant", "1", "constant"),
]


@pytest.mark.parametrize(
    ("spec", "C", "kind"),
    [
        ([1, -1, 0, 0], [[1, -1, 0, 0]], "t"),
        (np.array([[1, -1, 0, 0]]), [[1, -1, 0, 0]], "t"),
        (np.eye(4)[:2], np.eye(4)[:2], "F"),
        ({"face": 1, "house": -1}, [[1, -1, 0, 0]], "t"),
        ({"face": 1, "trial_type[house]": "-0.5"}, [[1, -0.5, 0, 0]], "t"),
        (pd.Series({"house": -1.0, "face": 1.0}), [[1, -1, 0, 0]], "t"),
        (pd.Series([1.0, -1.0, 0.0, 0.0]), [[1, -1, 0, 0]], "t"),
        (["face", "house - tool"], [[1, 0, 0, 0], [0, 1, -1, 0]], "F"),
        (["face", {"house": 2}], [[1, 0, 0, 0], [0, 2, 0, 0]], "F"),
        (["face"], [[1, 0, 0, 0]], "F"),
    ],
)
def test_read(spec, C, kind):
    h = hypothesis(spec, COLUMNS)
    np.testing.assert_array_equal(h.C, C)
    assert h.kind == kind


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ([1, -1], r"shape \(2,\), the design has 4 columns\n.*trial_type\[face\], .*constant"),
        ([1, -1, 0, 0, 0], r"shape \(5,\), the design has 4 columns"),
        (np.ones((2, 2, 4)), "shape"),
        ([1, np.nan, 0, 0], r"weight of trial_type\[house\] is nan"),
        ([np.inf, 0, 0, 0], r"weight of trial_type\[face\] is inf"),
        ([0, 0, 0, 0], "only zero weights"),
        (np.array([[1, 0, 0, 0], [0, 0, 0, 0]]), "row 2 of the contrast has only zero"),
        ({}, "only zero weights"),
        ([], "the contrast is empty"),
        (None, "the contrast is empty"),
        (3, "the design has 4 columns"),
        ({"fase": 1}, "unknown name 'fase'"),
        ({"face": "x"}, "weight of 'face' must be a number, got 'x'"),
        ({1: 1}, "names of a contrast are text, got 1"),
        (object(), "a contrast cannot be a object"),
        (["face", "fce"], "unknown name 'fce'"),
    ],
)
def test_refused(spec, said):
    with pytest.raises(ContrastError, match=said):
        hypothesis(spec, COLUMNS)


def test_kind_can_be_asked_for():
    assert hypothesis("face", COLUMNS, kind="F").kind == "F"
    assert hypothesis("term(trial_type) ", COLUMNS).kind == "F"
    assert hypothesis("F(face)", COLUMNS, kind="t").kind == "t"
    with pytest.raises(ContrastError, match="a t tests one row, this contrast has 2"):
        hypothesis("face, house", COLUMNS, kind="t")
    with pytest.raises(ContrastError, match="kind must be 't' or 'F', got 'z'"):
        hypothesis("face", COLUMNS, kind="z")


def test_redundant_rows_are_left_out_and_said_so():
    h = hypothesis("face = house, house = tool, 2*face = 2*tool", COLUMNS)
    assert h.C.shape == (2, 4)
    (note,) = h.notes
    assert "row 3, 2*trial_type[face] - 2*trial_type[tool] = 0, follows" in note
    assert note in str(h)
    with pytest.raises(ContrastError, match=r"row 3, .* = 1, contradicts the rows before it"):
        hypothesis("face = house, house = tool, face - tool = 1", COLUMNS)


def test_scales_of_rows_do_not_make_them_redundant():
    assert hypothesis("1e-8*face, 1e8*house", COLUMNS).C.shape == (2, 4)


def test_it_prints_itself():
    assert str(hypothesis("(face + house)/2 - tool = 0.1", COLUMNS)) == (
        "t: (face + house)/2 - tool = 0.1\n"
        "  1/2*trial_type[face] + 1/2*trial_type[house] - trial_type[tool] = 1/10"
    )


def test_it_is_frozen_and_leaves_the_input_alone():
    weights = np.array([1.0, -1.0, 0.0, 0.0])
    h = hypothesis(weights, COLUMNS)
    weights[:] = 7
    np.testing.assert_array_equal(h.C, [[1, -1, 0, 0]])
    with pytest.raises(ValueError, match="read-only"):
        h.C[0, 0] = 2
    with pytest.raises(FrozenInstanceError):
        h.kind = "F"


def test_a_hypothesis_passes_through_for_the_same_columns_only():
    h = hypothesis("face - house", COLUMNS)
    again = hypothesis(h, COLUMNS, kind="F")
    assert again.kind == "F"
    np.testing.assert_array_equal(again.C, h.C)
    with pytest.raises(ContrastError, match="was made for other columns"):
        hypothesis(h, COLUMNS[:3])
    with pytest.raises(ContrastError, match="a t tests one row"):
        hypothesis(hypothesis("face, house", COLUMNS), COLUMNS, kind="t")
