"""A model as data: the same through both formats, errors by place, one schema."""

import json
import pickle
import re
import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxlm as vx
from voxlm.analysis.modelfile import SCHEMA
from voxlm.errors import DataError, FormulaError

words = st.text("abcdefgh é\"'#=[].", min_size=1, max_size=8)
formulas = st.sampled_from(["y ~ face", "y ~ face + house - drift", 'y ~ hrf(face, "glover")'])
corrections = st.one_of(
    st.sampled_from(["fdr", "bonferroni"]),
    st.fixed_dictionaries({"method": st.just("holm"), "alpha": st.floats(0.001, 0.5)}),
)
group_corrections = st.lists(
    st.one_of(
        corrections,
        st.fixed_dictionaries(
            {"method": st.just("tfce"), "n_perm": st.integers(1, 9999), "forming_p": st.just(0.01)}
        ),
    ),
    max_size=2,
)
groups = st.fixed_dictionaries(
    {"formula": st.sampled_from(["effect ~ 1", "effect ~ age * group + (1 | subject)"])},
    optional={
        "contrasts": st.dictionaries(words, words, max_size=2),
        "correction": group_corrections,
        "together": st.booleans(),
        "zeros": st.sampled_from(["keep", "missing"]),
    },
)
models = st.fixed_dictionaries(
    {"formula": formulas},
    optional={
        "name": words,
        "confounds": st.lists(st.sampled_from(["motion24", "acompcor(5)", "csf"]), max_size=2),
        "hrf": st.sampled_from(["glover", {"default": "spm", "mine": "spm + derivative"}]),
        "noise": st.sampled_from(["ols", "ar(2)"]),
        "rtol": st.floats(0, 0.1),
        "contrasts": st.dictionaries(words, words, max_size=3),
        "correction": st.one_of(corrections, st.lists(corrections, max_size=2)),
        "smoothing_fwhm": st.floats(0.5, 12),
        "scaling": st.sampled_from(["none", "grand_mean", None]),
        "stack": st.booleans(),
        "data": st.fixed_dictionaries({}, optional={"subjects": st.lists(words), "task": words}),
        "transformations": st.just([{"Name": "Scale", "Input": ["rt"], "Demean": True}]),
        "group": st.one_of(groups, st.lists(groups, max_size=1)),
    },
)


@given(models)
@settings(max_examples=30, deadline=None)
def test_a_model_is_the_same_through_every_format(given):
    model = vx.Model(**given)
    assert vx.Model.from_toml(model.to_toml()) == model
    assert vx.Model.from_json(model.to_json()) == model
    assert vx.Model.from_dict(model.to_dict()) == model
    assert vx.Model.from_dict(model.to_dict(whole=True)) == model
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(vx.Model.from_toml(model.to_toml())) == hash(model)


@given(models)
@settings(max_examples=15, deadline=None)
def test_the_schema_takes_what_a_model_writes(given):
    model = vx.Model(**given)
    schema = vx.Model.json_schema()
    jsonschema.validate(tomllib.loads(model.to_toml()), schema)
    jsonschema.validate(json.loads(json.dumps(model.to_dict(whole=True))), schema)


