"""``voxlm fit``: the numbers of the API, in files, on the screen and as JSON."""

import html
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx

# Maps are stored as float32, whose unit in the last place is 6e-8 of the value.
FLOAT32 = 1e-6
# The check refits with statsmodels the very int16 series that were fitted.
STATSMODELS = 1e-6
FORMULA = "y ~ face + house + motion"


def _inputs(study, run=0):
    return [
        "--bold",
        study.bold[run],
        "--events",
        study.events[run],
        "--confounds",
        study.confounds[run],
    ]


def _run(study, run=0, **options):
    return vx.Run(
        study.bold[run],
        events=study.events[run],
        confounds=study.confounds[run],
        mask=study.mask,
        **options,
    )


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """Fit once with everything, and return the folder and what was printed."""
    from typer.testing import CliRunner  # noqa: PLC0415

    from voxlm.cli.app import app  # noqa: PLC0415

    out = tmp_path_factory.mktemp("fit") / "out"
    args = ["fit", FORMULA, *_inputs(small), "--mask", small.mask, "--contrast", "face - house"]
    args += ["--contrast", "face, house", "--check", 5, "--out", out]
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return out, result.output


def test_maps_are_those_of_the_api(small, written):
    out, _ = written
    fit = vx.glsar(FORMULA, _run(small))
    mask = nib.load(small.mask).get_fdata() > 0
    for text, stem in {"face - house": "faceMinusHouse", "face, house": "faceAndHouse"}.items():
        contrast = fit.contrast(text)
        for name in ("z", "p"):
            stored = nib.load(out / f"contrast-{stem}_stat-{name}_statmap.nii.gz").get_fdata()
            np.testing.assert_allclose(stored[mask], getattr(contrast, name), rtol=FLOAT32)
        verdict = contrast.correct("fdr", 0.05)
        stored = nib.load(out / f"contrast-{stem}_desc-fdr_stat-z_statmap.nii.gz").get_fdata()
        np.testing.assert_array_equal(stored[mask] != 0, verdict.significant)
        clusters = pd.read_csv(out / f"contrast-{stem}_desc-fdr_clusters.tsv", sep="\t")
        assert len(clusters) == len(verdict.table())


def test_everything_is_written(written):
    out, _ = written
    names = {path.name for path in out.iterdir()}
    assert {"design.tsv", "design.png", "mask.nii.gz", "provenance.json"} <= names
    assert "contrast-faceMinusHouse_desc-fdr_stat-z.png" in names
    assert not [name for name in names if name.startswith(".")]


def test_screen_shows_the_fit_the_answers_and_the_check(written):
    out, printed = written
    assert "y ~ 1 + face + house + motion + cosine(1/128)" in printed
    assert "face - house = 0" in printed
    assert "Benjamini-Hochberg" in printed
    assert "largest differences from statsmodels" in printed
    assert f"written to {out}" in printed.replace("\n", "")


def test_json_is_all_there_is(small, voxlm):
    result = voxlm("fit", FORMULA, *_inputs(small), "--mask", small.mask, "--contrast", "face")
    assert result.exit_code == 0
    arguments = ["fit", FORMULA, *_inputs(small), "--mask", small.mask, "--contrast", "face"]
    result = voxlm(*arguments, "--json", "--check", 3, "--correct", "none", "--alpha", 0.01)
    record = json.loads(result.stdout)
    contrast = vx.glsar(FORMULA, _run(small)).contrast("face")
    (told,) = record["contrasts"]
    assert told["largest"] == pytest.approx(np.nanmax(contrast.stat))
    assert told["n_significant"] == int((contrast.p <= 0.01).sum())
    assert record["runs"][0]["n_scans"] == 80
    differences = {row["quantity"]: row["largest_relative"] for row in record["checks"][0]}
    assert differences["params"] < STATSMODELS
    assert differences["rho"] < STATSMODELS


def test_options_reach_the_run_and_the_model(small, voxlm):
    arguments = ["fit", "y ~ face + house", *_inputs(small), "--mask", small.mask, "--json"]
    arguments += ["--contrast", "face", "--scaling", "none", "--smoothing-fwhm", 10]
    arguments += ["--slice-time-ref", 0.5, "--hrf", "glover", "--order", 2, "--maxiter", 2]
    (told,) = json.loads(voxlm(*arguments).stdout)["contrasts"]
    run = _run(small, scaling=None, smoothing_fwhm=10.0, slice_time_ref=0.5)
    fit = vx.glsar("y ~ face + house", run, order=2, maxiter=2, hrf="glover")
    assert told["largest"] == pytest.approx(np.nanmax(fit.contrast("face").stat))


