"""One design a trial against designs made from tables that name the trial."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.design.trials import separate
from voxlm.errors import DesignError
from voxlm.formula import Schema, parse, resolve

TOLERANCE = 1e-12
CLOCK = Clock(90, 2.0)
EVENTS = pd.DataFrame(
    {
        "onset": np.arange(12) * 13.0,
        "duration": 2.0,
        "trial_type": ["face", "house", "tool", "house"] * 3,
    }
)


def design(formula, events=EVENTS):
    return build(resolve(parse(formula), Schema.of(events)), events, None, CLOCK)


def test_each_trial_against_all_others():
    found = list(separate(design("y ~ trials(trial_type)")))
    assert len(found) == 12
    by_name = {made.names[0]: made for made in found}
    made = by_name["house_003"]
    assert made.names[:4] == ("house_003", "other face", "other house", "other tool")
    row = np.flatnonzero(EVENTS.trial_type == "house")[2]
    table = EVENTS.assign(
        trial_type=[t if k != row else "this" for k, t in enumerate(EVENTS.trial_type)]
    )
    expected = design("y ~ this + face + house + tool", table)
    assert made.matrix.shape == expected.matrix.shape
    assert np.max(np.abs(made.matrix - expected.matrix)) < TOLERANCE
    for each in found:
        check(each)


def test_a_condition_of_one_trial_has_no_others():
    events = EVENTS.iloc[:3]
    names = [made.names[:3] for made in separate(design("y ~ trials(trial_type)", events))]
    assert names[0] == ("face_001", "other house", "other tool")


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("y ~ trial_type", "has no single trials"),
        ("y ~ hrf(trials(face), spm + derivative)", "several basis functions"),
    ],
)
def test_what_cannot_be_separated(formula, sentence):
    with pytest.raises(DesignError, match=sentence):
        next(separate(design(formula)))