def test_the_shipped_schema_is_that_of_the_model():
    """Written by json.dumps(vx.Model.json_schema(), indent=2)."""
    assert json.loads(SCHEMA.read_text()) == vx.Model.json_schema()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fromula": "y ~ a"}, ["fromula", "did you mean 'formula'?"]),
        ({"formula": "y ~ a", "smoothing": 6}, ["smoothing", "did you mean 'smoothing_fwhm'?"]),
        ({"formula": "y ~ a", "smoothing_fwhm": "6"}, ["smoothing_fwhm", "a number above 0"]),
        ({"formula": "y ~ a", "smoothing_fwhm": -1}, ["smoothing_fwhm", "a number above 0"]),
        ({"formula": "y ~ a", "noise": "ar1"}, ["noise", "'ar(1)'"]),
        ({"formula": "y ~ a", "noise": "ar(0)"}, ["noise"]),
        ({"formula": "y ~ a", "hrf": "spmm"}, ["hrf", "spm"]),
        ({"formula": "y ~ a", "stack": 1}, ["stack", "true or false"]),
        ({"formula": "y ~ a", "maxiter": 1.5}, ["maxiter", "a whole number"]),
        ({"formula": "y ~ a", "correction": "fdrr"}, ["correction", "did you mean 'fdr'"]),
        ({"formula": "y ~ a", "correction": {"method": "fdr", "aplha": 1}}, ["aplha", "'alpha'"]),
        ({"formula": "y ~ a", "data": {"tsk": "x"}}, ["data.tsk", "did you mean 'task'?"]),
        ({"formula": "y ~ a", "group": {"formla": "~ 1"}}, ["group.formla", "'formula'"]),
        ({"formula": "y ~ a", "group": {}}, ["formula is missing"]),
        ({"formula": "y ~ a", "group": {"formula": "~ 1", "reml": True}}, ["reml", "lmer"]),
        ({"formula": "y ~ a", "group": {"formula": "~ 1", "of": ["b"]}}, ["no contrast 'b'"]),
        ({"formula": "y ~ a", "group": [{"formula": "~ 1"}] * 2}, ["names two groups"]),
        ({"formula": "y ~ a", "transformations": {"Name": "Factr"}}, ["transformations", "Factor"]),
        ({"formula": "y ~ a", "transformations": {"Name": "Filter"}}, ["never runs"]),
        ({"formula": "y ~ a", "contrasts": {"a": 3}}, ["contrasts.a", "expected a text"]),
        ({}, ["formula is missing"]),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(wrong, says):
    with pytest.raises(DataError) as caught:
        vx.Model.from_dict(wrong)
    for words in says:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "path"),
    [("y ~ face + (house", "formula"), ("y ~ __import__('os')", "formula")],
)
def test_a_formula_keeps_its_caret(formula, path):
    with pytest.raises(FormulaError) as caught:
        vx.Model(formula=formula)
    assert str(caught.value).startswith(f"{path}: ")
    assert "^" in str(caught.value)
    with pytest.raises(FormulaError, match=r"group\[1\]\.formula: "):
        vx.Model(formula="y ~ a", group=[{"formula": formula}])


