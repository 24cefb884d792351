"""Errors about the kind of a thing, which callers of nilearn expect to be ``TypeError``."""

from __future__ import annotations

from voxlm.errors import VoxlmError


class InputTypeError(VoxlmError, TypeError):
    """An argument is of a kind that cannot be used here."""
