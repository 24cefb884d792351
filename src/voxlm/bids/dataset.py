"""The runs of a BIDS data set, ready to be fitted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from voxlm.bids.names import in_order
from voxlm.bids.places import Places, find_places
from voxlm.bids.query import Query
from voxlm.bids.run import Run, Scaling
from voxlm.bids.search import Found, search
from voxlm.bids.sidecar import Sidecar, read_sidecar
from voxlm.errors import DataError, VoxlmWarning

MIDDLE = 0.5  # what fMRIPrep aligns slices to, where its sidecar does not say
SHOWN = 12  # problems that a message lists


def files(
    dataset: Any,
    *,
    task: Any = None,
    space: str | None = None,
    derivatives: Any = None,
    subjects: Any = None,
    sessions: Any = None,
    filters: Any = None,
) -> pd.DataFrame:
    """List the files of each run of a data set; no image is opened.

    Parameters
    ----------
    dataset, task, space, derivatives, subjects, sessions, filters
        As for :func:`runs`.

    Returns
    -------
    DataFrame
        A row a run: its entities, ``bold``, ``events``, ``confounds``, ``mask`` (None where there
        is none), and ``problem``, which is empty where nothing is missing or doubled.

    Raises
    ------
    DataError
        As for :func:`runs`, but for missing and doubled files.

    Examples
    --------
    >>> import tempfile, voxlm as vx
    >>> made = vx.simulate.bids_dataset(tempfile.mkdtemp(), n_subjects=1, n_scans=50)
    >>> vx.bids.files(made.folder)[["sub", "task", "space", "problem"]].values.tolist()
    [['01', 'faces', 'MNI152NLin2009cAsym', '']]
    """
    found = find_runs(
        dataset,
        task=task,
        space=space,
        derivatives=derivatives,
        subjects=subjects,
        sessions=sessions,
        filters=filters,
    )
    keys = in_order({key: key for one in found for key in one.entities})
    rows = [
        {key: one.entities.get(key) for key in keys}
        | {name: getattr(one, name) for name in ("bold", "events", "confounds", "mask")}
        | {"problem": "; ".join(one.problems)}
        for one in found
    ]
    return pd.DataFrame(rows)


def find_runs(
    dataset: Any,
    *,
    task: Any = None,
    space: str | None = None,
    derivatives: Any = None,
    subjects: Any = None,
    sessions: Any = None,
    filters: Any = None,
) -> list[Found]:
    """Find each run's files with what is wrong with them; arguments as for :func:`runs`."""
    query = Query.of(task, space, subjects, sessions, filters)
    return search(find_places(dataset, derivatives), query)


