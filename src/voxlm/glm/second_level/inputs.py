"""What a group model can be given, and the maps it comes to.

Axes: N maps, V voxels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from voxlm.errors import DataError
from voxlm.glm.faults import InputTypeError, named_by_nilearn
from voxlm.glm.first_level.first_level import FirstLevelModel
from voxlm.glm.masking import (
    check_images,
    check_same_grid,
    check_same_mesh,
    check_there,
    is_surface,
    is_volume,
    n_scans_of,
    opened,
)
from voxlm.images.resample import Grid

COLUMNS = ("subject_label", "map_name", "effects_map_path")
KINDS = """'second_level_input' must be either:
- a pandas DataFrame,
- a Niimg-like object
- a pandas Series of Niimg-like object
- a list of Niimg-like objects
- a list of 2D SurfaceImage objects
- a 3D SurfaceImage object
- a list of FirstLevelModel objects."""


def check_input(second_level_input: Any, design_matrix: Any, confounds: Any = None) -> Any:
    """Return the input of a group model in one of its three forms.

    Parameters
    ----------
    second_level_input : object
        As :meth:`SecondLevelModel.fit` takes it.
    design_matrix, confounds : object
        What else was given; None is nothing.

    Returns
    -------
    DataFrame sorted by subject, list of FirstLevelModel, or list of single maps
    """
    given = second_level_input
    if isinstance(given, pd.DataFrame):
        return check_table(given)
    if isinstance(given, pd.Series):
        given = given.to_list()
    if isinstance(given, list):
        check_list(given)
        if isinstance(given[0], FirstLevelModel):
            check_models(given, confounds is not None)
            return given
    elif not (is_volume(given) or is_surface(given)):
        raise InputTypeError(f"{KINDS}\nGot {type(given)} instead.")
    check_images(given, "second_level_input")
    maps = surface_maps(given) if is_surface(given) or _surfaces(given) else volume_maps(given)
    if design_matrix is None:
        kind = "SurfaceImage objects" if is_surface(maps[0]) else "niimgs"
        raise DataError(
            f"List of {kind} as 'second_level_input' require a design matrix to be provided."
        )
    return maps


def _surfaces(given: Any) -> bool:
    return isinstance(given, list) and is_surface(given[0])


def check_list(given: list[Any]) -> None:
    """Require a list of at least two things of one kind that is known."""
    if len(given) < 2:
        raise InputTypeError(
            "A second level model requires a list with at least two first level models or niimgs "
            "or surface images."
        )
    for k, one in enumerate(given):
        known = isinstance(one, FirstLevelModel) or is_volume(one) or is_surface(one)
        if not isinstance(one, type(given[0])) and not (is_volume(one) and is_volume(given[0])):
            raise InputTypeError(
                "Elements of 'second_level_input' must be of the same type. "
                f"Got object type {type(one)} at idx {k}."
            )
        if not known:
            raise InputTypeError(f"{KINDS}\nGot {[type(x) for x in given]} instead.")


def check_table(table: pd.DataFrame) -> pd.DataFrame:
    """Require a table of maps, and return it sorted by subject."""
    if not set(COLUMNS) <= set(table.columns):
        raise DataError(
            "'second_level_input' DataFrame must have columns 'subject_label', 'map_name' and "
            "'effects_map_path'."
        )
    if not all(isinstance(label, str) for label in table["subject_label"]):
        raise DataError("'subject_label' column must contain only strings.")
    return table.sort_values("subject_label", kind="stable").reset_index(drop=True)


def check_models(models: list[FirstLevelModel], has_confounds: bool) -> None:
    """Require fitted first-level models on one grid, with labels where confounds need them."""
    reference: Grid | None = None
    for k, model in enumerate(models):
        if not model.__sklearn_is_fitted__():
            raise DataError(f"Model {model.subject_label} at index {k} has not been fit yet.")
        if has_confounds and model.subject_label is None:
            raise DataError(
                "In case confounds are provided, first level objects need to provide the "
                "attribute 'subject_label' to match rows appropriately.\n"
                f"Model at idx {k} does not provide it. "
                "To set it, you can do first_level.subject_label = '01'"
            )
        mask = model.mask_img_
        if is_surface(mask):
            continue
        grid = Grid(mask.shape[:3], mask.affine)
        reference = reference or grid
        if not np.allclose(grid.affine, reference.affine, rtol=0, atol=1e-4):
            raise DataError(_differs("affine", model, k))
        if grid.shape != reference.shape:
            raise DataError(_differs("shape", model, k))


def _differs(what: str, model: FirstLevelModel, k: int) -> str:
    return (
        f"All first level models must have the same {what}.\n"
        f"Model {model.subject_label} at index {k} has a different {what} from the previous ones."
    )


def volume_maps(given: Any) -> list[Any]:
    """Return single maps: those of a list, or the volumes of one image of four axes."""
    if isinstance(given, list):
        sources = [opened(one, "second_level_input") for one in given]
        for k, one in enumerate(sources):
            if len(one.shape) > 3 and one.shape[3] != 1:
                raise DataError(
                    "When passing a list of Nifti image, each image must be 3D, or 4D with single "
                    f"volume. Got 'second_level_input[{k}].shape={one.shape}'."
                )
        check_same_grid(sources)
        return list(given)
    image = opened(given, "second_level_input")
    if len(image.shape) != 4:
        raise named_by_nilearn(InputTypeError, "DimensionError")(
            "Input data has incompatible dimensionality: one image as 'second_level_input' has "
            f"four axes, the maps along the fourth; got {image.shape}"
        )
    return [given]


def surface_maps(given: Any) -> list[Any]:
    """Return surface images that hold the maps."""
    if not isinstance(given, list):
        if _width(given) == 1:
            raise InputTypeError(
                "If a single SurfaceImage object is passed as 'second_level_input',"
                "it must be a 3D SurfaceImage."
            )
        return [given]
    for one in given:
        if _width(one) != 1:
            raise InputTypeError(
                "List of SurfaceImage objects as 'second_level_input' require all images to be "
                "3D SurfaceImage."
            )
        check_same_mesh(given[0], one)
    return list(given)


def _width(image: Any) -> int:
    shape = np.shape(next(iter(image.data.parts.values())))
    return shape[1] if len(shape) > 1 else 1


def check_confounds(confounds: Any) -> None:
    """Require a table with ``subject_label`` and at least one confound."""
    if confounds is None:
        return
    if not isinstance(confounds, pd.DataFrame):
        raise InputTypeError("confounds must be a pandas DataFrame")
    if "subject_label" not in confounds.columns:
        raise DataError("confounds DataFrame must contain column 'subject_label'")
    if len(confounds.columns) < 2:
        raise DataError(
            'confounds should contain at least 2 columns one called "subject_label" and the '
            "other with a given confound"
        )
    if not all(isinstance(label, str) for label in confounds["subject_label"]):
        raise DataError("subject_label column must contain only strings")


def n_maps(given: Any) -> int | None:
    """Return how many maps every contrast takes; None where that depends on the contrast."""
    if isinstance(given, pd.DataFrame):
        return None
    if isinstance(given[0], FirstLevelModel):
        return len(given)
    return sum(n_scans_of(one) for one in given)


def subjects_of(given: Any) -> list[Any]:
    """Return the subject of each row of the design that is made where none is given.

    A table may hold several maps of each subject, told apart by ``map_name``; a contrast takes
    those of one name, so a row is a subject.
    """
    if isinstance(given, pd.DataFrame):
        groups = [part.to_list() for _, part in given.groupby("map_name")["subject_label"]]
        same = all(group == groups[0] for group in groups)
        return groups[0] if same else given["subject_label"].to_list()
    return [model.subject_label for model in given]


def check_first_level_contrast(given: Any, first_level_contrast: Any) -> None:
    """Require a contrast where maps are those of models."""
    models = isinstance(given, list) and isinstance(given[0], FirstLevelModel)
    if models and first_level_contrast is None:
        raise DataError(
            "If 'second_level_input' was a list of FirstLevelModel, then first_level_contrast "
            "is mandatory. It corresponds to the second_level_contrast argument of the "
            "compute_contrast method of FirstLevelModel."
        )


def maps_of(given: Any, first_level_contrast: Any) -> list[Any]:
    """Return the maps that a contrast of a group model is about."""
    if isinstance(given, pd.DataFrame):
        rows = given[given["map_name"] == first_level_contrast]
        if rows.empty:
            known = sorted(set(given["map_name"]))
            raise DataError(
                f"first_level_contrast={first_level_contrast!r} is no map_name of the table; "
                f"there are {known}"
            )
        for image in rows["effects_map_path"]:
            check_there(image, "effects_map_path")
        return rows["effects_map_path"].to_list()
    if isinstance(given[0], FirstLevelModel):
        return [m.compute_contrast(first_level_contrast, output_type="effect_size") for m in given]
    return list(given)
