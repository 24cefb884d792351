"""``voxlm demo``: the whole job, and its truth."""

import importlib
import json

import nibabel as nib
import pandas as pd
import pytest
from typer.testing import CliRunner

from voxlm.cli.app import app

# 373 voxels, signal-to-noise of about 5 each: a power under this says that something is wrong.
LEAST_POWER = 0.9
# Benjamini-Hochberg at 0.05 with t a few percent too large, as AR(1) least squares gives them on
# 300 scans: over seeds the proportion lies between 0.05 and 0.15.
MOST_FALSE = 0.2
# Mean over some 200 voxels of a region, noise smooth over about ten of them.
REGION_TOLERANCE = 0.25


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(app, ["demo", str(out), "--json"])
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_decisions_are_mostly_right(demo):
    _, record = demo
    difference = record["contrasts"][0]
    assert difference["text"] == "face - house"
    assert difference["power"] > LEAST_POWER
    for contrast in record["contrasts"]:
        assert contrast["false_discovery_proportion"] < MOST_FALSE


def test_estimates_are_near_the_truth(demo):
    _, record = demo
    for contrast in record["contrasts"]:
        for region in contrast["regions"].values():
            assert region["estimate"] == pytest.approx(region["truth"], abs=REGION_TOLERANCE)


def test_table_is_recounted_from_the_maps(demo):
    """Counts in the table follow from the label map and the thresholded map on disk."""
    out, record = demo
    regions = nib.load(out / "data" / "truth" / "region.nii.gz").get_fdata()
    stem = out / "results" / "contrast-faceMinusHouse_desc-fdr_stat-z_statmap.nii.gz"
    detected = nib.load(stem).get_fdata() != 0
    found = record["contrasts"][0]["regions"]
    for label, name in enumerate(("face", "house", "visual"), start=1):
        assert found[name]["detected"] == int(detected[regions == label].sum())
    assert found["elsewhere"]["detected"] == int(detected[regions == 0].sum())


def test_pictures_and_score_are_written(demo):
    out, record = demo
    results = out / "results"
    assert json.loads((results / "score.json").read_text()) == record
    pictures = {path.name for path in results.glob("*.png")}
    assert {"design.png", "design_correlation.png", "truth.png"} <= pictures
    assert len([name for name in pictures if name.endswith("_stat-z.png")]) == 3
    assert list(pd.read_csv(results / "design.tsv", sep="\t").columns[1:3]) == ["face", "house"]


def test_screen_shows_truth_beside_estimate(demo, tmp_path, monkeypatch):
    showcase = importlib.import_module("voxlm.cli.showcase")
    monkeypatch.setattr(showcase, "CONTRASTS", {"face - house": [(1.0, -1.0)]})
    result = CliRunner().invoke(app, ["demo", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "truth  estimate" in result.stdout
    assert "false-discovery proportion" in result.stdout
    _, record = demo
    assert f"power {record['contrasts'][0]['power']:.3f}" in result.stdout
