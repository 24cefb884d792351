"""Models of the nilearn-shaped face on disk, by BIDS names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from warnings import warn

import lazy_loader
import numpy as np

from voxlm import report
from voxlm.bids.names import Name, bids_name
from voxlm.errors import DataError
from voxlm.glm.clustertable import Rule, cluster_table
from voxlm.glm.faults import InputTypeError
from voxlm.glm.filenames import Filenames, contrast_labels, filenames_of
from voxlm.glm.masking import VolumeMasker
from voxlm.glm.paths import open_path
from voxlm.glm.thresholding import say_unused
from voxlm.glm.weights import as_rows, check_one_of, expression_to_contrast_vector
from voxlm.images.atomic import staging

__all__ = ["save_glm_to_bids"]

# Draws and lays out; needs the packages of the extra "report".
pages = lazy_loader.load("voxlm.glm.pages", suppress_warning=True)

REPORT: dict[str, Any] = {
    "title": None,
    "bg_img": "MNI152TEMPLATE",
    "threshold": None,
    "alpha": 0.001,
    "cluster_threshold": 0,
    "height_control": "fpr",
    "two_sided": False,
    "min_distance": 8.0,
    "plot_type": "slice",
    "cut_coords": None,
    "display_mode": None,
    "report_dims": (1600, 800),
}
STATS = {
    "effect_size": "effect",
    "effect_variance": "variance",
    "z_score": "z",
    "p_value": "p",
}
PARAMETERS = (
    *("subject_label", "t_r", "slice_time_ref", "hrf_model", "fir_delays"),
    *("drift_model", "high_pass", "drift_order", "noise_model"),
    *("standardize", "signal_scaling", "smoothing_fwhm", "target_shape", "target_affine"),
)
OLD_THRESHOLD = 3.09  # nilearn 0.14's default where no height control is asked for


def save_glm_to_bids(
    model: Any,
    contrasts: Any,
    first_level_contrast: Any = None,
    contrast_types: Mapping[str, str] | None = None,
    out_dir: Any = ".",
    prefix: Any = None,
    **kwargs: Any,
) -> Any:
    """Write a fitted model's maps, designs, tables and a report under BIDS names.

    Parameters
    ----------
    model : FirstLevelModel or SecondLevelModel
        Fitted. Residuals and R² are written where it kept its data (``minimize_memory=False``).
    contrasts : str, array, list of them, or dict of them by name
        As ``compute_contrast`` takes them.
    first_level_contrast : str or array, optional
        For a group model of first-level models.
    contrast_types : dict of str to {"t", "F"}, optional
        The statistic of contrasts by name; else t for one row, F for several.
    out_dir : path
        Written whole or not at all; files of the same names are replaced.
    prefix : str, optional
        Before all names. Left out, names come from the runs' files where those have BIDS names.
    **kwargs
        ``title bg_img threshold alpha cluster_threshold height_control two_sided min_distance
        plot_type cut_coords display_mode report_dims`` of nilearn's reports.

    Returns
    -------
    FirstLevelModel or SecondLevelModel
        The model.

    Notes
    -----
    Below ``out_dir/sub-…`` (``group`` for group models): ``mask``, ``design.tsv`` and ``.json``
    with pictures, ``stat-errorts`` and ``stat-rsquared`` of each run;
    ``contrast-…_stat-{effect,variance,t|F,z,p}_statmap``, ``clusters.tsv`` and its rule in
    ``clusters.json``, of each contrast; ``statmap.json``; ``report.html``. Clusters are those of
    z, and a statistic is the one that its name says.
    """
    for key in kwargs:
        check_one_of(key, list(REPORT), "Extra key-word")
    options = REPORT | kwargs
    rule = _rule(options)
    asked = _contrasts(contrasts)
    first = str(model) == "First Level Model"
    if first and first_level_contrast is not None:
        warn("'first_level_contrast' is ignored for FirstLevelModel.", UserWarning, stacklevel=2)
    model._check_fitted()
    designs = model.design_matrices_ if first else [model.design_matrix_]
    volume = isinstance(model._masker, VolumeMasker)
    files = list(model._reporting_data["run_imgs"].values()) if first else []
    names = filenames_of(files, len(designs), prefix, "first" if first else "second", volume)
    labels = contrast_labels(list(asked))
    root = Path(out_dir)
    described = _description(root, "First" if first else "Second")
    with staging(root) as temporary:
        folder = temporary / names.folder
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(temporary / "dataset_description.json", described)
        _save_mask(model, folder, names)
        _write_designs(model, designs, folder, names, first)
        _write_json(folder / f"{names.prefix}statmap.json", _metadata(model, volume))
        found = []
        for name, spec in asked.items():
            kind = (contrast_types or {}).get(name)
            maps, kind = _maps(model, spec, kind, first, first_level_contrast, len(designs))
            found.append(
                _write_contrast(model, name, labels[name], maps, kind, rule, folder, names)
            )
        _write_model_maps(model, folder, names, first)
        if report.can_draw("report.html"):
            pages.draw(model, designs, asked, labels, folder, names)
            html = pages.page(model, designs, asked, found, options)
            (folder / f"{names.prefix}report.html").write_text(html, encoding="utf-8")
    model._saved = (asked, first_level_contrast)
    return model


def _rule(options: Mapping[str, Any]) -> Rule:
    """Read how maps are thresholded; tell of what is not used."""
    control, threshold = options["height_control"], options["threshold"]
    check_one_of(control, ["fpr", "fdr", "bonferroni", None], "height_control")
    check_one_of(options["plot_type"], ["slice", "glass"], "plot_type")
    for name in ("cluster_threshold", "min_distance"):
        if options[name] < 0:
            raise DataError(f"'{name}' must be > 0. Got {name}={options[name]}")
    if control is None and threshold in (None, OLD_THRESHOLD):
        threshold = OLD_THRESHOLD
        warn(
            "\nFrom nilearn version>=0.15, the default 'threshold' will be set to 3.0902: here it "
            f"is {OLD_THRESHOLD} as in 0.14.",
            FutureWarning,
            stacklevel=3,
        )
    if control is not None and threshold is not None:
        say_unused(threshold, control)
        threshold = None
    return Rule(
        threshold,
        options["alpha"],
        control,
        options["cluster_threshold"],
        options["two_sided"],
        options["min_distance"],
    )


def _contrasts(given: Any) -> dict[str, Any]:
    """Return contrasts by name."""
    if not isinstance(given, Mapping):
        single = isinstance(given, str) or np.isscalar(np.asarray(given, dtype=object).flat[0])
        nested = isinstance(given, list | tuple) and not all(np.isscalar(x) for x in given)
        texts = isinstance(given, list | tuple) and all(isinstance(x, str) for x in given)
        several = list(given) if (nested or texts) else [given] if single else list(given)
        given = {str(one): one for one in several}
    for name, spec in given.items():
        if not isinstance(name, str):
            raise InputTypeError(f"contrast names must be strings, not {type(name)}")
        if not isinstance(spec, str | np.ndarray | list):
            raise InputTypeError(
                f"contrast definitions must be strings or array_likes, not {type(spec).__name__}"
            )
    return {
        name: spec if isinstance(spec, str) else np.asarray(spec) for name, spec in given.items()
    }


def _maps(
    model: Any, spec: Any, kind: str | None, first: bool, lower: Any, n_runs: int
) -> tuple[dict[str, Any], str]:
    """Return the maps of a contrast, and the statistic they hold."""
    found = kind or (
        "F" if not isinstance(spec, str) and np.ndim(spec) == 2 and len(spec) > 1 else "t"
    )
    if first:
        each = [spec] * n_runs
        return model.compute_contrast(each, stat_type=found, output_type="all"), found
    maps = model.compute_contrast(
        spec, first_level_contrast=lower, second_level_stat_type=found, output_type="all"
    )
    return maps, found


def _write_contrast(
    model: Any,
    name: str,
    label: str,
    maps: Mapping[str, Any],
    kind: str,
    rule: Rule,
    folder: Path,
    names: Filenames,
) -> dict[str, Any]:
    """Write one contrast's maps and clusters; return what a report needs of it."""
    for key, stat in {**STATS, "stat": kind}.items():
        file = names.of_model("statmap", names.extension, contrast=label, stat=stat)
        _write_image(maps[key], folder / file)
    z = maps["z_score"]
    _, threshold = rule.of(z, model.mask_img_)
    table = cluster_table(z, model._masker, threshold, rule)
    clusters = names.of_model("clusters", ".tsv", contrast=label)
    table.to_csv(folder / clusters, sep="\t", index=False)
    about = rule.described(threshold, names.volume)
    _write_json(folder / names.of_model("clusters", ".json", contrast=label), about)
    return {"name": name, "z": z, "threshold": threshold, "table": table, "rule": about}


