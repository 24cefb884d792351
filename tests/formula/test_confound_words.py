"""Words for confounds on fMRIPrep's own tables."""

import json

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.errors import DataError, FormulaError
from voxlm.formula import Schema, parse, resolve


def design(formula, confounds, sidecar=None):
    meaning = resolve(parse(formula), Schema.of(None, confounds, sidecar))
    return build(meaning, None, confounds, Clock(len(confounds), 2.0))


def own(made):
    return [c.name for c in made.columns if c.role == "confound"]


def frame(**columns):
    rng = np.random.default_rng(0)
    names = [f"a_comp_cor_{k:02d}" for k in range(8)]
    table = pd.DataFrame(rng.normal(size=(50, 8)), columns=names)
    return table.assign(
        **{k: v if v is not None else rng.normal(size=50) for k, v in columns.items()}
    )


SIDECAR = {
    f"a_comp_cor_{k:02d}": {"Mask": ["combined", "CSF", "WM", "combined"][k % 4], "Retained": True}
    for k in range(8)
}


@pytest.mark.parametrize(
    ("formula", "numbers"),
    [
        ("~ acompcor(3)", [0, 3, 4]),
        ("~ acompcor(2, mask='csf')", [1, 5]),
        ('~ acompcor(2, mask="WM")', [2, 6]),
    ],
)
def test_components_follow_the_masks_of_the_sidecar(formula, numbers):
    expected = [f"a_comp_cor_{k:02d}" for k in numbers]
    assert own(design(formula, frame(), SIDECAR)) == expected
    attached = frame()
    attached.attrs["sidecar"] = SIDECAR
    assert own(design(formula, attached)) == expected


def test_components_without_a_sidecar_are_taken_in_order_and_said_so():
    made = design("~ acompcor(3)", frame())
    assert own(made) == ["a_comp_cor_00", "a_comp_cor_01", "a_comp_cor_02"]
    assert any("no sidecar" in note for note in made.notes)


def test_components_of_later_versions_have_prefixes_of_their_own():
    table = frame(c_comp_cor_00=None, w_comp_cor_00=None, w_comp_cor_01=None)
    assert own(design("~ acompcor(1, mask='csf')", table)) == ["c_comp_cor_00"]
    assert own(design("~ acompcor(2, mask='wm')", table)) == ["w_comp_cor_00", "w_comp_cor_01"]


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("~ acompcor(20)", "asks for 20 components; the table has 8"),
        ("~ acompcor(2, mask='grey')", "mask is one of"),
        ("~ acompcor", "unknown name 'acompcor'"),
        ("~ acompcor()", "number of components"),
        ("~ acompcor(2.5)", "whole number"),
        ("~ tcompcor(1)", "the table has 0"),
        ("~ wmcsf", "lacks: csf, white_matter"),
        ("~ gsr", "lacks: global_signal"),
        ("~ ica_aroma", "lacks: aroma_motion_"),
        ("~ match('b_comp*')", "no confound fits the pattern 'b_comp*'"),
        ("~ match(a_comp)", "one pattern in quotes"),
        ("~ scrub(0.5)", "lacks: framewise_displacement"),
        ("~ scrub(-1)", "positive number"),
        ("~ scrub(depth=3)", "knows no 'depth'"),
        ("~ motion24", "lacks trans_x"),
    ],
)
def test_words_the_table_cannot_serve(formula, sentence):
    with pytest.raises(FormulaError) as caught:
        design(formula, frame())
    assert sentence in str(caught.value)


def test_scrubbed_scans_and_non_steady_states_do_not_repeat_each_other():
    fd = np.full(50, 0.1)
    fd[[0, 10, 11]] = [np.nan, 0.8, 0.9]
    spike = np.zeros(50)
    spike[10] = 1.0
    table = frame(framewise_displacement=fd, non_steady_state_outlier00=spike)
    made = design("~ nonsteady + scrub(fd=0.5)", table)
    assert own(made) == ["non_steady_state_outlier00", "scrub[11]"]
    assert any("1 more have a column of their own" in note for note in made.notes)
    check(made)
    table.loc[7, "framewise_displacement"] = np.nan
    with pytest.raises(DataError, match="missing in row 8"):
        design("~ scrub(0.5)", table)


def test_no_non_steady_scans_is_said_and_no_error():
    made = design("~ nonsteady", frame())
    assert own(made) == []
    assert any("no non-steady-state" in note for note in made.notes)


@pytest.mark.parametrize(
    ("stem", "formula", "count"),
    [
        ("sub-01_task-auditory_desc-confounds_timeseries", "~ motion24 + acompcor(5) + wmcsf", 31),
        ("sub-03_task-flocBLOCKED_desc-confounds_regressors", "~ motion24 + acompcor(6) + gsr", 31),
        ("sub-03_task-flocBLOCKED_desc-confounds_regressors", "~ acompcor(3, mask='wm')", 3),
        ("sub-01_task-test_desc-confounds_regressors", "~ motion12 + ica_aroma + nonsteady", 37),
        ("test-v21_desc-confounds_timeseries", "~ motion + acompcor(1, mask='csf')", 7),
        ("test_desc-confounds_regressors", "~ motion + tcompcor(2) + scrub(0.5)", None),
    ],
)
def test_real_tables(shared_data, stem, formula, count):
    folder = shared_data / "fmriprep_confounds"
    table = pd.read_csv(folder / f"{stem}.tsv", sep="\t", na_values="n/a")
    side = folder / f"{stem}.json"
    made = design(formula, table, json.loads(side.read_text()) if side.exists() else None)
    assert np.isfinite(made.matrix).all()
    check(made)
    if count is not None:
        assert len(own(made)) == count
