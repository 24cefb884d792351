"""Questions in every form, their maps with intents and degrees of freedom, and decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import voxlm as vx
from voxlm.errors import ContrastError, DataError, VoxlmError

FORMULA = "y ~ face + house + motion"
FLOAT32 = 2e-7


@pytest.fixture(scope="module")
def fit(study: Any) -> vx.Fit:
    return vx.glsar(FORMULA, study.run())


def test_forms_of_one_question(fit: vx.Fit) -> None:
    vector = np.zeros(len(fit.params))
    vector[:2] = 1, -1
    first = fit.contrast("face - house")
    series = pd.Series({"face": 1, "house": -1})
    for spec in (vector, vector.tolist(), {"face": 1, "house": -1}, series, "1*face - 2*house/2"):
        np.testing.assert_array_equal(fit.contrast(spec).t, first.t)
    np.testing.assert_array_equal(fit.contrast(first.hypothesis).t, first.t)
    assert (first.kind, first.df_num, first.text) == ("t", 1, "face - house")
    np.testing.assert_allclose(first.effect, fit.params[0] - fit.params[1], rtol=1e-12)
    np.testing.assert_array_equal(first.F, first.t**2)


def test_forms_of_one_joint_question(fit: vx.Fit) -> None:
    joint = fit.contrast("face, house")
    C = np.eye(len(fit.params))[:2]
    for spec in (C, ["face", "house"], [{"face": 1}, {"house": 1}], "house, face + house"):
        np.testing.assert_allclose(fit.contrast(spec).F, joint.F, rtol=1e-10)
    assert joint.effect.shape == joint.se.shape == (2, fit.n_voxels)
    np.testing.assert_allclose(
        fit.contrast("face = house").F, fit.contrast("face - house").t ** 2, rtol=1e-10
    )


def test_null_values_move_the_statistic_not_the_effect(fit: vx.Fit) -> None:
    zero, half = fit.contrast("face"), fit.contrast("face = 0.5")
    np.testing.assert_array_equal(zero.effect, half.effect)
    np.testing.assert_allclose(half.t, (zero.effect - 0.5) / zero.se, rtol=1e-12)


def test_p_z_and_log_p_agree(fit: vx.Fit) -> None:
    con = fit.contrast("face - house")
    np.testing.assert_allclose(con.p, 2 * stats.t.sf(np.abs(con.t), con.df), rtol=1e-10)
    np.testing.assert_allclose(10**con.log10p, con.p, rtol=1e-9)
    np.testing.assert_allclose(stats.norm.sf(con.z), stats.t.sf(con.t, con.df), rtol=1e-8)
    np.testing.assert_array_equal(np.sign(con.z), np.sign(con.t))


@pytest.mark.parametrize(
    ("text", "name", "intent", "parameters"),
    [
        ("face", "t", "t test", 1),
        ("face", "stat", "t test", 1),
        ("face", "F", "f test", 2),
        ("face, house", "F", "f test", 2),
        ("face, house", "stat", "f test", 2),
        ("face", "z", "z score", 0),
        ("face", "p", "p value", 0),
        ("face", "effect", "estimate", 0),
        ("face", "se", "estimate", 0),
    ],
)
def test_headers_say_what_the_values_are(
    fit: vx.Fit, study: Any, text: str, name: str, intent: str, parameters: int
) -> None:
    con = fit.contrast(text)
    image = con.image(name)
    code, given, _ = image.header.get_intent()
    assert code == intent
    expected = {0: (), 1: (con.df,), 2: (con.df_num, con.df)}[parameters]
    assert tuple(given) == expected
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, nib.load(study.bold).affine)
    data = np.asarray(image.dataobj)
    np.testing.assert_allclose(data[study.inside], con.values(name), rtol=FLOAT32)
    assert not data[~study.inside].any()


def test_joint_effects_are_an_image_with_four_axes(fit: vx.Fit, study: Any) -> None:
    assert fit.contrast("face, house").image("effect").shape == (*study.inside.shape, 2)


def test_save_writes_what_image_shows(fit: vx.Fit, tmp_path: Path) -> None:
    con = fit.contrast("face - house")
    written = con.save(tmp_path / "maps" / "sub-01")
    assert [path.name for path in written] == [
        f"sub-01_stat-{name}_statmap.nii.gz" for name in ("effect", "se", "t", "z", "p")
    ]
    for path, name in zip(written, ("effect", "se", "t", "z", "p"), strict=True):
        saved = nib.load(path)
        np.testing.assert_array_equal(saved.get_fdata(), con.image(name).get_fdata())
        assert saved.header.get_intent() == con.image(name).header.get_intent()


def test_arrays_are_saved_as_arrays(study: Any, tmp_path: Path) -> None:
    con = vx.lm(FORMULA, study.array_run()).contrast("face, house")
    written = con.save(tmp_path / "a")
    assert {path.suffix for path in written} == {".npy"}
    np.testing.assert_array_equal(np.load(tmp_path / "a_stat-F_statmap.npy"), con.F)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [("fdr", "fdr_bh"), ("fdr_by", "fdr_by"), ("bonferroni", "bonferroni"), ("holm", "holm")],
)
def test_verdicts_equal_multipletests(fit: vx.Fit, method: str, theirs: str) -> None:
    con = fit.contrast("face")
    verdict = con.correct(method, alpha=0.05)
    reject, corrected, *_ = multipletests(con.p, 0.05, theirs)
    np.testing.assert_array_equal(verdict.significant, reject)
    np.testing.assert_allclose(verdict.p, corrected, rtol=1e-10)
    assert 0 < verdict.n_significant == reject.sum() < fit.n_voxels
    assert np.all((np.abs(con.t) >= verdict.threshold) == reject)
    assert f"{reject.sum():,} of {fit.n_voxels:,} voxels significant" in repr(verdict)


def test_verdict_maps(fit: vx.Fit, study: Any) -> None:
    con = fit.contrast("face")
    verdict = con.correct("fdr")
    shown = np.asarray(verdict.image().dataobj)[study.inside]
    np.testing.assert_array_equal(shown != 0, verdict.significant)
    np.testing.assert_allclose(shown[verdict.significant], con.t[verdict.significant], rtol=FLOAT32)
    assert verdict.image().header.get_intent()[:2] == ("t test", (con.df,))
    mask = verdict.image("significant")
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj)[study.inside] == 1, verdict.significant)
    table = verdict.table()
    assert table["voxels"].dropna().sum() == verdict.n_significant
    assert table["stat"].abs().max() == np.abs(con.t).max()
    peak = con.space.index_mm(*table.loc[0, ["x", "y", "z"]].astype(float))
    assert con.t[peak] == table.loc[0, "stat"]


def test_no_significant_voxel(fit: vx.Fit) -> None:
    verdict = fit.contrast("rot_x - trans_z").correct("bonferroni", alpha=1e-9)
    assert verdict.n_significant == 0
    assert not np.asarray(verdict.image().dataobj).any()
    assert verdict.table().empty
    assert verdict.threshold == np.inf or verdict.threshold > np.abs(verdict.contrast.t).max()


def test_left_out_voxels_are_never_significant(odd_study: Any) -> None:
    fit = vx.lm("y ~ face", odd_study.run())
    con = fit.contrast("face")
    bad = np.isnan(con.t)
    assert bad.sum() == 4
    for method in ("fdr", "bonferroni", "none"):
        verdict = con.correct(method, alpha=0.9)
        assert not verdict.significant[bad].any()
        assert np.isnan(verdict.p[bad]).all()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("fce", r"'fce'(.|\n)*\^\^\^(.|\n)*did you mean 'face'"),
        ("face - ", r"stops too early(.|\n)*a name or a number should follow"),
        ("face * house", "linear|product"),
        ("face - face", "its weights cancel"),
        ("__import__('os')", "."),
        ("face.real", "."),
        ("face[0]", "."),
        ("lambda: face", "."),
        ([1, -1], r"shape \(2,\), the design has"),
        ({"fce": 1}, "did you mean 'face'"),
        ("", "empty"),
        ([], "empty"),
        (None, "empty"),
        ("face = 1, face = 2", "contradicts"),
    ],
)
def test_questions_that_cannot_be_asked(fit: vx.Fit, spec: Any, says: str) -> None:
    with pytest.raises(ContrastError, match=says):
        fit.contrast(spec)


def test_kinds_are_kept_apart(fit: vx.Fit) -> None:
    with pytest.raises(ContrastError, match="a t tests one row"):
        fit.t_test("face, house")
    with pytest.raises(DataError, match="it has F, not t"):
        _ = fit.contrast("face, house").t
    assert fit.f_test("face").kind == "F"
    con = fit.contrast("face")
    with pytest.raises(DataError, match="no map called 'zz'; did you mean 'z'"):
        con.image("zz")
    with pytest.raises(VoxlmError, match="unknown correction 'fdrr'; did you mean 'fdr'"):
        con.correct("fdrr")
    for alpha in (0, 1.5, float("nan")):
        with pytest.raises(VoxlmError, match="alpha"):
            con.correct("fdr", alpha=alpha)
        with pytest.raises(VoxlmError, match="alpha"):
            con.conf_int(alpha)
    with pytest.raises(DataError, match="no map called"):
        con.correct().image("log10")
