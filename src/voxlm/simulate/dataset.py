"""A small study on disk, with the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.bids.run import Run
from voxlm.errors import DataError
from voxlm.images.write import write_array
from voxlm.simulate.anatomy import RESPONSES, Head, head
from voxlm.simulate.confounds import table
from voxlm.simulate.motion import PARAMETERS, leak, wander
from voxlm.simulate.noise import autoregress, drift, smooth_field
from voxlm.simulate.task import CONDITIONS, response, trials

#: Standard deviation of the noise in percent of the mean, by tissue: none, grey, white, fluid.
NOISE_PERCENT = (0.0, 0.8, 0.7, 1.4)
#: Smoothness of the noise: full width at half maximum in mm.
NOISE_FWHM_MM = 6.0
#: Length of the shortest run that leaves room for both conditions, in seconds.
SHORTEST_RUN = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What was put into a study, voxels in the order of the mask.

    Parameters
    ----------
    regions : tuple of str
        Names of the regions that respond.
    labels : ndarray of int, shape (V,)
        0 where nothing responds, else 1 + the place in ``regions``.
    effects : dict of str to ndarray, shape (V,)
        For each condition, the percent signal change of a sustained response.
    rho : ndarray, shape (V,)
        Autocorrelation of the noise at lag one.
    sd : ndarray, shape (V,)
        Standard deviation of the noise, in percent of the mean.
    """

    regions: tuple[str, ...]
    labels: NDArray[np.int16]
    effects: Mapping[str, NDArray[np.float64]]
    rho: NDArray[np.float64]
    sd: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Where a study's files are, and its truth.

    Parameters
    ----------
    folder : Path
    bold, events, confounds : tuple of Path
        One file a run.
    mask, mean : Path
        The brain, and the mean image before noise.
    truth_maps : dict of str to Path
        ``region`` (labels), one map of percent signal change a condition, and ``rho``.
    tr : float
        Repetition time in seconds.
    truth : Truth
    """

    folder: Path
    bold: tuple[Path, ...]
    events: tuple[Path, ...]
    confounds: tuple[Path, ...]
    mask: Path
    mean: Path
    truth_maps: Mapping[str, Path]
    tr: float
    truth: Truth

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, as any user would give them: paths, nothing else."""
        return tuple(
            Run(bold, events=events, confounds=confounds, mask=self.mask)
            for bold, events, confounds in zip(self.bold, self.events, self.confounds, strict=True)
        )


def study(
    out: str | Path,
    seed: int = 0,
    *,
    n_runs: int = 1,
    n_scans: int = 300,
    tr: float = 2.0,
    shape: tuple[int, int, int] = (40, 48, 36),
    voxel_mm: float = 4.0,
    subject: str = "01",
) -> Study:
    """Write a small, realistic study of face and house pictures whose truth is known.

    Parameters
    ----------
    out : path
        A folder, made where it is missing; files of the same names are replaced.
    seed : int
        The same seed writes the same bytes.
    n_runs, n_scans : int
    tr : float
        Repetition time in seconds.
    shape : tuple of int
        Voxels along each axis of the grid.
    voxel_mm : float
        Edge of a voxel in mm.
    subject : str
        Label of the subject in the file names.

    Returns
    -------
    Study
        Paths and truth.

    Raises
    ------
    DataError
        If a run is too short for the task, or the grid too small for a brain.

    Notes
    -----
    Signal of a voxel, in percent of its mean: the true effect times the exact double-gamma
    response, AR(1) noise smooth in space, drift slower than 128 s, and motion times the gradient
    of the mean image.

    Examples
    --------
    >>> import tempfile
    >>> made = study(tempfile.mkdtemp(), n_scans=60, shape=(20, 24, 18), voxel_mm=8.0)
    >>> made.bold[0].name
    'sub-01_task-faces_bold.nii.gz'
    >>> sorted(made.truth.effects), made.truth.regions
    (['face', 'house'], ('face', 'house', 'visual'))
    """
    _check(n_runs, n_scans, tr, shape, voxel_mm)
    folder = Path(out)
    scanned = head(shape, voxel_mm, np.random.default_rng([seed, 0]))
    if len(np.unique(scanned.labels)) <= len(scanned.regions):
        raise DataError(
            f"a grid of {shape} voxels of {voxel_mm} mm does not hold every region; "
            "use more or larger voxels, such as shape=(40, 48, 36), voxel_mm=4.0"
        )
    truth = truth_of(scanned, voxel_mm, np.random.default_rng([seed, 1]))
    func = folder / f"sub-{subject}" / "func"
    func.mkdir(parents=True, exist_ok=True)
    files = []
    for run in range(1, n_runs + 1):
        entity = f"_run-{run}" if n_runs > 1 else ""
        stem = func / f"sub-{subject}_task-faces{entity}"
        rng = np.random.default_rng([seed, 1 + run])
        files.append(_write_run(stem, scanned, truth, n_scans, tr, voxel_mm, rng))
    mask = func / f"sub-{subject}_task-faces_desc-brain_mask.nii.gz"
    write_array(mask, scanned.mask.astype(np.uint8), scanned.affine)
    mean = func / f"sub-{subject}_task-faces_boldref.nii.gz"
    write_array(mean, scanned.mean.astype(np.float32), scanned.affine)
    maps = write_truth(folder / "truth", scanned, truth, seed=seed, tr=tr)
    _write_description(folder)
    bold, events, confounds = (tuple(kind) for kind in zip(*files, strict=True))
    return Study(folder, bold, events, confounds, mask, mean, maps, tr, truth)


