"""Events that cannot be right, and events a run cannot show."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build
from voxlm.design.clock import Clock
from voxlm.design.events import check_events
from voxlm.errors import DataError
from voxlm.formula import Schema, parse, resolve

GOOD = {"onset": [0.0, 10.0, 20.0], "duration": [1.0, 2.0, 0.0], "trial_type": ["a", "b", "a"]}


def frame(**changes):
    return pd.DataFrame({**GOOD, **changes})


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (frame().drop(columns="onset"), "need a column 'onset' in seconds; found duration"),
        (frame().drop(columns="duration"), "need a column 'duration'"),
        (pd.DataFrame({"onset,duration": ["1,2"]}), "holds commas"),
        (frame(onset=[0.0, np.nan, 20.0]), "onset is missing or not finite in row 2"),
        (frame(onset=["0", "n/a", "n/a"]), "onset is missing or not finite in rows 2, 3"),
        (frame(onset=[0.0, np.inf, 1.0]), "not finite in row 2"),
        (frame(onset=["0", "ten", "20"]), "onset holds 'ten'"),
        (frame(duration=[1.0, -2.0, 0.0]), "duration is negative in row 2"),
        (frame(duration=[1.0, None, 0.0]), "duration is missing"),
        (
            pd.DataFrame([[0.0, 1.0, 1.0]], columns=["onset", "duration", "onset"]),
            "onset is there more than once",
        ),
        ([1, 2], "expected a table of events"),
    ],
)
def test_bad_tables_are_refused_with_their_rows(bad, sentence):
    with pytest.raises(DataError) as caught:
        check_events(bad, "sub-01_events.tsv")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("sub-01_events.tsv")


def test_the_table_given_is_not_changed():
    given = frame(onset=[0, 10, 20])
    before = given.copy(deep=True)
    clean = check_events(given)
    assert clean["onset"].dtype == np.float64
    pd.testing.assert_frame_equal(given, before)


def design(events, formula="y ~ a", scans=30):
    return build(resolve(parse(formula), Schema.of(events)), events, None, Clock(scans, 2.0))


def test_onsets_in_milliseconds():
    with pytest.raises(DataError, match=r"starts after the run's end.*divide milliseconds"):
        design(frame(onset=[5000.0, 10000.0, 20000.0]))


def test_events_after_the_end_are_left_out_and_said_so():
    late = design(frame(onset=[0.0, 10.0, 60.0]))
    assert any("1 of 3 events start after the run's end (60 s)" in note for note in late.notes)
    assert np.array_equal(late.matrix, design(frame().iloc[:2]).matrix)


def test_events_in_no_column_are_said_to_stay_in_the_baseline():
    assert "events in no column of the formula stay in the baseline: b (1)" in design(frame()).notes
    lasting = frame(duration=[1.0, 2.0, 3.0])
    assert design(lasting, "y ~ trial_type").notes == ()


def test_events_of_no_length_are_said_to_be_impulses():
    (note,) = design(frame(), "y ~ trial_type").notes
    assert note.startswith("1 of 3 events last 0 s and are taken as impulses of 0.04 s")


def test_missing_values_count_only_where_they_decide():
    events = frame(rt=[0.5, np.nan, 0.7])
    made = design(events, "y ~ a + b + a:rt - drift")
    plain = design(frame(rt=[0.5, 9.0, 0.7]), "y ~ a + b + a:rt - drift")
    assert np.array_equal(made.matrix, plain.matrix)
    with pytest.raises(
        DataError, match=r"rt is missing in 1 events where b is 1: row 2 \(onset 10"
    ):
        design(events, "y ~ b:rt")
    with pytest.raises(DataError, match="row 2"):
        design(events, "y ~ a + rt")


def test_a_missing_condition_is_no_event_of_any():
    events = frame(trial_type=["a", "n/a", "b"])
    assert (
        "events in no column of the formula stay in the baseline: n/a (1)"
        in design(events, "y ~ a + b").notes
    )
    with pytest.raises(DataError, match="missing in 1 events"):
        design(events, "y ~ trial_type")


def test_no_events_where_the_formula_needs_them():
    meaning = resolve(parse("y ~ a"), Schema.of(frame()))
    with pytest.raises(DataError, match="a needs events"):
        build(meaning, None, None, Clock(30, 2.0))


@pytest.mark.parametrize("term", ["trial_type", "rt", "trial_type:rt", "trials(trial_type)"])
def test_a_table_without_rows_makes_no_columns(term):
    """A model without its task would look fitted."""
    empty = frame().assign(rt=1.0).iloc[:0]
    meaning = resolve(parse(f"y ~ {term}"), Schema.of(empty))
    with pytest.raises(DataError, match="the table of them has no rows"):
        build(meaning, empty, None, Clock(30, 2.0))
