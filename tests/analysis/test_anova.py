"""Likelihood ratios between nested mixed models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxlm.analysis.anova import anova
from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.bids.maps import Maps
from voxlm.errors import DataError


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(30), 3)
    table = pd.DataFrame({"subject": subject.astype(str), "time": np.tile([0.0, 1.0, 2.0], 30)})
    table["age"], table["site"] = rng.uniform(20, 60, 90), (subject // 5).astype(str)
    return Maps(table, data=rng.standard_normal((90, 400)))


def test_fixed_effects_are_compared_by_ml(maps):
    one, two = lmer("~ 1 + (1 | subject)", maps), lmer("~ time + age + (1 | subject)", maps)
    found = anova(one, two)
    expected = one.refit(False).deviance - two.refit(False).deviance
    np.testing.assert_allclose(found.stat, expected)
    np.testing.assert_allclose(found.p, stats.chi2.sf(found.stat, 2))
    assert not found.boundary
    assert (found.stat >= -1e-9).all()


def test_one_variance_has_a_mixture_as_its_null(maps):
    found = anova(lmer("~ 1 + (1 | subject)", maps), lmer("~ 1 + (1 | subject) + (1 | site)", maps))
    assert found.boundary
    none = found.stat <= 1e-9
    assert (found.p[none] >= 0.49).all()
    # of maps without either variance some half have none estimated, and p < 0.05 in one of twenty
    assert 0.3 < none.mean() < 0.85
    assert (found.p < 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert "½χ²(0) + ½χ²(1)" in repr(found)


def test_models_that_cannot_be_compared(maps):
    one, two = lmer("~ time + (1 | subject)", maps), lmer("~ age + (1 | subject)", maps)
    with pytest.raises(DataError, match="not nested: time"):
        anova(one, two)
    with pytest.raises(DataError, match="must have more parameters"):
        anova(one, one)
    with pytest.raises(DataError, match="by lm"):
        anova(lm_maps("~ 1", maps), one)
    with pytest.raises(DataError, match=r"\(1 \| subject\) is not in the second"):
        anova(one, lmer("~ time + age + (1 | site)", maps))
    ml = lmer("~ time + (1 | subject) + (1 | site)", maps, reml=False)
    with pytest.raises(DataError, match="fit both alike"):
        anova(one, ml)
