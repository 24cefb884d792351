"""Formula to columns, one row a formula: the first-level language by its examples."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.errors import DesignError
from voxlm.formula import Schema, parse, resolve

CLOCK = Clock(160, 2.0)
AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
POWERS = ["", "_derivative1", "_power2", "_derivative1_power2"]
TOLERANCE = 1e-12


def make_events():
    rng = np.random.default_rng(7)
    n = 60
    names = np.array(["face", "house", "tool"])[np.arange(n) % 3]
    return pd.DataFrame(
        {
            "onset": np.linspace(2.0, 300.0, n) + rng.uniform(-1, 1, n),
            "duration": rng.choice([0.0, 1.0, 2.0], n),
            "trial_type": names,
            "rt": rng.uniform(0.3, 1.5, n),
            "task": np.where(rng.uniform(size=n) < 0.5, "attend", "ignore"),
            "correct": (rng.uniform(size=n) < 0.7).astype(float),
            "run": np.repeat([1, 2], n // 2),
            "trial": [f"{name}_{k:02d}" for k, name in enumerate(names)],
            "left-hand": rng.uniform(size=n),
            "right-hand": rng.uniform(size=n),
        }
    )


def make_confounds():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(160, 6)), columns=AXES)
    for axis in AXES:
        frame[f"{axis}_derivative1"] = frame[axis].diff()
        frame[f"{axis}_power2"] = frame[axis] ** 2
        frame[f"{axis}_derivative1_power2"] = frame[axis].diff() ** 2
    for name in ("csf", "white_matter", "global_signal"):
        frame[name] = rng.normal(size=160)
    for k in range(7):
        frame[f"a_comp_cor_{k:02d}"] = rng.normal(size=160)
        frame[f"t_comp_cor_{k:02d}"] = rng.normal(size=160)
    fd = rng.uniform(0, 0.4, 160)
    fd[[20, 21, 90]] = 0.9
    fd[0] = np.nan
    frame["framewise_displacement"] = fd
    dvars = np.ones(160)
    dvars[[21, 100]] = 1.8
    frame["std_dvars"] = dvars
    return frame


EVENTS, CONFOUNDS = make_events(), make_confounds()
SCHEMA = Schema.of(EVENTS, CONFOUNDS)
TYPES = ["face", "house", "tool"]
CELLS = [f"trial_type[{t}]" for t in TYPES]
TRIALS = sorted(EVENTS.trial)
TASKS = ["attend", "ignore"]


def times(left, right):
    return [f"{a}:{b}" for b in right for a in left]


#: Formula → its columns, without drift_1… and the constant.
TABLE = {
    "bold ~ face + house": ["face", "house"],
    "bold ~ trial_type": CELLS,
    "bold ~ face + house + motion": ["face", "house", *AXES],
    "bold ~ trial_type + motion24 + acompcor(5) + cosine(1/128)": [
        *CELLS,
        *(axis + power for power in POWERS for axis in AXES),
        *(f"a_comp_cor_{k:02d}" for k in range(5)),
    ],
    "bold ~ trial_type + poly(3)": CELLS,
    "bold ~ trial_type + motion + scrub(0.5)": [
        *CELLS,
        *AXES,
        "scrub[20]",
        "scrub[21]",
        "scrub[90]",
    ],
    "bold ~ hrf(face, 'spm + derivative') + house": ["face", "face_derivative", "house"],
    "bold ~ hrf(trial_type, 'spm + derivative + dispersion')": [
        cell + tail for cell in CELLS for tail in ("", "_derivative", "_dispersion")
    ],
    "bold ~ hrf(face + house, 'spm') + tool": ["face", "house", "tool"],
    "bold ~ fir(face, delays=[0,1,2,3,4]) + house": [
        *(f"face_delay_{k}" for k in range(5)),
        "house",
    ],
    "bold ~ fir(trial_type, delays=[0,1,2])": [
        f"{cell}_delay_{k}" for cell in CELLS for k in range(3)
    ],
    "bold ~ tent(face, 0, 14, n=8)": [f"face_tent_{k}" for k in range(8)],
    "bold ~ face + face:rt": ["face", "face:rt"],
    "bold ~ face + face:center(rt)": ["face", "face:center(rt)"],
    "bold ~ face + face:center(rt, within=trial_type)": [
        "face",
        "face:center(rt, within=trial_type)",
    ],
    "bold ~ face/rt": ["face", "face:rt"],
    "bold ~ face*rt": ["face", "rt", "face:rt"],
    "bold ~ trial_type/rt": [*CELLS, *times(CELLS, ["rt"])],
    "bold ~ trial_type + rt": [*CELLS, "rt"],
    "bold ~ trial_type/poly(rt, 2)": [
        *CELLS,
        *times(CELLS, ["poly(rt, 2)[1]", "poly(rt, 2)[2]"]),
    ],
    "bold ~ face + face:scale(rt)": ["face", "face:scale(rt)"],
    "bold ~ trial_type:task": times(CELLS, ["task[attend]", "task[ignore]"]),
    "bold ~ trial_type*task": [
        *CELLS,
        "task[T.ignore]",
        "trial_type[T.house]:task[T.ignore]",
        "trial_type[T.tool]:task[T.ignore]",
    ],
    "bold ~ trial_type/task": [*CELLS, *times(CELLS, ["task[T.ignore]"])],
    "bold ~ face + face:correct": ["face", "face:correct"],
    "bold ~ `left-hand` + `right-hand`": ["left-hand", "right-hand"],
    "bold ~ trial_type:run": times(CELLS, ["run[1]", "run[2]"]),
    "bold ~ trial_type/run": [*CELLS, *times(CELLS, ["run[T.2]"])],
    "bold ~ hrf(trial_type:task, 'spm')": times(CELLS, ["task[attend]", "task[ignore]"]),
    "bold ~ trial + motion": [*(f"trial[{t}]" for t in TRIALS), *AXES],
    "bold ~ trials(trial_type)": [f"{t}_{k + 1:03d}" for t in TYPES for k in range(20)],
    "bold ~ trials(face) + house": [*(f"face_{k + 1:03d}" for k in range(20)), "house"],
    'bold ~ trial_type + match("a_comp_cor_0[0-4]")': [
        *CELLS,
        *(f"a_comp_cor_{k:02d}" for k in range(5)),
    ],
    "bold ~ trial_type + motion - rot_z": [*CELLS, *AXES[:5]],
    "bold ~ trial_type + csf:white_matter": [*CELLS, "csf:white_matter"],
    "bold ~ 0 + trial_type": CELLS,
    "bold ~ trial_type + lag(csf, 1)": [*CELLS, "lag(csf, 1)"],
    "bold ~ hrf(face, 'spm', lag=1.0) + hrf(rt, subset=\"correct\")": ["face", "rt"],
    "bold ~ (trial_type + task + rt)^2": [
        *CELLS,
        "trial_type[T.house]:task[T.ignore]",
        "trial_type[T.tool]:task[T.ignore]",
        "trial_type[T.house]:rt",
        "trial_type[T.tool]:rt",
        "task[T.ignore]",
        "task[T.ignore]:rt",
        "rt",
    ],
    "bold ~ trial_type + rt %in% trial_type": [*CELLS, *times(CELLS, ["rt"])],
    "bold ~ trial_type*task - trial_type:task": [*CELLS, "task[T.ignore]"],
    "bold ~ C(correct):trial_type": times(["C(correct)[0]", "C(correct)[1]"], CELLS),
    "bold ~ spline(face, 0, 20, n=6) + gamma(house) + boxcar(tool)": [
        *(f"face_spline_{k}" for k in range(6)),
        "house",
        "tool",
    ],
    "bold ~ face + wmcsf + gsr + tcompcor(2)": [
        "face",
        "csf",
        "white_matter",
        "global_signal",
        "t_comp_cor_00",
        "t_comp_cor_01",
    ],
    "bold ~ face + scrub(fd=0.5, dvars=1.5)": [
        "face",
        "scrub[20]",
        "scrub[21]",
        "scrub[90]",
        "scrub[100]",
    ],
    "bold ~ face + log(rt):face + I(rt^2 + 1):face": ["face", "log(rt):face", "I(rt^2 + 1):face"],
}


def design(formula, **options):
    meaning = resolve(parse(formula), SCHEMA, **options)
    return build(meaning, EVENTS, CONFOUNDS, CLOCK)


@pytest.mark.parametrize("formula", TABLE)
def test_columns(formula):
    made = design(formula)
    own = [c.name for c in made.columns if c.role in ("task", "confound")]
    assert own == TABLE[formula]
    constant = [] if formula.startswith("bold ~ 0") else ["constant"]
    drift = 3 if "poly(3)" in formula else 5
    assert list(made.names) == own + [f"drift_{k + 1}" for k in range(drift)] + constant
    check(made)


@pytest.mark.parametrize("formula", TABLE)
def test_the_formula_as_understood_means_the_same(formula):
    first = design(formula)
    again = design(first.formula)
    # Written out, scan terms may stand elsewhere; the columns are the same ones.
    assert sorted(again.names) == sorted(first.names)
    order = [again.names.index(name) for name in first.names]
    assert np.allclose(again.matrix[:, order], first.matrix, rtol=0, atol=TOLERANCE)


def by_hand(heights, formula="bold ~ amplitude - drift"):
    """Convolve a column of event heights made without any formula."""
    events = EVENTS.assign(amplitude=heights)
    made = build(resolve(parse(formula), Schema.of(events)), events, None, CLOCK)
    return made.matrix[:, 0]


def indicator(**levels):
    out = np.ones(len(EVENTS))
    for name, level in levels.items():
        out = out * (EVENTS[name] == level)
    return out.astype(float)


FACE = indicator(trial_type="face")
RT = EVENTS.rt.to_numpy()
HAND_MADE = {
    ("bold ~ face + face:rt", "face:rt"): FACE * RT,
    ("bold ~ face + face:center(rt)", "face:center(rt)"): FACE * (RT - RT.mean()),
    ("bold ~ face + face:center(rt, within=trial_type)", "face:center(rt, within=trial_type)"): FACE
    * (RT - RT[FACE == 1].mean()),
    ("bold ~ face + face:scale(rt)", "face:scale(rt)"): FACE * (RT - RT.mean()) / RT.std(ddof=1),
    ("bold ~ trial_type:task", "trial_type[house]:task[ignore]"): indicator(
        trial_type="house", task="ignore"
    ),
    ("bold ~ trial_type*task", "task[T.ignore]"): indicator(task="ignore"),
    ("bold ~ trial_type/task", "trial_type[tool]:task[T.ignore]"): indicator(
        trial_type="tool", task="ignore"
    ),
    ("bold ~ trial_type:run", "trial_type[face]:run[2]"): indicator(trial_type="face", run=2),
    ("bold ~ trials(trial_type)", "house_003"): (np.arange(60) == 7).astype(float),
    ("bold ~ hrf(rt, subset='correct')", "rt"): RT * EVENTS.correct.to_numpy(),
    ("bold ~ hrf(rt, subset='rt < 0.9')", "rt"): RT * (RT < 0.9),
    ("bold ~ hrf(rt, subset='task != attend')", "rt"): RT * (EVENTS.task != "attend"),
    ("bold ~ face + log(rt):face", "log(rt):face"): FACE * np.log(RT),
}


@pytest.mark.parametrize("key", HAND_MADE, ids=str)
def test_algebra_comes_before_convolution(key):
    formula, name = key
    made = design(formula)
    found = made.matrix[:, made.names.index(name)]
    assert np.max(np.abs(found - by_hand(HAND_MADE[key]))) < TOLERANCE


def test_crossed_and_cell_means_designs_span_the_same():
    cells = design("bold ~ trial_type:task - drift").matrix
    for formula in ("bold ~ trial_type*task - drift", "bold ~ trial_type/task - drift"):
        both = np.hstack([cells, design(formula).matrix])
        assert np.linalg.matrix_rank(both) == np.linalg.matrix_rank(cells) == 7


def test_centred_amplitudes_of_a_condition_add_up_to_zero():
    assert abs(np.sum(HAND_MADE[next(k for k in HAND_MADE if "within" in k[0])])) < TOLERANCE


def test_a_lag_delays_the_response():
    early, late = design("~ hrf(face, spm)"), design("~ hrf(face, spm, lag=2)")
    assert np.max(np.abs(early.matrix[:-1, 0] - late.matrix[1:, 0])) < TOLERANCE


def test_responses_of_ones_own_by_name():
    def bump(t):
        return np.exp(-((t - 5.0) ** 2) / 4.0)

    made = design("~ hrf(face, mine) + house", responses={"mine": bump})
    assert made.names[:2] == ("face_bump", "house")
    model = design("~ face + hrf(house, spm)", hrf=bump)
    assert model.names[:2] == ("face_bump", "house")
    assert np.array_equal(made.matrix[:, 0], model.matrix[:, 0])


def test_all_correct_is_a_rank_error():
    events = EVENTS.assign(correct=1.0)
    meaning = resolve(parse("bold ~ face + face:correct"), Schema.of(events))
    with pytest.raises(DesignError, match="face:correct = face"):
        check(build(meaning, events, None, CLOCK))


def test_records_know_condition_basis_and_amplitude():
    made = design("bold ~ hrf(trial_type/rt, 'spm + derivative') + csf")
    record = {c.name: c for c in made.columns}
    slope = record["trial_type[face]:rt_derivative"]
    assert (slope.condition, slope.amplitude, slope.basis) == ("face", "rt", "derivative")
    assert slope.aliases == ("face:rt_derivative",)
    assert slope.term == "trial_type:rt"
    assert record["trial_type[house]"].aliases == ("house",)
    assert record["csf"].role == "confound"
    assert record["drift_1"].role == "drift"


def test_differences_of_levels_have_no_alias():
    made = design("bold ~ trial_type*task")
    record = {c.name: c for c in made.columns}
    assert record["task[T.ignore]"].aliases == ()
    assert record["trial_type[T.house]:task[T.ignore]"].aliases == ()
