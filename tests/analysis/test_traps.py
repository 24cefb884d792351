"""The traps of formula modelling in fMRI, each with the test that catches it."""

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import make_first_level_design_matrix

import voxlm as vx
from voxlm.contrasts.names import with_dots
from voxlm.design.columns import Column
from voxlm.hrf.gamma import spm

T, TR = 120, 2.0
# The grid of nilearn's own designs, to rounding.
DESIGN = 1e-10
# A fine grid against a coarse one, of the peak.
GRID = 1e-3


def events(**more):
    n = 18
    table = pd.DataFrame({"onset": 6.0 + 12.0 * np.arange(n), "duration": 2.0})
    table["trial_type"] = np.tile(["face", "house", "tool"], 6)
    table["rt"] = 0.5 + 0.4 * np.random.default_rng(0).random(n)
    return table.assign(**more)


def run(table=None, V=6, **more):
    data = np.random.default_rng(1).normal(100, 1, (T, V))
    return vx.Run(data, events() if table is None else table, tr=TR, **more)


def column(design, name):
    return design.matrix[:, list(design.names).index(name)]


def test_amplitudes_multiply_before_convolution():
    table = events()
    face = table[table["trial_type"] == "face"]
    modulated = face.assign(modulation=face["rt"])[
        ["onset", "duration", "trial_type", "modulation"]
    ]
    theirs = make_first_level_design_matrix(
        TR * np.arange(T), modulated, hrf_model="spm", drift_model=None
    )
    ours = column(vx.design("y ~ face + face:rt", run()), "face:rt")
    np.testing.assert_allclose(ours, theirs["face"], atol=DESIGN)
    after = column(vx.design("y ~ face", run()), "face") * face["rt"].mean()
    assert np.abs(ours - after).max() > 0.01


def test_a_missing_amplitude_elsewhere_drops_no_event():
    table = events()
    holes = table.assign(rt=table["rt"].where(table["trial_type"] == "face"))
    plain = vx.design("y ~ face + house", run())
    with_rt = vx.design("y ~ face + face:rt + house", run(holes))
    np.testing.assert_array_equal(column(with_rt, "house"), column(plain, "house"))


def test_centring_counts_the_events_of_the_condition():
    design = vx.design("y ~ face + face:center(rt, within=trial_type)", run())
    table = events()
    rt = table.loc[table["trial_type"] == "face", "rt"].to_numpy()
    one = events().assign(trial_type=np.where(table["trial_type"] == "face", "face", "other"))
    # The column is linear in its amplitudes: those of mean zero and no others give it.
    expected = vx.design("y ~ face:w", run(one.assign(w=one["rt"] - rt.mean())))
    found = column(design, "face:center(rt, within=trial_type)")
    np.testing.assert_allclose(found, column(expected, "face:w"), atol=DESIGN)


@pytest.mark.parametrize("response", ["spm_exact", "glover_exact"])
def test_dense_and_split_events_do_not_depend_on_a_grid(response):
    close = pd.DataFrame({"onset": 10.0 + 0.13 * np.arange(9), "duration": 0.07})
    close["trial_type"] = "a"
    split = pd.concat([close.assign(duration=0.035), close.assign(duration=0.035)])
    split["onset"] += np.repeat([0.0, 0.035], 9)
    whole = column(vx.design("y ~ a", run(close), hrf=response), "a")
    halves = column(vx.design("y ~ a", run(split), hrf=response), "a")
    assert np.abs(whole - halves).max() <= GRID * np.abs(whole).max()


def test_a_derivative_is_orthogonal_to_its_condition():
    design = vx.design("y ~ face", run(), hrf=spm(derivative=True))
    names = [n for n in design.names if n.startswith("face")]
    face, derivative = (column(design, n) for n in names)
    assert abs(face @ derivative) < 1e-8 * np.linalg.norm(face) * np.linalg.norm(derivative)


def test_an_event_after_the_last_scan_is_said_to_be_dropped():
    late = pd.concat([events(), events().iloc[:1].assign(onset=T * TR + 5)])
    fit = vx.design("y ~ face + house", run(late))
    plain = vx.design("y ~ face + house", run())
    np.testing.assert_array_equal(column(fit, "face"), column(plain, "face"))
    assert any("1 of 19 events start after the run's end" in note for note in fit.notes)


