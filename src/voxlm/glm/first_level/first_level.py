"""The first-level model: runs of one person, with nilearn's names."""

from __future__ import annotations

from functools import cached_property
from time import perf_counter
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd

from voxlm.errors import ContrastError
from voxlm.glm.contrasts import (
    OUTPUTS,
    Contrast,
    contrast_of,
    mean_contrast,
    runs_with_effect,
)
from voxlm.glm.first_level.planning import (
    check_parameters,
    retained_scans,
    run_designs,
    run_files,
    scrubbed,
)
from voxlm.glm.first_level.run_glm import run_glm
from voxlm.glm.first_level.runs import (
    FittedRun,
    Options,
    fit_run,
    standard_of,
)
from voxlm.glm.first_level.scaling import mean_scaling, warn_centred
from voxlm.glm.first_level.wording import formula_of, responses_of
from voxlm.glm.masking import Masker, check_images, make_masker
from voxlm.glm.paths import open_path
from voxlm.glm.regression import noise_order
from voxlm.glm.reporting import Reported
from voxlm.glm.voxelwise import Part, Voxelwise
from voxlm.glm.weights import check_one_of, expression_to_contrast_vector
from voxlm.hrf import Response
from voxlm.models.reduce import ZERO

__all__ = ["FirstLevelModel", "mean_scaling", "run_glm"]


