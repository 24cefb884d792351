"""Models of the runs of one person."""

from voxlm.glm.first_level.design_matrix import (
    check_design_matrix,
    make_first_level_design_matrix,
)
from voxlm.glm.first_level.first_level import FirstLevelModel
from voxlm.glm.first_level.from_bids import first_level_from_bids
from voxlm.glm.first_level.hemodynamic_models import (
    compute_regressor,
    glover_dispersion_derivative,
    glover_hrf,
    glover_time_derivative,
    spm_dispersion_derivative,
    spm_hrf,
    spm_time_derivative,
)
from voxlm.glm.first_level.run_glm import run_glm
from voxlm.glm.first_level.scaling import mean_scaling

__all__ = [
    "FirstLevelModel",
    "check_design_matrix",
    "compute_regressor",
    "first_level_from_bids",
    "glover_dispersion_derivative",
    "glover_hrf",
    "glover_time_derivative",
    "make_first_level_design_matrix",
    "mean_scaling",
    "run_glm",
    "spm_dispersion_derivative",
    "spm_hrf",
    "spm_time_derivative",
]
