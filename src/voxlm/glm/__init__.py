"""The names of ``nilearn.glm``, on the engine of this package."""

from voxlm.glm import first_level, second_level
from voxlm.glm.contrasts import (
    Contrast,
    compute_contrast,
    compute_fixed_effects,
    expression_to_contrast_vector,
)
from voxlm.glm.io import save_glm_to_bids
from voxlm.glm.model import FContrastResults, LikelihoodModelResults, TContrastResults
from voxlm.glm.paths import open_paths
from voxlm.glm.regression import (
    ARModel,
    OLSModel,
    RegressionResults,
    SimpleRegressionResults,
)
from voxlm.glm.thresholding import (
    cluster_level_inference,
    fdr_threshold,
    threshold_stats_img,
)

__all__ = [
    "ARModel",
    "Contrast",
    "FContrastResults",
    "LikelihoodModelResults",
    "OLSModel",
    "RegressionResults",
    "SimpleRegressionResults",
    "TContrastResults",
    "cluster_level_inference",
    "compute_contrast",
    "compute_fixed_effects",
    "expression_to_contrast_vector",
    "fdr_threshold",
    "first_level",
    "save_glm_to_bids",
    "second_level",
    "threshold_stats_img",
]

open_paths(__name__)
