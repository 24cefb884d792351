"""The second-level model: maps of a group, with nilearn's names.

Axes: N maps, P columns, V voxels.
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import ContrastError, DataError
from voxlm.glm.contrasts import OUTPUTS, contrast_of
from voxlm.glm.faults import InputTypeError
from voxlm.glm.first_level.design_matrix import (
    make_second_level_design_matrix as make_second_level_design_matrix,
)
from voxlm.glm.first_level.design_matrix import warn_if_singular
from voxlm.glm.first_level.first_level import FirstLevelModel, contrast_images
from voxlm.glm.first_level.runs import FittedRun, fit_kept
from voxlm.glm.first_level.wording import quoted
from voxlm.glm.mapscans import map_scans
from voxlm.glm.masking import check_kinds, is_masker, make_masker, stack
from voxlm.glm.paths import open_path
from voxlm.glm.reporting import Reported
from voxlm.glm.second_level.inputs import (
    check_confounds,
    check_first_level_contrast,
    check_input,
    maps_of,
    n_maps,
    subjects_of,
)
from voxlm.glm.tables import load_table
from voxlm.glm.voxelwise import Part, Voxelwise
from voxlm.glm.weights import check_one_of, expression_to_contrast_vector
from voxlm.models.onepass import fit_one_pass
from voxlm.models.reduce import NOT_FINITE


class SecondLevelModel(Reported, Voxelwise):
    """A linear model of one map a subject.

    Parameters
    ----------
    mask_img : image, path, fitted masker, False or None, optional
        The voxels; where None, those whose mean differs from the background.
    target_affine : array_like, shape (3, 3) or (4, 4), optional
        Axes, and with four rows the origin, of a grid that maps and mask are brought to.
    target_shape : sequence of int, optional
        Extent of that grid.
    smoothing_fwhm : float or three, optional
        Smoothing in millimetres.
    memory : str, path or joblib.Memory, optional
        A folder that fits are kept in.
    memory_level : int, default=1
        The folder is used where this is at least 1.
    verbose : int, default=0
        1 tells of the fit, 2 also of its parts.
    n_jobs : int, default=1
        Taken for nilearn's signature: the fit uses all cores that the process may use.
    minimize_memory : bool, default=True
        Whether the data are let go of; residuals, predictions and R² need them.
    reports : bool, default=True
        Taken for nilearn's signature: a report is made when it is asked for.

    Attributes
    ----------
    confounds_ : DataFrame or None
        Those that were given.
    design_matrix_ : DataFrame
        The design.
    labels_ : ndarray or None
        The group of each voxel, after a contrast.
    mask_img_ : image
        The mask.
    masker_ : masker
        Images to voxels and back; the one that was given, unchanged, if one was.
    n_elements_ : int
        Voxels in the mask.
    results_ : dict or None
        Results by label, after a contrast.
    second_level_input_ : object
        What was given.

    Examples
    --------
    >>> SecondLevelModel(smoothing_fwhm=5.0)
    SecondLevelModel(smoothing_fwhm=5.0)
    """

    def __init__(
        self,
        mask_img: Any = None,
        target_affine: Any = None,
        target_shape: Any = None,
        smoothing_fwhm: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        verbose: int = 0,
        n_jobs: int = 1,
        minimize_memory: bool = True,
        reports: bool = True,
    ) -> None:
        self.mask_img, self.smoothing_fwhm = mask_img, smoothing_fwhm
        self.target_affine, self.target_shape = target_affine, target_shape
        self.memory, self.memory_level = memory, memory_level
        self.verbose, self.n_jobs = verbose, n_jobs
        self.minimize_memory, self.reports = minimize_memory, reports

    def __str__(self) -> str:
        return "Second Level Model"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "second_level_input_")

    def fit(
        self, second_level_input: Any, confounds: Any = None, design_matrix: Any = None
    ) -> SecondLevelModel:
        """Take the maps and the design; the regression is made when a contrast asks for it.

        Parameters
        ----------
        second_level_input : DataFrame, list, Series or image
            Maps (a list of images, or one image of four axes), with a design; fitted first-level
            models; or a table with ``subject_label``, ``map_name``, ``effects_map_path``.
        confounds : DataFrame, optional
            ``subject_label`` and numbers, for models and tables.
        design_matrix : DataFrame or path, optional
            One row a map; by default confounds and an intercept.

        Returns
        -------
        SecondLevelModel
            Itself.
        """
        began = perf_counter()
        design = _check_design(design_matrix)
        given = check_input(second_level_input, design, confounds)
        check_confounds(confounds)
        self._say("Fitting second level model.")
        if design is None:
            design = make_second_level_design_matrix(subjects_of(given), confounds)
        else:
            warn_if_singular(design.to_numpy(dtype=np.float64), list(design.columns))
        count = n_maps(given)
        if count is not None:
            _check_rows(count, design)
        masker = self._make_masker(given)
        self._forget()
        self._saved = None
        self.second_level_input_, self.confounds_, self.design_matrix_ = given, confounds, design
        self._take(masker)
        self.labels_: Any = None
        self.results_: Any = None
        self._fits: dict[Any, FittedRun] = {}
        self._say(f"{self.n_elements_} voxels in the mask.", level=2)
        self._say("Extracting region signals is left to compute_contrast.", level=2)
        self._say(f"Computation of the design done in {perf_counter() - began:.2f} seconds.")
        return self

    def _make_masker(self, given: Any) -> Any:
        mask = self.mask_img
        if isinstance(given, pd.DataFrame):
            imgs = [given["effects_map_path"][0]]
        elif isinstance(given[0], FirstLevelModel):
            imgs = [given[0].mask_img_]
            check_kinds(None if is_masker(mask) else mask, imgs[0])
            mask = imgs[0] if mask is None else mask
        else:
            imgs = given
        return make_masker(
            imgs, mask, "background", self.smoothing_fwhm, self.target_affine, self.target_shape
        )

    def compute_contrast(
        self,
        second_level_contrast: Any = None,
        first_level_contrast: Any = None,
        second_level_stat_type: str | None = None,
        output_type: str = "z_score",
    ) -> Any:
        """Test a contrast of the group design.

        Parameters
        ----------
        second_level_contrast : str, array_like or None
            A text such as ``"group1 - group2"``, weights ``(P,)`` (t), or rows ``(Q, P)`` (F). May
            be left out where the design has one column.
        first_level_contrast : str or array_like
            For first-level models the contrast whose effects are taken; for tables the
            ``map_name``.
        second_level_stat_type : {"t", "F"}, optional
            t for one row and F for several where left out.
        output_type : {"z_score", "stat", "p_value", "effect_size", "effect_variance", "all"}
            Which map; ``"all"`` for a dict of all of them. p is one-sided for t.

        Returns
        -------
        image or dict of images
            NaN at voxels that some map lacks (NaN) or where all maps agree.
        """
        self._check_fitted()
        check_first_level_contrast(self.second_level_input_, first_level_contrast)
        weights = self._weights(second_level_contrast)
        check_one_of(output_type, [*OUTPUTS, "all"], "output_type")
        if second_level_stat_type is not None:
            check_one_of(second_level_stat_type, ["t", "F"], "stat_type")
        fit = self._fit_maps(first_level_contrast)
        self._forget()
        self.labels_, self.results_ = fit.groups()
        names = [str(name) for name in self.design_matrix_.columns]
        contrast = contrast_of(fit.estimate, weights, second_level_stat_type, names)
        return contrast_images(contrast, output_type, self._masker, str(weights))

    def _weights(self, spec: Any) -> NDArray[np.float64]:
        names = self.design_matrix_.columns.tolist()
        if spec is None:
            if len(names) > 1:
                raise ContrastError(
                    f"No second-level contrast is specified. The design has the columns {names}"
                )
            return np.ones(1)
        if isinstance(spec, str):
            return expression_to_contrast_vector(spec, names)
        weights = np.asarray(spec, dtype=np.float64)
        if not weights.size or np.all(weights == 0):
            raise ContrastError(
                "Contrast is null. Second_level_contrast must be a valid contrast vector, a "
                "list/array of 0s and 1s, a string, or a string expression."
            )
        return weights

    def _fit_maps(self, first_level_contrast: Any) -> FittedRun:
        """Fit the design to the maps of a first-level contrast, once."""
        key = str(first_level_contrast)
        if key in self._fits:
            return self._fits[key]
        maps = maps_of(self.second_level_input_, first_level_contrast)
        X = self.design_matrix_.to_numpy(dtype=np.float64)
        cache = self.memory if self.memory_level else None
        Y = None
        if self.minimize_memory and cache is None:
            source = map_scans(self._masker, maps)
            _check_rows(source.n_scans, self.design_matrix_)
            found = fit_one_pass(source, X)
        else:
            Y = stack(self._masker, maps)
            _check_rows(len(Y), self.design_matrix_)
            found = fit_kept(Y, X, 0, 0, cache)
        lost = int((found.status == NOT_FINITE).sum())
        if lost:
            warn(
                f"{lost} of {found.status.size} voxels are NaN in some map and have no result: "
                "a map without a value is not a map of 0",
                UserWarning,
                stacklevel=3,
            )
        self._fits = {key: FittedRun(found, None if self.minimize_memory else Y)}
        return self._fits[key]

    def _parts(self) -> list[Part]:
        if self.labels_ is None:
            raise DataError("The model has no results. No contrast has been computed yet.")
        return [(len(self.design_matrix_), self.labels_, self.results_)]

    def _shaped(self, images: list[Any]) -> Any:
        return images[0]

    @property
    def formula(self) -> str:
        """The formula that says the same in this package's own language."""
        self._check_fitted()
        names = [str(name) for name in self.design_matrix_.columns]
        words = [quoted(name) for name in names if name not in ("intercept", "constant")]
        head = ["1"] if len(words) < len(names) else ["0"]
        return f"effect ~ {' + '.join([*head, *words])}"


def _check_design(design: Any) -> pd.DataFrame | None:
    if design is None:
        return None
    if not isinstance(design, str | os.PathLike | pd.DataFrame):
        raise InputTypeError(
            "'design_matrix' must be a str, pathlib.Path or a pandas.DataFrame.\n"
            f"Got {type(design).__name__}"
        )
    table: pd.DataFrame = load_table(design, "design_matrix")
    return table


def _check_rows(n_maps: int, design: pd.DataFrame) -> None:
    if n_maps != len(design):
        raise DataError(
            "'design_matrix' does not match the number of maps considered. "
            f"{len(design)} rows in design matrix do not match with {n_maps} maps."
        )


open_path(
    __name__,
    _check_first_level_contrast=check_first_level_contrast,
    _check_second_level_input=check_input,
    _infer_effect_maps=maps_of,
)