def _save_mask(model: Any, folder: Path, names: Filenames) -> None:
    entities = {key: value for key, value in names.entities.items() if key not in ("ses", "run")}
    path = folder / (names.prefix + bids_name(entities, "mask", names.extension))
    if names.volume:
        _write_image(model._masker.space.mask_image(), path)
    else:
        masker = model._masker
        parts = {name: mask.astype(np.uint8) for name, mask in masker.parts.items()}
        _write_image(type(masker.template)(mesh=masker.template.mesh, data=parts), path)


def _write_designs(model: Any, designs: Any, folder: Path, names: Filenames, first: bool) -> None:
    for run, design in enumerate(designs):
        path = folder / names.of_run(run, "design", ".tsv")
        design.to_csv(path, sep="\t", index=False)
        if first:
            _write_json(path.with_suffix(".json"), {"RepetitionTime": model.t_r})


def _write_model_maps(model: Any, folder: Path, names: Filenames, first: bool) -> None:
    """Write residuals and R², where the model kept its data."""
    if model.minimize_memory:
        warn(
            "residuals and R-squared are not written: the model was fitted with "
            "minimize_memory=True and kept no data",
            UserWarning,
            stacklevel=3,
        )
        return
    for stat, attribute in (("errorts", "residuals_"), ("rsquared", "r_square_")):
        images = getattr(model, attribute)
        for run, image in enumerate(images if first else [images]):
            file = names.of_run(run, "statmap", names.extension, stat=stat)
            _write_image(image, folder / file)