class FirstLevelModel(Reported, Voxelwise):
    """A linear model of the runs of one person.

    Parameters
    ----------
    t_r : float, optional
        Repetition time in seconds; needed with events.
    slice_time_ref : float, default=0.0
        Moment within a repetition time, from 0 to 1, that scans stand for.
    hrf_model : str, callable, response, list or None, default="glover"
        The response; as :func:`~voxlm.glm.first_level.compute_regressor` takes it, so also a
        function of seconds.
    drift_model : {"cosine", "polynomial", None}, default="cosine"
        Of the baseline, one set of columns a run.
    high_pass : float, default=0.01
        Lowest frequency, in hertz, that the cosine drift leaves in.
    drift_order : int, default=1
        Of the polynomial drift.
    fir_delays : sequence of int, optional
        Delays in scans of a finite impulse response; ``[0]`` where left out.
    min_onset : float, default=-24
        Events that begin earlier than this, in seconds, are left out.
    mask_img : image, path, fitted masker, False or None, optional
        The voxels: False takes all, None computes a mask from the runs.
    target_affine : array_like, shape (3, 3) or (4, 4), optional
        Axes, and with four rows the origin, of a grid that runs and mask are brought to.
    target_shape : sequence of int, optional
        Extent of that grid.
    smoothing_fwhm : float or three, optional
        Smoothing in millimetres.
    memory : str, path or joblib.Memory, optional
        A folder that fits are kept in.
    memory_level : int, default=1
        The folder is used where this is at least 1.
    standardize : bool or str, default=False
        ``True``, ``"zscore_sample"``, ``"zscore"`` or ``"psc"``, with ``signal_scaling=False``.
    signal_scaling : False, 0, 1 or (0, 1), default=0
        Percent of the mean of each voxel (0), of each scan (1), of all data ((0, 1)).
    noise_model : str, default="ar1"
        ``"ols"`` or ``"arN"``; AR(1) is binned as nilearn does it, higher orders are each voxel's.
    verbose : int, default=0
        1 tells of each run, 2 also of its parts.
    n_jobs : int, default=1
        Taken for nilearn's signature: the fit uses all cores that the process may use.
    minimize_memory : bool, default=True
        Whether the data are let go of; residuals, predictions and R² need them.
    subject_label : str, optional
        For group models.
    random_state : object, optional
        Taken for nilearn's signature: nothing is drawn.
    reports : bool, default=True
        Taken for nilearn's signature: a report is made when it is asked for.

    Attributes
    ----------
    design_matrices_ : list of DataFrame
        One a run, rows the retained scans.
    fir_delays_ : list of int
        Those that were used.
    mask_img_ : image
        The mask.
    masker_ : masker
        Images to voxels and back; the one that was given, unchanged, if one was.
    memory_ : object
        The folder of fits.
    n_elements_ : int
        Voxels in the mask.
    standardize_ : str or None
        How series were standardised.

    Examples
    --------
    >>> FirstLevelModel(t_r=2.0, noise_model="ols")
    FirstLevelModel(t_r=2.0, noise_model='ols')
    """

    def __init__(
        self,
        t_r: Any = None,
        slice_time_ref: float = 0.0,
        hrf_model: Any = "glover",
        drift_model: Any = "cosine",
        high_pass: float = 0.01,
        drift_order: int = 1,
        fir_delays: Any = None,
        min_onset: float = -24,
        mask_img: Any = None,
        target_affine: Any = None,
        target_shape: Any = None,
        smoothing_fwhm: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        standardize: Any = False,
        signal_scaling: Any = 0,
        noise_model: str = "ar1",
        verbose: int = 0,
        n_jobs: int = 1,
        minimize_memory: bool = True,
        subject_label: Any = None,
        random_state: Any = None,
        reports: bool = True,
    ) -> None:
        self.t_r, self.slice_time_ref = t_r, slice_time_ref
        self.hrf_model, self.fir_delays, self.min_onset = hrf_model, fir_delays, min_onset
        self.drift_model, self.high_pass, self.drift_order = drift_model, high_pass, drift_order
        self.mask_img, self.smoothing_fwhm = mask_img, smoothing_fwhm
        self.target_affine, self.target_shape = target_affine, target_shape
        self.memory, self.memory_level = memory, memory_level
        self.standardize, self.signal_scaling = standardize, signal_scaling
        self.noise_model, self.verbose, self.n_jobs = noise_model, verbose, n_jobs
        self.minimize_memory, self.subject_label = minimize_memory, subject_label
        self.random_state, self.reports = random_state, reports

    def __str__(self) -> str:
        return "First Level Model"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fits")

    def fit(
        self,
        run_imgs: Any,
        events: Any = None,
        confounds: Any = None,
        sample_masks: Any = None,
        design_matrices: Any = None,
        bins: int = 100,
    ) -> FirstLevelModel:
        """Fit the model.

        Parameters
        ----------
        run_imgs : image or list of images
            Paths, nibabel images or surface images.
        events : DataFrame, path, or list of them
            One a run; see :func:`~voxlm.glm.first_level.make_first_level_design_matrix`. A
            ``modulation`` that varies within a condition has a regressor of its own beside the
            condition's, called ``condition*modulation``.
        confounds : DataFrame, ndarray, path, or list of them, optional
            One a run, a row a scan.
        sample_masks : array_like or list of them, optional
            The scans retained in each run; they then count as consecutive. Left out, the
            ``attrs["sample_mask"]`` of confounds say it, where they have one.
        design_matrices : DataFrame, path, or list of them, optional
            Instead of events and confounds.
        bins : int
            AR(1) coefficients are cut off to multiples of ``1 / bins``.

        Returns
        -------
        FirstLevelModel
            Itself.
        """
        began = perf_counter()
        check_parameters(self)
        runs = check_images(run_imgs, "run_imgs")
        options = self._options(bins)
        designs, planned = run_designs(self, runs, events, confounds, design_matrices)
        if sample_masks is None and design_matrices is None:
            sample_masks = scrubbed(confounds)
        masks = retained_scans(runs, sample_masks)
        masker = make_masker(
            runs,
            self.mask_img,
            "epi",
            self.smoothing_fwhm,
            self.target_affine,
            self.target_shape,
            only_fitted=True,
        )
        if masks is not None:
            designs = [design.iloc[mask] for design, mask in zip(designs, masks, strict=True)]
        fits = []
        for k, image in enumerate(runs):
            self._say(f"Computing run {k + 1} out of {len(runs)} runs.")
            self._say("Extracting region signals", level=2)
            fits.append(fit_run(image, masker, designs[k], masks[k] if masks else None, options))
        self._keep(fits, designs, masker)
        self._planned = planned
        self._reporting_data = {"run_imgs": run_files(runs)}
        self._say(f"Computation of {len(runs)} runs done in {perf_counter() - began:.2f} seconds.")
        return self

    def _keep(self, fits: list[FittedRun], designs: list[pd.DataFrame], masker: Masker) -> None:
        self._forget()
        self._saved = None
        self._fits, self.design_matrices_ = fits, designs
        self._take(masker)
        self.fir_delays_ = [0] if self.fir_delays is None else self.fir_delays
        self.standardize_ = standard_of(self.standardize, self.signal_scaling)
        self.memory_ = self.memory
        for k, fit in enumerate(fits):
            if not fit.estimate.df_resid > 0:
                warn(
                    f"run {k}: the design matrix leaves no degrees of freedom "
                    f"({designs[k].shape[1]} columns, {len(designs[k])} scans), so there are no "
                    "statistics",
                    UserWarning,
                    stacklevel=3,
                )
        if (
            self.signal_scaling is not False
            and self.signal_scaling == 0
            and any((fit.estimate.status == ZERO).any() for fit in fits)
        ):
            warn_centred()

    def _options(self, bins: int) -> Options:
        return Options(
            noise_order(self.noise_model),
            bins,
            self.signal_scaling,
            standard_of(self.standardize, self.signal_scaling),
            not self.minimize_memory,
            self.memory if self.memory_level else None,
        )

    def compute_contrast(
        self, contrast_def: Any, stat_type: str | None = None, output_type: str = "z_score"
    ) -> Any:
        """Test a contrast; over several runs, the mean effect (fixed effects).

        Parameters
        ----------
        contrast_def : str, ndarray, or a list of them, one a run
            A text such as ``"face - house"``, weights ``(P,)`` (t), or rows ``(Q, P)`` (F). Weights
            shorter than the design are filled up with zeros, with a warning. A run whose weights
            are all zero is left out, with a warning.
        stat_type : {"t", "F"}, optional
            t for one row and F for several where left out.
        output_type : {"z_score", "stat", "p_value", "effect_size", "effect_variance", "all"}
            Which map; ``"all"`` for a dict of all of them. p is one-sided for t.

        Returns
        -------
        image or dict of images
            NaN at voxels that could not be fitted (constant or not finite).
        """
        self._check_fitted()
        weights = self._weights(contrast_def)
        check_one_of(output_type, [*OUTPUTS, "all"], "output_type")
        runs = runs_with_effect(weights)
        contrast = mean_contrast(
            [
                contrast_of(
                    self._fits[k].estimate,
                    weights[k],
                    stat_type,
                    [str(name) for name in self.design_matrices_[k].columns],
                )
                for k in runs
            ]
        )
        return contrast_images(contrast, output_type, self._masker, str(weights))

    def _weights(self, contrast_def: Any) -> list[Any]:
        """Return the weights of each run."""
        if isinstance(contrast_def, str | np.ndarray):
            given = [contrast_def]
        elif isinstance(contrast_def, list | tuple):
            given = list(contrast_def)
        else:
            raise ContrastError(
                "contrast_def must be an array or str or list of (array or str). "
                f"Got {type(contrast_def).__name__}"
            )
        n_runs = len(self._fits)
        if len(given) == 1 and n_runs > 1:
            warn(
                f"The same contrast will be used for all {n_runs} runs. If the design matrices "
                "are not the same for all runs, (for example with different column names or "
                "column order across runs) you should pass contrast as an expression using the "
                "name of the conditions as they appear in the design matrices.",
                RuntimeWarning,
                stacklevel=3,
            )
            given = given * n_runs
        elif len(given) != n_runs:
            verb = "are" if n_runs > 1 else "is"
            noun = "runs" if n_runs > 1 else "run"
            raise ContrastError(
                f"{len(given)} contrasts given, while there {verb} {n_runs} {noun}."
            )
        columns = [frame.columns.tolist() for frame in self.design_matrices_]
        return [
            expression_to_contrast_vector(one, names) if isinstance(one, str) else one
            for one, names in zip(given, columns, strict=True)
        ]

    @cached_property
    def labels_(self) -> list[Any]:
        """The noise label of each voxel, one array a run."""
        self._check_fitted()
        return [labels for labels, _ in self._groups]

    @cached_property
    def results_(self) -> list[Any]:
        """Results by label, one dict a run."""
        self._check_fitted()
        return [results for _, results in self._groups]

    @property
    def _groups(self) -> list[Any]:
        return [fit.groups() for fit in self._fits]

    def _parts(self) -> list[Part]:
        lengths = map(len, self.design_matrices_)
        return list(zip(lengths, self.labels_, self.results_, strict=True))

    @property
    def formula(self) -> str:
        """The formula that says the same in this package's own language."""
        self._check_fitted()
        return formula_of(self)

    @property
    def responses(self) -> dict[str, Response]:
        """The responses that :attr:`formula` calls by name: ``vx.lm(…, hrf=model.responses)``.

        Empty but for a function, a list of them, or a value of :mod:`voxlm.hrf` that has no text.
        """
        return responses_of(self)


def contrast_images(contrast: Contrast, output_type: str, masker: Masker, text: str) -> Any:
    """Return the maps of a contrast as images."""
    wanted = OUTPUTS if output_type == "all" else (output_type,)
    images = {}
    for name in wanted:
        image = masker.inverse_transform(getattr(contrast, name)())
        if hasattr(image, "header"):
            image.header["descrip"] = f"{name} of contrast {text}"[:79]
        images[name] = image
    return images if output_type == "all" else images[output_type]


open_path(__name__)
