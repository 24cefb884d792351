"""What can be imported from nilearn's paths can be imported here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys

import nilearn.glm
import pandas as pd
import pytest
from nilearn_study import TR, events, image, mask_image

from voxlm.errors import DataError
from voxlm.glm import paths
from voxlm.glm.first_level import FirstLevelModel

MODULES = [
    found.name.removeprefix("nilearn.glm")
    for found in pkgutil.walk_packages(nilearn.glm.__path__, "nilearn.glm.")
    if ".tests" not in found.name
]


def names_of(module):
    """Return what a module of nilearn defines: classes, functions, constants."""
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
        or (name.isupper() and not inspect.ismodule(value))
    ]


def test_all_of_nilearns_modules_are_known():
    known = {f".{path}" for path in paths.PUBLIC + paths.PRIVATE}
    assert known | {".first_level", ".second_level"} == set(MODULES)


@pytest.mark.parametrize("path", ["", *MODULES])
def test_every_name_is_at_nilearns_path(path):
    theirs = importlib.import_module(f"nilearn.glm{path}")
    ours = importlib.import_module(f"voxlm.glm{path}")
    for name in names_of(theirs):
        found = getattr(ours, name)
        public = not any(part.startswith("_") for part in (*path.split("."), name))
        if public and callable(found):
            assert found.__module__.startswith("voxlm.")


def test_private_names_are_nilearns_own():
    for path in paths.PUBLIC:
        mine = {
            name for name in vars(importlib.import_module(f"voxlm.glm.{path}")) if name[0] == "_"
        }
        known = vars(importlib.import_module(f"nilearn.glm.{path}"))
        assert not {name for name in mine if name[1] != "_"} & set(known)
    theirs = nilearn.glm.first_level.first_level
    assert importlib.import_module("voxlm.glm._utils").z_score is nilearn.glm._utils.z_score
    ours = importlib.import_module("voxlm.glm.first_level.first_level")
    assert ours._yule_walker is theirs._yule_walker
    for absent in ("_nothing", "nothing", "check_niimg"):
        with pytest.raises(AttributeError, match=f"has no attribute '{absent}'"):
            getattr(ours, absent)


def test_without_nilearn_there_are_no_private_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "nilearn.glm.first_level.first_level", None)
    ours = importlib.import_module("voxlm.glm.first_level.first_level")
    assert ours.first_level_from_bids is not None
    with pytest.raises(AttributeError, match="_yule_walker"):
        _ = ours._yule_walker


def test_private_names_that_take_models_take_ours():
    ours = importlib.import_module("voxlm.glm.second_level.second_level")
    models = [FirstLevelModel(subject_label=label) for label in "ab"]
    with pytest.raises(DataError, match="Model a at index 0 has not been fit yet"):
        ours._check_second_level_input(models, None)
    with pytest.raises(DataError, match="first_level_contrast is mandatory"):
        ours._check_first_level_contrast(models, None)
    table = pd.DataFrame({"map_name": ["a", "a"], "effects_map_path": [image(0), "nowhere.nii"]})
    with pytest.raises(DataError, match=r"File not found: 'nowhere\.nii'"):
        ours._infer_effect_maps(table, "a")


def test_the_picture_of_a_model_links_to_where_its_parameters_are_explained():
    model = FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(image(0), events(0))
    page = "nilearn.github.io/stable/modules/generated/nilearn.glm.first_level.FirstLevelModel.html"
    assert page in model._get_doc_link()
    assert page in model._repr_html_()
