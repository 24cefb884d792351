"""One verb for scans and maps; options of the one are refused with the other."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx

MAPS = vx.Maps(
    pd.DataFrame({"group": list("aabbbb")}), data=np.random.default_rng(0).normal(size=(6, 4))
)
RUN = vx.Run(100 + np.random.default_rng(1).normal(size=(30, 4)), tr=2.0)


def test_lm_takes_maps():
    assert vx.lm("effect ~ group", MAPS).params.shape == (2, 4)


@pytest.mark.parametrize(
    "option", [{"hrf": "glover"}, {"stack": True}, {"progress": True}], ids=lambda o: next(iter(o))
)
def test_options_for_runs_are_refused_with_maps(option):
    with pytest.raises(vx.DataError, match=f"^{next(iter(option))}: an option for runs"):
        vx.lm("effect ~ group", MAPS, **option)


@pytest.mark.parametrize(
    "option",
    [
        {"weights": np.ones(30)},
        {"cov_type": "HC3"},
        {"cluster": "group"},
        {"variance_groups": "group"},
        {"robust": "huber"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_for_maps_are_refused_with_runs(option):
    with pytest.raises(vx.DataError, match=f"^{next(iter(option))}: an option for maps"):
        vx.lm("y ~ 1", RUN, **option)
