"""First-level models of everybody in a BIDS data set, with nilearn's names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from warnings import warn

import lazy_loader
import nibabel as nib
import numpy as np
import pandas as pd

from voxlm.errors import DataError
from voxlm.glm.faults import InputTypeError, SetupError
from voxlm.glm.first_level.bids_files import DERIVED, RAW, Catalogue
from voxlm.glm.first_level.first_level import FirstLevelModel
from voxlm.glm.first_level.planning import NUMBER
from voxlm.images.mask import read_mask
from voxlm.images.opening import open_image
from voxlm.images.space import Volume

# Loads nilearn, which only surfaces and strategies for confounds need.
from_nilearn = lazy_loader.load("voxlm.glm.first_level.from_nilearn", suppress_warning=True)

AGREE = 0.5  # share of the runs that must have a voxel, as elsewhere for masks of several runs
STANDARD_SPACE = "MNI152NLin2009cAsym"
CONFOUNDS = {
    "strategy": ("motion", "high_pass", "wm_csf"),
    "motion": "full",
    "scrub": 5,
    "fd_threshold": 0.5,
    "std_dvars_threshold": 1.5,
    "wm_csf": "basic",
    "global_signal": "basic",
    "compcor": "anat_combined",
    "n_compcor": "all",
    "ica_aroma": "full",
    "demean": True,
}
Models = tuple[
    list[FirstLevelModel],
    list[list[Any]],
    list[list[pd.DataFrame]],
    list[list[pd.DataFrame] | None],
]


def first_level_from_bids(
    dataset_path: Any,
    task_label: str,
    space_label: str | None = None,
    sub_labels: list[str] | None = None,
    exclude_subjects: list[str] | None = None,
    img_filters: list[tuple[str, str]] | None = None,
    t_r: float | None = None,
    slice_time_ref: float | None = None,
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
    derivatives_folder: str = "derivatives",
    **kwargs: Any,
) -> Models:
    """Make a model for each person of a BIDS data set, and what its ``fit`` takes.

    Parameters
    ----------
    dataset_path : path
        The raw data set.
    task_label : str
        As in ``_task-<label>_``.
    space_label : str, optional
        As in ``_space-<label>_``; ``"MNI152NLin2009cAsym"`` where left out. ``"fsaverage5"`` loads
        both hemispheres on the pial surface (needs nilearn).
    sub_labels, exclude_subjects : list of str, optional
        Who is modelled, who is not.
    img_filters : list of (str, str), optional
        Further entities of the images, such as ``("desc", "preproc")``; a file must have all.
    t_r, slice_time_ref : float, optional
        Left out, the sidecars say it: ``RepetitionTime``, of the derivatives first, and
        ``StartTime``. A warning where they say otherwise.
    mask_img : image, masker, False, None or ``"derivatives"``
        ``"derivatives"``: for each person, the voxels that more than half of the masks of their
        own runs have.
    derivatives_folder : str
        Where the preprocessed images are, below ``dataset_path``.
    hrf_model, drift_model, high_pass, drift_order, fir_delays, min_onset, target_affine, \
    target_shape, smoothing_fwhm, memory, memory_level, standardize, signal_scaling, noise_model, \
    verbose, n_jobs, minimize_memory
        As for :class:`FirstLevelModel`.
    **kwargs
        ``confounds_strategy=`` and others that start with ``confounds_``, for
        ``nilearn.interfaces.fmriprep.load_confounds``. None of them: all confounds.
        ``confounds_strategy=None``: none.

    Returns
    -------
    models : list of FirstLevelModel
        One a person, in order of their labels.
    models_run_imgs : list of list
        Paths, or surface images, of each person's runs.
    models_events : list of list of DataFrame
    models_confounds : list of list of DataFrame, or of None
        Missing values of the first scan are 0. Where a strategy scrubs, the scans that are kept
        are ``attrs["sample_mask"]`` of each table, and ``fit`` leaves the others out.

    Raises
    ------
    DataError
        Where images, events or confounds are missing or there are too many.

    Examples
    --------
    >>> import tempfile, voxlm as vx
    >>> made = vx.simulate.bids_dataset(tempfile.mkdtemp(), n_subjects=2, n_scans=50)
    >>> models, images, events, confounds = first_level_from_bids(
    ...     made.folder, "faces", derivatives_folder="derivatives/fmriprep"
    ... )
    >>> [model.subject_label for model in models], models[0].t_r, models[0].slice_time_ref
    (['01', '02'], 2.0, 0.5)
    """
    options = {
        name: value
        for name, value in locals().items()
        if name in FirstLevelModel.defaults() and name not in ("t_r", "slice_time_ref", "mask_img")
    }
    _check_timing(t_r, slice_time_ref)
    derived = _check_paths(dataset_path, derivatives_folder)
    space = STANDARD_SPACE if space_label is None else space_label
    _check_labels(task_label, space, sub_labels, exclude_subjects, img_filters)
    strategy = _strategy(kwargs)
    _warn_double_filter(drift_model, strategy)
    files = Catalogue.of(
        Path(dataset_path).absolute(), derived, task_label, space, img_filters or [], verbose
    )
    tr = _repetition_time(files, t_r)
    reference = _reference(files, slice_time_ref, tr)
    found: Models = ([], [], [], [])
    for subject in _subjects(derived, sub_labels or [], exclude_subjects or []):
        images, paths = files.images(subject)
        model = FirstLevelModel(t_r=tr, slice_time_ref=reference, subject_label=subject, **options)
        model.mask_img = mask_img
        if isinstance(mask_img, str) and mask_img == "derivatives":
            model.mask_img = _common_mask(files.masks(subject, paths))
        found[0].append(model)
        found[1].append(
            [_nilearn().on_pial(one) if isinstance(one, dict) else one for one in images]
        )
        events = files.events(subject, paths)
        found[2].append([pd.read_csv(path, sep="\t", index_col=None) for path in events])
        found[3].append(_confounds(files.confounds(subject, paths), paths, strategy))
    return found


def _check_timing(t_r: Any, slice_time_ref: Any) -> None:
    for name, value in (("t_r", t_r), ("slice_time_ref", slice_time_ref)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, NUMBER)):
            raise InputTypeError(
                f"'{name}' must be of type(s): a number or None. Got: '{type(value).__name__}'"
            )
    if t_r is not None and not t_r > 0:
        raise DataError(f"'t_r' must be positive. Got {t_r} instead.")
    if slice_time_ref is not None and not 0 <= slice_time_ref <= 1:
        raise DataError(f"'slice_time_ref' must be between 0 and 1. Got {slice_time_ref} instead.")


def _check_kind(value: Any, kind: Any, name: str, words: str) -> None:
    if not isinstance(value, kind):
        got = type(value).__name__
        raise InputTypeError(f"'{name}' must be of type(s): {words}. Got: '{got}'")


def _check_paths(dataset_path: Any, derivatives_folder: Any) -> Path:
    """Return the folder of derivatives."""
    _check_kind(dataset_path, (str, Path), "dataset_path", "str or Path")
    root = Path(dataset_path).absolute()
    if not root.exists():
        raise DataError(f"'dataset_path' does not exist:\n{root}")
    _check_kind(derivatives_folder, str, "derivatives_folder", "str")
    derived = root / derivatives_folder
    if not derived.exists():
        raise DataError(f"derivatives folder not found in given dataset:\n{derived}")
    return derived


def _check_labels(task: Any, space: Any, subjects: Any, exclude: Any, filters: Any) -> None:
    _check_label(task)
    _check_label(space)
    for name, given in (("sub_labels", subjects), ("exclude_subjects", exclude)):
        _check_kind(given if given is not None else [], list, name, "list")
        for label in given or []:
            _check_label(label)
    _check_kind(filters if filters is not None else [], list, "img_filters", "list")
    for one in filters or []:
        if len(one) != 2 or not all(isinstance(part, str) for part in one):
            raise InputTypeError(f"Filters in img_filters must be (str, str). Got {one} instead.")
        if one[0] not in (*RAW, *DERIVED):
            known = [*RAW, *DERIVED]
            raise DataError(
                f"'{one[0]} in {one}' must be one of {known}.\n'{one[0]}' was provided."
            )
        _check_label(one[1])


def _check_label(label: Any) -> None:
    if not isinstance(label, str):
        raise InputTypeError(
            f"All bids labels must be string. Got '{type(label).__name__}' for {label} instead."
        )
    if not all(letter.isalnum() for letter in label):
        raise DataError(f"All bids labels must be alphanumeric. Got '{label}' instead.")


def _strategy(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return what confounds to load: None for none, ``{}`` for all."""
    known = {f"confounds_{name}" for name in CONFOUNDS} if "confounds_strategy" in kwargs else set()
    if "confounds_strategy" in kwargs and kwargs["confounds_strategy"] is None:
        known = {"confounds_strategy"}
    unknown = {name: value for name, value in kwargs.items() if name not in known}
    if unknown:
        raise SetupError(
            "Unknown keyword arguments. Keyword arguments should start with `confounds_` prefix, "
            f"beside confounds_strategy=: {unknown}"
        )
    if "confounds_strategy" not in kwargs:
        return {}
    if kwargs["confounds_strategy"] is None:
        return None
    return {name: kwargs.get(f"confounds_{name}", value) for name, value in CONFOUNDS.items()}