def test_lm_is_ordinary_least_squares(small, voxlm):
    arguments = ["fit", FORMULA, *_inputs(small), "--mask", small.mask, "--model", "lm"]
    (told,) = json.loads(voxlm(*arguments, "--contrast", "face", "--json").stdout)["contrasts"]
    fit = vx.lm(FORMULA, _run(small))
    assert told["largest"] == pytest.approx(np.nanmax(fit.contrast("face").stat))
    assert told["df"] == fit.df_resid


def test_runs_are_combined_by_fixed_effects(small, voxlm, tmp_path):
    arguments = ["fit", FORMULA, *_inputs(small, 0), *_inputs(small, 1), "--mask", small.mask]
    result = voxlm(*arguments, "--contrast", "face - house", "--json", "--out", tmp_path / "two")
    record = json.loads(result.stdout)
    fixed = vx.glsar(FORMULA, [_run(small, 0), _run(small, 1)])
    assert record["contrasts"][0]["largest"] == pytest.approx(
        np.nanmax(fixed.contrast("face - house").stat)
    )
    assert [run["name"] for run in record["runs"]] == [path.name for path in small.bold]
    assert (tmp_path / "two" / "run-02" / "design.tsv").exists()


def test_runs_are_stacked_on_request(small, voxlm, tmp_path):
    arguments = ["fit", FORMULA, *_inputs(small, 0), *_inputs(small, 1), "--mask", small.mask]
    out = tmp_path / "one"
    result = voxlm(*arguments, "--stack", "--contrast", "face - house", "--json", "--out", out)
    (told,) = json.loads(result.stdout)["contrasts"]
    fit = vx.glsar(FORMULA, [_run(small, 0), _run(small, 1)], stack=True)
    assert told["largest"] == pytest.approx(np.nanmax(fit.contrast("face - house").stat))
    assert told["df"] == fit.df_resid
    assert (out / "design.tsv").exists()


def test_a_condition_that_one_run_lacks(small, voxlm, tmp_path):
    events = pd.read_csv(small.events[1], sep="\t")
    alone = tmp_path / "faces_events.tsv"
    events[events.trial_type == "face"].to_csv(alone, sep="\t", index=False)
    second = _inputs(small, 1)
    second[3] = alone
    arguments = ["fit", "y ~ face + house", *_inputs(small, 0), *second, "--mask", small.mask]
    result = voxlm(*arguments, "--contrast", "house", "--json")
    assert result.exit_code == 0, result.output
    (told,) = json.loads(result.stdout)["contrasts"]
    fit = vx.glsar("y ~ face + house", _run(small, 0))
    assert told["largest"] == pytest.approx(np.nanmax(fit.contrast("house").stat))


def test_the_report_is_that_of_the_api(small, tmp_path, voxlm):
    page = tmp_path / "page.html"
    given = ["--mask", small.mask, "--contrast", "face - house", "--report-file", page]
    result = voxlm("fit", FORMULA, *_inputs(small), *given)
    assert result.exit_code == 0, result.output
    assert f"report in {page}" in result.output.replace("\n", " ")
    fit = vx.glsar(FORMULA, _run(small))
    decided = str(fit.contrast("face - house").correct("fdr"))
    assert html.escape(decided) in page.read_text(encoding="utf-8")


def test_a_report_that_is_no_page_is_refused_before_the_fit(small, tmp_path, voxlm):
    result = voxlm("fit", FORMULA, *_inputs(small), "--report-file", tmp_path / "page.pdf")
    assert result.exit_code == 2
    assert ".html" in result.output
    nowhere = voxlm("fit", FORMULA, *_inputs(small), "--report")
    assert nowhere.exit_code == 2
    assert "--report-file" in nowhere.output


def test_saved_results_give_a_page_with_the_same_clusters(small, written, tmp_path, voxlm):
    page = tmp_path / "saved.html"
    result = voxlm("report", written[0], "--out", page, "--correct", "bonferroni")
    assert result.exit_code == 0, result.output
    said = page.read_text(encoding="utf-8")
    for text in ("face - house", "face, house"):
        verdict = vx.glsar(FORMULA, _run(small)).contrast(text).correct("bonferroni")
        count = f"{verdict.n_significant:,} of {verdict.decision.n_tests:,} voxels significant"
        assert count in said
    assert "trans_x" in pd.read_csv(written[0] / "design.tsv", sep="\t")
    assert "What each word" not in said  # that needs the fit
    empty = voxlm("report", tmp_path)
    assert empty.exit_code == 1
    assert "no provenance.json" in empty.output
