"""A BIDS data set of several people, preprocessed as fMRIPrep does it, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.bids.names import bids_name
from voxlm.errors import DataError
from voxlm.images.write import write_array
from voxlm.simulate.anatomy import Head, head
from voxlm.simulate.confounds import table
from voxlm.simulate.dataset import (
    SHORTEST_RUN,
    Truth,
    percent_signal,
    truth_of,
    write_confounds,
    write_events,
    write_json,
    write_truth,
)
from voxlm.simulate.motion import wander
from voxlm.simulate.task import CONDITIONS, response, trials

#: How much more a patient responds than a control, as a share of the response.
PATIENT_EFFECT = 0.4
#: Standard deviation of the response from person to person, as a share of it.
BETWEEN_SD = 0.15
#: Voxels along each axis of the coarsest grid that holds every region, and their edge in mm.
SMALL_GRID = (16, 20, 15)
SMALL_MM = 10.0
BIDS_VERSION = "1.10.0"


@dataclass(frozen=True, slots=True, eq=False)
class BidsStudy:
    """Where a data set's files are, and its truth.

    Parameters
    ----------
    folder, derivatives : Path
        The raw data set, and fMRIPrep's.
    participants : DataFrame
        A row a person: ``participant_id``, ``age``, ``group`` (control, patient), as in
        ``participants.tsv``, and ``amplitude``, which their responses are multiplied by.
    truths : dict of str to Truth
        By space, or ``space_res-label`` where there are resolutions; for an amplitude of 1.
    tr : float
        Repetition time in seconds.
    """

    folder: Path
    derivatives: Path
    participants: pd.DataFrame
    truths: Mapping[str, Truth]
    tr: float


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What every run of a data set shares."""

    folder: Path
    seed: int
    task: str
    tr: float
    start: float
    n_scans: int
    grids: tuple[tuple[dict[str, str], float, Head, Truth], ...]


def bids_dataset(
    out: str | Path,
    seed: int = 0,
    *,
    n_subjects: int = 4,
    sessions: Sequence[str] = (),
    n_runs: int = 1,
    n_scans: int = 100,
    tr: float = 2.0,
    task: str = "faces",
    spaces: Sequence[str] = ("MNI152NLin2009cAsym",),
    resolutions: Mapping[str, float] | None = None,
    slice_time_ref: float = 0.5,
    shared_events: bool = False,
) -> BidsStudy:
    """Write a data set of several people who see faces and houses.

    Parameters
    ----------
    out : path
        A folder, made where it is missing; files of the same names are replaced.
    seed : int
        The same seed writes the same bytes.
    n_subjects, n_runs, n_scans : int
        Runs are of each session; with one, names have no ``run-``.
    sessions : sequence of str
        Labels; without, names have no ``ses-``.
    tr : float
        Repetition time in seconds.
    task : str
        Its label in the names.
    spaces : sequence of str
        Labels; ``"native"`` writes images whose name gives no space.
    resolutions : dict of str to float, optional
        Labels, and edges of a voxel in mm, such as ``{"2": 10.0, "3": 12.0}``.
    slice_time_ref : float
        The moment within a TR that scans stand for, as the sidecars' ``StartTime`` says.
    shared_events : bool
        Whether all runs show the same pictures: one table at the top then serves all.

    Returns
    -------
    BidsStudy
        Paths and truth.

    Notes
    -----
    Raw images, events and ``participants.tsv`` lie in ``out``; images in each space, masks,
    sidecars and confounds in ``out/derivatives/fmriprep``; true maps in ``out/sourcedata/truth``.
    The series are those of :func:`study`, times the person's amplitude, 1 + 0.4 for patients + a
    normal deviate of sd 0.15.

    Examples
    --------
    >>> import tempfile
    >>> made = bids_dataset(tempfile.mkdtemp(), n_subjects=2, sessions=["a"], n_scans=50)
    >>> made.participants.group.tolist()
    ['control', 'patient']
    """
    _check(n_subjects, n_runs, n_scans, tr)
    folder = Path(out)
    grids = tuple(_grids(spaces, resolutions or {}, seed))
    plan = _Plan(folder, seed, task, tr, slice_time_ref * tr, n_scans, grids)
    people = _people(n_subjects, np.random.default_rng([seed, 2]))
    derivatives = folder / "derivatives" / "fmriprep"
    _write_descriptions(plan, derivatives, people)
    shared = trials(n_scans * tr, np.random.default_rng([seed, 3])) if shared_events else None
    if shared is not None:
        write_events(folder / f"task-{task}", shared)
    for at, amplitude in enumerate(people["amplitude"].to_numpy()):
        for s, session in enumerate(sessions or [""]):
            for run in range(1, n_runs + 1):
                named = {"sub": f"{at + 1:02d}"}
                named |= ({"ses": session} if session else {}) | {"task": task}
                named |= {"run": str(run)} if n_runs > 1 else {}
                rng = np.random.default_rng([seed, 4, at, s, run])
                _write_run(plan, derivatives, named, float(amplitude), shared, rng)
    truths = {_label(named): truth for named, _, _, truth in grids}
    return BidsStudy(folder, derivatives, people, truths, tr)


def _check(n_subjects: int, n_runs: int, n_scans: int, tr: float) -> None:
    if n_subjects < 1 or n_runs < 1:
        raise DataError(f"n_subjects and n_runs are 1 at least, got {n_subjects} and {n_runs}")
    if not n_scans * tr >= SHORTEST_RUN:
        raise DataError(f"{n_scans} scans of {tr} s are shorter than the {SHORTEST_RUN:g} s needed")