def runs(
    dataset: Any,
    *,
    task: Any = None,
    space: str | None = None,
    derivatives: Any = None,
    subjects: Any = None,
    sessions: Any = None,
    filters: Any = None,
    missing: Literal["error", "leave out"] = "error",
    slice_time_ref: float | None = None,
    smoothing_fwhm: float | Sequence[float] | None = None,
    scaling: Scaling | None = "percent",
) -> dict[str, list[Run]]:
    """Find the runs of a BIDS data set, with their tables, masks and timing.

    Parameters
    ----------
    dataset : path
        The raw data set, or a folder of derivatives such as fMRIPrep's.
    task : str or sequence of str, optional
        Left out, the only task there is.
    space : str, optional
        Of the preprocessed images; ``"native"`` for those whose name gives none. Left out, the
        only one there is.
    derivatives : path, sequence of paths, or False, optional
        Folders of preprocessed data, by name under ``derivatives/`` or by path; tables and masks
        are taken from the image's own, then from the others in order. Left out, all under
        ``derivatives/``. False analyses the raw images.
    subjects, sessions : str or sequence of str, optional
        Labels, with or without ``sub-`` and ``ses-``; left out, all.
    filters : dict, optional
        Values that an entity of the image may have: ``{"res": "2", "dir": ["AP", "PA"],
        "rec": None}``, None for images without it. ``"extension"`` is taken as well.
        Preprocessed images are ``desc-preproc`` unless ``"desc"`` is given.
    missing : {"error", "leave out"}
        What to do with runs of which a file is missing or doubled; each is named either way.
    slice_time_ref : float, optional
        The moment within a TR that scan times stand for, 0 to 1. Left out, the sidecar says it
        (``StartTime``, else the middle if it says that slices were aligned), else 0.
    smoothing_fwhm, scaling
        As for :class:`voxlm.Run`.

    Returns
    -------
    dict of str to list of Run
        By ``"sub-01"``, or ``"sub-01_ses-a"`` where there are sessions; runs in order. Each has
        its ``entities``.

    Raises
    ------
    DataError
        If bids2table is missing; if a task, space or data set has to be named; naming each file
        that is missing or doubled.

    Notes
    -----
    Tables of events are inherited: a table applies to every image that has all the entities of its
    name, and the nearest folder wins; so one ``task-x_events.tsv`` at the top serves all runs.
    ``acq``, ``ce``, ``dir`` and ``run`` tell scans apart; images that differ in ``echo``, ``rec``,
    ``part``, ``space``, ``res``, ``den`` or ``desc`` are versions of one scan. Of several echoes
    the combined image, which names none, is taken.

    Examples
    --------
    >>> import tempfile, voxlm as vx
    >>> made = vx.simulate.bids_dataset(tempfile.mkdtemp(), n_subjects=2, n_scans=50)
    >>> found = vx.bids.runs(made.folder, task="faces", space="MNI152NLin2009cAsym")
    >>> {key: len(runs) for key, runs in found.items()}
    {'sub-01': 1, 'sub-02': 1}
    >>> dict(found["sub-01"][0].entities)["space"]
    'MNI152NLin2009cAsym'
    """
    if missing not in ("error", "leave out"):
        raise DataError(f"missing must be 'error' or 'leave out', got {missing!r}")
    places = find_places(dataset, derivatives)
    query = Query.of(task, space, subjects, sessions, filters)
    whole = _whole(search(places, query), places, missing)
    out: dict[str, list[Run]] = {}
    for one in whole:
        run = run_of(one, slice_time_ref, smoothing_fwhm, scaling)
        out.setdefault(one.key, []).append(run)
    return out


def _whole(found: list[Found], places: Places, missing: str) -> list[Found]:
    """Return the runs without problems; the others are an error, or a warning where asked for."""
    problems = [problem for one in found for problem in one.problems]
    if not problems:
        return found
    lines = problems[:SHOWN]
    if len(problems) > SHOWN:
        lines += [f"… and {len(problems) - SHOWN} more: vx.bids.files(…) lists them all"]
    said = "\n".join(f"  {line}" for line in lines)
    broken = sum(bool(one.problems) for one in found)
    where = " and ".join(str(root) for root in places.roots)
    headline = f"{broken} of {len(found)} runs in {where}"
    if missing == "error" or broken == len(found):
        raise DataError(
            f"{headline} cannot be used:\n{said}\n"
            "Mend the files, or narrow subjects=, sessions= or filters=, or leave such runs out "
            "with missing='leave out'"
        )
    warnings.warn(f"{headline} are left out:\n{said}", VoxlmWarning, stacklevel=3)
    return [one for one in found if not one.problems]


def run_of(
    one: Found,
    slice_time_ref: float | None = None,
    smoothing_fwhm: float | Sequence[float] | None = None,
    scaling: Scaling | None = "percent",
) -> Run:
    """Make the run of some files; the one place where that is done."""
    sidecar = read_sidecar(one.first)
    tr = sidecar.number("RepetitionTime")
    acquired = None
    if tr is None and one.raw is not None:
        acquired = read_sidecar(one.raw).number("RepetitionTime")
    if slice_time_ref is None:
        slice_time_ref = _reference(sidecar, tr or acquired)
    return Run(
        one.bold,
        events=one.events,
        confounds=one.confounds,
        mask=one.mask,
        tr=acquired,
        slice_time_ref=slice_time_ref,
        smoothing_fwhm=smoothing_fwhm,
        scaling=scaling,
        entities=one.entities,
    )


def _reference(sidecar: Sidecar, tr: float | None) -> float:
    """Return the moment within a TR that slices were aligned to."""
    start = sidecar.number("StartTime")
    if start is not None and tr is not None:
        return start / tr
    return MIDDLE if sidecar.values.get("SliceTimingCorrected") is True else 0.0
