"""What both models say of every voxel after a fit: residuals, predictions, R², and the masker."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from voxlm.errors import VoxlmError
from voxlm.glm.estimator import Estimator
from voxlm.glm.masking import Masker, SurfaceMasker, is_masker

ATTRIBUTES = ("residuals", "normalized_residuals", "predicted", "SSE", "r_square", "MSE")
# A run or group of maps: its number of rows, its labels, its results by label.
Part = tuple[int, Any, Any]


class Voxelwise(Estimator):
    """Adds the attributes of a fit that are images, each made when it is asked for."""

    mask_img: Any
    _masker: Any
    masker_: Any
    minimize_memory: bool

    def _parts(self) -> list[Part]:
        raise NotImplementedError

    def _shaped(self, images: list[Any]) -> Any:
        """Return one image a part as the model's attributes have them."""
        return images

    def _forget(self) -> None:
        """Let go of what was made of an earlier fit."""
        for name in ("labels_", "results_", "residuals_", "predicted_", "r_square_"):
            self.__dict__.pop(name, None)

    def _take(self, masker: Masker) -> None:
        """Show the voxels of a fit; a masker that was given is shown itself, unchanged."""
        self._masker = masker
        self.mask_img_, self.n_elements_ = masker.mask_img_, masker.n_elements_
        if is_masker(self.mask_img):
            self.masker_ = self.mask_img
        else:
            self.masker_ = masker.of_nilearn() if isinstance(masker, SurfaceMasker) else masker

    def _get_element_wise_model_attribute(self, attribute: str, result_as_time_series: bool) -> Any:
        """Return an attribute of the results as images."""
        self._check_fitted()
        kind = type(self).__name__
        if attribute not in ATTRIBUTES:
            raise VoxlmError(
                f"'attribute' must be one of {list(ATTRIBUTES)}.\n'{attribute}' was provided."
            )
        if self.minimize_memory:
            raise AttributeError(
                "To access voxelwise attributes like R-squared, residuals, and predictions, "
                f"the `{kind}`-object needs to store there attributes. "
                "To do so, set `minimize_memory` to `False` "
                f"when initializing the `{kind}`-object."
            )
        images = []
        for n, labels, results in self._parts():
            out = np.zeros((n if result_as_time_series else 1, labels.size))
            for label, fit in results.items():
                out[:, labels == label] = getattr(fit, attribute)
            images.append(self._masker.inverse_transform(out))
        return self._shaped(images)

    @cached_property
    def residuals_(self) -> Any:
        """Data less predictions: an image a run, or one of a group's maps."""
        return self._get_element_wise_model_attribute("residuals", True)

    @cached_property
    def predicted_(self) -> Any:
        """Predictions, as ``residuals_``."""
        return self._get_element_wise_model_attribute("predicted", True)

    @cached_property
    def r_square_(self) -> Any:
        """Share of variation explained, as ``residuals_``, one value a voxel."""
        return self._get_element_wise_model_attribute("r_square", False)
