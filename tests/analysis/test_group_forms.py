"""Formulas of every shape, weights, offsets and marginal means against R's pinned answers."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import voxlm as vx
from voxlm.analysis.anova import anova
from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.bids.maps import Maps
from voxlm.errors import DataError
from voxlm.models.intervals import deviance_at

PINNED = Path(__file__).parents[2] / "validation/lme4/pinned"
TABLE = pd.read_csv(PINNED / "forms_table.csv")
DATA = pd.read_csv(PINNED / "forms_maps.csv").to_numpy()
ANSWERS = pd.read_csv(PINNED / "forms.csv.gz").sort_values("index", kind="stable")
CORRELATIONS = pd.read_csv(PINNED / "correlations.csv")

# lme4 stops where its derivative-free search no longer sees the deviance change.
DEVIANCE, LME4, THETA, DF = 1e-8, 1e-6, 1e-4, 1e-5
# pbkrtest inverts matrices of all maps.
KENWARD = 1e-4
# Nearer to a boundary lmerTest's numerical derivatives are the difference.
INSIDE = 0.1

FORMS = {
    "slope_only": "group * time + (0 + time | subject)",
    "crossing": "group + time + (1 | hospital:cond)",
    "three": "age + time + (1 | hospital/ward/bed)",
    "square": "time + I(time**2) + (1 + time + I(time**2) | subject)",
    "cells": "cond + (0 + cond | subject)",
    "factor_apart": "cond + time + (cond || hospital)",
    "two_of_one": "group * time + (1 | subject) + (0 + time | subject)",
    "products": "group * cond * time + (1 + time | subject)",
    "poly": "poly(age, 2) * group + time + (1 | subject)",
    "bs": "bs(age, df=4) + time + (1 | subject)",
    "sums": "C(group, Sum) * C(cond, Sum) + time + (1 | subject)",
    "offset": "group + time + offset(known) + (1 | subject)",
    "offset_slope": "group + offset(log(1 + age)) + time + (1 + time | subject)",
    "weights": "group * time + (1 | subject)",
    "weights_slope": "group * time + (1 + time | subject)",
    "weights_nested": "age + time + (1 | hospital/ward)",
    "weights_crossed": "group + time + (1 | subject) + (1 | cond)",
    "weights_offset": "group + time + offset(known) + (1 | subject)",
}
FITS = {}


def fitted(name, reml=True, **options):
    key = name, reml, tuple(options.items())
    if key not in FITS:
        weights = "w" if name.startswith("weights") else None
        maps = Maps(TABLE, data=DATA)
        FITS[key] = lmer(f"~ {FORMS[name]}", maps, reml=reml, weights=weights, **options)
    return FITS[key]


def theirs(name, reml=True):
    part = ANSWERS[(ANSWERS["model"] == name) & (ANSWERS["reml"] == int(reml))]

    def get(quantity):
        rows = part[part["quantity"] == quantity]
        return rows.pivot(index="index", columns="voxel", values="value").to_numpy()

    return get


def inside(name, reml, get, fit):
    """Tell where both are at one optimum, with every deviation away from zero."""
    gap = get("deviance")[0] - fit.deviance
    components = np.sqrt(fit.components / fit.scale).min(axis=0)
    return (gap < LME4) & (components > INSIDE) & ~fit.singular & (get("singular")[0] == 0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_equal_to_lme4(name, reml):
    fit, get = fitted(name, reml), theirs(name, reml)
    assert (fit.deviance <= get("deviance")[0] + DEVIANCE).all()
    good = inside(name, reml, get, fit)
    for ours, quantity in (
        (fit.params, "beta"), (fit.bse, "se"), (fit.sigma[None], "sigma"), (fit.aic[None], "aic"),
        (fit.bic[None], "bic"), (fit.fittedvalues[:5], "fitted"),
    ):  # fmt: skip
        np.testing.assert_allclose(ours[:, good], get(quantity)[:, good], rtol=LME4, atol=LME4)
    ours, told = (np.sort(np.abs(t[:, good]), axis=0) for t in (fit.theta, get("theta")))
    np.testing.assert_allclose(ours, told, rtol=THETA, atol=THETA)
    np.testing.assert_allclose(fit.df[:, good], get("df")[:, good], rtol=DF)


def test_most_voxels_are_compared():
    counts = {n: inside(n, True, theirs(n), fitted(n)).sum() for n in FORMS}
    assert sum(counts.values()) >= 2 * len(FORMS), counts


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", FORMS)
def test_terms_are_lmertest(name, kind):
    fit, get = fitted(name), theirs(name)
    good = inside(name, True, get, fit)
    if (name, kind) == ("poly", 2):
        return  # lmerTest takes poly(age, 2) for a factor that group is contained with
    found = fit.anova(type=kind)
    np.testing.assert_allclose(found.F[:, good], get(f"anova{kind}_F")[:, good], rtol=1e-5)
    df = np.stack([test.df for test in found.tests.values()])
    np.testing.assert_allclose(df[:, good], get(f"anova{kind}_df")[:, good], rtol=DF)


@pytest.mark.parametrize("name", [name for name in FORMS if not name.startswith("weights")])
def test_equal_to_pbkrtest(name):
    fit, get = fitted(name, df="kenward-roger"), theirs(name)
    good = np.flatnonzero(inside(name, True, get, fit)[:2])  # two voxels are pinned
    np.testing.assert_allclose(fit.df[:, good], get("kr_df")[:, good], rtol=KENWARD)
    np.testing.assert_allclose(fit.bse[:, good], get("kr_se")[:, good], rtol=KENWARD)


# lme4 interpolates its profile by splines; at one bound the profile turns a corner nearby, where a
# deviation reaches 0.
PROFILE, CORNER = 1e-6, 1e-4


@pytest.mark.parametrize("name", ["products", "weights_slope", "cells"])
def test_correlation_bounds_are_lme4(name):
    part = CORRELATIONS[CORRELATIONS["model"] == name]
    told = part.pivot(index="index", columns="voxel", values="value")
    found = fitted(name).conf_int(method="profile", of="correlations", voxels=list(told.columns))
    near = CORNER if name == "weights_slope" else PROFILE
    np.testing.assert_allclose(found[0], told.to_numpy(), atol=near)


def test_a_correlation_bound_is_where_the_likelihood_says():
    fit = fitted("weights_slope", reml=False)
    low = fit.conf_int(method="profile", of="correlations", voxels=[1])[0, 0, 0]
    part = fit.pieces.select(np.array([1])).parts[0]
    least = deviance_at(part, part.inner_theta)

    def rise(deviations):
        one, two = np.exp(deviations)
        theta = np.array([one, low * two, np.sqrt(1.0 - low**2) * two])[:, None]
        return (deviance_at(part, theta) - least)[0]

    tight = {"xatol": 1e-8, "fatol": 1e-10}
    found = optimize.minimize(rise, np.log([1.0, 0.5]), method="Nelder-Mead", options=tight)
    np.testing.assert_allclose(found.fun, stats.chi2(1).ppf(0.95), rtol=1e-6)


def test_correlations_have_names_and_no_wald_interval():
    fit = fitted("cells")
    assert len(fit.correlation_names) == len(fit.correlations) == 3
    assert fit.correlation_names[0] == "subject: cond[a], cond[b]"
    with pytest.raises(DataError, match="of a correlation is no parabola"):
        fit.conf_int(of="correlations")
    with pytest.raises(DataError, match="no random term has correlated"):
        fitted("three").conf_int(method="profile", of="correlations")


def study(form, weights=None):
    """Put the maps on a grid: four voxels in a row, and one outside the mask."""
    volume = np.zeros((len(TABLE), 5, 1, 1))
    volume[:, 1:, 0, 0] = DATA
    images = [nib.Nifti1Image(row, np.diag([3.0, 3, 3, 1])) for row in volume]
    maps = Maps(TABLE.assign(effect=images))
    return form(maps) if weights is None else form(maps, weights)


MEANS = "~ group * cond + age * group + time"
METHODS = {
    "means_lm": lambda maps: lm_maps(MEANS, maps),
    "means_satterthwaite": lambda maps: lmer(f"{MEANS} + (1 | subject)", maps),
    "means_kenward_roger": lambda maps: lmer(f"{MEANS} + (1 | subject)", maps, df="kenward-roger"),
}
ASKED = {
    "one": lambda: vx.emm("group", at={"age": 60}),
    "two": lambda: vx.emm("group", "cond", at={"age": 40, "time": 2}),
    "pairs": lambda: vx.emm("cond").pairs(),
    "two_pairs": lambda: vx.emm("group", "cond", at={"age": 40}).pairs(),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("method", METHODS)
def test_means_of_images_are_emmeans(method, asked):
    fit, get = study(METHODS[method]), theirs(method)
    for v in range(2):
        found = [fit.contrast(one) for one in ASKED[asked]().each(fit.design).values()]
        keyed = {"value": "effect", "SE": "se", "df": "df"}
        for quantity, name in keyed.items():
            ours = np.array([getattr(con, name)[v] for con in found])
            told = get(f"{asked}_{quantity}")[:, v]
            if asked == "two":  # emmeans lets the first factor run fastest
                told = told.reshape(3, 2).T.ravel()
            if asked == "two_pairs":
                np.testing.assert_allclose(
                    np.sort(np.abs(ours)), np.sort(np.abs(told)), rtol=KENWARD
                )
            else:
                np.testing.assert_allclose(ours, told, rtol=KENWARD)
    image = found[0].image("effect")
    assert image.shape == (5, 1, 1)
    np.testing.assert_array_equal(image.affine, fit.space.affine)
    np.testing.assert_allclose(image.get_fdata()[1:, 0, 0], found[0].effect, rtol=1e-6)
    joint = fit.contrast(ASKED[asked]())
    assert joint.image(joint.kind).shape == (5, 1, 1)


def scaled(name):
    """Fit rows that are multiplied by the roots of their weights: the same model, no weights."""
    fit = fitted(name)
    root = np.sqrt(TABLE["w"].to_numpy())
    table = pd.DataFrame(fit.design.matrix * root[:, None])
    table.columns = [f"x{k}" for k in range(table.shape[1])]
    table = table.assign(subject=TABLE["subject"], root=root, slope=root * TABLE["time"])
    random = "(0 + root + slope | subject)" if name == "weights_slope" else "(0 + root | subject)"
    fixed = " + ".join(table.columns[: fit.design.matrix.shape[1]])
    return lmer(
        f"~ 0 + {fixed} + {random}", Maps(table, data=DATA * root[:, None]), df="kenward-roger"
    )


@pytest.mark.parametrize("name", ["weights", "weights_slope"])
def test_kenward_roger_with_weights_is_that_of_scaled_rows(name):
    # The same algebra in another order, and a search of its own.
    fit, plain = fitted(name, df="kenward-roger"), scaled(name)
    np.testing.assert_allclose(fit.bse, plain.bse, rtol=1e-5)
    np.testing.assert_allclose(fit.df, plain.df, rtol=1e-4)
    shift = np.log(TABLE["w"]).sum()
    # REML's own determinant is of the columns: scaled in both.
    np.testing.assert_allclose(fit.deviance + shift, plain.deviance, rtol=1e-9)


def test_equal_weights_change_only_sigma():
    maps, weights = Maps(TABLE, data=DATA), np.full(len(TABLE), 4.0)
    plain, fit = fitted("two_of_one"), lmer(f"~ {FORMS['two_of_one']}", maps, weights=weights)
    np.testing.assert_allclose(fit.deviance, plain.deviance, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, plain.bse, rtol=1e-6)
    np.testing.assert_allclose(fit.sigma, 2.0 * plain.sigma, rtol=1e-6)


def test_an_offset_is_subtracted():
    known = TABLE["known"].to_numpy()[:, None]
    fit = fitted("offset")
    less = lmer("~ group + time + (1 | subject)", Maps(TABLE, data=DATA - known))
    np.testing.assert_array_equal(fit.params, less.params)
    np.testing.assert_allclose(fit.fittedvalues, less.fittedvalues + known, atol=1e-12)
    np.testing.assert_allclose(fit.resid, less.resid, atol=1e-12)
    np.testing.assert_allclose(fit.predict(TABLE), fit.predict(), atol=1e-10)
    plain = lm_maps("~ group + offset(known)", Maps(TABLE, data=DATA))
    np.testing.assert_allclose(plain.resid, DATA - plain.predict(TABLE), atol=1e-10)
    assert "offset(known)" in fit.formula


def test_weighted_statistics_are_kept_and_merge(tmp_path):
    formula = "~ group * time + offset(known) + (1 + time | subject)"
    east = (TABLE["hospital"] < "h3").to_numpy()
    whole = lmer(formula, Maps(TABLE, data=DATA), weights="w")
    files = []
    for k, rows in enumerate((east, ~east)):
        part = lmer(formula, Maps(TABLE[rows], data=DATA[rows]), weights="w")
        files.append(part.save_statistics(tmp_path / f"{k}.npz"))
    order = np.concatenate([np.flatnonzero(east), np.flatnonzero(~east)])
    merged = vx.merge_statistics([vx.load_statistics(file) for file in files])
    np.testing.assert_array_equal(merged.options["weights"], TABLE["w"].to_numpy()[order])
    np.testing.assert_allclose(merged.deviance, whole.deviance, rtol=1e-9)
    np.testing.assert_allclose(merged.bse, whole.bse, rtol=1e-5)
    np.testing.assert_allclose(merged.refit(False).deviance, whole.refit(False).deviance, rtol=1e-9)


def test_weighted_models_are_compared_with_equally_weighted_ones():
    maps = Maps(TABLE, data=DATA)
    larger = lmer("~ time + (1 | subject)", maps, weights="w", reml=False)
    least = lm_maps("~ time", maps, weights="w")
    n, P = least.design.matrix.shape
    scale = least.scale * (n - P) / n
    alone = n * (1 + np.log(2 * np.pi * scale)) - np.log(TABLE["w"]).sum()
    np.testing.assert_allclose(anova(least, larger).stat, alone - larger.deviance, atol=1e-8)
    with pytest.raises(DataError, match="prior weights"):
        anova(lm_maps("~ time", maps), larger)
    with pytest.raises(DataError, match="an offset"):
        anova(lmer("~ 1 + offset(known) + (1 | subject)", maps, weights="w"), larger)


def test_weighted_voxels_are_mixedlm():
    for name in ("weights", "weights_offset", "weights_nested"):
        found = fitted(name).check(n=1)
        # statsmodels' optimiser stops near the optimum.
        assert (found.loc[["params", "scale"], "largest_relative"] < 5e-4).all()
        assert -1e-2 < found.loc["deviance_excess", "largest_absolute"] < 1e-6


def test_weighted_maps_are_permuted():
    fit = fitted("weights")
    found = fit.contrast("time").correct("maxt", n_perm=19, seed=0, alpha=0.1)
    assert np.isfinite(found.p).any()
    with pytest.raises(DataError, match="only signs"):
        fit.contrast("time").correct("maxt", n_perm=19, alpha=0.1, permute="shuffle")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("z", "not a column"),
        ("subject", "positive numbers, one a map, or their column; got 'subject'"),
        ("known", "not so in row"),
        (np.ones(3), "298 positive numbers"),
        (np.r_[np.nan, np.ones(len(TABLE) - 1)], "not so in row 1"),
    ],
    ids=["unknown", "words", "negative", "short", "missing"],
)
@pytest.mark.parametrize("verb", [lmer, lm_maps])
def test_bad_weights_are_named(verb, weights, words):
    formula = "~ time + (1 | subject)" if verb is lmer else "~ time"
    with pytest.raises(DataError, match=words):
        verb(formula, Maps(TABLE, data=DATA), weights=weights)
