"""Write the tables that lme4 is asked to fit: unbalanced designs, some voxels without variance."""

from pathlib import Path

import numpy as np
import pandas as pd

VOXELS = 12
FOLDER = Path(__file__).parent / "pinned"


def subjects(rng, n_subjects, n_sites):
    """Return one row a visit: dropout makes 1 to 4 visits a subject, at irregular times."""
    rows = []
    for subject in range(n_subjects):
        group, age = rng.choice(["control", "patient"]), rng.uniform(20, 80)
        for visit in range(rng.choice([1, 2, 3, 4], p=[0.1, 0.2, 0.3, 0.4])):
            time = round(visit + rng.uniform(-0.3, 0.3), 3)
            item = f"i{rng.integers(8)}"
            site = f"c{subject % n_sites}"
            rows.append((f"s{subject:02d}", site, item, group, round(age, 2), time))
    return pd.DataFrame(rows, columns=["subject", "site", "item", "group", "age", "time"])


def effects(table, key, sd, rng):
    """Return one random effect a level, drawn with standard deviation ``sd``, row by row."""
    codes, levels = pd.factorize(table[key])
    return sd * rng.standard_normal(len(levels))[codes]


def maps(table, rng):
    """Return one column a voxel; every third has no variance between subjects."""
    columns = {}
    for v in range(VOXELS):
        strength = 0.0 if v % 3 == 2 else rng.uniform(0.3, 1.5)
        patient = (table["group"] == "patient").to_numpy()
        y = 1.0 + 0.4 * patient + 0.02 * table["age"] - 0.2 * table["time"]
        y = y + effects(table, "subject", strength, rng)
        y = y + effects(table, "subject", 0.5 * strength, rng) * table["time"]
        y = y + effects(table, "site", 0.6 * strength, rng)
        y = y + effects(table, "item", 0.6 * strength, rng)
        columns[f"v{v:02d}"] = y + rng.standard_normal(len(table))
    return pd.DataFrame(columns)


def main():
    """Write the tables, and copies of one on other baselines and scales."""
    rng = np.random.default_rng(20)
    table = subjects(rng, 45, 9)
    values = maps(table, rng)
    FOLDER.mkdir(exist_ok=True)
    table.to_csv(FOLDER / "table.csv", index=False)
    values.to_csv(FOLDER / "maps.csv", index=False, float_format="%.17g")
    hard(np.random.default_rng(21))
    forms(np.random.default_rng(22))


def hard(rng):
    """Write few groups with little in them: flat, folded and singular likelihoods."""
    table = subjects(rng, 11, 4)
    values = np.stack([maps(table, rng)[f"v{v:02d}"] for v in range(VOXELS) for _ in range(3)])
    values[::4] = rng.standard_normal(values[::4].shape)
    table.to_csv(FOLDER / "hard_table.csv", index=False)
    names = [f"v{v:02d}" for v in range(len(values))]
    frame = pd.DataFrame(values.T, columns=names)
    frame.to_csv(FOLDER / "hard_maps.csv", index=False, float_format="%.17g")


def forms(rng):
    """Write patients in beds of wards of hospitals, with conditions, offsets and weights."""
    rows = []
    for hospital, ward in [(h, w) for h in range(6) for w in range(3)]:
        for bed in range(rng.integers(3, 6)):
            group, age = rng.choice(["control", "patient"]), round(rng.uniform(20, 80), 1)
            where = f"h{hospital}", f"w{ward}", f"b{bed}", f"h{hospital}w{ward}b{bed}"
            for visit in range(rng.integers(2, 7)):
                cond, time = rng.choice(["a", "b", "c"]), round(visit + rng.uniform(-0.3, 0.3), 3)
                known, w = round(rng.normal(), 3), round(rng.uniform(0.3, 3.0), 3)
                rows.append((*where, group, age, cond, time, known, w))
    names = ["hospital", "ward", "bed", "subject", "group", "age", "cond", "time", "known", "w"]
    table = pd.DataFrame(rows, columns=names)
    columns = {}
    for v, sd in enumerate([1.0, 0.6, 1.4, 0.0]):
        y = 0.02 * table["age"] + 0.3 * table["time"] + 0.5 * (table["group"] == "patient")
        for key, share in (("subject", 1.0), ("hospital", 0.5)):
            y = y + effects(table, key, share * sd, rng)
        y = y + effects(table, "subject", 0.4 * sd, rng) * table["time"]
        y = y + effects(table.assign(k=table.subject + table.cond), "k", 0.6 * sd, rng)
        columns[f"v{v}"] = y + rng.standard_normal(len(table)) / np.sqrt(table["w"])
    table.to_csv(FOLDER / "forms_table.csv", index=False)
    maps = pd.DataFrame(columns)
    maps.to_csv(FOLDER / "forms_maps.csv", index=False, float_format="%.17g")


if __name__ == "__main__":
    main()
