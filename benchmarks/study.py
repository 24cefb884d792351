"""Where the files of a benchmark run are; loads no library that a memory figure would include."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TR = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Study:
    """Paths of one run's files."""

    folder: Path
    tr: float = TR

    @property
    def bold(self) -> Path:
        return self.folder / "bold.nii.gz"

    @property
    def events(self) -> Path:
        return self.folder / "events.tsv"

    @property
    def confounds(self) -> Path:
        return self.folder / "confounds.tsv"

    @property
    def mask(self) -> Path:
        return self.folder / "mask.nii.gz"
