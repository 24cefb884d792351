"""Effects of known variance against metafor 3.8.1, on thirteen trials of the BCG vaccine."""

import numpy as np
import pandas as pd
import pytest

from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps

# Colditz et al. (1994), JAMA 271:698: tuberculosis and none, with the vaccine and without.
ILL = [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27]
WELL = [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886]
OTHER_ILL = [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29]
OTHER_WELL = [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]
LATITUDE = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
# rma(yi, vi): tau², mean and its error; with mods = ~ latitude: tau², two coefficients, two errors.
REML = 0.313243258136, -0.714532342158, 0.0763479639559, 0.251468210007, -0.0291017250116
ML = 0.280028137269, -0.711199135474, 0.0343514424819, 0.282107173896, -0.0295093353884
DL = 0.308760262862, -0.714117222073, 0.0633005024264, 0.259543712434, -0.0292287387552
PM = 0.318068452205, -0.714968153493, 0.142131941473, 0.221915964507, -0.0285645258944
FE = 0.0, -0.430285163654, 0.0, 0.343564577447, -0.0292369342595
ANSWERS = {
    ("reml", False): (REML, 0.179781516105, 0.249095396618, 0.00719532722093),
    ("reml", True): (REML, 0.180791744093, 0.283925283744, 0.00820141741105),
    ("ml", False): (ML, 0.171896808777, 0.187184556336, 0.00548773630757),
    ("ml", True): (ML, 0.180042222144, 0.242484740313, 0.00710898558886),
    ("dl", False): (DL, 0.178742089535, 0.232307473393, 0.00673301083957),
    ("dl", True): (DL, 0.180696628336, 0.273874502068, 0.00793775578621),
    ("pm", False): (PM, 0.180892191538, 0.317473696547, 0.00907018887118),
    ("pm", True): (PM, 0.180892191538, 0.317473696547, 0.00907018887118),
    ("fe", False): (FE, 0.0404987517109, 0.0810487794877, 0.00265242943425),
}
# metafor ends its iterations here.
METAFOR = 1e-6


def trials():
    a, b, c, d = (np.array(x, dtype=float) for x in (ILL, WELL, OTHER_ILL, OTHER_WELL))
    effect = np.log(a / (a + b)) - np.log(c / (c + d))
    variance = 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    table = pd.DataFrame({"latitude": np.array(LATITUDE, dtype=float)})
    return Maps(table, data=effect[:, None], variance=variance[:, None])


@pytest.mark.parametrize(("method", "knapp_hartung"), ANSWERS)
def test_equal_to_metafor(method, knapp_hartung):
    (tau2, mean, left, *slopes), error, *errors = ANSWERS[method, knapp_hartung]
    plain = meta("~ 1", trials(), method=method, knapp_hartung=knapp_hartung)
    with_latitude = meta("~ latitude", trials(), method=method, knapp_hartung=knapp_hartung)
    found = [plain.tau2[0], plain.params[0, 0], plain.bse[0, 0], with_latitude.tau2[0]]
    np.testing.assert_allclose(found, [tau2, mean, error, left], rtol=METAFOR)
    np.testing.assert_allclose(with_latitude.params[:, 0], slopes, rtol=METAFOR)
    np.testing.assert_allclose(with_latitude.bse[:, 0], errors, rtol=METAFOR)


def test_offsets_are_subtracted():
    maps = trials()
    less = Maps(maps.table, data=maps.values - maps.table[["latitude"]], variance=maps.variances)
    fit, plain = meta("~ 1 + offset(latitude)", maps), meta("~ 1", less)
    np.testing.assert_allclose(fit.params, plain.params, rtol=1e-12)
    np.testing.assert_allclose(fit.resid, plain.resid, atol=1e-12)