def _check(
    n_runs: int, n_scans: int, tr: float, shape: tuple[int, int, int], voxel_mm: float
) -> None:
    """Refuse what cannot be a study."""
    if n_runs < 1:
        raise DataError(f"n_runs must be at least 1, got {n_runs}")
    if not (np.isfinite(tr) and tr > 0):
        raise DataError(f"tr must be a positive number of seconds, got {tr!r}")
    if n_scans * tr < SHORTEST_RUN:
        raise DataError(
            f"{n_scans} scans of {tr} s last {n_scans * tr:g} s; the task needs {SHORTEST_RUN:g} s "
            "at least: raise n_scans or tr"
        )
    if len(shape) != 3 or min(shape) < 8 or not voxel_mm > 0:
        raise DataError(f"shape {shape} of {voxel_mm} mm voxels is not a grid of 8 voxels a side")


def truth_of(scanned: Head, voxel_mm: float, rng: np.random.Generator) -> Truth:
    """Give every voxel its effects, its noise level and its autocorrelation."""
    inside = scanned.mask
    (field,) = smooth_field(inside, 1, 12.0 / voxel_mm, rng)
    tissue = scanned.tissue[inside]
    rho = np.array([0.0, 0.3, 0.2, 0.25])[tissue] + 0.06 * field
    return Truth(
        regions=scanned.regions,
        labels=scanned.labels[inside],
        effects={name: scanned.effect(name)[inside] for name in CONDITIONS},
        rho=np.clip(rho, 0.0, 0.8),
        sd=np.array(NOISE_PERCENT)[tissue],
    )


def _write_run(
    stem: Path,
    scanned: Head,
    truth: Truth,
    n_scans: int,
    tr: float,
    voxel_mm: float,
    rng: np.random.Generator,
) -> tuple[Path, Path, Path]:
    """Simulate one run and write its image, sidecar and tables."""
    events = trials(n_scans * tr, rng)
    times = np.arange(n_scans, dtype=np.float64) * tr
    answers = {name: response(events[events.trial_type == name], times) for name in CONDITIONS}
    motion = wander(n_scans, np.asarray(sum(answers.values())), rng)
    percent = percent_signal(scanned, truth, answers, motion, tr, voxel_mm, rng)
    percent += 100.0
    percent *= (scanned.mean[scanned.mask] / 100.0).astype(np.float32)
    scans = np.abs(rng.normal(0.0, 60.0, (n_scans, *scanned.mask.shape)).astype(np.float32))
    scans[:, scanned.mask] = percent
    # Scans are the slowest axis on disk: a Fortran-ordered (I, J, K, T) view costs no copy.
    bold = stem.with_name(stem.name + "_bold.nii.gz")
    write_array(bold, np.moveaxis(np.rint(scans).astype(np.int16), 0, -1), scanned.affine, tr)
    write_json(
        stem.with_name(stem.name + "_bold.json"),
        {"RepetitionTime": tr, "TaskName": "faces", "SkullStripped": False},
    )
    confounds = table(motion, percent, scanned)
    return bold, write_events(stem, events), write_confounds(stem, confounds)


