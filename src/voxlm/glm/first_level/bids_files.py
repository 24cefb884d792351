"""The files of one person in a BIDS data set, chosen and checked as nilearn does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import warn

import pandas as pd

from voxlm.bids.index import File, files_under
from voxlm.bids.names import Name
from voxlm.errors import DataError

RAW = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part")
DERIVED = ("hemi", "space", "res", "den", "desc")
Filters = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The files of a data set and of its derivatives, and what is wanted of them.

    Parameters
    ----------
    raw, derived : Path
        The two folders.
    raw_files, derived_files : tuple of File
        What lies in them.
    task, space : str
        Labels.
    extra : list of (str, str)
        Further entities.
    verbose : int
        Whether what is found is printed.
    """

    raw: Path
    derived: Path
    raw_files: tuple[File, ...]
    derived_files: tuple[File, ...]
    task: str
    space: str
    extra: Filters
    verbose: int

    @classmethod
    def of(
        cls, raw: Path, derived: Path, task: str, space: str, extra: Filters, verbose: int
    ) -> Catalogue:
        """Index both folders."""
        files = (tuple(files_under(raw, None)), tuple(files_under(derived, None)))
        return cls(raw, derived, *files, task, space, extra, verbose)

    def filters(self, space: bool, without: Iterable[str] = ()) -> Filters:
        """Return the entities that a file must have.

        Parameters
        ----------
        space : bool
            Whether the file is of a space, so that entities of derivatives apply.
        without : iterable of str
            Entities that do not apply.
        """
        supported = (*RAW, *DERIVED) if space else RAW
        left_out = set(without)
        found = [("task", self.task), *([("space", self.space)] if space else [])]
        for entity, label in self.extra:
            if entity in left_out:
                continue
            if entity in supported:
                found.append((entity, label))
            elif self.verbose:
                _say_skipped((entity, label), supported)
        return found

    def images(self, subject: str) -> tuple[list[Any], list[str]]:
        """Return the images of a person, and the files that stand for them."""
        filters = self.filters(space=True)
        if self.space == "fsaverage5":
            sides = [self._hemisphere(subject, filters, side) for side in ("L", "R")]
            files, shown = sides[0], sides[0] + sides[1]
            images: list[Any] = _paired(*sides)
        else:
            files = self._select(
                self.derived_files, subject, filters, "bold", lambda name: name.startswith(".nii")
            )
            images, shown = list(files), files
        self._report(shown, "preprocessed BOLD", subject, filters)
        _check_images(files, subject, filters)
        return images, files

    def events(self, subject: str, images: Sequence[str]) -> list[str]:
        """Return the table of events of each image."""
        filters = self.filters(space=False, without=DERIVED)
        own = self._select(self.raw_files, subject, filters, "events", lambda e: e == ".tsv")
        shared = [
            str(file.path)
            for file in self.raw_files
            if file.path.parent == self.raw and _matches(file.name, "events", filters)
        ]
        serves_all = not own and len(shared) == 1
        found = shared * len(images) if serves_all else own + shared
        self._report(found, "events", subject, filters)
        if not found:
            raise DataError(
                f"No events.tsv files found for subject {subject} for filter: {filters}."
            )
        _check_count(found, images, "events.tsv", "event")
        _warn_without_trial_type(found)
        if own:
            _check_one_each(own, images)
        return found

    def masks(self, subject: str, images: Sequence[str]) -> list[str]:
        """Return the masks of a person's runs; brain masks where there are other ones, too."""
        if self.space in ("", "fsaverage5"):
            return []
        filters = self.filters(space=True, without=["desc"])
        found = self._select(
            self.derived_files, subject, filters, "mask", lambda e: e.startswith(".nii")
        )
        brain = [path for path in found if Name.of(path).entities.get("desc") == "brain"]
        found = brain or found
        self._report(found, "masks", subject, filters)
        if len(found) != len(images):
            warn(
                f"{len(found)} mask files found for {len(images)} bold files. ",
                UserWarning,
                stacklevel=4,
            )
        return found

    def confounds(self, subject: str, images: Sequence[str]) -> list[str]:
        """Return the table of confounds of each image, or none at all."""
        filters = self.filters(space=False, without=["desc"])
        found = [
            str(file.path)
            for file in self.derived_files
            if file.get("sub") == subject
            and (file.get("desc") or "").startswith("confounds")
            and file.name.extension == ".tsv"
            and _matches(file.name, file.name.suffix, filters)
        ]
        self._report(found, "confounds", subject, filters)
        if found:
            _check_count(found, images, "confounds.tsv", "confound")
        return found

    def metadata(self, key: str, derived: bool) -> float | None:
        """Return a value of the first sidecar of a fitting image; None where there is none."""
        folder = self.derived if derived else self.raw
        filters = self.filters(space=derived, without=[] if derived else ["desc"])
        files = sorted(map(str, folder.glob("sub-*/**/func/*_bold.json")))
        fitting = [path for path in files if _matches(Name.of(path), "bold", filters)]
        if not fitting:
            if self.verbose:
                warn(
                    f"\nNo bold.json found in BIDS folder in:\n {folder}.",
                    UserWarning,
                    stacklevel=3,
                )
            return None
        value: float | None
        value = json.loads(Path(fitting[0]).read_text(encoding="utf-8-sig")).get(key)
        if value is None:
            warn(f"'{key}' not found in file {fitting[0]}.", RuntimeWarning, stacklevel=3)
        return value

    def _hemisphere(self, subject: str, filters: Filters, side: str) -> list[str]:
        wanted = [*filters, ("hemi", side)]
        return self._select(self.derived_files, subject, wanted, "bold", lambda e: e == ".func.gii")

    def _select(
        self,
        files: Sequence[File],
        subject: str,
        filters: Filters,
        suffix: str,
        ends: Callable[[str], bool],
    ) -> list[str]:
        return [
            str(file.path)
            for file in files
            if file.get("sub") == subject
            and ends(file.name.extension)
            and _matches(file.name, suffix, filters)
        ]

    def _report(self, files: Sequence[str], what: str, subject: str, filters: Filters) -> None:
        if self.verbose:
            lines = "".join(f"\n\t- {file}" for file in files)
            print(
                f"\nFound the following {len(files)} {what} files\n- for subject {subject}\n"
                f"- for filter: {filters}:{lines}\n"
            )


