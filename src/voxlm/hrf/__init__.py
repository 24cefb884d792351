"""Responses as values: functions of seconds.

One law holds for all: the micro-step of the convolution moves no column by 1e-3 of its peak. The
one exception is ``spm()`` and ``glover()`` as nilearn samples them, by 0.3 % (derivatives 0.8 %);
``spm(exact=True)`` and ``glover(exact=True)`` are the same functions without nilearn's grid.
"""

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
