"""A verdict: its maps, its table, its picture, true discoveries, and itself on disk."""

from dataclasses import FrozenInstanceError

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.reporting import get_clusters_table
from scipy import ndimage, stats
from statsmodels.stats.multitest import multipletests

import voxlm as vx
from voxlm.errors import DataError, VoxlmError
from voxlm.inference.ari import ari, hommel_value
from voxlm.inference.decision import METHODS

SHAPE, N = (12, 11, 10), 14
AFFINE = np.array([[-2.0, 0, 0, 20], [0, 3, 0, -15], [0, 0, 2.5, -10], [0, 0, 0, 1]])
# Two routes through the same algebra.
RTOL = 1e-9
# The level of a region is found to this.
LEVEL_RTOL = 1e-8
EVERY = [
    *METHODS,
    "maxt",
    "maxt_step",
    "cluster_extent",
    "cluster_mass",
    "tfce",
    "ari",
    "pari",
    "grf",
]
PERMUTED = {"n_perm": 99, "seed": 3}


def options(method):
    permuted = method in ("maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce", "pari")
    return PERMUTED if permuted else {}


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter(rng.standard_normal((N, *SHAPE)), (0, 1, 1, 1))
    noise /= noise.std()
    noise[:, 2:5, 2:6, 2:5] += 1.6
    noise[:, 8:11, 6:9, 5:8] -= 1.3
    table = pd.DataFrame({"age": rng.uniform(20, 60, N).round(), "site": list("ab") * (N // 2)})
    table["effect"] = [nib.Nifti1Image(x.astype(np.float32), AFFINE) for x in noise]
    inside = np.ones(SHAPE, np.uint8)
    inside[0] = 0
    return vx.Maps(table, effect="effect", mask=nib.Nifti1Image(inside, AFFINE))


@pytest.fixture(scope="module")
def contrast(maps):
    return vx.lm("effect ~ 1", maps).contrast("Intercept")


@pytest.mark.parametrize("method", EVERY)
def test_saved_and_reloaded_it_is_equal(contrast, tmp_path, method):
    verdict = contrast.correct(method, **options(method))
    again = vx.load_verdict(verdict.save(tmp_path / "out"))
    assert again == verdict
    assert again.method == method
    pd.testing.assert_frame_equal(again.table(), verdict.table())
    np.testing.assert_array_equal(again.image("p").get_fdata(), verdict.image("p").get_fdata())
    np.testing.assert_array_equal(again.null, verdict.null)
    assert str(again) == str(verdict)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"verdict.json", "verdict.npz", "clusters.tsv", "stat-t_statmap.nii.gz"} <= names
    shown = nib.load(tmp_path / "out" / "stat-t_statmap.nii.gz").get_fdata()
    expected = np.where(verdict.significant, contrast.t, 0)
    np.testing.assert_allclose(shown[contrast.space.mask], expected.astype(np.float32))


def test_another_verdict_is_not_equal(contrast, tmp_path):
    one, other = contrast.correct("maxt", n_perm=99), contrast.correct("maxt", n_perm=99, seed=1)
    assert one == contrast.correct("maxt", n_perm=99)
    assert one != other
    assert one != contrast.correct("fdr")
    assert one != "maxt"
    with pytest.raises(FrozenInstanceError):
        one.decision = None
    with pytest.raises(DataError, match="does not hold a verdict"):
        vx.load_verdict(tmp_path)


def test_arrays_too(tmp_path):
    rng = np.random.default_rng(0)
    maps = vx.Maps(
        pd.DataFrame(index=range(9)), data=rng.normal(np.array([3, 0, 0, 0, 0, -3]), 1, (9, 6))
    )
    contrast = vx.lm("~ 1", maps).contrast("Intercept")
    for method in ("holm", "maxt", "ari"):
        verdict = contrast.correct(method)
        assert vx.load_verdict(verdict.save(tmp_path / method)) == verdict
        assert verdict.significant.tolist() == [True, False, False, False, False, True]
        assert set(verdict.table()["column"]) == {0, 5}
    with pytest.raises(DataError, match="is for volumes here"):
        contrast.correct("grf")


@pytest.mark.parametrize("method", ["bonferroni", "holm", "fdr", "fdr_by"])
def test_one_sided_p_as_multipletests(contrast, method):
    p = stats.t.sf(contrast.t, N - 1)
    known = {"fdr": "fdr_bh"}.get(method, method)
    reject, corrected, *_ = multipletests(p, 0.05, known)
    verdict = contrast.correct(method, two_sided=False)
    np.testing.assert_array_equal(verdict.significant, reject)
    np.testing.assert_allclose(verdict.p, corrected, rtol=1e-7)
    assert not verdict.significant[contrast.t < 0].any()
    assert verdict.threshold == pytest.approx(stats.t.isf(verdict.decision.p_threshold, N - 1))
    assert repr(verdict).split(": ")[1].startswith("t >= ")


def test_q_beside_p(contrast):
    verdict = contrast.correct("bonferroni")
    np.testing.assert_array_equal(verdict.q, contrast.correct("fdr").p)
    np.testing.assert_array_equal(contrast.correct("fdr_by").q, contrast.correct("fdr_by").p)
    assert np.all(verdict.q <= verdict.p)


def test_table_is_nilearns_with_more(contrast):
    verdict = contrast.correct("bonferroni")
    ours = verdict.table()
    image = contrast.image("t")
    theirs = get_clusters_table(image, verdict.threshold, two_sided=True, min_distance=8.0)
    assert ours["cluster"].tolist() == [str(c) for c in theirs["Cluster ID"]]
    np.testing.assert_allclose(ours[["x", "y", "z"]], theirs[["X", "Y", "Z"]].astype(float))
    np.testing.assert_allclose(ours["stat"], theirs["Peak Stat"].astype(float), rtol=1e-5)
    whole = ours.dropna(subset=["voxels"])
    assert whole["mm3"].tolist() == (whole["voxels"] * 15.0).tolist()
    labels, _ = ndimage.label(verdict.image("significant").get_fdata() * (image.get_fdata() > 0))
    biggest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    weight = np.where(biggest, image.get_fdata(), 0)
    centre = nib.affines.apply_affine(AFFINE, ndimage.center_of_mass(weight))
    row = whole[whole["stat"] > 0].sort_values("voxels").iloc[-1]
    np.testing.assert_allclose(row[["com_x", "com_y", "com_z"]].astype(float), centre, rtol=1e-5)


@pytest.mark.parametrize("method", ["ari", "pari"])
def test_true_discoveries_of_every_cluster_and_any_region(contrast, tmp_path, method):
    verdict = contrast.correct(method, forming=4.0, **options(method))
    table = verdict.table().dropna(subset=["voxels"])
    above = np.abs(contrast.t) > 4.0
    assert table["voxels"].sum() == above.sum()
    for row in table.itertuples():
        assert row.tdp == row.discoveries / row.voxels == verdict.tdp(int(row.cluster))
        assert (row.p <= 0.05) == (row.discoveries > 0)
    np.testing.assert_array_equal(verdict.values("tdp") > 0, verdict.significant)
    grid = np.zeros(SHAPE, np.uint8)
    grid[2:5, 2:6, 2:5] = 1
    file = tmp_path / "region.nii.gz"
    nib.save(nib.Nifti1Image(grid, AFFINE), file)
    region = grid[contrast.space.mask] > 0
    found = verdict.tdp(region)
    assert 0.2 < found < 1
    assert verdict.tdp(file) == verdict.tdp(nib.load(file)) == found
    assert verdict.tdp() == verdict.bounds.discoveries(np.ones(len(above), bool)) / len(above)
    if method == "ari":
        assert found == contrast.discoveries().proportion(region)
    with pytest.raises(VoxlmError, match="there is no cluster 99"):
        verdict.tdp(99)
    with pytest.raises(DataError, match="a region is a mask of the 1210 voxels"):
        verdict.tdp(region[:5])
    with pytest.raises(VoxlmError, match=r"come from correct\('ari'\)"):
        contrast.correct("fdr").tdp(region)


def test_level_of_a_region_is_where_it_gains_a_discovery(contrast):
    p = contrast.p
    rng = np.random.default_rng(0)
    found = ari(p)
    for _ in range(20):
        region = rng.random(len(p)) < rng.choice([0.002, 0.02, 0.3])
        level = found.level(region)
        if level < 1:
            assert ari(p, level * (1 + LEVEL_RTOL)).discoveries(region) > 0
            assert ari(p, level * (1 - LEVEL_RTOL)).discoveries(region) == 0
    assert found.level(np.zeros(len(p), bool)) == 1.0


def test_level_of_a_single_voxel_is_hommels_p():
    p = np.array([0.001, 0.004, 0.02, 0.03, 0.3, 0.9])
    found = ari(p)
    hommel = multipletests(p, 0.05, "hommel")[1]
    each = [found.level(np.arange(6) == k) for k in range(6)]
    np.testing.assert_allclose(each, hommel, rtol=LEVEL_RTOL)


@pytest.mark.parametrize("seed", range(4))
def test_level_meets_hommels_value_at_every_level(seed):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(60) ** rng.choice([1, 3, 9]), rng.integers(2, 9))  # ties, zeros
    found = ari(p)
    for _ in range(15):
        region = rng.random(60) < 0.2
        if not region.any():
            continue
        steepest = np.min(np.sort(p[region]) / np.arange(1, region.sum() + 1))
        grid = np.geomspace(1e-9, 1, 4001)
        held = [a for a in grid if steepest * hommel_value(p, a) <= a * (1 + 1e-12)]
        level = found.level(region)
        assert level <= min(held, default=1.0) * (1 + LEVEL_RTOL)
        assert level >= (
            max([a for a in grid if a < min(held, default=1.0)], default=0) if level else 0
        )


def test_levels_of_calibrated_regions(contrast):
    verdict = contrast.correct("pari", n_perm=199)
    rng = np.random.default_rng(2)
    for _ in range(10):
        region = rng.random(len(verdict.p)) < 0.02
        level = verdict.bounds.level(region)
        assert (level <= 0.05) == (verdict.bounds.discoveries(region) > 0)


def test_several_forming_thresholds_in_one_run(contrast):
    cuts = [2.5, 3.5, 5.0]
    verdict = contrast.correct("cluster_mass", forming=cuts, n_perm=99)
    alone = contrast.correct("cluster_mass", forming=3.5, n_perm=99)
    assert verdict.threshold == 2.5
    np.testing.assert_array_equal(verdict.at(3.5).p, alone.p)
    np.testing.assert_array_equal(verdict.at(3.5).null, alone.null)
    assert verdict.at(3.5) != verdict
    with pytest.raises(VoxlmError, match=r"no clusters were formed at 3, only at 2\.5, 3\.5, 5"):
        verdict.at(3.0)
    with pytest.raises(VoxlmError, match="forms no clusters at several"):
        contrast.correct("fdr").at(3.0)


def test_pareto_tails(contrast):
    counted = contrast.correct("maxt", n_perm=400, seed=1)
    smooth = contrast.correct("maxt", n_perm=400, seed=1, tail="pareto")
    small = counted.p <= 0.05
    assert small.sum() > 20
    assert smooth.p[small].min() < counted.p.min() == 1 / 401
    np.testing.assert_allclose(smooth.p[~small], counted.p[~small], atol=0.02)


def test_variance_groups_of_the_fit_are_those_of_the_test(maps):
    contrast = vx.lm("effect ~ site", maps, variance_groups="site").contrast("site[T.b]")
    verdict = contrast.correct("maxt", n_perm=99)
    assert verdict.permutations.kind == "v"
    np.testing.assert_allclose(verdict.permutations.statistic, contrast.t, rtol=RTOL)
    assert "|v| > " in repr(verdict)
    with pytest.raises(DataError, match="one residual variance"):
        contrast.correct("grf")
    with pytest.raises(VoxlmError, match="not with variance groups"):
        contrast.correct("pari")


def test_a_verdict_is_drawn(contrast, tmp_path):
    figure = contrast.correct("fdr").plot()
    assert "Intercept" in figure.get_suptitle()
    assert len(figure.axes) > 5
    none = contrast.correct("bonferroni", alpha=1e-12)
    assert none.n_significant == 0
    none.plot()


def test_progress_is_drawn_where_it_is_asked_for(contrast, capsys):
    contrast.correct("maxt", n_perm=99)
    assert capsys.readouterr().err == ""
    contrast.correct("maxt", n_perm=99, progress=True)
    assert "99/99" in capsys.readouterr().err


def test_a_broken_verdict_is_named(tmp_path):
    (tmp_path / "verdict.json").write_text("{}")
    (tmp_path / "verdict.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match="does not hold a verdict"):
        vx.load_verdict(tmp_path)
