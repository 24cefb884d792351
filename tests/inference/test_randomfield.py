"""Random fields: densities, resels and smoothness by other routes; SPM12's own numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, special, stats

import voxlm as vx
from voxlm.errors import DataError, VoxlmError
from voxlm.inference.randomfield import RandomField, euler_densities
from voxlm.inference.roughness import Roughness, measure_roughness

# Algebra in another order.
ROUNDING = 1e-10
# A t of so many degrees of freedom is a z to this.
NEARLY_NORMAL = 1e-4
# SPM12 writes its figures with so many digits.
SPM_RTOL = 1e-6
HEIGHTS = np.array([1.2, 2.5, 4.0, 6.0])


def test_density_of_dimension_zero_is_the_tail():
    np.testing.assert_allclose(euler_densities("t", HEIGHTS, 12.0)[0], stats.t.sf(HEIGHTS, 12))
    np.testing.assert_allclose(euler_densities("t", HEIGHTS, np.inf)[0], stats.norm.sf(HEIGHTS))
    np.testing.assert_allclose(
        euler_densities("F", HEIGHTS, 12.0, 3)[0], stats.f.sf(HEIGHTS, 3, 12)
    )
    chi = stats.chi2.sf(3 * HEIGHTS, 3)
    np.testing.assert_allclose(euler_densities("F", HEIGHTS, np.inf, 3)[0], chi)


@pytest.mark.parametrize("df", [5.0, 28.0, np.inf])
def test_an_f_of_one_row_is_a_t_of_both_signs(df):
    f = euler_densities("F", HEIGHTS**2, df, 1)
    np.testing.assert_allclose(f, 2 * euler_densities("t", HEIGHTS, df), rtol=ROUNDING)


@pytest.mark.parametrize("kind", ["t", "F"])
def test_many_degrees_of_freedom_are_infinitely_many(kind):
    near, far = (euler_densities(kind, HEIGHTS, df, 3) for df in (1e7, np.inf))
    np.testing.assert_allclose(near, far, rtol=NEARLY_NORMAL)


def test_density_of_a_line_by_rices_formula():
    """Upcrossings of a Gaussian process a unit of length: its gradient's sd over 2π, by exp."""
    sd = np.sqrt(4 * np.log(2))
    expected = sd / (2 * np.pi) * np.exp(-(HEIGHTS**2) / 2)
    np.testing.assert_allclose(euler_densities("t", HEIGHTS, np.inf)[1], expected, rtol=ROUNDING)


