"""What the saved results of a model are called: by a prefix, or by the names of its runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from warnings import warn

from voxlm.bids.names import Name, bids_name, without

WORDS = {"-": "Minus", "+": "Plus", ">": "Gt", "<": "Lt"}
#: Entities of images that results do not take over.
DROPPED = ("part", "echo", "hemi", "desc")
#: What all runs of a person may share.
SHARED = ("sub", "ses", "task", "space")


@dataclass(frozen=True, slots=True)
class Filenames:
    """Names of files, one of each kind.

    Parameters
    ----------
    prefix : str
        Before all names, with its underscore; empty where names come from the runs.
    entities : dict of str to str
        What the runs share.
    runs : tuple of dict
        What each run's files are called by: its entities, or its number.
    volume : bool
        Whether maps are volumes, else files of each hemisphere.
    folder : str
        Below the folder of results.
    """

    prefix: str
    entities: Mapping[str, str]
    runs: tuple[Mapping[str, str], ...]
    volume: bool
    folder: str

    def of_model(self, suffix: str, extension: str, **more: str) -> str:
        """Return the name of a file of all runs together."""
        return self.prefix + bids_name({**self.entities, **more}, suffix, extension)

    def of_run(self, run: int, suffix: str, extension: str, **more: str) -> str:
        """Return the name of a file of one run."""
        return self.prefix + bids_name({**self.runs[run], **more}, suffix, extension)

    @property
    def extension(self) -> str:
        """How maps end."""
        return ".nii.gz" if self.volume else ".gii"


def filenames_of(
    files: Sequence[str], n_runs: int, prefix: Any, level: str, volume: bool
) -> Filenames:
    """Name the results of a model.

    Parameters
    ----------
    files : sequence of str
        Names of the runs' images, empty where they were in memory.
    n_runs : int
        How many designs there are.
    prefix : object
        A text; None to name by the runs' files, if all have one.
    level : {"first", "second"}
        Of the model.
    volume : bool
        Whether maps are volumes.
    """
    numbered: list[Mapping[str, str]] = [
        {"run": str(run + 1)} if n_runs > 1 else {} for run in range(n_runs)
    ]
    if prefix is None and level == "first" and files and all(files):
        runs = [without(Name.of(file).entities, DROPPED) for file in files]
        entities = _shared(runs)
        if len({run.get("sub") for run in runs}) == 1:
            folder = f"sub-{entities['sub']}" if "sub" in entities else ""
            return Filenames("", entities, tuple(runs), volume, folder)
    text = prefix if isinstance(prefix, str) else ""
    folder = "group" if level == "second" else text.split("_")[0] if text.startswith("sub-") else ""
    text += "_" if text and not text.endswith("_") else ""
    return Filenames(text, {}, tuple(numbered), volume, folder)


def _shared(runs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found = {key: {run[key] for run in runs if key in run} for key in SHARED}
    return {key: next(iter(labels)) for key, labels in found.items() if len(labels) == 1}


def contrast_labels(names: Sequence[str]) -> dict[str, str]:
    """Return letters and digits for each name of a contrast, no two the same.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     contrast_labels(["AAA - BBB", "aaa-bbb", "[ 1 -1  0]"])
    {'AAA - BBB': 'aaaMinusBbb', 'aaa-bbb': 'aaaMinusBbb2', '[ 1 -1  0]': '1Minus10'}
    """
    labels: dict[str, str] = {}
    for name in names:
        label = plain = _label(name)
        number = 1
        while label.casefold() in {known.casefold() for known in labels.values()}:
            number += 1
            label = f"{plain}{number}"
        if label != name:
            warn(f'Contrast name "{name}" changed to "{label}"', UserWarning, stacklevel=4)
        labels[name] = label
    return labels


def _label(name: str) -> str:
    spelled = "".join(f" {WORDS[letter]} " if letter in WORDS else letter for letter in name)
    first, *rest = spelled.replace("_", " ").split() or ["contrast"]
    cased = [first.lower(), *[word.title() for word in rest]]
    return re.sub(r"[\W_]", "", "".join(cased)) or "contrast"
