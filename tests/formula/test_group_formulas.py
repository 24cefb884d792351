"""Group formulas: columns by name, spans against patsy and formulaic, random terms as records."""

import formulaic
import numpy as np
import pandas as pd
import patsy
import pytest

from voxlm.design.build import check
from voxlm.design.table import build_table
from voxlm.errors import DataError, DesignError, FormulaError
from voxlm.formula import Schema, parse, resolve_group
from voxlm.formula.schema import order

# Both sides compute the same sums and splines; spans are compared by projection.
TOLERANCE = 1e-10


def make_maps():
    rng = np.random.default_rng(3)
    n = 54
    subject = [f"s{k // 3 + 1:02d}" for k in range(n)]
    return pd.DataFrame(
        {
            "subject": subject,
            "cond": ["a", "b", "c"] * (n // 3),
            "time": np.tile([0.0, 1.0, 2.0], n // 3) + rng.normal(0, 0.1, n),
            "group": np.where(np.arange(n) // 3 % 2 == 0, "control", "patient"),
            "age": rng.uniform(20, 70, n),
            "iq": rng.normal(100, 15, n),
            "sex": rng.choice(["F", "M"], n),
            "site": np.array(["A", "B", "C"])[np.arange(n) // 9 % 3],
            "drug": rng.choice(["hi", "lo", "none"], n),
            "flag": rng.choice([0.0, 1.0], n),
            "my var": rng.normal(size=n),
        }
    )


MAPS = make_maps()
SCHEMA = Schema.table(MAPS)
SUBJECTS = sorted(set(MAPS.subject))

#: Formula → its fixed columns and its random terms.
TABLE = {
    "~ 1": (["Intercept"], []),
    "~ group": (["Intercept", "group[T.patient]"], []),
    "~ 0 + group": (["group[control]", "group[patient]"], []),
    "~ group - 1": (["group[control]", "group[patient]"], []),
    "~ group + age": (["Intercept", "group[T.patient]", "age"], []),
    "~ group*center(age)": (
        ["Intercept", "group[T.patient]", "center(age)", "group[T.patient]:center(age)"],
        [],
    ),
    "~ group/age": (
        ["Intercept", "group[T.patient]", "group[control]:age", "group[patient]:age"],
        [],
    ),
    "~ C(group, Treatment('patient'))": (
        ["Intercept", 'C(group, Treatment("patient"))[T.control]'],
        [],
    ),
    "~ C(site, contr.sum)": (
        ["Intercept", "C(site, contr.sum)[S.A]", "C(site, contr.sum)[S.B]"],
        [],
    ),
    "~ C(site, Helmert)": (["Intercept", "C(site, Helmert)[H.B]", "C(site, Helmert)[H.C]"], []),
    "~ C(site, Poly)": (["Intercept", "C(site, Poly)[.L]", "C(site, Poly)[.Q]"], []),
    "~ C(site, Diff)": (["Intercept", "C(site, Diff)[D.B]", "C(site, Diff)[D.C]"], []),
    "~ bs(age, df=4)": (["Intercept", *(f"bs(age, df=4)[{k}]" for k in range(1, 5))], []),
    "~ cr(age, df=4, constraints='center')": (
        ["Intercept", *(f'cr(age, df=4, constraints="center")[{k}]' for k in range(1, 5))],
        [],
    ),
    "~ poly(age, 2)": (["Intercept", "poly(age, 2)[1]", "poly(age, 2)[2]"], []),
    "~ cond + subject": (
        ["Intercept", "cond[T.b]", "cond[T.c]", *(f"subject[T.{s}]" for s in SUBJECTS[1:])],
        [],
    ),
    "~ cond + (1|subject)": (["Intercept", "cond[T.b]", "cond[T.c]"], ["(1 | subject)"]),
    "~ group*time + (1 + time|subject)": (
        ["Intercept", "group[T.patient]", "time", "group[T.patient]:time"],
        ["(1 + time | subject)"],
    ),
    "~ group*time + (time|subject)": (
        ["Intercept", "group[T.patient]", "time", "group[T.patient]:time"],
        ["(1 + time | subject)"],
    ),
    "~ time + (time || subject)": (
        ["Intercept", "time"],
        ["(1 | subject)", "(0 + time | subject)"],
    ),
    "~ time + (0 + time | subject)": (["Intercept", "time"], ["(0 + time | subject)"]),
    "~ cond + (1|subject) + (1|site)": (
        ["Intercept", "cond[T.b]", "cond[T.c]"],
        ["(1 | subject)", "(1 | site)"],
    ),
    "~ group + (1|site/subject)": (
        ["Intercept", "group[T.patient]"],
        ["(1 | site)", "(1 | site:subject)"],
    ),
    "~ group + (1|site:subject)": (["Intercept", "group[T.patient]"], ["(1 | site:subject)"]),
    "effect ~ group*age + (1|subject)": (
        ["Intercept", "group[T.patient]", "age", "group[T.patient]:age"],
        ["(1 | subject)"],
    ),
    "~ cond + (cond | subject)": (
        ["Intercept", "cond[T.b]", "cond[T.c]"],
        ["(1 + cond | subject)"],
    ),
    "~ `my var` + flag": (["Intercept", "my var", "flag"], []),
}


def design(formula, maps=MAPS):
    return build_table(resolve_group(parse(formula), Schema.table(maps)), maps)


@pytest.mark.parametrize("formula", TABLE)
def test_columns_and_random_terms(formula):
    names, random = TABLE[formula]
    made = design(formula)
    assert list(made.names) == names
    assert [block.text for block in made.random] == random
    check(made)
    again = design(str(made.meaning) if "~" in str(made.meaning) else formula)
    assert again.names == made.names
    assert [block.text for block in again.random] == random


def test_random_blocks_hold_columns_and_groups():
    (block,) = design("~ time + (1 + time | subject)").random
    assert block.names == ("Intercept", "time")
    assert np.array_equal(block.matrix[:, 1], MAPS.time)
    assert [block.levels[k] for k in block.codes] == list(MAPS.subject)
    (cells,) = design("~ 1 + (0 + cond | site)").random
    assert cells.names == ("cond[a]", "cond[b]", "cond[c]")
    nested = design("~ 1 + (1 | site/subject)").random[1]
    assert nested.group == "site:subject"
    assert nested.levels[0] == "A:s01"


#: Formulas in the words of patsy and formulaic, and in ours where they differ.
ALGEBRA = [
    "1", "age", "group", "group + age", "age + group", "group + age + sex", "sex + age + group",
    "group * age", "group : age", "group / age", "age / group", "group * sex", "group : sex",
    "group / sex", "group * sex * age", "(group + sex + age)**2", "(group + sex + cond)**2",
    "(group + age)**2", "group * sex - group:sex", "group * age - age", "0 + group",
    "0 + group + sex", "0 + age", "0 + group:sex", "0 + group*age", "0 + group:age",
    "group + group:age", "group + sex:age", "group:sex:age", "cond * group + age:iq",
    "age * iq", "age + I(age**2)", "I(age * iq)", "I(age / iq) + group", "np.log(age)",
    "np.exp(age / 50)", "np.sqrt(age)", "center(age)", "center(age) * group",
    "C(group, Treatment('patient'))", "C(site, Sum)", "C(site, Helmert)", "C(site, Poly)",
    "C(site, Diff)", "C(site, Sum) * age", "C(drug, Sum) * C(site, Sum)", "bs(age, df=4)",
    "bs(age, df=5, degree=2) + group", "bs(age, knots=[35, 50])", "site * cond + drug",
    "cond + subject", "flag * group",
]  # fmt: skip


def projector(X):
    Q, R = np.linalg.qr(X / np.linalg.norm(X, axis=0))
    assert np.min(np.abs(np.diag(R))) > 1e-8
    return Q @ Q.T


def in_our_words(text):
    return text.replace("np.", "")


@pytest.mark.parametrize("text", ALGEBRA)
def test_spans_what_patsy_and_formulaic_span(text):
    ours = design(f"~ {in_our_words(text)}").matrix
    theirs = np.asarray(patsy.dmatrix(text, MAPS))
    assert ours.shape == theirs.shape
    # At degree one every square matrix of full rank spans all; these tables are taller.
    assert np.max(np.abs(projector(ours) - projector(theirs))) < TOLERANCE
    for word in ("Sum", "Helmert", "Poly", "Diff"):
        text = text.replace(f", {word})", f", contr.{word.lower()})")
    text = text.replace("Treatment(", "contr.treatment(")
    other = np.asarray(formulaic.model_matrix(text, MAPS))
    assert np.max(np.abs(projector(ours) - projector(other))) < TOLERANCE


@pytest.mark.parametrize(
    "text",
    ["group*age", "group/age + sex", "C(site, contr.sum)*age", "0 + group:sex", "cond*group"],
)
def test_names_and_values_are_formulaics_where_it_orders_by_degree(text):
    theirs = formulaic.model_matrix(text, MAPS)
    ours = design(f"~ {text}")
    assert list(ours.names) == list(theirs.columns)
    assert np.max(np.abs(ours.matrix - theirs.to_numpy())) < TOLERANCE


def test_new_rows_are_coded_with_the_old_means_and_knots():
    made = design("~ group*center(age) + poly(iq, 2) + bs(age, df=4)")
    again = made.meaning.rows(MAPS.iloc[10:20])
    assert np.max(np.abs(again - made.matrix[10:20])) < TOLERANCE
    with pytest.raises(DataError, match="levels here that the formula was not read with: other"):
        made.meaning.rows(MAPS.iloc[:2].assign(group="other"))


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("~ grup", "did you mean 'group'?"),
        ("~ age*(1|subject)", "can only be added"),
        ("~ age:(1|subject)", "can only be added"),
        ("~ age - (1|subject)", "cannot be taken away"),
        ("~ age + (1|subjct)", "did you mean 'subject'?"),
        ("~ age + (1|subject*site)", "a group is a column"),
        ("~ age + (1|(1|subject))", "a group is a column"),
        ("~ age + ((1|site)|subject)", "random term inside a random term"),
        ("~ age + (0|subject)", "nothing varies"),
        ("~ age | subject", "stands in parentheses"),
        ("~ (age | subject", "never closed"),
        ("~ group - age", "removes nothing"),
        ("~ 0", "no column is left"),
        ("~ 0 + age - 1", "already gone"),
        ("~ hrf(age)", "belongs to formulas of one run"),
        ("~ C(group, Sume)", "did you mean 'Sum'?"),
        ("~ C(group, Treatment('nobody'))", "is no level"),
        ("~ poly(age)", None),
        ("~ poly(group, 2)", "holds words"),
        ("~ bs(age, df=2)", "cannot be computed"),
    ],
)
def test_what_a_group_formula_cannot_say(formula, sentence):
    if sentence is None:
        assert design(formula).names == ("Intercept", "poly(age)[1]")
        return
    with pytest.raises(FormulaError) as caught:
        design(formula)
    assert sentence in str(caught.value)


def test_missing_covariates_are_named_and_never_dropped():
    maps = MAPS.copy()
    maps.loc[[3, 7], "age"] = np.nan
    with pytest.raises(DataError, match="age has no finite value in rows 4, 8"):
        design("~ group + age", maps)
    maps.loc[2, "subject"] = None
    with pytest.raises(FormulaError, match="subject is missing in 1 of 54 rows"):
        design("~ group + (1 | subject)", maps)


def test_nested_factors_and_unconstrained_splines_are_rank_errors():
    with pytest.raises(DesignError, match=r"subject\[T.s18\]"):
        check(design("~ group + subject"))
    with pytest.raises(DesignError, match="rank 4"):
        check(design("~ cr(age, df=4)"))


def test_numbers_that_may_be_labels_are_said_so():
    maps = MAPS.assign(centre=np.arange(54) % 3 + 1)
    assert any("write C(centre)" in note for note in design("~ centre", maps).notes)
    assert design("~ C(centre)", maps).notes == ()
    assert design("~ C(centre)", maps).names[1] == "C(centre)[T.2]"


def test_text_that_reads_as_numbers_keeps_its_labels():
    maps = MAPS.assign(code=["01", "02", "10"] * 18)
    assert design("~ C(code)", maps).names == ("Intercept", "C(code)[T.02]", "C(code)[T.10]")
    np.testing.assert_array_equal(design("~ code", maps).matrix[:3, 1], [1, 2, 10])


def test_scale_and_standardize_differ_in_the_divisor():
    made = design("~ scale(age) + standardize(iq)")
    assert np.std(made.matrix[:, 1], ddof=1) == pytest.approx(1.0)
    assert np.std(made.matrix[:, 2], ddof=0) == pytest.approx(1.0)


def test_the_resolution_table():
    table = resolve_group(parse("~ group*age + (1 | subject)"), SCHEMA).table()
    rows = {row.word: row for row in table.itertuples()}
    assert rows["age"].columns == "age, group[T.patient]:age"
    assert rows["subject"].columns == "(1 | subject)"


def test_colons_in_labels_join_no_groups():
    maps = pd.DataFrame({"site": ["a:b", "a", "a:b"], "room": ["c", "b:c", "c"]})
    made = build_table(resolve_group(parse("~ 1 + (1 | site:room)"), Schema.table(maps)), maps)
    assert made.random[0].codes.tolist() == [0, 1, 0]
    assert made.random[0].levels == ("'a:b':'c'", "'a':'b:c'")


def test_a_sign_before_a_power_is_of_the_power():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    found = build_table(resolve_group(parse("~ 0 + I(2*-x^2)"), Schema.table(frame)), frame)
    assert found.matrix[:, 0].tolist() == [-2.0, -8.0, -18.0]


def test_labels_with_underscores_are_no_numbers():
    frame = pd.DataFrame({"block": ["1_1", "1_2"], "n": ["1", "2"]})
    assert [v.kind for v in Schema.table(frame).variables] == ["categorical", "numeric"]


def test_a_missing_value_does_not_change_the_order_of_levels():
    assert order(pd.Series([3.0, np.nan, 1.0])) == ["1", "3"]