@pytest.mark.parametrize("fwhm", [3.0, 5.0])
def test_smoothness_of_smoothed_noise(fwhm):
    shape, n = (24, 24, 24), 20
    rng = np.random.default_rng(1)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    noise = np.array(
        [ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap") for _ in range(n)]
    ).reshape(n, -1)
    unit = noise / np.linalg.norm(noise, axis=0)
    voxels = np.argwhere(np.ones(shape, bool))
    found = measure_roughness([unit[:7], unit[7:]], voxels, np.ones(len(voxels), bool))
    # Differences over a voxel see a field a little smoother than its gradient.
    np.testing.assert_allclose(found.fwhm, fwhm, rtol=0.06)
    sides = np.array([23, 23, 23]) / found.fwhm
    np.testing.assert_allclose(found.resels[3], np.prod(sides), rtol=ROUNDING)
    np.testing.assert_allclose(found.resels[1], sides.sum(), rtol=ROUNDING)


def test_a_slice_has_two_dimensions_and_a_hole_counts():
    voxels = np.argwhere(np.ones((9, 9, 1), bool))
    unit = np.random.default_rng(0).standard_normal((6, 81))
    unit /= np.linalg.norm(unit, axis=0)
    inside = np.ones(81, bool)
    flat = measure_roughness([unit], voxels, inside)
    assert flat.fwhm[2] == 1.0
    assert flat.resels[3] == 0.0
    assert flat.resels[0] == 1.0
    inside[40] = False
    assert measure_roughness([unit], voxels, inside).resels[0] == 0.0  # a ring


def test_regions_without_neighbours_are_refused():
    apart = np.array([[0, 0, 0], [2, 2, 2]])
    with pytest.raises(DataError, match="no voxel has a neighbour along every axis"):
        measure_roughness([np.ones((2, 2))], apart, np.ones(2, bool))
    together = np.argwhere(np.ones((2, 2, 2), bool))
    with pytest.raises(DataError, match="the field has no roughness"):
        measure_roughness([np.ones((2, 8)) / np.sqrt(2)], together, np.ones(8, bool))


FIELD = RandomField(
    Roughness(np.full(3, 4.0), np.array([1.0, 15, 80, 150]), 9600, 8800), "t", 28.0, 1, False
)


def test_threshold_and_extent_invert_p():
    for alpha in (0.001, 0.05, 0.2):
        assert FIELD.peak_p(FIELD.threshold(alpha)) == pytest.approx(alpha)
        size = FIELD.extent(alpha, 3.4)
        assert FIELD.cluster_p(size, 3.4) == pytest.approx(alpha)


def test_p_falls_with_height_and_size_and_never_passes_bonferroni():
    heights = np.linspace(0, 12, 200)
    p = FIELD.peak_p(heights)
    assert np.all(np.diff(p) <= 0)
    assert p[0] == 1.0
    tail = special.stdtr(28.0, -heights) * 9600
    assert np.all(p <= np.minimum(tail, 1.0) * (1 + ROUNDING))
    assert np.all(np.diff(FIELD.cluster_p(np.arange(1, 400), 3.4)) < 0)


def test_clusters_by_hand():
    """SPM's formula written out for t with 28 df at 3.4."""
    t, v = 3.4, 28.0
    rho3 = (4 * np.log(2)) ** 1.5 / (2 * np.pi) ** 2 * ((v - 1) * t * t / v - 1)
    rho3 *= (1 + t * t / v) ** ((1 - v) / 2)
    mean = stats.t.sf(t, v) / rho3  # resels a cluster
    beta = (special.gamma(2.5) / mean) ** (2 / 3)
    number = FIELD.roughness.resels @ euler_densities("t", np.array(t), v)
    p = 1 - np.exp(-number * np.exp(-beta * (100 / 64) ** (2 / 3)))
    assert FIELD.cluster_p(100, t) == pytest.approx(p)


@pytest.fixture(scope="module")
def wager(shared_data: Path) -> vx.GroupFit:
    folder = shared_data / "wager_group"
    if not folder.is_dir():
        pytest.skip("the data set wager_group is not here")
    table = pd.read_csv(folder / "participants.tsv", sep="\t")
    name = "{}_contrast-ReappNegVsLookNeg_con.nii.gz"
    table["effect"] = [str(folder / name.format(who)) for who in table["participant_id"]]
    maps = vx.Maps(table, effect="effect", mask=folder / "group_desc-analysis_mask.nii.gz")
    return vx.lm("effect ~ center(reappraisal_success)", maps)


def test_spm12s_random_field(wager):
    verdict = wager.contrast("Intercept").correct("grf", two_sided=False)
    field = verdict.field
    assert field.roughness.n_voxels == 31079
    resels = [30.0, 7.353783517862538, 292.4503613136443, 180.4363699185611]
    np.testing.assert_allclose(field.roughness.resels, resels, rtol=SPM_RTOL)
    fwhm = [5.6673669691731625, 5.477301621171657, 4.188653606406024]
    np.testing.assert_allclose(field.roughness.fwhm, fwhm, rtol=SPM_RTOL)
    assert verdict.threshold == pytest.approx(5.437293, rel=SPM_RTOL)
    bonferroni = stats.t.isf(0.05 / 31079, 28)
    assert bonferroni == pytest.approx(5.790835, rel=SPM_RTOL)
    assert np.nanmax(wager.contrast("Intercept").t) == pytest.approx(7.543, abs=5e-4)


def test_levels_of_the_field_and_refusals(wager):
    con = wager.contrast("Intercept")
    both = con.correct("grf", level="cluster", forming_p=0.001, connectivity=18)
    table = both.table()
    assert (table["p"].dropna() <= 0.05).all()
    whole = table.dropna(subset=["voxels"])
    assert whole["voxels"].sum() == both.n_significant
    np.testing.assert_allclose(whole["p_cluster"].astype(float), whole["p"])
    assert both.threshold == pytest.approx(stats.t.isf(0.0005, 28))
    peak = con.correct("grf").table()
    np.testing.assert_allclose(peak["p_peak"], peak["p"])
    for options, said in [
        ({"level": "peak"}, "level is 'voxel' or 'cluster'"),
        ({"forming_p": 0.01}, "are for level='cluster'"),
        ({"level": "cluster", "forming_p": [0.01, 0.001]}, "one threshold"),
        ({"level": "cluster", "forming": 0.001}, "looks like a p-value: give it as forming_p"),
        ({"levle": "voxel"}, "did you mean 'level'"),
        ({"level": "cluster", "forming": 0.6}, "too low a height"),
    ]:
        with pytest.raises(VoxlmError, match=said):
            con.correct("grf", **options)


def test_heavy_tails_have_their_thresholds_far_out_or_none():
    for kind, df in (("t", 1.0), ("F", 3.0)):
        field = RandomField(FIELD.roughness, kind, df, 1, two_sided=True)
        assert field.peak_p(field.threshold(0.001)) == pytest.approx(0.001)
    with pytest.raises(VoxlmError, match="add up to more than 3"):
        RandomField(FIELD.roughness, "F", 2.0, 1, two_sided=True)