def test_files_name_the_line(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text('formula = "y ~ a"\n\n[group]\nformula = "~ 1"\nmodle = "lm"\n')
    with pytest.raises(DataError, match=r"model\.toml, line 5: group\.modle: .*'model'"):
        vx.Model.load(path)
    path.write_text('formula = "y ~ a"\n[[group]]\nname = "a"\nformula = "~ 1"\n'
                    '[[group]]\nname = "b"\nformula = "~ 1"\nzeros = "no"\n')  # fmt: skip
    with pytest.raises(DataError, match=r"line 8: group\[2\]\.zeros"):
        vx.Model.load(path)
    path.write_text('formula = "y ~ a\n')
    with pytest.raises(DataError, match=r"no TOML: .*line 1"):
        vx.Model.load(path)
    path = tmp_path / "model.json"
    path.write_text('{"formula": "y ~ a",\n "group": {"formula": "~ 1",\n  "modle": "lm"}}')
    with pytest.raises(DataError, match=r"model\.json, line 3: group\.modle"):
        vx.Model.load(path)
    path.write_text('{"formula": ')
    with pytest.raises(DataError, match="line 1: this is no JSON"):
        vx.Model.load(path)
    with pytest.raises(DataError, match="does not exist"):
        vx.Model.load(tmp_path / "none.toml")
    with pytest.raises(DataError, match="ends in"):
        vx.Model.load(tmp_path / "model.yaml")


def test_nothing_given_is_changed_and_nothing_kept_can_be():
    contrasts = {"a": "face"}
    model = vx.Model(formula="y ~ face", contrasts=contrasts)
    contrasts["b"] = "house"
    assert dict(model.contrasts) == {"a": "face"}
    with pytest.raises(AttributeError):
        model.formula = "y ~ house"
    with pytest.raises(TypeError):
        model.contrasts["b"] = "house"


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(2):
        onsets = np.arange(4.0, 130, 9)
        kinds = rng.permutation(["face", "house"] * 7)[: onsets.size]
        events = pd.DataFrame({"onset": onsets[:14], "duration": 2.0, "trial_type": kinds})
        events["rt"] = rng.uniform(0.4, 1.2, 14)
        confounds = pd.DataFrame({"csf": rng.normal(size=80)})
        runs.append(vx.Run(rng.normal(100, 1, (80, 6)), events, confounds, tr=2.0))
    return runs


def test_a_model_fits_what_its_verb_fits(pair):
    said = {"formula": "y ~ face + house", "confounds": "csf", "hrf": "glover"}
    con = vx.Model(**said).fit(pair).contrast("face - house")
    same = vx.glsar("y ~ face + house + csf", pair, hrf="glover").contrast("face - house")
    np.testing.assert_array_equal(con.stat, same.stat)
    con = vx.Model(**said, noise="ols", stack=True, scaling="none").fit(pair).contrast("face")
    plain = [run.reread(scaling=None) for run in pair]
    same = vx.lm("y ~ face + house + csf", plain, hrf="glover", stack=True).contrast("face")
    np.testing.assert_array_equal(con.stat, same.stat)
    two = vx.Model(formula="y ~ face", noise="ar(2)").fit(pair[0])
    assert two.order == 2


def test_transformations_come_before_the_formula(pair):
    steps = [
        {"Name": "Factor", "Input": ["trial_type"]},
        {"Name": "Threshold", "Input": "rt", "Threshold": 0.8, "Binarize": True, "Output": "slow"},
        {"Name": "And", "Input": ["trial_type.face", "slow"], "Output": "slow_face"},
    ]
    model = vx.Model(formula="y ~ face + slow_face", transformations=steps)
    fit = model.fit(pair[0])
    table = pair[0].events
    by_hand = table.assign(slow_face=((table.trial_type == "face") & (table.rt >= 0.8)) * 1.0)
    same = vx.glsar("y ~ face + slow_face", pair[0].reread(events=by_hand))
    np.testing.assert_array_equal(fit.params, same.params)
    assert "slow_face" in str(model.explain(pair[0]))
    assert "slow_face" not in table


def test_a_run_that_says_otherwise_is_an_error(tmp_path):
    made = vx.simulate.study(tmp_path, n_scans=60, shape=(20, 24, 18), voxel_mm=8.0)
    (run,) = made.runs
    model = vx.Model(formula="y ~ face", smoothing_fwhm=9)
    with pytest.raises(DataError, match=r"smoothed by .* and the model says 9"):
        model.fit(run.reread(smoothing_fwhm=5))
    assert model.fit(run).run.smoothing_fwhm == (9.0, 9.0, 9.0)
    roles = {file.role for file in model.fit(run).run.inputs}
    assert {"bold", "events", "confounds", "mask"} <= roles


@pytest.mark.parametrize("page", ["docs/model-file.md", "README.md"])
def test_model_files_on_the_pages_are_read(page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        model = vx.Model.from_toml(block)
        assert vx.Model.from_toml(model.to_toml()) == model


def test_a_group_chooses_its_verb_by_its_terms():
    mixed, plain = vx.Model(
        formula="y ~ a",
        group=[
            {"name": "a", "formula": "effect ~ age + (1 | site)", "reml": False},
            {"name": "b", "formula": "effect ~ age", "robust": "huber"},
        ],
    ).group
    assert (mixed.verb, plain.verb) == ("lmer", "lm")
    assert (mixed.options, plain.options) == ({"reml": False}, {"robust": "huber"})


def test_both_levels_are_written_for_r():
    events = pd.DataFrame({"onset": [4.0, 30.0], "duration": 2.0, "trial_type": "face"})
    run = vx.Run(np.random.default_rng(0).normal(100, 1, (40, 2)), events, tr=2.0)
    table = pd.DataFrame({"age": [1.0, 2.0, 4.0, 3.0], "subject": ["a", "a", "b", "b"]})
    group = {"formula": "effect ~ age + (1 | subject)", "reml": False}
    said = vx.Model(formula="y ~ face", group=group).to_r(run, table)
    assert said.splitlines() == [
        "# y ~ face",
        vx.design("y ~ face", run).to_r(1),
        "# group",
        "lme4::lmer(effect ~ 1 + age + (1 | subject), data = d, REML = FALSE)",
    ]
    with pytest.raises(vx.VoxlmError, match="meta"):
        vx.Model(formula="y ~ face", group={"formula": "effect ~ 1", "model": "meta"}).to_r(
            table=table
        )


def test_a_path_may_hold_the_signs_of_a_text(tmp_path):
    for sign, end, write in (("=", ".toml", "to_toml"), ("{a}", ".json", "to_json")):
        folder = tmp_path / f"alpha{sign}5"
        folder.mkdir()
        path = str(folder / f"model{end}")
        model = vx.Model(formula="y ~ face")
        getattr(model, write)(path)
        assert getattr(vx.Model, write.replace("to", "from", 1))(path) == model
