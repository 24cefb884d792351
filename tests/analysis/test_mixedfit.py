"""What a mixed fit answers, for every kind of random terms: statsmodels, lme4 and algebra agree."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.formula.api import ols

from voxlm.analysis.anova import anova
from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.bids.maps import Maps
from voxlm.contrasts.means import emm
from voxlm.errors import DataError, DesignError, FormulaError, VoxlmWarning

sys.path.append(str(Path(__file__).parents[1] / "models"))
from lme4_pinned import MAPS, TABLE, answers

# statsmodels' optimiser stops near the optimum.
MIXED = 5e-4
# lme4 stops where its derivative-free search no longer sees the deviance change.
LME4, DF = 1e-6, 1e-5
# Differences of differences of the deviance.
HESSIAN = 1e-4
# The same algebra in another order.
EXACT = 1e-9

TERMS = {
    "intercept": "~ group * age + time + (1 | subject)",
    "slope": "~ group * time + (1 + time | subject)",
    "apart": "~ group * time + (time || subject)",
    "nested": "~ group + age + time + (1 | site/subject)",
    "crossed": "~ group + age + time + (1 | subject) + (1 | item)",
    "mixed": "~ group * time + (1 + time | subject) + (1 | site)",
    "two": "~ group * time + (1 + time | subject) + (1 + time | site)",
}
SAID = [name for name in TERMS if name not in ("mixed", "two")]
FITS = {}
PINNED = Path(__file__).parents[2] / "validation/lme4/pinned"
PROFILES = pd.read_csv(PINNED / "profile.csv.gz")


def fitted(name, **options):
    key = name, tuple(options.items())
    if key not in FITS:
        FITS[key] = lmer(TERMS[name], Maps(TABLE, data=MAPS), **options)
    return FITS[key]


@pytest.mark.parametrize("name", SAID)
def test_voxels_are_mixedlm(name):
    found = fitted(name).check(n=2)
    assert (found.loc[["params", "scale"], "largest_relative"] < MIXED).all()
    assert found.loc["deviance_excess", "largest_absolute"] < 1e-6


@pytest.mark.parametrize("name", ["mixed", "two"])
def test_terms_that_mixedlm_cannot_say_are_named(name):
    with pytest.raises(DataError, match="no words for"):
        fitted(name).voxel(0)


@pytest.mark.parametrize("name", ["intercept", "slope", "crossed"])
def test_hessian_covariance_is_mixedlm(name):
    plain, fit = fitted(name), fitted(name, cov="hessian")
    voxel = int(np.flatnonzero(~fit.singular)[0])
    theirs = np.asarray(fit.voxel(voxel).bse_fe)
    np.testing.assert_allclose(fit.bse[:, voxel], theirs, rtol=HESSIAN)
    assert (fit.bse >= plain.bse * (1 - EXACT)).all()
    np.testing.assert_allclose(fit.bse[:, fit.singular], plain.bse[:, fit.singular], rtol=0.05)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SAID)
def test_information_criteria_are_lme4(name, reml):
    theirs, fit = answers(name, reml), fitted(name, reml=reml)
    same = np.abs(fit.deviance - theirs("deviance")[0]) < 1e-6
    np.testing.assert_allclose(fit.aic[same], theirs("aic")[0, same], atol=1e-6)
    np.testing.assert_allclose(fit.bic[same], theirs("bic")[0, same], atol=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_fitted_values_and_shares_are_algebra(name):
    fit = fitted(name)
    modes = fit.ranef()
    assert fit.converged.all()
    for v in (0, 5):
        expected = fit.design.matrix @ fit.params[:, v]
        spread = expected.var(ddof=1)
        between = 0.0
        for block in fit.design.random:
            found = np.atleast_2d(modes[block.text][..., v].T).T
            expected = expected + (block.matrix * found[block.codes]).sum(axis=1)
            cov = fit.cov_re[block.text][:, :, v]
            between += np.einsum("na,ab,nb->n", block.matrix, cov, block.matrix).mean()
        np.testing.assert_allclose(fit.fittedvalues[:, v], expected, rtol=EXACT, atol=1e-12)
        np.testing.assert_allclose(fit.resid[:, v], MAPS[:, v] - expected, rtol=1e-7, atol=1e-9)
        total = spread + between + fit.scale[v]
        np.testing.assert_allclose(fit.rsquared_marginal[v], spread / total, rtol=EXACT)
        share = (spread + between) / total
        np.testing.assert_allclose(fit.rsquared_conditional[v], share, rtol=EXACT)
        np.testing.assert_allclose(fit.icc[v], between / (between + fit.scale[v]), rtol=EXACT)
    assert fit.VarCorr(0)["groups"].iloc[-1] == "Residual"


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", ["intercept", "slope", "nested", "parts"])
def test_terms_are_lmertest(name, kind):
    formula = TERMS.get(name, "~ group * time + item + (1 | subject)")
    fit, theirs = lmer(formula, Maps(TABLE, data=MAPS)), answers(name, True)
    found = fit.anova(kind)
    same = np.abs(fit.deviance - theirs("deviance")[0]) < 1e-6
    inside = same & ~fit.singular & (np.abs(fit.theta) > 0.1).all(axis=0)
    assert inside.sum() >= 3
    F, df = theirs(f"anova{kind}_F"), theirs(f"anova{kind}_df")
    np.testing.assert_allclose(found.F[:, inside], F[:, inside], rtol=2e-6)
    ours = np.stack([test.df for test in found.tests.values()])
    np.testing.assert_allclose(ours[:, inside], df[:, inside], rtol=DF)
    assert f"Type {'I' * kind} tests" in repr(found)


def test_terms_of_least_squares_are_statsmodels():
    fit = lm_maps("~ group * time + item", Maps(TABLE, data=MAPS))
    found = fit.anova(3)
    coded = "y ~ C(group, Sum) * time + C(item, Sum)"
    theirs = sm.stats.anova_lm(ols(coded, TABLE.assign(y=MAPS[:, 4])).fit(), typ=3)
    theirs.index = [name.replace(", Sum)", "").replace("C(", "") for name in theirs.index]
    for name in found.terms:
        np.testing.assert_allclose(found[name].F[4], theirs.loc[name, "F"], rtol=1e-8)
        np.testing.assert_allclose(found[name].p[4], theirs.loc[name, "PR(>F)"], rtol=1e-7)


def test_sequential_terms_of_least_squares_are_falls_of_the_residual():
    fit = lm_maps("~ group * time + item", Maps(TABLE, data=MAPS))
    found, X = fit.anova(1), fit.design.matrix
    stops = {"group": 2, "time": 3, "item": 10, "group:time": 11}
    start = 1
    for name, stop in stops.items():
        rss = [sm.OLS(MAPS[:, 4], X[:, :k]).fit().ssr for k in (start, stop)]
        expected = (rss[0] - rss[1]) / (stop - start) / fit.scale[4]
        np.testing.assert_allclose(found[name].F[4], expected, rtol=1e-8)
        start = stop


def test_term_tests_read_and_refuse():
    found = fitted("intercept").anova()
    assert found.tidy([0, 3])["term"].tolist() == 2 * ["group", "age", "time", "group:age"]
    assert found["age"].image("F").shape == (12,)
    with pytest.raises(DataError, match=r"no term called .agee."):
        found["agee"]
    with pytest.raises(DataError, match="type 1, 2 or 3"):
        fitted("intercept").anova(4)
    with pytest.raises(DataError, match="no term to test"):
        lmer("~ 1 + (1 | subject)", Maps(TABLE, data=MAPS)).anova()


@pytest.mark.parametrize("name", ["intercept", "nested"])
def test_profile_bounds_are_where_the_likelihood_says(name):
    fit, ml = fitted(name), fitted(name).refit(reml=False)
    v, y = 0, MAPS[:, 0]
    bounds = fit.conf_int(method="profile", voxels=[v])[:, :, 0]
    X, K = fit.design.matrix, len(fit.design.random)
    limit = stats.chi2.isf(0.05, 1)

    def least(column, value):
        def at(x):
            V = x[0] ** 2 * np.eye(len(y))
            for block, sd in zip(fit.design.random, x[1:], strict=True):
                V = V + sd**2 * np.equal.outer(block.codes, block.codes)
            keep = np.arange(X.shape[1]) != column
            left = y if column is None else y - value * X[:, column]
            Z = X if column is None else X[:, keep]
            W = np.linalg.solve(V, np.c_[Z, left])
            beta = np.linalg.solve(Z.T @ W[:, :-1], Z.T @ W[:, -1])
            r = left - Z @ beta
            return np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)

        start = np.r_[ml.sigma[v], np.sqrt(ml.components[:, v]) + 0.05]
        options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}
        return optimize.minimize(at, start, method="Nelder-Mead", options=options).fun

    best = least(None, 0.0)
    for side in range(2):
        rise = least(3, bounds[3, side]) - best
        np.testing.assert_allclose(rise, limit, atol=1e-5)
    assert len(ml.components) == K


# Where a variance is zero lme4's splines turn a corner; elsewhere both are exact.
SPLINE, PROFILE = 1e-2, 1e-6


@pytest.mark.parametrize("name", ["intercept", "nested", "apart"])
def test_profile_bounds_are_lme4(name):
    fit = fitted(name)
    asked = {"method": "profile", "voxels": np.arange(6)}
    fixed, random = fit.conf_int(**asked), fit.conf_int(**asked, of="random")
    ml, compared = fit.refit(reml=False), 0
    for v in range(6):
        part = PROFILES[(PROFILES["model"] == name) & (PROFILES["voxel"] == v)]
        theirs = part[part["quantity"] == "profile"]["value"].to_numpy()
        if theirs.size == 0:
            continue
        theirs = theirs.reshape(-1, 2)[len(random) :]
        good = np.isfinite(theirs).all(axis=1)
        width = np.ptp(fixed[:, :, v], axis=1)
        gap = np.abs(fixed[:, :, v] - theirs).max(axis=1) / width
        assert (gap[good] < (SPLINE if ml.singular[v] else PROFILE)).all()
        compared += good.sum()
    assert compared >= 10


# nlme's optimiser stops here.
NLME = 2e-6


@pytest.mark.parametrize("name", ["intercept", "slope", "nested"])
def test_equal_to_nlme(name):
    fit = fitted(name)
    part = PROFILES[PROFILES["model"] == name]
    compared = 0
    for v in range(fit.n_voxels):
        mine = part[part["voxel"] == v].groupby("quantity")["value"].apply(np.array)
        if "lme_deviance" not in mine:
            continue  # nlme failed
        assert fit.deviance[v] <= mine["lme_deviance"][0] + 1e-8
        if fit.singular[v]:
            continue  # nlme has no variance of zero: it stops beside it
        np.testing.assert_allclose(fit.params[:, v], mine["lme_beta"], rtol=NLME, atol=NLME)
        np.testing.assert_allclose(fit.bse[:, v], mine["lme_se"], rtol=NLME)
        np.testing.assert_allclose(fit.sigma[v], mine["lme_sigma"][0], rtol=NLME)
        compared += 1
    assert compared >= 6


def test_profile_bounds_of_deviations():
    fit = fitted("nested")
    bounds = fit.conf_int(method="profile", of="random")
    ml = fit.refit(reml=False)
    sd = np.sqrt(np.concatenate([ml.components, ml.scale[None]]))
    assert bounds.shape == (3, 2, 12)
    assert (bounds[:, 0] <= sd + 1e-9).all()
    assert (bounds[:, 1] >= sd - 1e-9).all()
    assert (bounds[:, 0][sd == 0] == 0).all()
    with pytest.raises(DataError, match="method='profile'"):
        fit.conf_int(of="random")
    with pytest.raises(DataError, match="'wald' or 'profile'"):
        fit.conf_int(method="likelihood")


def test_one_random_term_against_none():
    maps = Maps(TABLE, data=MAPS)
    for reml in (True, False):
        fit = lmer("~ time + (1 | subject)", maps, reml=reml)
        found = anova(lm_maps("~ time", maps), fit)
        assert found.df == 1
        assert (np.abs(found.stat[fit.singular]) < 1e-8).all()
        assert (found.stat > -1e-8).all()
    slope = lmer("~ time + (1 + time | subject)", maps)
    both = anova(lmer("~ time + (1 | subject)", maps), slope)
    assert both.df == 2
    expected = 0.5 * (stats.chi2.sf(both.stat, 1) + stats.chi2.sf(both.stat, 2))
    np.testing.assert_allclose(both.p, expected, atol=1e-9)
    assert "½χ²(1) + ½χ²(2)" in repr(both)


@pytest.mark.parametrize("name", TERMS)
def test_certificates_are_maps(name):
    fit = fitted(name)
    assert (fit.gain <= 1e-8).all()
    assert (fit.curvature > -1e-4).all()
    assert fit.image("curvature").shape == (12,)


@pytest.mark.parametrize("name", ["slope", "nested", "crossed", "two"])
def test_holes_are_fitted_on_the_maps_that_are_there(name):
    Y = MAPS.copy()
    Y[[3, 40], 1], Y[7, 2] = np.nan, np.nan
    fit = lmer(TERMS[name], Maps(TABLE, data=Y))
    for v in (1, 2):
        rows = np.isfinite(Y[:, v])
        table = TABLE[rows].reset_index(drop=True)
        alone = lmer(TERMS[name], Maps(table, data=Y[rows, v : v + 1]))
        np.testing.assert_allclose(fit.deviance[v], alone.deviance[0], rtol=EXACT)
        np.testing.assert_allclose(fit.params[:, v], alone.params[:, 0], rtol=1e-5)
    assert np.isnan(fit.fittedvalues[3, 1])


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
@pytest.mark.parametrize("name", ["slope", "nested", "crossed"])
def test_to_r_runs(tmp_path, name):
    fit = fitted(name)
    script = fit.to_r(tmp_path, 0)
    with script.open("a") as file:
        file.write("cat(sprintf('%.12f', fixef(fit)), sprintf('%.12f', logLik(fit)))\n")
    asked = ["Rscript", script.name]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "no package" in done.stderr:
        pytest.skip("lmerTest is not installed")
    numbers = [float(word) for word in done.stdout.splitlines()[-1].split()]
    np.testing.assert_allclose(numbers[:-1], fit.params[:, 0], rtol=1e-4)
    np.testing.assert_allclose(-2 * numbers[-1], fit.deviance[0], rtol=1e-8)


@pytest.mark.parametrize("name", ["slope", "two"])
def test_summary_reads_like_lme4(name):
    said = repr(fitted(name))
    for words in ("REML criterion", "Corr", "groups: subject 45", "Std. Error", "(Intercept)"):
        assert words in said


BAD = [
    ("~ time + (1 | one)", {}, DesignError, "one has one level, a"),
    ("~ time + (1 | each)", {}, DesignError, "as many levels as there are maps"),
    ("~ time + (1 | subjct)", {}, FormulaError, "subject"),
    ("~ 1 + (1 + flat | subject)", {}, DesignError, "same in every map"),
    ("~ time + (1 | subject)", {"df": "kr"}, DataError, "df must be"),
    ("~ time + (1 | subject)", {"cov": "robust"}, DataError, "cov must be"),
    ("~ time + (1 | subject)", {"df": "kenward-roger", "reml": False}, DataError, "by REML"),
    ("~ time + (1 | subject)", {"df": "kenward-roger", "cov": "hessian"}, DataError, "by REML"),
]


@pytest.mark.parametrize(("formula", "options", "error", "words"), BAD)
def test_bad_input_is_named(formula, options, error, words):
    table = TABLE.assign(one="a", each=[f"r{k}" for k in range(len(TABLE))], flat=3.0)
    with pytest.raises(error, match=words):
        lmer(formula, Maps(table, data=MAPS), **options)


def test_fewer_maps_than_columns():
    table = pd.DataFrame({"g": list("aabb"), **{f"x{k}": np.arange(4.0) ** k for k in (1, 2, 3)}})
    with pytest.raises((DataError, DesignError)):
        lmer(
            "~ x1 + x2 + x3 + (1 | g)",
            Maps(table, data=np.random.default_rng(0).normal(size=(4, 2))),
        )


def test_numbers_that_may_be_labels_are_noted():
    table = TABLE.assign(scanner=np.arange(len(TABLE)) % 3)
    with pytest.warns(VoxlmWarning, match=r"write C\(scanner\) if they are labels"):
        fit = lmer("~ scanner + (1 | subject)", Maps(table, data=MAPS))
    assert "write C(scanner) if they are labels" in repr(fit)


@pytest.mark.parametrize("name", TERMS)
def test_marginal_means_and_pairs_are_rows_of_the_columns(name):
    fit = fitted(name)
    means = fit.contrast(emm("group", at={"time": 1.5}))
    row = np.zeros((2, len(fit.design.names)))
    for k, column in enumerate(fit.design.names):
        slope = 1.5 if "time" in column else 1.0
        slope *= TABLE["age"].mean() if "age" in column else 1.0
        row[:, k] = slope
        if "patient" in column:
            row[0, k] = 0.0
    assert means.effect == pytest.approx(row @ fit.params, rel=EXACT)
    pair = fit.contrast(emm("group", at={"time": 1.5}).pairs())
    plain = fit.contrast(row[1] - row[0])
    assert np.abs(pair.t) == pytest.approx(np.abs(plain.t), rel=EXACT)
    assert pair.df == pytest.approx(plain.df, rel=EXACT)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("base", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("name", ["slope", "nested", "crossed", "mixed"])
def test_units_and_baseline_change_nothing(name, base, factor):
    fit, other = fitted(name), lmer(TERMS[name], Maps(TABLE, data=base + factor * MAPS))
    inside = (fit.theta > 0.05).all(axis=0)
    # a baseline of 1e6 on a scale of 1e-3 leaves the data nine digits fewer
    lost = np.finfo(float).eps * max(base, 1.0) / factor
    close = max(1e-7, 1e3 * lost)
    assert (other.singular == fit.singular)[inside].all()
    assert other.sigma[inside] == pytest.approx(factor * fit.sigma[inside], rel=close)
    assert other.bse[:, inside] == pytest.approx(factor * fit.bse[:, inside], rel=close)
    assert other.theta[:, inside] == pytest.approx(fit.theta[:, inside], rel=1e3 * close)
    less = fit.design.names.index("time")
    assert other.params[less, inside] == pytest.approx(
        factor * fit.params[less, inside], abs=factor * close
    )


def test_a_term_stands_once():
    with pytest.raises(DesignError, match="stands twice"):
        lmer("~ time + (1 | subject) + (1 | subject)", Maps(TABLE, data=MAPS))


def test_tables_of_a_region_stack_those_of_its_voxels():
    fit = fitted("slope")
    region = np.arange(MAPS.shape[1]) % 5 == 0
    whole = fit.tidy(region)
    parts = pd.concat([fit.tidy(int(v)) for v in np.flatnonzero(region)], ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)
