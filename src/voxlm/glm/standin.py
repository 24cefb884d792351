"""nilearn's models standing in for ours where nilearn lays out a page."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np

from voxlm.errors import VoxlmError
from voxlm.glm.masking import is_surface

try:
    from nilearn.glm.first_level import FirstLevelModel
    from nilearn.glm.second_level import SecondLevelModel

    from voxlm.glm.theirs import masker_of
except ModuleNotFoundError as missing:
    raise VoxlmError(
        "generate_report needs nilearn, which is not installed; install it with: "
        "pip install 'voxlm[report]'"
    ) from missing


def stand_in(model: Any) -> Any:
    """Return nilearn's model of the same parameters, whose maps are those of ours.

    Parameters
    ----------
    model : FirstLevelModel or SecondLevelModel

    Returns
    -------
    nilearn.glm.first_level.FirstLevelModel or nilearn.glm.second_level.SecondLevelModel
    """
    first = str(model) == "First Level Model"
    made = (FirstLevelModel if first else SecondLevelModel)(**model.get_params(deep=False))
    if not model.__sklearn_is_fitted__():
        return made
    made.masker_ = masker_of(model.mask_img_)
    made._report_content["reports_at_fit_time"] = model.reports if first else True
    if first:
        made.labels_, made.results_, made.fir_delays_ = [], [], model.fir_delays_
        made.design_matrices_ = model.design_matrices_
        made._reporting_data = _facts(model)
    else:
        made.second_level_input_ = model.second_level_input_
        made.design_matrix_ = model.design_matrix_
        made._reporting_data = {}

    def compute_contrast(*arguments: Any, **options: Any) -> Any:
        return _finite(model.compute_contrast(*arguments, **options))

    made.compute_contrast = compute_contrast
    return made


def _facts(model: Any) -> dict[str, Any]:
    """Return what nilearn's page says of a first-level model in words."""
    drift = None
    if model.drift_model is not None:
        cut = f"high pass filter={model.high_pass} Hz"
        said = cut if model.drift_model == "cosine" else f"order={model.drift_order}"
        drift = f"and a {model.drift_model} drift model ({said})"
    hrf = "finite impulse response" if model.hrf_model == "fir" else model.hrf_model
    names = {str(n) for frame in model.design_matrices_ for n in frame.columns}
    nuisance = ("drift", "constant", "intercept")
    return {
        "trial_types": sorted(name for name in names if not name.startswith(nuisance)),
        "noise_model": model.noise_model,
        "hrf_model": hrf,
        "drift_model": drift,
    }


def _finite(images: Any) -> Any:
    """Return images with 0 where there is no result, as nilearn's own have."""
    if isinstance(images, dict):
        return {name: _finite(image) for name, image in images.items()}
    if is_surface(images):
        parts = {name: np.nan_to_num(part) for name, part in images.data.parts.items()}
        return type(images)(mesh=images.mesh, data=parts)
    values = np.nan_to_num(np.asarray(images.dataobj))
    return nib.Nifti1Image(values, images.affine, images.header)
