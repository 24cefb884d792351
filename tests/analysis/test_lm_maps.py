"""The designs of the textbooks over maps, against scipy and statsmodels' formulas."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

import voxlm as vx
from voxlm.errors import DataError, DesignError

# A few hundred additions of order-one terms, in another order.
EXACT = 1e-9
V = 4


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "group": rng.permutation(list("abc") * 12),
            "sex": rng.permutation(["f", "m"] * 18),
            "age": rng.uniform(20, 70, 36),
            "subject": [f"s{k:02d}" for k in np.repeat(np.arange(18), 2)],
            "condition": ["rest", "task"] * 18,
        }
    )
    spread = np.where(table["sex"] == "m", 2.0, 1.0)[:, None]
    return vx.Maps(table, data=rng.standard_normal((36, V)) * spread + 0.4)


def theirs(formula, maps, voxel, **options):
    frame = maps.table.assign(effect=maps.values[:, voxel])
    return smf.ols(formula, frame).fit(**options)


def test_one_sample(maps):
    con = vx.lm("effect ~ 1", maps).contrast("Intercept")
    expected = stats.ttest_1samp(maps.values, 0)
    np.testing.assert_allclose(con.t, expected.statistic, rtol=EXACT)
    np.testing.assert_allclose(con.p, expected.pvalue, rtol=EXACT)
    assert (con.df == 35).all()


@pytest.mark.parametrize("equal", [True, False])
def test_two_samples(maps, equal):
    options = {} if equal else {"variance_groups": "sex"}
    con = vx.lm("effect ~ sex", maps, **options).contrast("sex[T.m]")
    male = (maps.table["sex"] == "m").to_numpy()
    expected = stats.ttest_ind(maps.values[male], maps.values[~male], equal_var=equal)
    np.testing.assert_allclose(con.t, expected.statistic, rtol=EXACT)
    np.testing.assert_allclose(con.df, expected.df, rtol=EXACT)
    np.testing.assert_allclose(con.p, expected.pvalue, rtol=EXACT)


def test_paired_samples(maps):
    con = vx.lm("effect ~ condition + subject", maps).contrast("condition[T.task]")
    expected = stats.ttest_rel(maps.values[1::2], maps.values[::2])
    np.testing.assert_allclose(con.t, expected.statistic, rtol=EXACT)
    np.testing.assert_allclose(con.p, expected.pvalue, rtol=EXACT)


def test_one_way_analysis_of_variance(maps):
    con = vx.lm("effect ~ group", maps).f_test("term(group)")
    groups = [maps.values[(maps.table["group"] == g).to_numpy()] for g in "abc"]
    expected = stats.f_oneway(*groups)
    np.testing.assert_allclose(con.F, expected.statistic, rtol=EXACT)
    np.testing.assert_allclose(con.p, expected.pvalue, rtol=EXACT)


def test_terms_of_a_factorial_design_are_type_three(maps):
    formula = "effect ~ C(group, Sum) * C(sex, Sum) + age"
    fit = vx.lm(formula, maps)
    for voxel in range(V):
        table = anova_lm(theirs(formula, maps, voxel), typ=3)
        for term in ("C(group, Sum)", "C(sex, Sum)", "C(group, Sum):C(sex, Sum)", "age"):
            con = fit.f_test(f"term({term})")
            np.testing.assert_allclose(con.F[voxel], table.loc[term, "F"], rtol=EXACT)
            np.testing.assert_allclose(con.p[voxel], table.loc[term, "PR(>F)"], rtol=EXACT)


CENTRED = 'cr(age, df=4, constraints="center")'


@pytest.mark.parametrize("basis", ["bs(age, df=4)", "poly(age, 2)", CENTRED])
def test_curves_of_a_covariate(maps, basis):
    con = vx.lm(f"effect ~ sex + {basis}", maps).f_test(f"term({basis})")
    # patsy has no poly(): any basis of the same curves gives the same test
    same = {"poly(age, 2)": "age + I(age**2)"}.get(basis, basis)
    for voxel in range(V):
        full = theirs(f"effect ~ sex + {same}", maps, voxel)
        expected = anova_lm(theirs("effect ~ sex", maps, voxel), full).iloc[1]
        np.testing.assert_allclose(con.F[voxel], expected["F"], rtol=1e-8)


@pytest.mark.filterwarnings("ignore:The design matrix is rank")
def test_natural_splines_hold_the_constant(maps):
    """patsy's cr() spans the constant: beside an intercept only differences can be asked for."""
    fit = vx.lm("effect ~ sex + cr(age, df=4)", maps)
    first, *_, last = (name for name in fit.design.names if name.startswith("cr("))
    con = fit.contrast({last: 1.0, first: -1.0})
    with pytest.raises(vx.ContrastError, match="does not determine Intercept"):
        fit.f_test("term(cr(age, df=4))")
    for voxel in range(V):
        other = theirs("effect ~ sex + cr(age, df=4)", maps, voxel)
        np.testing.assert_allclose(fit.scale[voxel], other.scale, rtol=1e-8)
        c = np.zeros(len(other.params))
        c[-1], c[-4] = 1, -1
        np.testing.assert_allclose(con.t[voxel], other.t_test(c).tvalue.item(), rtol=1e-7)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_joint_tests_with_sandwich_errors(maps, kind):
    con = vx.lm("effect ~ group + age", maps, cov_type=kind).f_test("term(group)")
    for voxel in range(V):
        fit = theirs("effect ~ group + age", maps, voxel, cov_type=kind, use_t=True)
        expected = fit.f_test("group[T.b] = 0, group[T.c] = 0")
        np.testing.assert_allclose(con.F[voxel], expected.fvalue, rtol=EXACT)
        np.testing.assert_allclose(con.p[voxel], expected.pvalue, rtol=EXACT)


