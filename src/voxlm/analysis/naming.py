"""What results are called: by the run's entities in a BIDS folder, or plainly where it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxlm.bids.names import bids_name, without

#: What the names of results do not take over from those of images.
DROPPED = ("desc", "hemi", "part", "chunk")


@dataclass(frozen=True, slots=True)
class Naming:
    """Names of the files of one run, one person, or one group.

    Parameters
    ----------
    entities : dict of str to str
        Empty for data that no data set named.
    prefix : Path
        A folder before all others, such as ``run-01``.

    Examples
    --------
    >>> naming = Naming({"sub": "01", "ses": "a", "task": "faces"})
    >>> naming.path("design", ".tsv").as_posix()
    'sub-01/ses-a/func/sub-01_ses-a_task-faces_design.tsv'
    >>> Naming({}).path("statmap", ".nii.gz", stat="rho").as_posix()
    'stat-rho_statmap.nii.gz'
    """

    entities: Mapping[str, str] = field(default_factory=dict)
    prefix: Path = Path()

    def __bool__(self) -> bool:
        return bool(self.entities)

    @property
    def folder(self) -> Path:
        """Where the files lie below the folder of results."""
        places = [f"{key}-{self.entities[key]}" for key in ("sub", "ses") if key in self.entities]
        return self.prefix.joinpath(*places, *(["func"] if "sub" in self.entities else []))

    def path(self, suffix: str, extension: str, **more: str) -> Path:
        """Return the place of a file below the folder of results.

        Parameters
        ----------
        suffix : str
            ``statmap``, ``design``, ``mask``.
        extension : str
            With its dot.
        **more : str
            Further entities.
        """
        return self.folder / bids_name({**self.entities, **more}, suffix, extension)


def naming_of(runs: Sequence[Any]) -> Naming:
    """Name by what runs have in common."""
    every = [without(getattr(run, "entities", {}), DROPPED) for run in runs]
    common = set.intersection(*[set(entities.items()) for entities in every])
    return Naming({key: value for key, value in every[0].items() if (key, value) in common})


def namings_of(runs: Sequence[Any]) -> list[Naming]:
    """Name each of several runs, in folders ``run-01``, … where their entities are not enough."""
    named = [naming_of([run]) for run in runs]
    if all(named) and len({str(naming.path("", "")) for naming in named}) == len(named):
        return named
    return [Naming(n.entities, Path(f"run-{at:02d}")) for at, n in enumerate(named, start=1)]
