"""Statistics kept on disk answer as the fit did."""

import numpy as np
import pandas as pd
import pytest

from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.analysis.statistics import load_statistics, save_statistics
from voxlm.bids.maps import Maps
from voxlm.errors import DataError


def study(holes=False):
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(20), 3)
    table = pd.DataFrame({"subject": subject.astype(str), "time": rng.uniform(0, 3, 60)})
    Y = rng.standard_normal((60, 9)) + rng.standard_normal((20, 9))[subject]
    if holes:
        Y[4, 2] = Y[7, 5] = np.nan
    return Maps(table, data=Y)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("formula", ["~ time + (1 | subject)", "~ time + (1 + time | subject)"])
def test_loaded_fit_answers_alike(tmp_path, formula, holes):
    maps = study(holes)
    fit = lmer(formula, maps)
    blank = Maps(maps.table, data=np.zeros_like(maps.data))  # no voxel is read
    again = load_statistics(fit.save_statistics(tmp_path / "kept.npz"), blank)
    np.testing.assert_array_equal(again.params, fit.params)
    np.testing.assert_array_equal(again.contrast("time").t, fit.contrast("time").t)
    np.testing.assert_array_equal(again.df, fit.df)
    np.testing.assert_array_equal(again.refit(False).deviance, fit.refit(False).deviance)
    assert again.formula == fit.formula


def test_kenward_roger_is_kept(tmp_path):
    maps = study()
    fit = lmer("~ time + (1 | subject)", maps, df="kenward-roger")
    assert "Kenward and Roger" in repr(fit)
    again = load_statistics(save_statistics(fit, tmp_path / "kept.npz"), maps)
    np.testing.assert_array_equal(again.df, fit.df)
    assert "Satterthwaite" in repr(fit.refit(reml=False))
    with pytest.raises(DataError, match="of a fit by REML"):
        lmer("~ time + (1 + time | subject)", maps, df="kenward-roger", reml=False)


def test_other_maps_are_refused(tmp_path):
    maps = study()
    path = save_statistics(lmer("~ time + (1 | subject)", maps), tmp_path / "kept.npz")
    other = maps.table.assign(time=maps.table["time"][::-1].to_numpy())
    with pytest.raises(DataError, match="other columns or groups"):
        load_statistics(path, Maps(other, data=maps.data))
    with pytest.raises(DataError, match="of 9 voxels and the maps have 8"):
        load_statistics(path, Maps(maps.table, data=maps.data[:, 1:]))
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(DataError, match="does not hold statistics"):
        load_statistics(tmp_path / "bad.npz", maps)
    with pytest.raises(DataError, match=r"written as \.npz"):
        save_statistics(lmer("~ time + (1 | subject)", maps), tmp_path / "kept.csv")
    with pytest.raises(DataError, match="kept by lmer"):
        save_statistics(lm_maps("~ time", maps), tmp_path / "kept.npz")


def test_files_that_are_no_statistics(tmp_path):
    broken, other = tmp_path / "broken.npz", tmp_path / "other.npz"
    broken.write_bytes(b"PK\x03\x04 cut short")
    with other.open("wb") as file:
        np.save(file, np.ones(3))
    for path in (broken, other):
        with pytest.raises(DataError, match="does not hold statistics"):
            load_statistics(path)
