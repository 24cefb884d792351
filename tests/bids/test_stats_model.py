"""BIDS Stats Models in and out: what they say, what cannot be honoured, the same designs back."""

import copy
import json
import warnings

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import DataError, VoxlmWarning


def run_node(**changed):
    """A run node as FitLins' models have them: factors, convolved, with confounds."""
    node = {
        "Level": "Run",
        "Name": "run",
        "GroupBy": ["run", "subject"],
        "Transformations": {
            "Transformer": "pybids-transforms-v1",
            "Instructions": [
                {"Name": "Factor", "Input": ["trial_type"]},
                {"Name": "Convolve", "Input": ["trial_type.*"], "Model": "spm"},
            ],
        },
        "Model": {"Type": "glm", "X": ["trial_type.word", "trial_type.pseudo", "trans_x", 1]},
        "Contrasts": [
            {
                "Name": "word_gt_pseudo",
                "ConditionList": ["trial_type.word", "trial_type.pseudo"],
                "Weights": [1, -1],
                "Test": "t",
            }
        ],
    }
    return node | changed


SUBJECT = {
    "Level": "Subject",
    "Name": "subject",
    "GroupBy": ["subject", "contrast"],
    "Model": {"X": [1], "Type": "meta"},
    "DummyContrasts": {"Test": "t"},
}
DATASET = {
    "Level": "Dataset",
    "Name": "group",
    "GroupBy": ["contrast"],
    "Model": {"X": [1], "Type": "glm"},
    "DummyContrasts": {"Test": "t"},
}


def document(*nodes, **more):
    found = {"Name": "m", "BIDSModelVersion": "1.0.0", "Input": {"task": ["rhyme"]}}
    return found | {"Nodes": list(nodes or (run_node(), SUBJECT, DATASET))} | more


def model(*nodes, **more):
    return vx.Model.from_bids_stats_model(document(*nodes, **more))


def test_three_levels_as_the_standards_walkthrough_has_them():
    found = model()
    assert found.formula == "y ~ word + pseudo + trans_x - drift"
    assert found.hrf == "spm"
    assert found.weighting == "precision"
    assert found.unit == "subject"
    assert found.data.task == "rhyme"
    assert found.contrasts == {"word_gt_pseudo": "word - pseudo"}
    (group,) = found.group
    assert (group.formula, group.contrasts) == ("effect ~ 1", {"intercept": "Intercept"})


def test_nothing_convolved_is_told():
    bare = run_node(Model={"Type": "glm", "X": [1, "incongruent", "congruent"]}, Contrasts=None)
    del bare["Transformations"]
    with pytest.warns(VoxlmWarning, match="nothing is convolved; those of incongruent, congruent"):
        assert model(bare).formula == "y ~ incongruent + congruent - drift"


def test_several_datasets_nodes_with_filters():
    """One sample for some contrasts, and a joint F over the maps of others."""
    first = run_node(
        GroupBy=["subject"],
        DummyContrasts={"Conditions": ["trial_type.word", "trial_type.pseudo"], "Test": "t"},
    )
    conditions = ["trial_type.word", "trial_type.pseudo"]
    joint = {
        "Level": "Dataset",
        "Name": "F-test",
        "GroupBy": [],
        "Model": {"X": conditions, "Type": "glm"},
        "Contrasts": [
            {"Name": "any", "ConditionList": conditions, "Weights": [[1, 0], [0, 1]], "Test": "F"}
        ],
    }
    edges = [
        {"Source": "run", "Destination": "group", "Filter": {"contrast": ["word_gt_pseudo"]}},
        {"Source": "run", "Destination": "F-test", "Filter": {"contrast": conditions}},
    ]
    found = model(first, DATASET, joint, Edges=edges)
    assert found.stack
    one, two = found.group
    assert one.of == ("word_gt_pseudo",)
    assert two.together
    assert two.formula == "effect ~ 0 + contrast"
    assert two.contrasts["any"] == "`contrast[trial_type.word]`, `contrast[trial_type.pseudo]`"


