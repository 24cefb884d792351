"""Variables as instructions see them, by name.

A variable of the events is what happens at each event: its amplitude in a column, at the onset and
for the duration of the row unless an instruction gave it others. An event without a value is no
event of that variable, so a missing value becomes 0 in what an instruction makes. A variable of
the confounds has a value a scan, one of a group a value a map.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from voxlm.errors import DataError, did_you_mean

TIMING = ("onset", "duration")


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """One variable: where it lives, its values, and its own timing if it has any."""

    clock: str
    values: pd.Series[Any]
    made: bool = False
    onset: pd.Series[Any] | None = None
    duration: pd.Series[Any] | None = None


@dataclass(slots=True)
class Namespace:
    """The variables that instructions see, and the groups they named."""

    variables: dict[str, Variable]
    where: str = ""
    groups: dict[str, list[str]] = field(default_factory=dict)

    def names(self, given: Any) -> list[str]:
        """Return the variables that a list of names, wildcards and groups stands for."""
        found: list[str] = []
        for word in listed(given):
            if word in self.groups:
                found += self.groups[word]
                continue
            some = [word] if word in self.variables else fnmatch.filter(self.variables, str(word))
            if not some:
                raise self.fail(f"no variable {word!r}; {did_you_mean(str(word), self.variables)}")
            found += some
        return list(dict.fromkeys(found))

    def fail(self, message: str) -> DataError:
        """Make an error that names the instruction."""
        return DataError(f"{self.where}: {message}")


def listed(given: Any) -> list[Any]:
    """Return one or several as a list."""
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
