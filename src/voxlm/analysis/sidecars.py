"""What is written beside maps and designs, in the words of BIDS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.provenance import freedom
from voxlm.bids.index import description
from voxlm.bids.sidecar import dataset_root
from voxlm.errors import DataError
from voxlm.images.inputs import Input

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

BIDS_VERSION = "1.10.0"
#: Names that BIDS does not know yet; its validator is told to pass over them.
IGNORED = (
    "*_statmap.*", "*_design.*", "*_provenance.json", "*_clusters.*", "*.html", "*.png",
    "*_decision.txt", "*_null.tsv", "model.toml", "group",
)  # fmt: skip
MEANINGS = {
    "effect": "contrast of the parameter estimates",
    "se": "standard error of the effect",
    "t": "t statistic",
    "F": "F statistic",
    "z": "normal score with the same tail probability as the statistic",
    "p": "p-value, two-sided for a t, not corrected",
    "rsquared": "share of the variance that the model explains",
    "variance": "residual variance",
    "rho": "autoregressive coefficients of the noise",
    "mask": "voxels that could be fitted",
    "nobs": "number of maps",
    "sigma": "residual standard deviation",
    "theta": "relative standard deviations of the random effects",
    "components": "variances of the random effects",
    "icc": "share of the variance that is between groups",
    "deviance": "minus twice the log likelihood",
    "singular": "1 where a variance component is 0",
    "converged": "1 where the optimum is certified",
    "gain": "how far a further step could lower the deviance",
    "curvature": "least curvature of the deviance at the optimum",
    "restarts": "how often the search for the optimum began again",
    "rsquared_marginal": "share of the variance that the fixed effects explain",
    "rsquared_conditional": "share of the variance that fixed and random effects explain",
    "tau2": "variance between maps beyond their own",
    "i2": "share of the variance that is between maps",
}


def to_json(content: Mapping[str, Any]) -> str:
    """Write readable JSON with a final newline."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def map_sidecar(
    stat: str, fits: Iterable[Fitted], entities: Mapping[str, str], contrast: Contrast | None = None
) -> dict[str, Any]:
    """Describe a map.

    Parameters
    ----------
    stat : str
        Which map: ``t``, ``effect``, ``rho``.
    fits : iterable of Fitted
        What it comes from.
    entities : dict of str to str
        Of its name.
    contrast : Contrast, optional
        The question, where it answers one.
    """
    listed = list(fits)
    about = _answered(stat, listed[0].formula, contrast) | {"SkullStripped": True}
    return about | _grid(listed, entities)


def group_sidecar(stat: str, fit: GroupFit, contrast: Contrast | None = None) -> dict[str, Any]:
    """Describe a map of a group."""
    about = _answered(stat, fit.formula, contrast)
    if stat == "mask":
        about = {"Description": MEANINGS["mask"], "Type": "ROI"}
    return about | {"Sources": sources(fit.maps.inputs)}


def _answered(stat: str, formula: str, contrast: Contrast | None) -> dict[str, Any]:
    about: dict[str, Any] = {"Description": MEANINGS.get(stat, stat), "Statistic": stat}
    if contrast is not None:
        df = freedom(contrast.df)
        about |= {"Contrast": contrast.text, "Hypothesis": list(contrast.hypothesis.rows)}
        about["DegreesOfFreedom"] = "differ by voxel" if isinstance(df, list) else df or "infinite"
        if contrast.kind == "F":
            about["NumeratorDegreesOfFreedom"] = int(contrast.df_num)
    return about | {"Formula": formula}


def mask_sidecar(fit: Fitted, entities: Mapping[str, str]) -> dict[str, Any]:
    """Describe the mask of the voxels that were fitted."""
    about = {"Description": MEANINGS["mask"], "Type": "ROI"}
    return about | _grid([fit], entities)


def _grid(fits: Iterable[Fitted], entities: Mapping[str, str]) -> dict[str, Any]:
    inputs = [file for fit in fits for file in fit.run.inputs]
    about: dict[str, Any] = {"Sources": sources(inputs)}
    bold = sources(file for file in inputs if file.role == "bold")
    if "space" in entities and bold:
        about["SpatialReference"] = bold[0]
    if "res" in entities:
        about["Resolution"] = f"as the image of res-{entities['res']} that it was made from"
    if "den" in entities:
        about["Density"] = f"as the image of den-{entities['den']} that it was made from"
    return about


def design_sidecar(fit: Fitted) -> dict[str, Any]:
    """Describe each column of a design."""
    about: dict[str, Any] = {
        "frame_times": {"Description": "time of the scan", "Units": "s"},
    }
    for column in fit.design.columns:
        facts = {"Role": column.role, "Term": column.term, "Condition": column.condition}
        facts |= {"Basis": column.basis, "Amplitude": column.amplitude, "Run": column.run}
        about[column.name] = {key: value for key, value in facts.items() if value}
    return about


def dataset_description(out: Path, inputs: Iterable[Input]) -> dict[str, Any]:
    """Describe the folder of results as a data set of derivatives.

    Raises
    ------
    DataError
        If the folder is another program's data set.
    """
    before = description(out)
    makers = [
        str(one.get("Name")) for one in before.get("GeneratedBy", []) if isinstance(one, dict)
    ]
    if before and "voxlm" not in makers:
        raise DataError(
            f"{out} is a data set already, {before.get('Name', 'without a name')!r}, made by "
            f"{', '.join(makers) or 'someone else'}; save results in a folder of their own, such "
            f"as {out.parent / 'voxlm'}"
        )
    links = dict(before.get("DatasetLinks", {}))
    for file in inputs:
        if (root := dataset_root(file.path)) is not None:
            links[root.name] = root.as_uri()
    return {
        "Name": "Statistical maps by voxlm",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "voxlm", "Version": version("voxlm")}],
        "DatasetLinks": dict(sorted(links.items())),
    }


def sources(inputs: Iterable[Input]) -> list[str]:
    """Name files as BIDS does: by data set and place in it; by path where they are in none."""
    found = []
    for file in inputs:
        root = dataset_root(file.path)
        inside = (
            None if root is None else f"bids:{root.name}:{file.path.relative_to(root).as_posix()}"
        )
        found.append(inside or str(file.path))
    return list(dict.fromkeys(found))