@pytest.mark.parametrize(
    ("instructions", "X", "formula", "hrf"),
    [
        (
            [{"Name": "Convolve", "Input": ["trial_type.a"], "Model": "glover", "Derivative": True},
             {"Name": "Convolve", "Input": ["trial_type.b"], "Model": "glover"}],
            ["trial_type.a", "trial_type.a_derivative", "trial_type.b", 1],
            'y ~ a + hrf(b, "glover") - drift',
            "glover + derivative",
        ),
        (
            [{"Name": "Convolve", "Input": ["trial_type.a"], "Model": "fir", "fir_delays": [0, 1]}],
            ["trial_type.a", "csf"],
            "y ~ 0 + fir(a, delays=[0, 1]) + csf - drift",
            "spm",
        ),
        (
            [{"Name": "Convolve", "Input": ["trial_type.a"]}],
            ["trial_type.a", "trial_type.b", 1],
            "y ~ a + boxcar(b) - drift",
            "spm",
        ),
        (
            [{"Name": "Convolve", "Input": ["trial_type.*"]}],
            ["trial_type.*", "a_comp_cor_*", 1],
            'y ~ trial_type + match("a_comp_cor_*") - drift',
            "spm",
        ),
        (
            [{"Name": "Convolve", "Input": ["trial_type.a"]}],
            ["trial_type.a", "pupil", 1],
            'y ~ hrf(a, "spm") + pupil - drift',
            "boxcar",
        ),
    ],
)  # fmt: skip
def test_responses(instructions, X, formula, hrf):
    every = [{"Name": "Factor", "Input": ["trial_type"]}, *instructions]
    steps = {"Transformer": "pybids-transforms-v1", "Instructions": every}
    node = run_node(Transformations=steps, Model={"Type": "glm", "X": X}, Contrasts=[])
    found = model(node)
    assert found.formula == formula
    assert found.hrf == hrf


def test_hrf_options_and_own_settings():
    node = run_node(
        Transformations={
            "Transformer": "pybids-transforms-v1",
            "Instructions": [{"Name": "Factor", "Input": ["trial_type"]}],
        },
        Model={
            "Type": "glm",
            "X": ["trial_type.word", "trial_type.pseudo", 1],
            "HRF": {"Variables": ["trial_type.word", "trial_type.pseudo"], "Model": "glover"},
            "Options": {"HighPassFilterCutoffHz": 0.01, "Mask": {"desc": ["brain"]}},
            "Software": {"voxlm": {"noise": "ols", "smoothing_fwhm": 5}, "FSL": {"x": 1}},
        },
    )
    found = model(node)
    assert found.formula == "y ~ word + pseudo + cosine(0.01)"
    assert (found.hrf, found.noise, found.smoothing_fwhm) == ("glover", "ols", 5.0)


def test_what_formulas_do_not_say_stays_an_instruction():
    """Balloons that were taken, as ds000030's model asks."""
    steps = [
        {"Name": "Factor", "Input": ["trial_type", "action"]},
        {"Name": "And", "Input": ["trial_type.BALOON", "action.ACCEPT"], "Output": ["accept"]},
        {"Name": "Convolve", "Input": ["accept"], "Model": "spm"},
    ]
    node = run_node(
        Transformations={"Transformer": "pybids-transforms-v1", "Instructions": steps},
        Model={"Type": "glm", "X": ["accept", "framewise_displacement", 1]},
        Contrasts=[{"Name": "a", "ConditionList": ["accept"], "Weights": ["1/2"], "Test": "F"}],
    )
    found = model(node)
    assert found.formula == "y ~ accept + framewise_displacement - drift"
    assert [step["Name"] for step in found.transformations] == ["Factor", "And"]
    assert found.contrasts == {"a": "F(1/2*accept)"}
    events = pd.DataFrame({"onset": [2.0, 20, 40, 60], "duration": 1.0,
                           "trial_type": ["BALOON", "BALOON", "CASH", "BALOON"],
                           "action": ["ACCEPT", "EXPLODE", "ACCEPT", "ACCEPT"]})  # fmt: skip
    confounds = pd.DataFrame({"framewise_displacement": np.r_[np.nan, np.linspace(0, 1, 49)]})
    values = np.random.default_rng(0).normal(100, 1, (50, 3))
    fit = found.fit(vx.Run(values, events, confounds, tr=2.0))
    taken = events.assign(trial_type=["accept", "x", "x", "accept"])
    same = vx.glsar("y ~ accept + framewise_displacement - drift",
                    vx.Run(values, taken, confounds, tr=2.0))  # fmt: skip
    np.testing.assert_allclose(fit.params, same.params, rtol=1e-12)


