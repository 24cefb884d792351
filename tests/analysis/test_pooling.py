"""Fixed effects of fits and of maps are nilearn's and statsmodels'."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.contrasts import compute_fixed_effects
from small_study import make_study
from statsmodels.stats.meta_analysis import combine_effects

import voxlm as vx
from voxlm.errors import DataError

FORMULA = "y ~ face + house + motion"
# The same few additions in another order.
EXACT = 1e-12
# Maps pass through float32 images.
IMAGES = 1e-5


def maps(n=7, V=24, seed=0, **options):
    rng = np.random.default_rng(seed)
    data, variance = rng.standard_normal((n, V)), rng.uniform(0.3, 3, (n, V))
    return vx.Maps(pd.DataFrame(index=range(n)), data=data, variance=variance, **options)


@pytest.mark.parametrize("weighting", ["precision", "unweighted"])
def test_maps_are_nilearns(weighting):
    given = maps()
    affine, whole = np.eye(4), nib.Nifti1Image(np.ones((2, 3, 4), dtype=np.uint8), np.eye(4))
    images = [
        [nib.Nifti1Image(row.reshape(2, 3, 4), affine) for row in rows]
        for rows in (given.values, given.variances)
    ]
    theirs = compute_fixed_effects(
        *images, mask=whole, precision_weighted=weighting == "precision", dofs=[20.0] * 7
    )
    con = vx.fixed_effects(given, weighting=weighting, df=20)
    for ours, image in zip((con.effect, con.se**2, con.t), theirs, strict=False):
        np.testing.assert_allclose(ours, image.get_fdata().ravel(), rtol=IMAGES, atol=IMAGES)
    assert (con.df == 140).all()


def test_maps_are_statsmodels_and_meta_without_heterogeneity():
    given = maps(seed=1)
    con = vx.fixed_effects(given)
    for v in range(5):
        theirs = combine_effects(given.values[:, v], given.variances[:, v])
        np.testing.assert_allclose(con.effect[v], theirs.mean_effect_fe, rtol=EXACT)
        np.testing.assert_allclose(con.se[v], theirs.sd_eff_w_fe, rtol=EXACT)
    same = vx.meta("~ 1", given, method="fe").contrast("Intercept")
    np.testing.assert_allclose(con.z, same.z, rtol=1e-10)


def test_holes_leave_the_other_maps():
    given = maps(seed=2)
    values, variance = given.values.copy(), given.variances.copy()
    values[2, 3], variance[4, 3] = np.nan, np.nan
    values[:, 5] = np.nan
    holed = vx.Maps(given.table, data=values, variance=variance)
    con = vx.fixed_effects(holed, df=10)
    kept = [0, 1, 3, 5, 6]
    theirs = combine_effects(values[kept, 3], variance[kept, 3])
    np.testing.assert_allclose(con.effect[3], theirs.mean_effect_fe, rtol=EXACT)
    assert con.df[3] == 50
    assert con.df[0] == 70
    assert np.isnan(con.t[5])


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    made = [make_study(tmp_path_factory.mktemp(f"run{k}"), seed=k) for k in range(3)]
    width = min(s.rows.shape[1] for s in made)
    runs = [vx.Run(s.rows[:, :width], s.events, s.confounds, tr=s.tr) for s in made]
    return [vx.lm(FORMULA, run) for run in runs]


def test_fits_are_their_maps(fits):
    con = vx.fixed_effects(fits, "face - house")
    given = vx.Maps.from_fits(fits, contrast="face - house")
    same = vx.fixed_effects(given, df=[fit.df_resid for fit in fits])
    for name in ("effect", "se", "t", "p"):
        np.testing.assert_allclose(getattr(con, name), getattr(same, name), rtol=1e-9)
    asked = vx.fixed_effects(fits)
    np.testing.assert_array_equal(asked.contrast("face - house").t, con.t)
    plain = asked.contrast("face", weighting="unweighted")
    np.testing.assert_array_equal(plain.t, vx.fixed_effects(fits, "face", weighting="unweighted").t)
    nested = vx.fixed_effects([vx.fixed_effects(fits[:2]), fits[2]], "face - house")
    np.testing.assert_array_equal(nested.t, con.t)
    assert vx.fixed_effects(fits, "face, house").kind == "F"


BAD = [
    (lambda f: vx.fixed_effects([]), "one first-level fit or more"),
    (lambda f: vx.fixed_effects(f, "face", df=3), "df= goes with maps"),
    (lambda f: vx.fixed_effects(maps(), "face"), "contrast= goes with fits"),
    (lambda f: vx.fixed_effects(maps(), df=[1, 2]), "one positive number, or 7"),
    (lambda f: vx.fixed_effects(vx.Maps(maps().table, data=maps().values)), "needs the variance"),
    (lambda f: vx.fixed_effects(maps(), weighting="equal"), "weighting must be"),
]


@pytest.mark.parametrize(("ask", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_requests_are_named(fits, ask, words):
    with pytest.raises(vx.VoxlmError, match=words):
        ask(fits)


def test_variances_must_be_positive():
    given = maps()
    spread = given.variances.copy()
    spread[1, 4] = 0.0
    with pytest.raises(DataError, match="row 2 of the table: its variance is zero or negative"):
        vx.fixed_effects(vx.Maps(given.table, data=given.values, variance=spread))