def test_the_longest_name_wins_unless_it_is_also_a_sum():
    names = {"face": "left-hand", "house": "left", "tool": "foot"}
    design = vx.design("y ~ trial_type", run(events().replace({"trial_type": names})))
    weights = design.hypothesis("left-hand - left").C[0]
    at = [design.names.index(f"trial_type[{n}]") for n in ("left-hand", "left", "foot")]
    assert weights[at].tolist() == [1.0, -1.0, 0.0]
    names["tool"] = "hand"
    clash = vx.design("y ~ trial_type", run(events().replace({"trial_type": names})))
    with pytest.raises(vx.ContrastError, match="two ways"):
        clash.hypothesis("left-hand - left")
    assert clash.hypothesis("`left-hand` - left").C[0][at].tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize("text", ["y ~ face + motion - nosuch", "y ~ trial_type - house"])
def test_a_minus_that_removes_nothing_raises(text):
    confounds = pd.DataFrame(
        np.random.default_rng(2).standard_normal((T, 6)),
        columns=["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"],
    )
    with pytest.raises(vx.FormulaError):
        vx.design(text, run(confounds=confounds))


def maps(n=16, per=2):
    subject = np.repeat([f"s{i:02d}" for i in range(n)], per)
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"subject": subject, "x": rng.standard_normal(n * per)})
    table["group"] = np.where(pd.factorize(subject)[0] < n / 2, "a", "b")
    data = rng.standard_normal((n * per, 5)) + rng.standard_normal((n, 5)).repeat(per, axis=0)
    return vx.Maps(table, data=data)


def test_a_random_term_has_no_product():
    with pytest.raises(vx.FormulaError, match="random"):
        vx.lmer("~ x*(1 | subject)", maps())


def test_a_nested_factor_is_confounded_and_named():
    fit = vx.lm("~ group + subject", maps())
    with pytest.raises(vx.ContrastError, match=r"does not determine group\[T.b\], subject"):
        fit.contrast("group[T.b]")


def test_what_cannot_be_estimated_is_refused_and_its_sum_is_not():
    twice = events()
    fit = vx.lm("y ~ face + house", run(twice))
    assert fit.contrast("face + house").effect.shape == (6,)
    table = maps().table.assign(z=lambda t: t["x"])
    both = vx.Maps(table, data=maps().values)
    with pytest.raises((vx.DesignError, vx.ContrastError)):
        vx.lm("~ x + z", both).contrast("x")
    assert np.isfinite(vx.lm("~ x + z", both).contrast("x + z").t).all()


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_a_mixed_model_does_not_depend_on_units(unit):
    here = maps()
    one = vx.lmer("~ x + (1 | subject)", here).contrast("x").t
    other = vx.Maps(here.table, data=here.values * unit)
    # The minimum is found to the square root of rounding.
    np.testing.assert_allclose(
        vx.lmer("~ x + (1 | subject)", other).contrast("x").t, one, rtol=1e-7
    )


@pytest.mark.parametrize("text", ["y ~ {__import__('os').getcwd()}", "y ~ __import__('os')"])
def test_no_formula_runs_code(text):
    with pytest.raises(vx.FormulaError):
        vx.design(text, run())


def test_columns_are_reported_and_never_rewritten():
    near = events()
    design = vx.design("y ~ face + house + tool", run(near))
    again = vx.design("y ~ face + house", run(near))
    np.testing.assert_array_equal(column(design, "face"), column(again, "face"))


@pytest.mark.parametrize("name", ["face", "trial_type[face]", "trial_type.face"])
def test_a_level_goes_by_its_names(name):
    design = vx.design("y ~ trial_type", run())
    weights = design.hypothesis(name).C[0]
    assert weights.tolist() == [float(n == "trial_type[face]") for n in design.names]


def test_every_bracketed_name_comes_back_from_its_dotted_form():
    design = vx.design("y ~ trial_type/rt", run())
    for at, one in enumerate(design.columns):
        assert isinstance(one, Column)
        if "[" in one.name:
            weights = design.hypothesis(with_dots(one.name)).C[0]
            assert weights.argmax() == at
            assert weights.sum() == 1.0
