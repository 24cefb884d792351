"""Marginal means against R's emmeans, and against patsy's rows of a reference grid."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm

import voxlm as vx
from voxlm.contrasts import check_estimable, hypothesis
from voxlm.design.table import build_table
from voxlm.errors import ContrastError
from voxlm.formula import Schema, parse, resolve_group

# The same least squares with the columns in another order.
SOLVED_RTOL = 1e-10
# Two least-squares solvers; R prints 15 digits.
R_RTOL = 1e-9


def make_maps():
    rng = np.random.default_rng(11)
    n = 60
    maps = pd.DataFrame(
        {
            "group": rng.choice(["control", "mci", "patient"], n, p=[0.5, 0.3, 0.2]),
            "sex": rng.choice(["F", "M"], n),
            "age": rng.uniform(20, 80, n).round(1),
            "flag": rng.choice([0.0, 1.0], n, p=[0.7, 0.3]),
            "site": rng.choice([1.0, 2.0, 5.0], n),
            "y": rng.normal(size=n),
        }
    )
    maps["y"] += 0.03 * maps.age + (maps.group == "patient") - 0.5 * (maps.sex == "M")
    return maps


MAPS = make_maps()


def made(formula, maps=MAPS):
    return build_table(resolve_group(parse(formula), Schema.table(maps)), maps)


def ask(spec, design, **more):
    return hypothesis(spec, design.columns, meaning=design.meaning, **more)


#: Formula, factors, values of others, and R's spelling where it is not ours.
CASES = [
    ("~ group", ["group"], {}),
    ("~ group + age", ["group"], {}),
    ("~ group*age", ["group"], {"age": 60.0}),
    ("~ group*age + sex", ["group"], {}),
    ("~ group*sex + age", ["group"], {"sex": "M"}),
    ("~ group*sex + age", ["group", "sex"], {}),
    ("~ 0 + group + sex", ["sex"], {}),
    ("~ group*flag", ["group"], {}),
    ("~ group*flag", ["flag"], {"group": "mci"}),
    ("~ C(site)*age", ["site"], {"age": 25.0}),
    ("~ group + poly(age, 2)", ["group"], {"age": 33.0}),
    ("~ group*sex*age", ["sex"], {"age": [30.0, 70.0]}),
    ("~ C(group, Sum)*sex + log(age)", ["group"], {}),
    ("~ group*age", ["age"], {"age": [25.0, 65.0]}),
]


def r_script(csv):
    lines = [f'd <- read.csv("{csv}")', "suppressMessages(library(emmeans))"]
    for formula, factors, at in CASES:
        text = formula.replace("C(site)", "factor(site)").replace("C(group, Sum)", "group")
        fixed = ", ".join(
            f"{name}={value!r}".replace("[", "c(").replace("]", ")") for name, value in at.items()
        )
        lines += [
            f"e <- emmeans(lm(y {text}, d), c({', '.join(map(repr, factors))}), at=list({fixed}))",
            "o <- as.data.frame(e)",
            'cat("means", format(c(o$emmean, o$SE), digits=15), "\\n")',
            "o <- as.data.frame(pairs(e, adjust='none'))",
            'cat("pairs", format(c(o$estimate, o$SE, o$p.value), digits=15), "\\n")',
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def from_r(tmp_path_factory):
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed")
    if subprocess.run(["Rscript", "-e", "library(emmeans)"], capture_output=True).returncode:
        pytest.skip("R has no emmeans")
    folder = tmp_path_factory.mktemp("emmeans")
    MAPS.to_csv(folder / "maps.csv", index=False)
    (folder / "ask.R").write_text(r_script(folder / "maps.csv"))
    found = subprocess.run(
        ["Rscript", "--vanilla", folder / "ask.R"], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in found.stdout.splitlines() if line.strip()]
    numbers = [np.array([float(word) for word in line[1:]]) for line in lines]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def by_hand(design, means):
    """Return estimates, standard errors and p of every row by name, through statsmodels."""
    results = sm.OLS(MAPS.y.to_numpy(), design.matrix).fit()
    rows = [ask(one, design).C for one in means.each(design).values()]
    tested = results.t_test(np.vstack(rows))
    return tested.effect, tested.sd.diagonal() if tested.sd.ndim == 2 else tested.sd, tested.pvalue


@pytest.mark.parametrize("k", range(len(CASES)))
def test_equal_emmeans(k, from_r):
    formula, factors, at = CASES[k]
    design, means = made(formula), vx.emm(*factors, at=at)
    effect, se, _ = by_hand(design, means)
    # Of two factors R runs the first fastest.
    labels = list(means.each(design))
    order = sorted(range(len(labels)), key=lambda i: labels[i].split(":")[1:])
    np.testing.assert_allclose(np.r_[effect[order], se[order]], from_r[k][0], rtol=R_RTOL)
    if len(factors) == 1:
        effect, se, p = by_hand(design, means.pairs())
        np.testing.assert_allclose(np.r_[effect, se, np.ravel(p)], from_r[k][1], rtol=R_RTOL)


@pytest.mark.parametrize(
    ("formula", "theirs"),
    [
        ("~ group*sex + age", "group*sex + age"),
        ("~ group*age + sex", "group*age + sex"),
        ("~ C(group, Sum)*sex*center(age)", "C(group, Sum)*sex*center(age)"),
        ("~ group + bs(age, 4)", "group + bs(age, df=4)"),
    ],
)
def test_predictions_are_averages_of_patsys(formula, theirs):
    design, y = made(formula), MAPS.y.to_numpy()
    X = patsy.dmatrix(theirs, MAPS)
    ours, patsys = (np.linalg.lstsq(np.asarray(A), y)[0] for A in (design.matrix, X))
    others = sorted(set(MAPS.sex)) if "sex" in formula else ["F"]
    for level in sorted(set(MAPS.group)):
        cells = [{"group": level, "sex": sex, "age": MAPS.age.mean()} for sex in others]
        rows = np.asarray(patsy.build_design_matrices([X.design_info], pd.DataFrame(cells))[0])
        found = ask(f'level("group", "{level}")', design).C[0] @ ours
        np.testing.assert_allclose(found, rows.mean(axis=0) @ patsys, rtol=SOLVED_RTOL)


def test_a_mean_is_the_coefficient_where_centred():
    design = made("~ 0 + group + center(age)")
    assert ask('level("group", "mci")', design).rows == ("group[mci] = 0",)


def test_text_and_value_are_the_same_question():
    design = made("~ group*age + sex")
    value = vx.emm("group", at={"age": 60}).pairs()
    for spec in (value, value["control - mci"], vx.emm("group")["mci"]):
        np.testing.assert_array_equal(ask(spec, design).C, ask(str(spec), design).C)
    assert str(value) == 'emm("group", at={"age": 60}).pairs()'
    assert list(value.each(design)) == ["control - mci", "control - patient", "mci - patient"]


def test_pairs_are_tested_jointly_and_one_by_one():
    design = made("~ group + sex")
    joint = ask(vx.emm("group").pairs(), design)
    assert (joint.kind, joint.C.shape[0], len(joint.notes)) == ("F", 2, 1)
    one = ask(vx.emm("group").pairs()["mci - patient"], design)
    assert (one.kind, one.rows) == ("t", ("group[T.mci] - group[T.patient] = 0",))


def test_arithmetic_and_nulls():
    design = made("~ group*sex")
    slopes = ask('level("sex", "M") - level("sex", "F") = 0.5', design)
    assert (slopes.kind, slopes.null.tolist()) == ("t", [0.5])
    change = ask('emm("group", at={"sex": "M"}) - emm("group", at={"sex": "F"})', design)
    assert change.C.shape[0] == 3
    mixed = ask([vx.emm("sex")["F"], "group[T.mci]"], design)
    assert mixed.kind == "F"


def test_words_with_odd_letters():
    maps = MAPS.assign(**{"my group": MAPS.group.map(lambda g: f'{g} "x"')})
    design = made("~ `my group` + age", maps)
    means = vx.emm("my group")
    assert ask(means['mci "x"'], design).kind == "t"
    assert list(means.each(design))[1] == 'mci "x"'


def test_empty_cells_are_not_estimable():
    maps = MAPS[~((MAPS.group == "mci") & (MAPS.sex == "M"))].reset_index(drop=True)
    design = made("~ group*sex", maps)
    good = ask('level("group", "control")', design)
    check_estimable(good.C, design.matrix, design.names)
    with pytest.raises(ContrastError, match="cannot be estimated"):
        check_estimable(ask('level("group", "mci")', design).C, design.matrix, design.names)


REFUSED = [  # text, message, what the caret stands under
    ('emm("grup")', "no variable 'grup'", '"grup"'),
    ('emm("group", at={"agee": 60})', "did you mean 'age'", '"agee"'),
    ('level("sex", "X")', "no level of sex", '"X"'),
    ('emm("group").pairs()["control - mc"]', "did you mean 'control - mci'", '"control - mc"'),
    ('emm("group", at={"age": "old"})', "age is a number", '"old"'),
    ("emm(group)", "a name in quotes", "g"),
    ('emm("group", at={"age" 60})', "a : should stand here", "6"),
    ('emm("group"', "never closed", 'emm("group"'),
    ('level("sex")', "a factor and one of its levels", 'level("sex")'),
    ('emm("group") * emm("group")', "cannot multiply", 'emm("group") * emm("group")'),
    ('emm("group").mean()', "cannot stand here", ".mean"),
    ('emm("group", at={"sex": "M"})["F"]', "unknown mean 'F'", '"F"'),
    ('emm("sex", at={"sex": "M"}).pairs()', "a pair needs two means", "emm"),
]


@pytest.mark.parametrize(("text", "message", "under"), REFUSED)
def test_refused_with_a_caret(text, message, under):
    with pytest.raises(ContrastError, match=message.replace("(", r"\(")) as caught:
        ask(text, made("~ group*age + sex"))
    start, stop = caught.value.span
    assert caught.value.text[start:stop] == under


def test_bad_requests():
    for bad in ([], [3]):
        with pytest.raises(ContrastError, match="names of factors"):
            vx.emm(*bad)
    with pytest.raises(ContrastError, match="a value or a list of values"):
        vx.emm("group", at={"age": None})
    with pytest.raises(ContrastError, match="not made by a formula"):
        hypothesis('emm("group")', made("~ group").columns)


def test_grids_of_absurd_size_are_refused():
    words = [f"l{k}" for k in range(60)]
    maps = pd.DataFrame(dict.fromkeys("abcd", words))
    with pytest.raises(ContrastError, match="rows; at most"):
        ask('emm("a")', made("~ a + b + c + d", maps))


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    events = pd.DataFrame(
        {
            "onset": np.arange(48) * 8.0,
            "duration": 2.0,
            "trial_type": np.tile(["face", "house", "tool"], 16),
            "task": np.repeat(["attend", "ignore"], 24),
            "rt": rng.uniform(0.5, 1.5, 48),
        }
    )
    return vx.Run(rng.normal(100, 1, (200, 4)), events=events, tr=2.0)


def test_task_factors_of_a_run(run):
    crossed = vx.lm("y ~ trial_type*task", run)
    cells = vx.lm("y ~ trial_type:task", run)
    levels = ("attend", "ignore")
    for ours in ("face", "house"):
        by_cells = " + ".join(f"{ours}:{task}" for task in levels)
        want = cells.contrast(f"({by_cells})/2")
        for fit in (crossed, cells):
            found = fit.contrast(f'level("trial_type", "{ours}")')
            np.testing.assert_allclose(found.t, want.t, rtol=1e-8)  # two bases of one span
    pairs = crossed.contrast(vx.emm("trial_type").pairs())
    assert pairs.kind == "F"
    task = crossed.contrast('level("task", "attend") - level("task", "ignore")')
    np.testing.assert_allclose(
        task.t, crossed.contrast(vx.emm("task").pairs()["attend - ignore"]).t, rtol=1e-10
    )


def test_derivatives_count_as_zero_and_levels_may_be_conditions(run):
    fit = vx.lm('y ~ hrf(face + house, "spm + derivative") + tool', run)
    np.testing.assert_array_equal(
        fit.contrast('level("trial_type", "face")').t, fit.contrast("face").t
    )
    some = vx.lm("y ~ face + house", run)
    with pytest.raises(ContrastError, match="tool is in no column"):
        some.contrast('emm("trial_type")')
    both = vx.emm("trial_type", at={"trial_type": ["face", "house"]})
    np.testing.assert_array_equal(some.contrast(both).F, some.contrast("face, house").F)


def test_modulators_of_a_run_need_a_value(run):
    fit = vx.lm("y ~ trial_type/rt", run)
    with pytest.raises(ContrastError, match="rt scales responses"):
        fit.contrast('emm("trial_type")')
    found = fit.contrast('level("trial_type", "face", at={"rt": 1.2})')
    np.testing.assert_allclose(found.t, fit.contrast("face + 1.2*face:rt").t, rtol=1e-12)
    for formula in ("y ~ trial_type/center(rt)", "y ~ trials(trial_type)"):
        with pytest.raises(ContrastError, match=r"of the run|column of its own"):
            vx.lm(formula, run).contrast('emm("trial_type")')
    with pytest.raises(ContrastError, match="no canonical response"):
        vx.lm("y ~ fir(trial_type, delays=[0, 1])", run).contrast('emm("trial_type")')


def test_runs_are_asked_together(run):
    fixed = vx.lm("y ~ trial_type", [run, run])
    pair = vx.emm("trial_type").pairs()["face - house"]
    np.testing.assert_allclose(fixed.contrast(pair).t, fixed.contrast("face - house").t, rtol=1e-12)
