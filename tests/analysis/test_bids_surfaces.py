"""Surfaces of a data set, from its search to its saved results."""

import json

import nibabel as nib
import numpy as np
import pytest

import voxlm as vx


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run on both hemispheres, with the tables of a volume."""
    made = vx.simulate.bids_dataset(tmp_path_factory.mktemp("study"), n_subjects=1, n_scans=60)
    func = made.derivatives / "sub-01" / "func"
    rng = np.random.default_rng(0)
    for side in "LR":
        arrays = [
            nib.gifti.GiftiDataArray(rng.normal(100, 1, 12).astype(np.float32)) for _ in range(60)
        ]
        stem = f"sub-01_task-faces_hemi-{side}_space-fsaverage5_bold"
        nib.save(nib.gifti.GiftiImage(darrays=arrays), func / f"{stem}.func.gii")
        sidecar = {"RepetitionTime": 2.0, "StartTime": 1.0}
        (func / f"{stem}.json").write_text(json.dumps(sidecar))
    (found,) = vx.bids.runs(made.folder, space="fsaverage5")["sub-01"]
    return found


def test_a_pair_is_a_run(run):
    assert run.scans.n_voxels == 24
    assert (run.tr, run.clock.slice_time_ref) == (2.0, 0.5)
    assert run.entities == {"sub": "01", "task": "faces", "space": "fsaverage5"}


def test_both_hemispheres_are_saved_with_sidecars(run, tmp_path):
    fit = vx.lm("y ~ face", run)
    fit.save(tmp_path / "out", "face")
    func = tmp_path / "out" / "sub-01" / "func"
    maps = sorted(path.name for path in func.glob("*stat-t_statmap*.gii"))
    assert len(maps) == 2
    assert all(f"hemi-{side}" in name for side, name in zip("LR", maps, strict=True))
    assert list(func.glob("*stat-t_statmap*.json"))
    saved = np.concatenate([nib.load(func / name).darrays[0].data for name in maps])
    np.testing.assert_allclose(saved, fit.contrast("face").t, rtol=1e-6)