def _matches(name: Name, suffix: str, filters: Filters) -> bool:
    """Tell whether a name has all labels; an empty label asks for the entity's absence."""
    return name.suffix == suffix and all(
        name.entities.get(entity) == (label or None) for entity, label in filters
    )


def _say_skipped(one: tuple[str, str], supported: Sequence[str]) -> None:
    warn(
        f"The filter {one} will be skipped. '{one[0]}' is not among the supported filters. "
        f"Allowed filters include: {list(supported)}",
        UserWarning,
        stacklevel=5,
    )


def _paired(left: list[str], right: list[str]) -> list[dict[str, str]]:
    """Put hemispheres together."""
    other = {path.replace("hemi-L", "hemi-R") for path in left}
    alone = other.symmetric_difference(right)
    if alone:
        raise DataError(f"files of one hemisphere without the other: {', '.join(sorted(alone))}")
    return [{"left": one, "right": one.replace("hemi-L", "hemi-R")} for one in left]


def _check_images(images: Sequence[str], subject: str, filters: Filters) -> None:
    """Require images, and one for each run of each session."""
    if not images:
        raise DataError(f"No BOLD files found for subject {subject} for filter: {filters}")
    seen: dict[tuple[str | None, str | None], str] = {}
    for image in images:
        entities = Name.of(image).entities
        place = (entities.get("ses"), entities.get("run"))
        if place in seen and place != (None, None):
            raise DataError(
                f"Too many images found\n for subject: '{subject}'\nfor filters: {filters}\n"
                f"for {_place(*place)}: {Path(seen[place]).name} and {Path(image).name}. Please "
                "specify it further by setting, for example, some required task_label, "
                "space_label or img_filters"
            )
        seen[place] = image


def _place(session: str | None, run: str | None) -> str:
    if session and run:
        return f"the same run {run} and session {session}"
    if session:
        return f"the same session {session}, while no additional run specification present"
    return f"the same run {run}"


def _check_count(files: Sequence[str], images: Sequence[str], what: str, kind: str) -> None:
    if len(files) != len(images):
        raise DataError(
            f"{len(files)} {what} files found for {len(images)} bold files. "
            f"Same number of {kind} files as the number of runs is expected."
        )


def _check_one_each(events: Sequence[str], images: Sequence[str]) -> None:
    """Require one table of events whose entities are those of each image."""
    for image in images:
        entities = {k: v for k, v in Name.of(image).entities.items() if k in RAW}
        fitting = [e for e in events if entities.items() <= Name.of(e).entities.items()]
        if len(fitting) != 1:
            many = "More than 1" if fitting else "No"
            raise DataError(
                f"{many} events.tsv files corresponding to bold file:\n{image}\n"
                f"filter:\n{list(entities.items())}\n"
                f"Found all the following events files for filter:\n{list(events)}\n"
            )


def _warn_without_trial_type(events: Sequence[str]) -> None:
    without = [
        Path(path).name
        for path in dict.fromkeys(events)
        if "trial_type" not in pd.read_csv(path, sep="\t", nrows=0).columns
    ]
    if without:
        listed = "\n -".join(without)
        warn(
            f"No column named 'trial_type' found in:{listed}.\n "
            "All rows in those files will be treated as if they are instances of same "
            "experimental condition.\nIf there is a column in the dataframe corresponding to "
            "trial information, consider renaming it to 'trial_type'.",
            UserWarning,
            stacklevel=4,
        )
