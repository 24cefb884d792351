"""Errors that callers of nilearn expect to be of a kind that Python names."""

from __future__ import annotations

from voxlm.errors import VoxlmError


class InputTypeError(VoxlmError, TypeError):
    """An argument is of a kind that cannot be used here."""


class SetupError(VoxlmError, RuntimeError):
    """What was asked for cannot be set up at all."""
