"""Runs under one another: what they share, and what stays their own."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.design.stack import leave_out_empty, stack
from voxlm.errors import DataError, DesignError
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


def pooled_runs(formula):
    rng = np.random.default_rng(1)
    tables = [
        table.assign(run=str(k), rt=rng.uniform(k, k + 1, len(table)))
        for k, table in enumerate(RUNS, start=1)
    ]
    together = pd.concat(tables, ignore_index=True)
    meaning = resolve(parse(formula), Schema.of(together))
    made = [build(meaning, table, None, Clock(50, 2.0), together) for table in tables]
    return together, made


def test_means_are_those_of_all_runs():
    together, made = pooled_runs("y ~ 0 + boxcar(center(rt)) - drift")
    centred = together.rt - together.rt.mean()
    for run, design in zip(("1", "2"), made, strict=True):
        heights = centred[together.run == run].to_numpy()
        onsets = together.onset[together.run == run].to_numpy()
        scans = np.ceil(onsets / 2.0).astype(int)
        assert np.allclose(design.matrix[scans, 0], heights, rtol=0, atol=1e-12)


def test_trials_are_numbered_through_all_runs():
    _, (first, second) = pooled_runs("y ~ trials(h) - drift")
    used = [
        [n for n, x in zip(d.names, d.matrix.T, strict=True) if x.any()] for d in (first, second)
    ]
    assert used[0] == ["h_001", "h_002", "constant"]
    assert used[1] == ["h_003", "h_004", "constant"]


def test_runs_that_are_not_in_the_pool_are_refused():
    table = RUNS[0].assign(run="1")
    meaning = resolve(parse("y ~ f"), EVERY)
    with pytest.raises(DataError, match="need a column 'run'"):
        build(meaning, RUNS[0], None, Clock(50, 2.0), RUNS[0])
    with pytest.raises(DataError, match="are not the 6 events of this run"):
        build(meaning, table, None, Clock(50, 2.0), table.iloc[:3])
