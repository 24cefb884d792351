"""Models of the maps of a group."""

from voxlm.glm.first_level.design_matrix import make_second_level_design_matrix
from voxlm.glm.second_level.non_parametric import non_parametric_inference
from voxlm.glm.second_level.second_level import SecondLevelModel

__all__ = [
    "SecondLevelModel",
    "make_second_level_design_matrix",
    "non_parametric_inference",
]
