"""The same script for nilearn and for voxlm.glm; loads no library but the one asked for.

``package`` is ``"nilearn"`` or ``"voxlm"``: all that differs is the import.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.study import Study


def first_level(package: str, files: Study, out: Path) -> Any:
    """From a run's files to a z map in a file; return the t map."""
    module = importlib.import_module(f"{package}.glm.first_level")
    model = module.FirstLevelModel(
        t_r=files.tr, mask_img=str(files.mask), hrf_model="spm", high_pass=1 / 128
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = pd.read_csv(files.events, sep="\t")
        confounds = pd.read_csv(files.confounds, sep="\t")
        model.fit(str(files.bold), events=events, confounds=confounds)
        model.compute_contrast("face - house", output_type="z_score").to_filename(str(out))
    return model


def second_level(package: str, folder: Path, out: Path) -> Any:
    """From a group's files to a t map in a file; return it."""
    module = importlib.import_module(f"{package}.glm.second_level")
    table = pd.read_csv(folder / "maps.tsv", sep="\t")
    patient = (table["group"] == "patient").astype(float)
    design = pd.DataFrame({"intercept": 1.0, "patient": patient, "age": table["age"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = module.SecondLevelModel(mask_img=str(folder / "mask.nii.gz"))
        model.fit([str(folder / name) for name in table["effect"]], design_matrix=design)
        image = model.compute_contrast("age", output_type="stat")
        image.to_filename(str(out))
    return image


WORK = {
    "first_level": lambda package, folder, out: first_level(package, Study(folder), out),
    "second_level": second_level,
}