def test_clusters(maps):
    con = vx.lm("effect ~ condition + age", maps, cluster="subject").contrast("condition[T.task]")
    codes = pd.factorize(maps.table["subject"])[0]
    for voxel in range(V):
        fit = theirs(
            "effect ~ condition + age",
            maps,
            voxel,
            cov_type="cluster",
            cov_kwds={"groups": codes},
            use_t=True,
        )
        expected = fit.t_test("condition[T.task] = 0")
        np.testing.assert_allclose(con.t[voxel], expected.tvalue.item(), rtol=EXACT)
        np.testing.assert_allclose(con.p[voxel], expected.pvalue.item(), rtol=EXACT)


def test_weights(maps):
    weights = np.random.default_rng(1).uniform(0.5, 3, 36)
    con = vx.lm("effect ~ group + age", maps, weights=weights).f_test("term(group)")
    for voxel in range(V):
        frame = maps.table.assign(effect=maps.values[:, voxel])
        fit = smf.wls("effect ~ group + age", frame, weights=weights).fit()
        expected = fit.f_test("group[T.b] = 0, group[T.c] = 0")
        np.testing.assert_allclose(con.F[voxel], expected.fvalue, rtol=EXACT)


def test_weights_are_numbers_or_their_column(maps):
    weights = np.random.default_rng(1).uniform(0.5, 3, 36)
    named = vx.Maps(maps.table.assign(weight=weights), data=maps.values)
    by_name = vx.lm("effect ~ age", named, weights="weight")
    by_number = vx.lm("effect ~ age", named, weights=weights)
    np.testing.assert_array_equal(by_name.bse, by_number.bse)
    with pytest.raises(vx.DataError, match=r"weights='wieght' is not a column.*'weight'"):
        vx.lm("effect ~ age", named, weights="wieght")
    for wrong in ("sex", -weights, weights[1:]):
        with pytest.raises(vx.DataError, match="36 positive numbers, one a map, or their column"):
            vx.lm("effect ~ age", named, weights=wrong)


def test_two_samples_by_huber_and_bisquare(maps):
    for norm, other in (("huber", "HuberT"), ("bisquare", "TukeyBiweight")):
        con = vx.lm("effect ~ sex + age", maps, robust=norm).contrast("sex[T.m]")
        for voxel in range(V):
            frame = maps.table.assign(effect=maps.values[:, voxel])
            model = smf.rlm("effect ~ sex + age", frame, M=getattr(sm.robust.norms, other)())
            expected = model.fit().t_test("sex[T.m] = 0")
            np.testing.assert_allclose(con.z[voxel], expected.tvalue.item(), rtol=1e-7)
            np.testing.assert_allclose(con.p[voxel], expected.pvalue.item(), rtol=1e-6)


def test_what_a_deficient_design_can_answer(maps):
    fit = vx.lm("effect ~ 0 + sex + C(sex):group + group", maps)
    assert np.linalg.matrix_rank(fit.design.matrix) <= fit.params.shape[0]
    cells = vx.lm("effect ~ 0 + sex:group", maps)
    np.testing.assert_allclose(fit.scale, cells.scale, rtol=EXACT)


def test_robust_standard_errors_need_a_residual_of_every_map():
    """HC2 and HC3 divide it by 1 - h: 0 by 0 where a column is of one map alone."""
    Y = np.random.default_rng(3).standard_normal((10, 3))
    table = pd.DataFrame({"group": list("aaaaaaaaab"), "half": list("aaaaabbbbb")})
    for kind in ("HC2", "HC3"):
        with pytest.raises(DesignError, match="fit row 10 of the table exactly"):
            vx.lm("~ group", vx.Maps(table, data=Y), cov_type=kind)
    assert np.isfinite(vx.lm("~ group", vx.Maps(table, data=Y), cov_type="HC1").bse).all()
    Y[6:, 1] = np.nan  # one map of the second half is left here
    fit = vx.lm("~ half", vx.Maps(table, data=Y), cov_type="HC3")
    assert np.isnan(fit.bse).all(axis=0).tolist() == [False, True, False]


def test_voxels_with_maps_of_one_cluster_have_no_standard_error():
    rng = np.random.default_rng(4)
    Y, table = rng.standard_normal((12, 3)), pd.DataFrame({"site": list("aaaabbbbcccc")})
    Y[4:, 1] = np.nan
    fit = vx.lm("~ 1", vx.Maps(table, data=Y), cluster="site")
    assert np.isnan(fit.bse[0]).tolist() == [False, True, False]


def test_an_array_for_a_column_is_told_where_it_goes():
    with pytest.raises(DataError, match="goes into data="):
        vx.Maps(pd.DataFrame({"age": [1.0, 2.0]}), effect=np.ones((2, 3)))
