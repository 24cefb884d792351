"""What nilearn itself does for a data set: choosing confounds, and surfaces to put data on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from nilearn.datasets import load_fsaverage
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.surface import SurfaceImage


def on_pial(sides: Mapping[str, str]) -> Any:
    """Load both hemispheres on the pial surface of fsaverage5."""
    return SurfaceImage(mesh=load_fsaverage()["pial"], data=dict(sides))


def chosen_confounds(images: Sequence[str], strategy: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Return the confounds of each run; ``attrs["sample_mask"]`` has the scans that are kept."""
    tables = []
    for image in images:
        table, kept = load_confounds(image, **strategy)
        if table is not None and kept is not None:
            table.attrs["sample_mask"] = kept
        tables.append(table)
    return tables
