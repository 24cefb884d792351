"""Responses as values: functions of seconds."""

from voxlm.hrf.basis import FIR, Boxcar, Gamma, Spline, Tent, boxcar, fir, gamma, spline, tent
from voxlm.hrf.custom import as_response, function, sampled
from voxlm.hrf.gamma import DoubleGamma, glover, named, spm
from voxlm.hrf.response import Response

__all__ = [
    "FIR",
    "Boxcar",
    "DoubleGamma",
    "Gamma",
    "Response",
    "Spline",
    "Tent",
    "as_response",
    "boxcar",
    "fir",
    "function",
    "gamma",
    "glover",
    "named",
    "sampled",
    "spline",
    "spm",
    "tent",
]
