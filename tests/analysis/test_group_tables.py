"""Tables as people have them: other libraries' frames, dates, indices, factors of one level."""

import numpy as np
import pandas as pd
import pytest

from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.bids.maps import Maps
from voxlm.errors import DataError, DesignError, VoxlmWarning


def study():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"subject": np.repeat([f"s{k}" for k in range(12)], 3)})
    table["time"] = np.tile([0.0, 1.0, 2.5], 12)
    table["größe"] = rng.uniform(20, 70, 12).repeat(3)
    table["visit"] = pd.date_range("2020-01-01", periods=36)
    return table, rng.normal(size=(36, 3)) + rng.normal(size=(12, 3)).repeat(3, axis=0)


FORMULA = "~ time + größe + (1 | subject)"


def test_frames_of_other_libraries():
    polars = pytest.importorskip("polars")
    table, data = study()
    other = polars.DataFrame({name: table[name].to_list() for name in table})
    ours, theirs = (lmer(FORMULA, Maps(t, data=data)).params for t in (table, other))
    np.testing.assert_array_equal(theirs, ours)


def test_a_frame_without_its_bridge():
    class Frame:
        """As polars' is where pyarrow is not installed."""

        columns = ("subject", "time")

        def to_pandas(self):
            raise ModuleNotFoundError("pyarrow")

        def __getitem__(self, name):
            return study()[0][name]  # has to_list

    found = Maps(Frame(), data=study()[1]).table
    pd.testing.assert_frame_equal(found, study()[0][["subject", "time"]])


@pytest.mark.parametrize("index", [np.arange(36)[::-1] * 7, np.zeros(36, dtype=int)])
def test_the_index_of_a_table_means_nothing(index):
    table, data = study()
    plain = lmer(FORMULA, Maps(table, data=data)).params
    other = lmer(FORMULA, Maps(table.set_index(index), data=data)).params
    np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize("formula", ["~ visit + (1 | subject)", "~ time + (1 + visit | subject)"])
def test_dates_are_no_numbers(formula):
    table, data = study()
    assert np.isfinite(lmer(FORMULA, Maps(table, data=data)).params).all()
    with pytest.raises(DataError, match=r"visit holds dates or times.*\.dt\.days"):
        lmer(formula, Maps(table, data=data))


def test_a_factor_of_one_level_is_named():
    table, data = study()
    with pytest.raises(DesignError, match="group has one level, patient"):
        lm_maps("~ time * group", Maps(table.assign(group="patient"), data=data))


def test_a_slope_far_from_zero_is_warned_of():
    table, data = study()
    years = table.assign(time=2020 + table["time"])
    with pytest.warns(VoxlmWarning, match="far from 0 beside their spread"):
        lmer("~ time + (1 + time | subject)", Maps(years, data=data))
    near = lmer("~ time + (1 + center(time) | subject)", Maps(years, data=data))
    plain = lmer("~ time + (1 + time | subject)", Maps(table, data=data))
    # Two searches that end at one optimum.
    np.testing.assert_allclose(near.deviance, plain.deviance, rtol=1e-9)