def percent_signal(
    scanned: Head,
    truth: Truth,
    answers: Mapping[str, NDArray[np.float64]],
    motion: NDArray[np.float64],
    tr: float,
    voxel_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return noise + drift + motion + answers in percent of the mean, shape (T, V)."""
    n_scans = motion.shape[0]
    sigma = NOISE_FWHM_MM / np.sqrt(8.0 * np.log(2.0)) / voxel_mm
    white = smooth_field(scanned.mask, n_scans, sigma, rng)
    total = autoregress(white, truth.rho).astype(np.float32)
    total *= truth.sd.astype(np.float32)
    slow = drift(n_scans, tr, 4, rng)
    where = smooth_field(scanned.mask, slow.shape[1], 16.0 / voxel_mm, rng)
    total += slow.astype(np.float32) @ (0.8 * where / np.arange(1, len(where) + 1)[:, None]).astype(
        np.float32
    )
    spread = leak(scanned.mean, scanned.mask, scanned.affine)
    total += motion.astype(np.float32) @ spread.astype(np.float32)
    for name, answer in answers.items():
        total += np.outer(answer, truth.effects[name]).astype(np.float32)
    return total


def write_events(stem: Path, events: pd.DataFrame) -> Path:
    """Write the events table."""
    path = stem.with_name(stem.name + "_events.tsv")
    events.to_csv(path, sep="\t", index=False, na_rep="n/a", lineterminator="\n")
    return path


def write_confounds(stem: Path, confounds: pd.DataFrame) -> Path:
    """Write the confounds table and its sidecar."""
    name = stem.name + "_desc-confounds_timeseries"
    path = stem.with_name(name + ".tsv")
    confounds.to_csv(
        path, sep="\t", index=False, na_rep="n/a", float_format="%.10g", lineterminator="\n"
    )
    about = {
        column: {"Method": "aCompCor", "Mask": "combined", "Retained": True}
        for column in confounds.columns
        if column.startswith("a_comp_cor_")
    }
    units = {p: {"Units": "mm" if p.startswith("trans") else "rad"} for p in PARAMETERS}
    write_json(stem.with_name(name + ".json"), about | units)
    return path


def write_truth(
    folder: Path, scanned: Head, truth: Truth, *, seed: int, tr: float
) -> dict[str, Path]:
    """Write label, effect and autocorrelation maps, and what they hold in words."""
    folder.mkdir(parents=True, exist_ok=True)
    rho = np.zeros(scanned.mask.shape)
    rho[scanned.mask] = truth.rho
    maps = {name: folder / f"{name}_effect.nii.gz" for name in CONDITIONS}
    for name, path in maps.items():
        write_array(path, scanned.effect(name).astype(np.float32), scanned.affine)
    maps |= {"region": folder / "region.nii.gz", "rho": folder / "rho.nii.gz"}
    write_array(maps["region"], scanned.labels, scanned.affine)
    write_array(maps["rho"], rho.astype(np.float32), scanned.affine)
    counts = np.bincount(truth.labels, minlength=1 + len(truth.regions))
    regions = {
        name: {"label": at, "voxels": int(counts[at]), "peak_effect": dict(RESPONSES[name])}
        for at, name in enumerate(truth.regions, start=1)
    }
    write_json(
        folder / "truth.json",
        {
            "seed": seed,
            "repetition_time_s": tr,
            "effect_unit": "percent signal change of a sustained response",
            "voxels": int(scanned.mask.sum()),
            "regions": regions,
            "noise": {
                "model": "AR(1)",
                "mean_rho": round(float(truth.rho.mean()), 4),
                "mean_sd_percent": round(float(truth.sd.mean()), 4),
                "fwhm_mm": NOISE_FWHM_MM,
            },
        },
    )
    return maps


def _write_description(folder: Path) -> None:
    """Write what BIDS asks of every derivative data set."""
    write_json(
        folder / "dataset_description.json",
        {
            "Name": "Simulated faces and houses",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "voxlm.simulate"}],
        },
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write readable JSON with a final newline."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
