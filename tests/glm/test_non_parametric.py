"""Permutation tests of a group against nilearn in the same process."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import non_parametric_inference as their_inference
from nilearn_study import group_maps, mask_image

from voxlm.glm.second_level import SecondLevelModel, non_parametric_inference

N = 12
K = 999
# Two draws of K permutations at p near 0.1 .. 1 differ by a few standard errors of log10 p:
# sqrt(2 (1 - p) / (p K)) / ln 10 is 0.06 at p = 0.1; five of them.
MONTE_CARLO = 0.3
DESIGN = pd.DataFrame({"age": np.linspace(-1, 1, N) ** 3, "intercept": 1.0})
INSIDE = mask_image().get_fdata() > 0


@pytest.mark.parametrize("two_sided", [False, True])
def test_largest_statistic(two_sided):
    given = {
        "design_matrix": DESIGN,
        "second_level_contrast": "intercept",
        "mask": mask_image(),
        "n_perm": K,
        "two_sided_test": two_sided,
        "random_state": 0,
        "tfce": True,
    }
    mine = non_parametric_inference(group_maps(N), **given)
    theirs = their_inference(group_maps(N), **given)
    assert set(mine) == set(theirs)
    np.testing.assert_allclose(
        mine["t"].get_fdata()[INSIDE], theirs["t"].get_fdata()[INSIDE], atol=1e-5
    )
    np.testing.assert_allclose(
        mine["tfce"].get_fdata()[INSIDE], theirs["tfce"].get_fdata()[INSIDE], rtol=1e-4
    )
    np.testing.assert_allclose(
        mine["logp_max_t"].get_fdata()[INSIDE],
        theirs["logp_max_t"].get_fdata()[INSIDE],
        atol=MONTE_CARLO,
    )


def test_clusters():
    maps = group_maps(N)
    found = non_parametric_inference(
        maps, design_matrix=DESIGN, second_level_contrast="intercept", mask=mask_image(),
        n_perm=200, random_state=1, threshold=0.01,
    )  # fmt: skip
    assert set(found) == {
        "t", "logp_max_t", "size", "logp_max_size", "mass", "logp_max_mass"
    }  # fmt: skip
    size, mass = (found[name].get_fdata() for name in ("size", "mass"))
    assert size.max() > 1
    assert np.array_equal(size > 0, mass > 0)


def test_a_contrast_is_tested_in_its_whole_design():
    """16: nilearn drops the columns that a contrast weighs; ours is the t of the whole design."""
    rng = np.random.default_rng(0)
    design = pd.DataFrame({"x": rng.normal(size=N), "z": rng.normal(size=N), "one": 1.0})
    given = {"design_matrix": design, "mask": mask_image(), "n_perm": 50, "random_state": 0}
    maps = group_maps(N)
    mine = non_parametric_inference(maps, second_level_contrast="x - z", tfce=True, **given)[
        "t"
    ].get_fdata()[INSIDE]
    model = SecondLevelModel(mask_img=mask_image()).fit(maps, design_matrix=design)
    parametric = model.compute_contrast("x - z", output_type="stat").get_fdata()[INSIDE]
    np.testing.assert_allclose(mine, parametric, atol=1e-9)
    theirs = their_inference(maps, second_level_contrast="x - z", tfce=True, **given)["t"]
    assert np.abs(theirs.get_fdata()[INSIDE] - parametric).max() > 0.1


def test_jobs_do_not_change_the_result():
    """16: nilearn draws other permutations for another number of jobs."""
    given = {"design_matrix": DESIGN, "second_level_contrast": "age", "mask": mask_image()}
    one, other = (
        non_parametric_inference(group_maps(N), n_perm=99, random_state=4, n_jobs=n, **given)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.get_fdata(), other.get_fdata())


def test_a_statistic_is_no_p():
    with pytest.raises(ValueError, match=r"threshold is an uncorrected p.*is it a statistic"):
        non_parametric_inference(group_maps(N), design_matrix=DESIGN, threshold=3.1)
