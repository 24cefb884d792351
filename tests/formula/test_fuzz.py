"""Whatever text comes, a formula is read or refused with a caret: no crash, no wait, no code."""

import random
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.design.table import build_table
from voxlm.errors import TextError, VoxlmError
from voxlm.formula import Schema, parse, resolve, resolve_group

EVENTS = pd.DataFrame(
    {
        "onset": np.arange(12.0) * 9,
        "duration": [1.0, 0.0] * 6,
        "trial_type": ["face", "house", "tool"] * 4,
        "rt": np.linspace(0.4, 1.2, 12),
        "task": ["attend", "ignore"] * 6,
    }
)
AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
CONFOUNDS = pd.DataFrame(
    np.random.default_rng(0).normal(size=(60, 10)),
    columns=[*AXES, "csf", "a_comp_cor_00", "a_comp_cor_01", "framewise_displacement"],
)
SCHEMA = Schema.of(EVENTS, CONFOUNDS)
MAPS = pd.DataFrame(
    {
        "group": ["a", "b"] * 6,
        "age": np.linspace(20, 60, 12),
        "subject": [f"s{k // 2}" for k in range(12)],
    }
)
WORDS = [
    "y", "~", "face", "house", "trial_type", "rt", "task", "csf", "motion", "motion24", "drift",
    "constant", "group", "age", "subject", "+", "-", "*", "/", ":", "^", "**", "%in%", "(", ")",
    "[", "]", ",", "=", "|", "||", "0", "1", "2", "3.5", "1e9", "1/128", "'spm'", '"glover"', "spm",
    "hrf(", "fir(", "tent(", "spline(", "gamma(", "boxcar(", "cosine(", "poly(", "bs(", "cr(",
    "cc(", "C(", "I(", "log(", "sqrt(", "center(", "scale(", "lag(", "trials(", "match(", "scrub(",
    "acompcor(", "derivative", "dispersion", "delays=", "n=", "df=", "within=", "subset=", "lag=",
    "mask=", "'a_comp_cor_*'", "'rt < 1'", "Sum", "Treatment(", "contr.sum", "`left-hand`", "`",
    "events.rt", "face.real", "__import__", "lambda", "os", "{", "}", "@", ";", "\\", "é", "零",
    "\n", "True", "None", "nan", "inf", "scrub", "wmcsf", "nonsteady",
]  # fmt: skip
SECONDS = 1.0


def outcome(text, first_level=True):
    """Read a text all the way; return its error, if it has one."""
    start = time.process_time()
    try:
        if first_level:
            meaning = resolve(parse(text), SCHEMA)
            str(meaning)
            meaning.table()
            check(build(meaning, EVENTS, CONFOUNDS, Clock(60, 2.0)))
        else:
            group = resolve_group(parse(text), Schema.table(MAPS))
            group.table()
            check(build_table(group, MAPS))
        error = None
    except VoxlmError as caught:
        error = caught
    assert time.process_time() - start < SECONDS, text
    if isinstance(error, TextError):
        start_at, stop_at = error.span
        assert 0 <= start_at <= stop_at <= max(len(error.text), len(text))
    return error


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text(text):
    outcome(text)
    outcome(f"y ~ {text}")
    outcome(f"~ {text}", first_level=False)


@given(st.lists(st.sampled_from(WORDS), max_size=14))
@settings(max_examples=250, deadline=None)
def test_any_words_of_the_language(words):
    outcome("y ~ " + " ".join(words))
    outcome("~ " + "".join(words), first_level=False)


NAMES = ["face", "house", "trial_type", "rt", "task", "csf", "motion", "group", "age", "subject"]
CALLS = [
    "hrf({}, spm)", 'hrf({}, "glover + derivative")', "hrf({}, spm, lag=1)", "fir({}, [0, 1])",
    "tent({}, 0, 14, 8)", "spline({}, 0, 20, n=5)", "gamma({})", "boxcar({})", "poly({}, 2)",
    "bs({}, df=4)", "cr({}, df=3)", "cc({}, df=3)", "C({})", "C({}, Sum)", "I({}^2)", "log({})",
    "center({})", "center({}, within=task)", "scale({})", "lag({}, 1)", "trials({})",
    "cosine({})", "acompcor({})", "match({})", "scrub({})", "(1 | {})", "({} | subject)",
    'hrf({}, subset="rt < 1")', "sqrt({} + 1)", "exp({}/2)", "abs(-{})",
    "ppi(csf, {})", "ppi({}, face, deconvolve=False)",
]  # fmt: skip
SIGNS = [" + ", " + ", " + ", " - ", "*", ":", "/", " %in% ", "^"]


def sentence(rng, depth=0):
    """Write something that the grammar may well allow."""
    kind = rng.random()
    if kind < 0.4 or depth > 3:
        return rng.choice(NAMES) if rng.random() < 0.9 else rng.choice(["0", "1", "2", "1/128"])
    if kind < 0.65:
        return rng.choice(CALLS).format(sentence(rng, depth + 2))
    if kind < 0.75:
        return f"({sentence(rng, depth + 1)})"
    return sentence(rng, depth + 1) + rng.choice(SIGNS) + sentence(rng, depth + 1)


def soup(rng):
    """Write a sentence, often with a word too many or too few, or mere words."""
    if rng.random() < 0.2:
        words = rng.choices(WORDS, k=rng.randint(1, 16))
    else:
        words = ["y ~ ", *sentence(rng)]
        for _ in range(rng.choice([0, 0, 1, 2])):
            words[rng.randrange(len(words))] = rng.choice([*WORDS, ""])
    return "".join(words)


@pytest.mark.slow
def test_a_hundred_thousand_texts():
    rng = random.Random(0)
    readable = 0
    for k in range(100_000):
        readable += outcome(soup(rng), first_level=k % 3 > 0) is None
    # Some of them have to be read, or the test would only ever see the first error.
    assert readable > 1000
