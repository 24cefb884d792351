"""``voxlm threshold`` and ``vx.threshold``: a map corrected by itself."""

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage, stats
from statsmodels.stats.multitest import multipletests

import voxlm as vx
from voxlm.errors import DataError, VoxlmError

SHAPE = (12, 11, 10)
AFFINE = np.diag([2.0, 2, 2, 1])


def image(values, intent=None):
    made = nib.Nifti1Image(np.asarray(values, dtype=np.float32), AFFINE)
    if intent is not None:
        made.header.set_intent(*intent)
    return made


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(SHAPE)
    noise[2:5, 2:6, 2:5] += 5
    noise[8:10, 6:9, 5:8] -= 5
    noise[6, 1, 1], noise[6, 9, 9] = 4.5, 5.0
    noise[0] = 0
    return noise.astype(np.float32)


@pytest.mark.parametrize("method", ["none", "bonferroni", "holm", "fdr", "fdr_by"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_as_multipletests(z, method, two_sided):
    verdict = vx.threshold(image(z), method, two_sided=two_sided)
    inside = z[z != 0].astype(float)
    p = 2 * stats.norm.sf(np.abs(inside)) if two_sided else stats.norm.sf(inside)
    if method == "none":
        np.testing.assert_array_equal(verdict.significant, p <= 0.05)
        return
    known = {"fdr": "fdr_bh"}.get(method, method)
    reject, corrected, *_ = multipletests(p, 0.05, known)
    np.testing.assert_array_equal(verdict.significant, reject)
    np.testing.assert_allclose(verdict.p, corrected, rtol=1e-8)
    assert repr(verdict).split(": ")[1].startswith("|z| >= " if two_sided else "z >= ")
    assert verdict.image("stat").header.get_intent()[0] == "z score"


def test_what_the_header_says_and_what_is_said(z):
    t = vx.threshold(image(z, ("t test", (12.0,))), "holm")
    said = vx.threshold(image(z), "holm", stat="t", df=12)
    assert t.p.tolist() == said.p.tolist()
    f = np.abs(z) ** 2
    joint = vx.threshold(image(f, ("f test", (2.0, 20.0))), "fdr")
    np.testing.assert_allclose(
        joint.p.min(),
        multipletests(stats.f.sf(f[f != 0], 2, 20), 0.05, "fdr_bh")[1].min(),
        rtol=1e-6,
    )
    assert repr(joint).split(": ")[1].startswith("F >= ")
    p = np.where(z != 0, 2 * stats.norm.sf(np.abs(z)), 0)
    from_p = vx.threshold(image(p), "fdr", stat="p")
    np.testing.assert_array_equal(from_p.significant, vx.threshold(image(z), "fdr").significant)


def test_small_clusters_mask_and_true_discoveries(z, tmp_path):
    plain = vx.threshold(image(z), "none", alpha=0.001)
    large = vx.threshold(image(z), "none", alpha=0.001, min_size=5)
    labels, _ = ndimage.label(plain.image("significant").get_fdata() * (z > 0))
    sizes = np.bincount(labels.ravel())
    assert (sizes[1:] < 5).any()
    assert large.table()["voxels"].dropna().min() >= 5
    assert "in clusters of 5 voxels or more" in repr(large)
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6] = 1
    inner = vx.threshold(image(z), "bonferroni", mask=nib.Nifti1Image(mask, AFFINE))
    assert inner.decision.n_tests == mask.sum()
    found = vx.threshold(image(z), "ari", forming=3.0, connectivity=18)
    assert found.tdp(1) > 0.5
    assert vx.load_verdict(found.save(tmp_path / "ari")) == found


FOUR = np.ones((4, 4, 4, 3))
SHARE = np.random.default_rng(1).random((4, 4, 4))


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (FOUR, {}, r"takes one map of three axes; .* has shape \(4, 4, 4, 3\): give one"),
        (np.ones((4, 4)), {}, r"has shape \(4, 4\)"),
        (SHARE, {}, "as p-values do and a map of z does not: if they are p, say stat='p'"),
        (SHARE, {"stat": "t", "df": 20}, "a map of t does not"),
        (8 * SHARE - 4, {"stat": "p"}, "p-values lie between 0 and 1, but .* goes from -3"),
        (8 * SHARE - 4, {"stat": "F", "df": 20, "df_num": 2}, "an F is never negative"),
        (90 * SHARE, {}, "beyond any z: is it t or F"),
        (np.full((4, 4, 4), np.nan), {}, "no voxel that is finite and not 0"),
        (np.zeros((4, 4, 4)), {}, "no voxel that is finite and not 0"),
        (8 * SHARE - 4, {"stat": "t"}, "a map of t needs df="),
        (8 * SHARE, {"stat": "F", "df": 9}, "a map of F needs df_num= and df="),
        (8 * SHARE - 4, {"df": 9}, "this is a map of z"),
        (8 * SHARE - 4, {"stat": "r"}, "stat is z, t, F or p; got 'r'"),
        (8 * SHARE - 4, {"method": "tfce"}, "needs the maps behind this one, to permute them"),
        (8 * SHARE - 4, {"method": "grf"}, "needs residual images"),
        (8 * SHARE - 4, {"method": "frd"}, "did you mean 'fdr'"),
        (8 * SHARE - 4, {"alpha": 5}, "between 0 and 1"),
        (8 * SHARE - 4, {"method": "ari", "forming": 0.01}, "looks like a p-value"),
        (8 * SHARE - 4, {"method": "ari", "forming_p": 3.1}, "looks like a statistic"),
        (8 * SHARE - 4, {"forming": 3.1}, "forming: not for 'fdr'"),
        (8 * SHARE - 4, {"min_size": 0}, "min_size is a whole number of at least 1"),
    ],
)  # fmt: skip
def test_refused(values, options, said):
    with pytest.raises((DataError, VoxlmError), match=said):
        vx.threshold(image(values), **options)


def test_from_the_command_line(voxlm, z, tmp_path):
    file, out = tmp_path / "z.nii.gz", tmp_path / "out"
    nib.save(image(z), file)
    result = voxlm("threshold", file, "--method", "ari", "--forming", 3.0, "--out", out)
    assert result.exit_code == 0, result.output
    verdict = vx.threshold(file, "ari", forming=3.0)
    assert vx.load_verdict(out) == verdict
    assert str(verdict) in result.stdout
    assert (out / "clusters.tsv").exists()
    said = json.loads(voxlm("threshold", file, "--one-sided", "--json").stdout)
    assert said["n_significant"] == vx.threshold(file, two_sided=False).n_significant
    nib.save(image(FOUR), tmp_path / "run.nii.gz")
    result = voxlm("threshold", tmp_path / "run.nii.gz", "--out", tmp_path / "none")
    assert result.exit_code == 1
    assert "takes one map of three axes" in result.stderr
    assert not (tmp_path / "none").exists()


def test_json_of_a_z_map_is_strict(voxlm, tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "z.nii.gz")
    said = voxlm("threshold", tmp_path / "z.nii.gz", "--json").stdout
    found = json.loads(said, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found["df"] is None
