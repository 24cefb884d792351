"""Runs under one another: what they share, and what stays their own."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.design.stack import leave_out_empty, stack
from voxlm.errors import DesignError
from voxlm.formula import Schema, parse, resolve

TOLERANCE = 1e-9


def events(types):
    n = len(types)
    return pd.DataFrame(
        {"onset": 12.0 * np.arange(n) + 3, "duration": 2.0, "trial_type": list(types)}
    )


RUNS = [events("fhtfht"), events("hffhff")]
EVERY = Schema.of(pd.concat(RUNS))


def runs(formula="y ~ f + h + t - drift", schema=EVERY):
    meaning = resolve(parse(formula), schema)
    return [build(meaning, table, None, Clock(50, 2.0)) for table in RUNS]


def test_conditions_are_shared_and_constants_are_not():
    made = stack(runs(), ["run-1", "run-2"])
    assert made.names == ("f", "h", "t", "constant[run=run-1]", "constant[run=run-2]")
    assert made.matrix.shape == (100, 5)
    assert made.columns[3].run == "run-1"
    assert not made.matrix[50:, 2].any()
    assert "run-2 has no events of t: it says nothing of them" in made.notes
    check(made)


def test_one_model_is_generalised_least_squares_of_both_runs():
    rng = np.random.default_rng(0)
    first, second = runs()
    y = rng.normal(size=(100, 3))
    whole = stack([first, second], ["1", "2"]).matrix
    found = np.linalg.lstsq(whole, y, rcond=None)[0][:2]
    # The same by hand: constants taken out run by run, then one regression.
    centred = [d.matrix[:, :3] - d.matrix[:, :3].mean(0) for d in (first, second)]
    targets = np.vstack([y[:50] - y[:50].mean(0), y[50:] - y[50:].mean(0)])
    expected = np.linalg.lstsq(np.vstack(centred), targets, rcond=None)[0][:2]
    assert np.max(np.abs(found - expected)) < TOLERANCE


def test_empty_conditions_of_a_run_are_left_out_and_named():
    _, second = runs()
    with pytest.raises(DesignError, match="t has no events in this run"):
        check(second)
    left = leave_out_empty(second)
    assert left.names == ("f", "h", "constant")
    assert left.notes[-1].endswith("left out: t")
    check(left)
    assert leave_out_empty(left) is left


def test_each_run_needs_a_name_of_its_own():
    with pytest.raises(DesignError, match="one different name a run"):
        stack(runs(), ["1", "1"])
    with pytest.raises(DesignError, match="one different name a run"):
        stack([], [])


def test_one_name_with_two_meanings():
    spm, glover = runs(), runs("y ~ hrf(f, spm + derivative) + h + t - drift")
    assert stack([spm[0], glover[0]], ["1", "2"]).names[1] == "h"
    other = runs("y ~ f:h + h + t - drift")[0]
    renamed = other.columns[0].__class__("f", "g", "task")
    bad = other.__class__(other.matrix, (renamed, *other.columns[1:]))
    with pytest.raises(DesignError, match="means different things"):
        stack([spm[0], bad], ["1", "2"])
