"""What is written for statsmodels fits the same model; what is written for R reads as R does."""

import shutil
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from voxlm.design.table import build_table
from voxlm.errors import VoxlmError
from voxlm.formula import Schema, parse, resolve, resolve_group
from voxlm.formula.export import to_r, to_statsmodels

# Least squares on two bases of one span.
TOLERANCE = 1e-8


def make_data():
    rng = np.random.default_rng(5)
    n = 60
    d = pd.DataFrame(
        {
            "subject": np.repeat([f"s{k:02d}" for k in range(20)], 3),
            "site": np.repeat(["A", "B", "C", "D"], 15),
            "time": np.tile([0.0, 1.0, 2.0], 20),
            "group": np.repeat(["control", "patient"], 30),
            "age": rng.uniform(20, 60, n),
            "my var": rng.normal(size=n),
        }
    )
    level = dict(zip(sorted(set(d.subject)), rng.normal(0, 2, 20), strict=True))
    d["y"] = d.age * 0.1 + d.subject.map(level) + d.time * rng.normal(1, 0.1, n)
    d["y"] += rng.normal(size=n)
    return d


D = make_data()


def meaning_of(text):
    return resolve_group(parse(text), Schema.table(D))


@pytest.mark.parametrize(
    "text",
    [
        "y ~ group*age",
        "y ~ 0 + group + center(age)",
        "y ~ C(group, Treatment('patient')) + I(age^2 + time)",
        "y ~ C(site, Sum) + log(age)*time",
        "y ~ bs(age, df=4) + `my var`",
        "y ~ scale(age) + standardize(time)",
    ],
)
def test_statsmodels_fits_the_same_columns(text):
    meaning = meaning_of(text)
    call = to_statsmodels(meaning)
    theirs = eval(call, {"smf": smf, "np": np, "d": D})
    ours = sm.OLS(D.y, build_table(meaning, D).matrix).fit()
    assert np.max(np.abs(theirs.fittedvalues - ours.fittedvalues)) < TOLERANCE


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("y ~ age + (1 | subject)", "groups='subject'"),
        ("y ~ age + (1 + time | subject)", "groups='subject', re_formula='1 + time'"),
        ("y ~ age + (0 + time | subject)", "groups='subject', re_formula='0 + time'"),
        (
            "y ~ age + (time || subject)",
            "groups='subject', re_formula='1', vc_formula={'time': '0 + time'}",
        ),
        (
            "y ~ age + (1 | site/subject)",
            "groups='site', re_formula='1', vc_formula={'subject': '0 + C(subject)'}",
        ),
        (
            "y ~ age + (1 | subject) + (1 | site)",
            "groups=np.ones(len(d)), re_formula='0', "
            "vc_formula={'subject': '0 + C(subject)', 'site': '0 + C(site)'}",
        ),
    ],
)
def test_mixed_models_are_written_as_statsmodels_takes_them(text, options):
    call = to_statsmodels(meaning_of(text))
    assert f"data=d, {options})" in call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = eval(call, {"smf": smf, "np": np, "d": D})
    assert list(result.fe_params.index) == ["Intercept", "age"]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("y ~ group*age", "lm(y ~ 1 + group + age + group:age, data = d)"),
        ("y ~ 0 + group", "lm(y ~ 0 + group, data = d)"),
        ("~ C(site, Sum)", "lm(y ~ 1 + C(factor(site), contr.sum), data = d)"),
        (
            "~ C(group, Treatment('patient'))",
            'lm(y ~ 1 + relevel(factor(group), ref = "patient"), data = d)',
        ),
        ("~ bs(age, df=4) + I(age^2)", "lm(y ~ 1 + splines::bs(age, df=4) + I(age ^ 2), data = d)"),
        ("~ `my var`", "lm(y ~ 1 + `my var`, data = d)"),
        (
            "y ~ time + (time || site/subject)",
            "lme4::lmer(y ~ 1 + time + (1 | site) + (0 + time | site) + (1 | site:subject) "
            "+ (0 + time | site:subject), data = d, REML = TRUE)",
        ),
    ],
)
def test_r_calls(text, call):
    assert to_r(meaning_of(text)) == call


R_MODELS = [
    "y ~ group*age",
    "y ~ 0 + group + center(age)",
    "y ~ C(group, Treatment('patient')) + I(age^2 + time)",
    "y ~ C(site, Sum) + log(age)*time",
    "y ~ C(site, Helmert)*age",
    "y ~ C(site, Poly) + time",
    "y ~ C(site, Diff) + poly(age, 3)",
    "y ~ bs(age, df=4) + `my var` + scale(time)",
]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed here")
def test_r_estimates_the_same_coefficients(tmp_path):
    D.to_csv(tmp_path / "d.csv", index=False, float_format="%.17g")
    lines = [f"d <- read.csv('{tmp_path}/d.csv', check.names = FALSE)"]
    for text in R_MODELS:
        lines.append(f"cat(sprintf('%.17g', coef({to_r(meaning_of(text))})), '\\n')")
    script = tmp_path / "fit.R"
    script.write_text("\n".join(lines))
    done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip(f"R lacks a package: {done.stderr.strip()[:120]}")
    assert done.returncode == 0, done.stderr
    for text, line in zip(R_MODELS, done.stdout.strip().splitlines(), strict=True):
        theirs = np.array([float(word) for word in line.split()])
        ours = sm.OLS(D.y, build_table(meaning_of(text), D).matrix).fit().params.to_numpy()
        assert theirs == pytest.approx(ours, rel=1e-6, abs=1e-8), text


def test_first_level_calls():
    events = pd.DataFrame({"onset": [0.0], "duration": [1.0], "trial_type": ["face"]})
    meaning = resolve(parse("y ~ face"), Schema.of(events))
    assert to_r(meaning) == "lm(y ~ 0 + ., data = d)"
    assert "nlme::corARMA(p = 2" in to_r(meaning, ar=2)
    assert to_statsmodels(meaning) == "sm.OLS(y, X).fit()"
    assert to_statsmodels(meaning, ar=2) == "sm.GLSAR(y, X, rho=2).iterative_fit(maxiter=3)"


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (to_r, "y ~ cr(age, df=4)"),
        (to_r, "y ~ center(age, within=group)"),
        (to_statsmodels, "y ~ poly(age, 2)"),
        (to_statsmodels, "y ~ center(age, within=group)"),
        (to_statsmodels, "y ~ age + (1 + time | subject) + (1 | site)"),
    ],
)
def test_what_has_no_equivalent_is_said(write, text):
    with pytest.raises(VoxlmError, match=r"no equivalent|cannot express"):
        write(meaning_of(text))