def changed(path, value):
    """Return the whole document with one place changed."""
    found = copy.deepcopy(document())
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["Steps"], [], "'Steps' cannot be honoured"),
        (["Nods"], [], "did you mean 'Nodes'?"),
        (["Nodes", 0, "Level"], "Ruun", "Level is one of"),
        (["Nodes", 0, "GroupBy"], ["run"], "grouped by subject"),
        (["Nodes", 0, "Model", "Type"], "meta", "fitted by a glm"),
        (["Nodes", 0, "Model", "Formula"], "1 + a", "Model.Formula cannot be honoured"),
        (["Nodes", 0, "Model", "Options"], {"LowPassFilterCutoffHz": 1}, "LowPassFilterCutoffHz"),
        (["Nodes", 0, "Model", "Options"], {"ReplaceVariables": {"a": 1}}, "ReplaceVariables"),
        (["Nodes", 0, "Model", "Options"], {"Aggregate": "pca"}, "Options.Aggregate"),
        (["Nodes", 0, "Model", "Options"], {"Mask": {"desc": ["gm"]}}, "Options.Mask"),
        (["Nodes", 0, "Transformations", "Transformer"], "bids-matlab", "only 'pybids-tr"),
        (["Nodes", 0, "Transformations", "Instructions", 0, "Name"], "Filter", "Filter"),
        (["Nodes", 0, "Transformations", "Instructions", 1, "Model"], "afni", "'afni' is not"),
        (["Nodes", 0, "Transformations", "Instructions", 1, "Output"], ["a"], "'output'"),
        (["Nodes", 0, "Contrasts", 0, "ConditionList"], ["word", "x"], "'word' is not in X"),
        (["Nodes", 0, "Contrasts", 0, "Weights"], [1], "1 weights for 2 conditions"),
        (["Nodes", 0, "Contrasts", 0, "Weights"], [0, 0], "every weight is 0"),
        (["Nodes", 0, "Contrasts", 0, "Weights"], ["a", 1], "'a' is no weight"),
        (["Nodes", 0, "Contrasts", 0, "Test"], "z", "Test is"),
        (["Nodes", 1, "Model", "Type"], "glm", "node 'subject', Model cannot be honoured"),
        (["Nodes", 1, "GroupBy"], ["subject"], "each subject and contrast"),
        (["Nodes", 2, "GroupBy"], ["contrast", "sex"], "grouped by contrast"),
        (["Edges"], [{"Source": "run", "Destination": "gruop"}], "did you mean 'group'?"),
        (["Edges"], [{"Source": "run", "Destination": "subject"}], "a dataset node has one source"),
        (["Input"], {"task": ["a", "b"]}, "a model is of one task"),
        (["Input"], {"colour": "red"}, "Input.colour"),
    ],
)
def test_what_cannot_be_honoured_is_named(path, value, says):
    with pytest.raises(DataError) as caught:
        vx.Model.from_bids_stats_model(changed(path, value))
    assert says in str(caught.value)


def test_runs_do_not_enter_a_group_one_by_one():
    with pytest.raises(DataError, match="put a subject node"):
        model(run_node(), DATASET)


def test_a_file_is_named(tmp_path):
    path = tmp_path / "model-a_smdl.json"
    path.write_text(json.dumps(document()))
    assert vx.Model.load(path) == model()
    path.write_text(json.dumps(changed(["Nodes", 0, "Level"], "x")))
    with pytest.raises(DataError, match=r"model-a_smdl\.json: node 'run'"):
        vx.Model.load(path)


