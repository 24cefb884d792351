"""Prior weights on the command line and in model files: the same word, the same fit."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import voxlm as vx
from voxlm.analysis.modelparts import Group
from voxlm.cli.app import app


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"subject": np.repeat(list("abcdefgh"), 3)})
    frame["time"], frame["w"] = np.tile([0.0, 1.0, 2.0], 8), rng.uniform(0.5, 2.0, 24)
    paths = []
    for k in range(24):
        image = nib.Nifti1Image(rng.normal(size=(3, 3, 2)) + k % 5, np.eye(4))
        nib.save(image, tmp_path / f"map{k}.nii.gz")
        paths.append(f"map{k}.nii.gz")
    path = tmp_path / "maps.tsv"
    frame.assign(effect=paths).to_csv(path, sep="\t", index=False)
    return path


def test_the_command_takes_weights(table, tmp_path):
    formula = "effect ~ time + (1 | subject)"
    words = ["group", formula, "--maps", str(table), "--weights", "w", "--contrast", "time"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = next((tmp_path / "out").glob("contrast-time*stat-t_statmap.nii.gz"))
    own = vx.lmer(formula, vx.Maps(table), weights="w").contrast("time").image("t")
    np.testing.assert_allclose(nib.load(found).get_fdata(), own.get_fdata(), rtol=1e-6)


def test_model_files_take_weights():
    assert Group(formula="~ time + (1 | subject)", weights="w").options == {"weights": "w"}
    assert Group(formula="~ time", weights="w").options == {"weights": "w"}
    with pytest.raises(vx.DataError, match="an option of"):
        Group(formula="~ time", model="meta", weights="w")
