"""Thirty subjects, by SPM12 and CANlab: python -m validation.wager_group.compare_spm_canlab."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pandas as pd

import voxlm as vx
from validation.compare import compare, show
from validation.data import folder

DATA = folder("wager_group")
SPM = DATA / "reference_spm12_onesample_cov"
CANLAB = DATA / "reference_canlab_robust0001"
FORMULA = "effect ~ center(reappraisal_success)"
# The height that SPM12 gives for a family-wise error of 0.05.
HEIGHT = 5.437293
STANDARDISED = "effect ~ scale(reappraisal_success)"


def maps() -> vx.Maps:
    """Return the contrast maps with their covariates."""
    table = pd.read_csv(DATA / "participants.tsv", sep="\t")
    name = "{}_contrast-ReappNegVsLookNeg_con.nii.gz"
    table["effect"] = [str(DATA / name.format(who)) for who in table["participant_id"]]
    return vx.Maps(table, effect="effect", mask=DATA / "group_desc-analysis_mask.nii.gz")


def reference(path: object, data: vx.Maps, whole: np.ndarray) -> np.ndarray:
    """Read a map of another package at the voxels that all subjects have."""
    values = nib.load(path).get_fdata()[data.space.mask]
    return np.where(whole, values, np.nan)


def random_field(data: vx.Maps) -> dict[str, dict[str, float]]:
    """Return SPM12's random-field figures beside those of ``correct("grf")``."""
    said = json.loads((SPM / "model.json").read_text())
    verdict = vx.lm(FORMULA, data).contrast("Intercept").correct("grf", two_sided=False)
    found = verdict.field.roughness
    ours = {"FWHM": found.fwhm, "resels": found.resels, "height": [verdict.threshold]}
    theirs = {"FWHM": said["FWHM_vox"], "resels": said["resels"], "height": [HEIGHT]}
    return {
        name: {"gap / max": float(np.max(np.abs(np.array(ours[name]) / theirs[name] - 1)))}
        for name in ours
    }


def main() -> None:
    """Print least squares and robust regression beside the references."""
    data = maps()
    show("random field, SPM12", random_field(data))
    fit, rows = vx.lm(FORMULA, data), {}
    whole = fit.nobs == 30
    for number, column in ((1, "Intercept"), (2, fit.design.names[1])):
        con = fit.t_test({column: 1.0})
        rows[f"SPM12 beta {number}"] = compare(
            con.effect, reference(SPM / f"beta_000{number}.nii.gz", data, whole)
        )
        rows[f"SPM12 t {number}"] = compare(
            con.t, reference(SPM / f"spmT_000{number}.nii.gz", data, whole)
        )
    show("least squares, SPM12", rows)
    rows = {}
    plain = vx.lm(STANDARDISED, data)
    robust = vx.lm(STANDARDISED, data, robust="bisquare")
    for number, k in ((1, 0), (2, 1)):
        for label, kind, model in (("ols", "ols", plain), ("bisquare", "rob", robust)):
            con = model.t_test({model.design.names[k]: 1.0})
            rows[f"CANlab {label} beta {number}"] = compare(
                con.effect, reference(CANLAB / f"{kind}_beta_000{number}.nii.gz", data, whole)
            )
            rows[f"CANlab {label} t {number}"] = compare(
                con.t, reference(CANLAB / f"{kind}_tmap_000{number}.nii.gz", data, whole)
            )
    show("least squares and bisquare, CANlab", rows)


if __name__ == "__main__":
    main()