OUT = {
    "name": "m",
    "weighting": "precision",
    "contrasts": {"d": "(face + house)/2", "fh": "face - house", "any": "face, house"},
    "group": {"formula": "effect ~ 1 + age", "of": ["fh"], "contrasts": {"age": "age"}},
}


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ face + house + motion",
        "y ~ hrf(face, 'glover + derivative') + house + csf - drift",
        "y ~ 0 + fir(face, delays=[0, 1, 2]) + boxcar(house) + cosine(1/100)",
        "y ~ face + house + motion - rot_z",
    ],
)
def test_out_and_in_again_gives_the_same_design(formula):
    contrasts = OUT["contrasts"] if "fir" not in formula else {"h": "house"}
    first = vx.Model(**{**OUT, "formula": formula, "contrasts": contrasts, "group": []})
    again = vx.Model.from_bids_stats_model(json.dumps(first.to_bids_stats_model()))
    rng = np.random.default_rng(1)
    events = pd.DataFrame({"onset": np.arange(6.0, 180, 12), "duration": 3.0})
    events["trial_type"] = np.where(np.arange(len(events)) % 2, "face", "house")
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf"]
    confounds = pd.DataFrame(rng.normal(size=(100, 7)), columns=names)
    run = vx.Run(rng.normal(100, 1, (100, 2)), events, confounds, tr=2.0)
    one, two = first.fit(run), again.fit(run)
    for name, text in contrasts.items():
        np.testing.assert_allclose(
            two.contrast(again.contrasts[name]).stat, one.contrast(text).stat, rtol=1e-9
        )
    assert one.df_resid == two.df_resid


def test_everything_comes_back():
    said = {**OUT, "formula": "y ~ face + house + csf + cosine(0.01)", "unit": "session"}
    first = vx.Model(
        **said, noise="ols", smoothing_fwhm=5, correction={"method": "fdr", "alpha": 0.01},
        data={"task": "faces", "space": "MNI", "subjects": ["01"], "filters": {"res": "2"}},
    )  # fmt: skip
    again = vx.Model.from_bids_stats_model(first.to_bids_stats_model())
    same = again.to_dict() | {"contrasts": 0, "data": 0}
    assert same == first.to_dict() | {"contrasts": 0, "data": 0}
    assert again.to_bids_stats_model() == first.to_bids_stats_model()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"formula": "y ~ face/rt"}, "face/rt"),
        ({"formula": "y ~ face + center(rt)"}, "center(rt)"),
        ({"formula": "y ~ face + scrub(fd=0.5)"}, "scrub"),
        ({"formula": "y ~ face + acompcor(5)"}, "acompcor(5)"),
        ({"hrf": {"default": "spm"}}, "hrf"),
        ({"weighting": "unweighted"}, "unweighted"),
        ({"contrasts": {"a": "face = 0.5"}}, "its null value is 0"),
        ({"contrasts": {"a": "hose"}}, "contrasts.a"),
        ({"data": {"exclude": ["01"]}}, "data.exclude"),
        ({"group": {"formula": "effect ~ 1 + (1 | site)", "model": "lmer"}}, "random terms"),
        ({"group": {"formula": "effect ~ group * age"}}, "group * age"),
    ],
)
def test_what_the_standard_cannot_say_is_named(changed, says):
    plain = {"formula": "y ~ face + house", "weighting": "precision"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            vx.Model(**{**plain, **changed}).to_bids_stats_model()
    assert says in str(caught.value).replace("group*age", "group * age")


@pytest.mark.parametrize(
    ("model", "extra", "says"),
    [
        ({}, {"Contrasts": [{"Name": "a"}]}, "lacks ConditionList"),
        ({}, {"Contrasts": [{"Name": "a", "ConditionList": ["trans_x"]}]}, "lacks Weights"),
        (
            {},
            {"Contrasts": [{"Name": "a", "ConditionList": ["trans_x"], "Weights": []}]},
            "a list of numbers",
        ),
        (
            {},
            {"Contrasts": [{"Name": "a", "ConditionList": ["trans_x"], "Weights": ["1.2.3"]}]},
            "is no weight",
        ),
        ({"HRF": {"Model": "spm"}}, {}, "HRF lacks Variables"),
        ({"Options": {"HighPassFilterCutoffHz": "a"}}, {}, "no frequency"),
        (
            {},
            {"Transformations": {"Transformer": "pybids-transforms-v1", "Instructions": ["x"]}},
            "an instruction is an object",
        ),
    ],
    ids=["conditions", "weights", "empty", "weight", "variables", "cutoff", "instruction"],
)
def test_what_a_document_lacks_is_said(model, extra, says):
    node = {"Level": "Run", "Name": "run", "GroupBy": ["run", "subject"], **extra}
    node["Model"] = {"X": ["trans_x", 1], **model}
    with pytest.raises(DataError, match=says):
        vx.Model.from_bids_stats_model({"Nodes": [node]})
