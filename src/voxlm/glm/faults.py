"""Errors that callers of nilearn expect to be of a kind that Python or nilearn names."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from voxlm.errors import VoxlmError


class InputTypeError(VoxlmError, TypeError):
    """An argument is of a kind that cannot be used here."""


class SetupError(VoxlmError, RuntimeError):
    """What was asked for cannot be set up at all."""


def named_by_nilearn(kind: Any, name: str) -> Any:
    """Return a kind of error that nilearn's ``except`` clauses catch, too.

    Whoever catches an error of ``nilearn.exceptions`` has imported it; for all others the kind is
    enough, and nilearn is not loaded.

    Parameters
    ----------
    kind : type
        Of this package.
    name : str
        In ``nilearn.exceptions``.

    Examples
    --------
    >>> issubclass(named_by_nilearn(InputTypeError, "DimensionError"), InputTypeError)
    True
    """
    module = sys.modules.get("nilearn.exceptions")
    return kind if module is None else _both(kind, getattr(module, name))


@cache
def _both(kind: Any, other: Any) -> Any:
    plain = {"__init__": Exception.__init__, "__str__": Exception.__str__}
    return type(kind.__name__, (kind, other), {"__module__": kind.__module__, **plain})