def _warn_double_filter(drift_model: Any, strategy: dict[str, Any] | None) -> None:
    if drift_model is None or not strategy or "high_pass" not in strategy["strategy"]:
        return
    verb = {"cosine": "duplicate", "polynomial": "conflict with"}.get(drift_model, "duplicate")
    warn(
        f"Confounds will contain a high pass filter, that may {verb} the {drift_model} one used "
        "in the model.\nRemember to visualize your design matrix before fitting your model to "
        "check that your model is not overspecified.",
        UserWarning,
        stacklevel=3,
    )


def _repetition_time(files: Catalogue, given: float | None) -> float | None:
    """Return the repetition time that was given, or else the sidecars'."""
    said = files.metadata("RepetitionTime", derived=True)
    if said is None:
        said = files.metadata("RepetitionTime", derived=False)
    if given is None and said is None:
        warn(
            "\n't_r' not provided and cannot be inferred from BIDS metadata.\nIt will need to be "
            "set manually in the list of models, otherwise their fit will throw an exception.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    if given is not None and given != said:
        _warn_differs("t_r", given, said, RuntimeWarning)
    tr = said if given is None else given
    _check_timing(tr, None)
    return tr


def _reference(files: Catalogue, given: float | None, tr: float | None) -> float:
    """Return the moment within a repetition time that was given, or else the sidecars'."""
    start = files.metadata("StartTime", derived=True)
    said = 0.0
    if start is not None and tr is not None:
        said = start / tr
    elif given is None:
        warn(
            "'slice_time_ref' not provided and cannot be inferred from metadata.\nIt will be "
            "assumed that the slice timing reference is 0.0 percent of the repetition time.\nIf "
            "it is not the case it will need to be set manually in the generated list of models.",
            UserWarning,
            stacklevel=3,
        )
    if given is not None and given != said:
        _warn_differs("slice_time_ref", given, said, UserWarning)
    reference = said if given is None else given
    _check_timing(None, reference)
    return reference


def _warn_differs(name: str, given: float, said: float | None, kind: type[Warning]) -> None:
    warn(
        f"\n'{name}' provided ({given}) is different from the value found in the BIDS dataset "
        f"({said}).\nNote this may lead to the wrong model specification.",
        kind,
        stacklevel=4,
    )


def _subjects(derived: Path, labels: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Return the people to model, in order; a warning for those who are not there."""
    known = [path.name.removeprefix("sub-") for path in derived.glob("sub-*") if path.is_dir()]
    for label in labels:
        if label not in known:
            warn(
                f"\nSubject label '{label}' is not present in the following dataset and cannot be "
                f"processed:\n {derived}",
                UserWarning,
                stacklevel=3,
            )
    wanted = set(labels or known) & set(known)
    if not wanted:
        raise SetupError(f"\nNo subject found in:\n {derived}")
    return sorted(wanted - set(exclude))


def _common_mask(paths: Sequence[str]) -> Any:
    """Return the voxels that more than half of the masks have; None without masks."""
    if not paths:
        return None
    opened = [open_image(path, "mask") for path in paths]
    for one in opened[1:]:
        if one.shape != opened[0].shape or not np.allclose(one.affine, opened[0].affine):
            raise DataError(f"masks lie on different grids: {opened[0].name} and {one.name}")
    share = np.mean([read_mask(one) for one in opened], axis=0)
    mask: nib.Nifti1Image = Volume(share > AGREE, opened[0].affine, opened[0].header).mask_image()
    return mask


def _nilearn() -> Any:
    if find_spec("nilearn") is None:
        raise SetupError(
            "surfaces and strategies for confounds come from nilearn, which is not installed; "
            "install it with: pip install 'voxlm[report]'"
        )
    return from_nilearn


def _confounds(
    paths: Sequence[str], images: Sequence[str], strategy: dict[str, Any] | None
) -> list[pd.DataFrame] | None:
    """Return the confounds of each run: all, or those of a strategy."""
    if not paths or strategy is None:
        return None
    if not strategy:
        tables = [pd.read_csv(path, sep="\t", index_col=None) for path in paths]
        for table in tables:
            table.iloc[0] = table.iloc[0].fillna(0.0)
        return tables
    return cast(list[pd.DataFrame], _nilearn().chosen_confounds(images, strategy))
