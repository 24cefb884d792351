"""Text → terms → meaning; the only door to formulaic and patsy; never sees a scan."""

from voxlm.formula.group import GroupMeaning, RandomTerm, resolve_group
from voxlm.formula.parse import parse
from voxlm.formula.resolve import resolve
from voxlm.formula.schema import Schema
from voxlm.formula.syntax import Formula
from voxlm.formula.terms import Resolved

__all__ = [
    "Formula",
    "GroupMeaning",
    "RandomTerm",
    "Resolved",
    "Schema",
    "parse",
    "resolve",
    "resolve_group",
]
