"""``generate_report`` gives nilearn's page, and what it shows was computed here."""

import importlib
import inspect
import sys
import warnings
from types import SimpleNamespace

import nibabel as nib
import nilearn.glm.first_level
import nilearn.glm.second_level
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.thresholding import threshold_stats_img
from nilearn.reporting import HTMLReport, get_clusters_table

from voxlm.errors import VoxlmError
from voxlm.glm import save_glm_to_bids
from voxlm.glm.first_level import FirstLevelModel
from voxlm.glm.second_level import SecondLevelModel
from voxlm.glm.standin import stand_in

AFFINE = np.diag([6.0, 6.0, 6.0, 1.0])


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    shape, n = (9, 9, 8), 40
    task = np.sin(np.arange(n) / 3.0)
    data = 100 + rng.normal(size=(*shape, n))
    data[2:4, 3:6, 3:6] += 2 * task
    data[6:8, 3:6, 3:6] += 1.5 * task
    data[0, 0, 0] = 50.0  # constant: no result
    design = pd.DataFrame({"task": task, "constant": 1.0})
    mask = nib.Nifti1Image(np.ones(shape, np.int8), AFFINE)
    image = nib.Nifti1Image(data, AFFINE)
    return FirstLevelModel(mask_img=mask, noise_model="ols").fit(image, design_matrices=design)


def test_the_signature_is_nilearns():
    for ours, theirs in (
        (FirstLevelModel, nilearn.glm.first_level.FirstLevelModel),
        (SecondLevelModel, nilearn.glm.second_level.SecondLevelModel),
    ):
        given = inspect.signature(ours.generate_report).parameters
        known = inspect.signature(theirs.generate_report).parameters
        assert {n: p.default for n, p in given.items()} == {n: p.default for n, p in known.items()}


def test_the_page_lists_the_clusters_of_our_map(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        page = model.generate_report(contrasts="task", title="Sine", alpha=1e-4)
    assert isinstance(page, HTMLReport)
    page.save_as_html(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Sine" in html
    z = model.compute_contrast("task")
    assert np.isnan(z.get_fdata()[0, 0, 0])
    known = nib.Nifti1Image(np.nan_to_num(z.get_fdata()), AFFINE)
    cut, least = threshold_stats_img(known, alpha=1e-4, two_sided=False)
    table = get_clusters_table(cut, stat_threshold=least, two_sided=False)
    assert len(table) > 1
    for peak in table["Peak Stat"]:
        assert f"{peak:.2f}" in html


def test_left_out_contrasts_are_those_that_were_saved(model, tmp_path, monkeypatch):
    asked = []
    page = SimpleNamespace(generate_report=lambda **given: asked.append(given["contrasts"]))
    monkeypatch.setattr(sys.modules["voxlm.glm.standin"], "stand_in", lambda _: page)
    monkeypatch.setattr("voxlm.report.can_draw", lambda _: False)
    image = nib.Nifti1Image(np.random.default_rng(3).normal(100, 1, (4, 4, 4, 40)), AFFINE)
    given = {"run_imgs": image, "design_matrices": model.design_matrices_[0]}
    one = FirstLevelModel(mask_img=False, noise_model="ols").fit(**given)
    one.generate_report()
    save_glm_to_bids(one, {"sine": "task"}, out_dir=tmp_path)
    one.compute_contrast("task")
    one.generate_report()
    one.generate_report(contrasts="constant")
    one.fit(**given).generate_report()
    assert asked == [None, {"sine": "task"}, "constant", None]


def test_nothing_above_a_threshold_is_said_once(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = model.generate_report(contrasts="task", alpha=1e-60)
    assert "No suprathreshold cluster" in str(page)


def test_a_group_is_reported_too(model):
    rng = np.random.default_rng(1)
    maps = [nib.Nifti1Image(rng.normal(size=(9, 9, 8)) + 0.5, AFFINE) for _ in range(8)]
    design = pd.DataFrame({"intercept": np.ones(8)})
    group = SecondLevelModel(mask_img=model.mask_img_).fit(maps, design_matrix=design)
    page = group.generate_report(contrasts="intercept", plot_type="glass")
    assert "Second Level Model" in str(page)
    assert stand_in(group).design_matrix_ is group.design_matrix_


def test_before_the_fit_the_page_says_so():
    with pytest.warns(UserWarning, match="not been fit"):
        page = FirstLevelModel().generate_report()
    assert "No statistical map was provided" in str(page)


def test_without_nilearn_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "nilearn.glm.first_level", None)
    monkeypatch.delitem(sys.modules, "voxlm.glm.standin")
    with pytest.raises(VoxlmError, match=r"voxlm\[report\]"):
        importlib.import_module("voxlm.glm.standin")