def _write_image(image: Any, path: Path) -> None:
    """Write a volume, or a file of each hemisphere."""
    if hasattr(image, "affine"):
        image.to_filename(path)
        return
    for hemi, part in (("L", "left"), ("R", "right")):
        name = Name.of(path)
        more = {"hemi": hemi, "den": str(image.mesh.parts[part].n_vertices)}
        head = path.name[: len(path.name) - len(str(name))]
        file = path.with_name(head + bids_name({**name.entities, **more}, name.suffix, ".gii"))
        # It writes the hemisphere that the name says.
        image.data.to_filename(file)


def _description(root: Path, level: str) -> dict[str, Any]:
    """Describe the data set; where there is one already, add to what generated it."""
    maker = {
        "Name": "voxlm",
        "Version": version("voxlm"),
        "Description": f"A {level} Level Model by voxlm.glm.",
    }
    path = root / "dataset_description.json"
    if not path.is_file():
        return {"BIDSVersion": "1.10.0", "DatasetType": "derivative", "GeneratedBy": [maker]} | {
            "Name": "Statistical maps by voxlm.glm"
        }
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    makers = [one for one in known.get("GeneratedBy", []) if one != maker]
    return known | {"GeneratedBy": [*makers, maker]}


def _metadata(model: Any, volume: bool) -> dict[str, Any]:
    """Describe the maps and the model behind them."""
    parameters = {name: _plain(getattr(model, name)) for name in PARAMETERS if hasattr(model, name)}
    about: dict[str, Any] = {
        "Description": "A statistical map generated by voxlm.glm.",
        "ModelParameters": {key: value for key, value in parameters.items() if value is not None},
    }
    if not volume:
        parts = model._masker.template.mesh.parts.values()
        about["Density"] = {
            str(part.n_vertices): f"{part.n_vertices} vertices per hemisphere" for part in parts
        }
    return about


def _plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.item() if isinstance(value, np.generic) else getattr(value, "__name__", str(value))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=4, sort_keys=True) + "\n", encoding="utf-8")


def weights_of(spec: Any, columns: list[str]) -> Any:
    """Return a contrast as rows ``(Q, P)`` over the columns of a design."""
    if isinstance(spec, str):
        return np.atleast_2d(expression_to_contrast_vector(spec, columns))
    return as_rows(spec, len(columns), None)[0]


open_path(__name__)
