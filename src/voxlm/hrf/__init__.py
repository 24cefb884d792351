"""Responses as values: functions of seconds."""

from voxlm.hrf.gamma import DoubleGamma, glover, named, spm
from voxlm.hrf.response import Response

__all__ = ["DoubleGamma", "Response", "glover", "named", "spm"]
