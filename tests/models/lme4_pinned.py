"""What lme4 said, read from validation/lme4/pinned."""

from pathlib import Path

import numpy as np
import pandas as pd
import patsy

FOLDER = Path(__file__).parents[2] / "validation/lme4/pinned"
TABLE = pd.read_csv(FOLDER / "table.csv")
MAPS = pd.read_csv(FOLDER / "maps.csv").to_numpy()
ANSWERS = pd.read_csv(FOLDER / "lme4.csv.gz").sort_values("index", kind="stable")


def columns(formula):
    """Return the fixed effects' columns, coded and in the order that R gives them."""
    made = patsy.dmatrix(formula, TABLE)
    degree = [name.count(":") for name in made.design_info.column_names]
    return np.asarray(made)[:, np.argsort(degree, kind="stable")]


def codes(*factors):
    """Return the group of each row for the crossing of some factors."""
    joined = TABLE[list(factors)].astype(str).agg(":".join, axis=1)
    return pd.factorize(joined, sort=True)[0].astype(np.int64)


def answers(model, reml):
    """Return a function ``(quantity) -> (values, voxels)`` of one model's pinned numbers."""
    part = ANSWERS[(ANSWERS["model"] == model) & (ANSWERS["reml"] == int(reml))]

    def get(quantity):
        rows = part[part["quantity"] == quantity]
        return rows.pivot(index="index", columns="voxel", values="value").to_numpy()

    return get
