"""Whatever text comes, a formula is read or refused with a caret: no crash, no wait, no code."""

import multiprocessing
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from voxlm.contrasts.hypothesis import hypothesis
from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.design.columns import Column
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
ROWS_OF_MAPS = Schema.table(MAPS)
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


@pytest.fixture(autouse=True, scope="module")
def libraries_are_loaded():
    """What is measured is the reading of texts, not imports on first use."""
    read_all("run", "face + bs(rt, df=4) + ppi(c, face) + fir(house, [0, 1])")


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
            group = resolve_group(parse(text), ROWS_OF_MAPS)
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
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_texts(seed):
    rng = random.Random(seed)
    readable = 0
    for k in range(10_000):
        readable += outcome(soup(rng), first_level=k % 3 > 0) is None
    # Some of them have to be read, or the test would only ever see the first error.
    assert readable > 100


# Texts that ask for much in few words, on tables that are not small.
ROWS = 400
MANY = [f"x{k}" for k in range(12)]
LEVELS = {f"f{k}": [f"l{(i * 7 + k) % 97}" for i in range(ROWS)] for k in range(6)}
WIDE = pd.DataFrame(
    {f"x{k}": np.random.default_rng(k).normal(size=ROWS) for k in range(12)}
    | LEVELS
    | {"rt": np.linspace(0.3, 2.0, ROWS), "trial_type": ["face", "house"] * (ROWS // 2)}
    | {"onset": np.arange(ROWS) * 3.0, "duration": 1.0}
)
SCANS = pd.DataFrame(np.random.default_rng(0).normal(size=(600, 4)), columns=list("cdef"))
SUM = "(" + "+".join(MANY) + ")"
CROSSED = "*".join(LEVELS)
GREEDY = [
    "(" * 40 + "face" + ")" * 40, "(" * 5000 + "face" + ")" * 5000, "-" * 5000 + "face",
    "face" + "+face" * 1500, f"{SUM}^9", f"{SUM}^999999999", f"{SUM}*{SUM}*{SUM}", f"{SUM}/{SUM}",
    "`" + "a" * 100_000 + "`", "a.b." * 5000, "face:" * 1000 + "face", "9" * 5000, "1e99999",
    "poly(rt, 10**9)", "poly(rt, 1e9)", "bs(rt, df=10**9)", "bs(rt, df=5, degree=1e9)",
    "cr(rt, df=1e9)", "cc(rt, df=1e9)", "poly(rt, 19):poly(x0, 19)", "bs(x0, df=50):bs(x1, df=50)",
    "poly(rt, 19)*poly(x0, 19)*poly(x1, 19)", "log(" * 60 + "rt" + ")" * 60,
    "fir(face, delays=0:10**9)", "fir(face, delays=[0, 1e9])", "fir(face, delays=[199, 200])",
    "tent(face, 0, 1e9, n=1e9)", "tent(face, 0, 999, n=200)", "tent(face, 0, 300, n=100)",
    "spline(face, 0, 300, n=100)", "tent(trials(trial_type), 0, 20, n=100)", "fir(f0:f1, [0, 1])",
    "gamma(face, delay=1e9)", "gamma(face, delay=300, dispersion=300)", "hrf(face, spm, lag=1e9)",
    "hrf(face, spm, lag=-999)", "face + cosine(1e-12)", "face + cosine(1e12)", "face + poly(1e300)",
    "lag(c, 10**9)", "I(rt**1000000000)", "I(9**9**9)", "exp(exp(exp(exp(rt))))", CROSSED,
    CROSSED.replace("*", ":"), "f0*f1", "f0/f1/f2", "trials(f0):trials(f1)", "trials(trial_type)",
    "acompcor(1e18)", 'match("' + "*a" * 90 + 'b")', 'match("[' + "a" * 3000 + ']")',
    "ppi(c, f0:f1)", "ppi(c, trials(trial_type))", "C(f0, Helmert):C(f1, Helmert)",
]  # fmt: skip
GREEDY_GROUPS = [
    CROSSED, f"{SUM}^5", "C(f0, Poly)*C(f1, Poly)", "(f0*f1 | f2)", "(1 | f0/f1/f2/f3/f4/f5)",
    "bs(rt, df=50)*bs(x1, df=50)*f0", "f0:f1:f2", "C(rt):C(x1)", "f0/f1",
    "+".join(f"(1 | f{k % 6})" for k in range(500)), "(1 | f0:f1:f2)", "cr(rt, df=390)",
]  # fmt: skip
GREEDY_CONTRASTS = [
    "face - house" * 1000, "(" * 5000 + "face" + ")" * 5000, "9" * 3000 + "*face",
    ", ".join(["face - house"] * 280), "+".join(["face"] * 700), "1e999999999*face",
    "face*9**9**9", "face = " * 500 + "house",
]  # fmt: skip
MEGABYTES = 200.0


def read_all(kind, text):
    """Take a text from its characters to numbers."""
    if kind == "run":
        meaning = resolve(parse(f"y ~ {text}"), Schema.of(WIDE, SCANS))
        str(meaning)
        meaning.table()
        check(build(meaning, WIDE, SCANS, Clock(600, 2.0)))
    elif kind == "group":
        group = resolve_group(parse(f"~ {text}"), Schema.table(WIDE))
        group.table()
        check(build_table(group, WIDE))
    else:
        hypothesis(text, [Column(name, name, "task", name) for name in ("face", "house")])


def resident(field):
    """Return a figure of this process's memory, megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(kind, texts, results):
    """Read texts one after the other; send what each took at its peak."""
    threadpool_limits(1)  # threads that wait for each other on a busy machine count as work
    for text in texts:
        found = measure_one(kind, text)
        if found[1] >= SECONDS:  # a busy machine may take a core away: what is slow is so twice
            found = min(found, measure_one(kind, text), key=lambda one: one[1])
        results.put((text, *found))


def measure_one(kind, text):
    """Return what reading a text said, its seconds, and the megabytes at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = resident("VmRSS"), time.thread_time()
    try:
        read_all(kind, text)
        said = ""
    except VoxlmError as error:
        said = str(error)
    except Exception as error:
        said = f"crash: {error!r}"
    return said, time.thread_time() - start, resident("VmHWM") - before


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured through /proc")
@pytest.mark.parametrize(
    ("kind", "texts"),
    [("run", GREEDY), ("group", GREEDY_GROUPS), ("contrast", GREEDY_CONTRASTS)],
    ids=["run", "group", "contrast"],
)
def test_no_text_takes_more_than_a_second_or_200_megabytes(kind, texts):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=measure, args=(kind, texts, results))
    child.start()
    measured = [results.get(timeout=120) for _ in texts]
    child.join()
    for text, said, seconds, megabytes in measured:
        assert not said.startswith("crash"), f"{text[:60]}: {said}"
        assert seconds < SECONDS, f"{text[:60]}: {seconds:.2f} s"
        assert megabytes < MEGABYTES, f"{text[:60]}: {megabytes:.0f} MB"


@pytest.mark.parametrize("text", ["f0*f1", "tent(face, 0, 9, n=101)", "ppi(c, f0:f1)", f"{SUM}^9"])
def test_a_refusal_names_the_limit_and_the_place(text):
    with pytest.raises(TextError, match=r"at most|from 1 to") as refused:
        read_all("run", text)
    assert refused.value.span[1] > refused.value.span[0]
    assert "^" in str(refused.value)