def _grids(
    spaces: Sequence[str], resolutions: Mapping[str, float], seed: int
) -> list[tuple[dict[str, str], float, Head, Truth]]:
    """Make the head, and its truth, on the grid of each space and resolution."""
    grids = []
    for space in spaces:
        for res, edge in (resolutions or {"": SMALL_MM}).items():
            named = ({} if space == "native" else {"space": space}) | ({"res": res} if res else {})
            extent = np.array(SMALL_GRID) * SMALL_MM
            x, y, z = (int(n) for n in np.ceil(extent / edge))
            made = head((x, y, z), edge, np.random.default_rng([seed, 0]))
            grids.append(
                (named, edge, made, truth_of(made, edge, np.random.default_rng([seed, 1])))
            )
    return grids


def _people(n_subjects: int, rng: np.random.Generator) -> pd.DataFrame:
    group = np.where(np.arange(n_subjects) % 2, "patient", "control")
    amplitude = 1 + PATIENT_EFFECT * (group == "patient") + rng.normal(0, BETWEEN_SD, n_subjects)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{at:02d}" for at in range(1, n_subjects + 1)],
            "age": rng.integers(20, 70, n_subjects),
            "group": group,
            "amplitude": amplitude,
        }
    )


def _write_run(
    plan: _Plan,
    derivatives: Path,
    named: Mapping[str, str],
    amplitude: float,
    shared: pd.DataFrame | None,
    rng: np.random.Generator,
) -> None:
    """Write one run: raw, and in every space."""
    below = Path(
        f"sub-{named['sub']}", *([f"ses-{named['ses']}"] if "ses" in named else []), "func"
    )
    raw, func = plan.folder / below, derivatives / below
    raw.mkdir(parents=True, exist_ok=True)
    func.mkdir(parents=True, exist_ok=True)
    stem = "_".join(f"{key}-{value}" for key, value in named.items())
    events = trials(plan.n_scans * plan.tr, rng) if shared is None else shared
    if shared is None:
        write_events(raw / stem, events)
    times = plan.start + plan.tr * np.arange(plan.n_scans, dtype=np.float64)
    answers = {name: response(events[events.trial_type == name], times) for name in CONDITIONS}
    motion = wander(plan.n_scans, np.asarray(sum(answers.values())), rng)
    scaled = {name: amplitude * answer for name, answer in answers.items()}
    for at, (place, edge, scanned, truth) in enumerate(plan.grids):
        percent = percent_signal(scanned, truth, scaled, motion, plan.tr, edge, rng)
        scans, voxels = _scans(scanned, percent, rng)
        _write_image(func, dict(named) | place, scans, scanned, plan)
        if at == 0:
            name = bids_name(named, "bold", ".nii.gz")
            write_array(raw / name, scans, scanned.affine, plan.tr)
            write_confounds(func / stem, table(motion, voxels, scanned))


def _scans(
    scanned: Head, percent: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return an image, shape (I, J, K, T), and the brain's voxels in it, shape (T, V)."""
    voxels = (percent + 100.0) * (scanned.mean[scanned.mask] / 100.0).astype(np.float32)
    shape = (len(voxels), *scanned.mask.shape)
    scans = np.abs(rng.normal(0.0, 60.0, shape).astype(np.float32))
    scans[:, scanned.mask] = voxels
    return np.moveaxis(np.rint(scans).astype(np.int16), 0, -1), voxels


def _write_image(
    func: Path, named: Mapping[str, str], scans: NDArray[np.int16], scanned: Head, plan: _Plan
) -> None:
    """Write an image as fMRIPrep would: with its mask, its reference and its sidecar."""
    preproc = {**named, "desc": "preproc"}
    write_array(func / bids_name(preproc, "bold", ".nii.gz"), scans, scanned.affine, plan.tr)
    about = {
        "RepetitionTime": plan.tr,
        "SkullStripped": False,
        "SliceTimingCorrected": True,
        "StartTime": plan.start,
        "TaskName": plan.task,
    }
    write_json(func / bids_name(preproc, "bold", ".json"), about)
    mask = bids_name({**named, "desc": "brain"}, "mask", ".nii.gz")
    write_array(func / mask, scanned.mask.astype(np.uint8), scanned.affine)
    reference = bids_name(named, "boldref", ".nii.gz")
    write_array(func / reference, scanned.mean.astype(np.float32), scanned.affine)


def _write_descriptions(plan: _Plan, derivatives: Path, people: pd.DataFrame) -> None:
    """Write what describes the data sets, the people, and the truth."""
    derivatives.mkdir(parents=True, exist_ok=True)
    about = {"Name": "Simulated faces and houses", "BIDSVersion": BIDS_VERSION}
    maker = [{"Name": "voxlm.simulate"}]
    write_json(
        plan.folder / "dataset_description.json",
        about | {"DatasetType": "raw", "License": "CC0", "GeneratedBy": maker},
    )
    write_json(
        derivatives / "dataset_description.json",
        about | {"DatasetType": "derivative", "GeneratedBy": maker},
    )
    write_json(
        plan.folder / f"task-{plan.task}_bold.json",
        {"RepetitionTime": plan.tr, "TaskName": plan.task},
    )
    people.drop(columns="amplitude").to_csv(
        plan.folder / "participants.tsv", sep="\t", index=False, lineterminator="\n"
    )
    folder = plan.folder / "sourcedata" / "truth"
    for named, _, scanned, truth in plan.grids:
        write_truth(folder / _label(named), scanned, truth, seed=plan.seed, tr=plan.tr)
    people.to_csv(folder / "participants.tsv", sep="\t", index=False, lineterminator="\n")


def _label(named: Mapping[str, str]) -> str:
    space = named.get("space", "native")
    return f"{space}_res-{named['res']}" if "res" in named else space
