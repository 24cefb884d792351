"""What was done to what: enough to do it again, and to know that it was the same."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fitted import Fitted
from voxlm.images.inputs import Input
from voxlm.models.reduce import FITTED

PACKAGES = ("voxlm", "numpy", "scipy", "pandas", "nibabel", "formulaic", "numba", "isal")


def provenance(fits: Sequence[Fitted], contrasts: Mapping[str, Contrast]) -> str:
    """Return the provenance of some fits and contrasts as JSON."""
    record = {
        "model": fits[0].model,
        "noise": _noise(fits[0]),
        "runs": [_run(fit) for fit in fits],
        "contrasts": {name: contrast_record(contrast) for name, contrast in contrasts.items()},
        **versions(),
    }
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def versions() -> dict[str, Any]:
    """Return the versions of what computed it."""
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
    }


def _noise(fit: Fitted) -> dict[str, Any]:
    if fit.order == 0:
        return {"model": "independent"}
    return {"model": "ar", "order": fit.order, "maxiter": fit.maxiter, "rtol": fit.rtol}


def _run(fit: Fitted) -> dict[str, Any]:
    run, estimate = fit.run, fit.estimate
    return {
        "name": run.name,
        "inputs": [input_record(file) for file in _files(fit)],
        "formula": fit.formula,
        "columns": list(fit.names),
        "notes": [*run.notes, *fit.design.notes],
        "tr": run.clock.tr,
        "slice_time_ref": run.clock.slice_time_ref,
        "smoothing_fwhm": run.smoothing_fwhm,
        "scaling": run.scaling,
        "n_scans": run.clock.n_scans,
        "n_scans_kept": int(estimate.X.shape[0]),
        "df_resid": fit.df_resid,
        "voxels": {
            "in_mask": fit.n_voxels,
            "fitted": int((estimate.status == FITTED).sum()),
            "left_out": fit.left_out,
        },
    }


def _files(fit: Fitted) -> list[Input]:
    return [*fit.run.inputs, *(own.file for own in fit.plan.own)]


def input_record(file: Input) -> dict[str, Any]:
    """Return a file that went in, with its hash."""
    return {
        "role": file.role,
        "path": str(file.path),
        "bytes": file.size,
        "sha256": file.sha256,
    }


def contrast_record(contrast: Contrast) -> dict[str, Any]:
    """Return a question and its degrees of freedom."""
    return {
        "text": contrast.text,
        "statistic": contrast.kind,
        "rows": list(contrast.hypothesis.rows),
        "df": freedom(contrast.df),
        "df_num": contrast.df_num,
    }


def freedom(df: ArrayLike) -> float | list[float] | None:
    """Return degrees of freedom as JSON holds them.

    Returns
    -------
    float, list of float, or None
        The one number of all voxels that have a test; the least and the largest where they
        differ; None where they are infinite, which JSON has no word for, or nothing was tested.

    Examples
    --------
    >>> freedom([28.0, np.nan]), freedom([20.5, 28.0, 24.0]), freedom(np.inf)
    (28.0, [20.5, 28.0], None)
    """
    values = np.asarray(df, dtype=np.float64)
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    least, largest = float(known.min()), float(known.max())
    return least if least == largest else [least, largest]
