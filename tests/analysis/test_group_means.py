"""Marginal means of fits over maps, against emmeans on lme4's fit."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.bids.maps import Maps
from voxlm.errors import ContrastError

# lme4 stops its search for theta near 1e-6.
LMER_RTOL = 2e-5


def table():
    rng = np.random.default_rng(4)
    n, m = 24, 3
    return pd.DataFrame(
        {
            "subject": np.repeat([f"s{k:02d}" for k in range(n)], m),
            "group": np.repeat(rng.choice(["control", "mci", "patient"], n), m),
            "age": np.repeat(rng.uniform(20, 80, n).round(1), m),
            "cond": np.tile(["a", "b", "c"], n),
        }
    )


def values(maps):
    rng = np.random.default_rng(9)
    subject = np.unique(maps.subject, return_inverse=True)[1]
    return rng.normal(size=(24, 2))[subject] + rng.normal(size=(len(maps), 2))


SCRIPT = """
suppressMessages({library(lmerTest); library(emmeans)})
fit <- lmer(y ~ group*cond + age + (1 | subject), read.csv("maps.csv"))
o <- as.data.frame(emmeans(fit, ~ group, at = list(age = 60), lmer.df = "satterthwaite"))
cat("means", format(c(o$emmean, o$SE, o$df), digits = 12), "\\n")
o <- as.data.frame(pairs(emmeans(fit, ~ group, lmer.df = "satterthwaite"), adjust = "none"))
cat("pairs", format(c(o$estimate, o$SE, o$df), digits = 12), "\\n")
"""


def has_emmeans():
    if not shutil.which("Rscript"):
        return False
    asked = ["Rscript", "-e", "library(emmeans); library(lmerTest)"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_emmeans(), reason="R with emmeans and lmerTest is not installed")
def test_lmer_means_equal_emmeans(tmp_path):
    maps = table()
    data = values(maps)
    maps.assign(y=data[:, 1]).to_csv(tmp_path / "maps.csv", index=False)
    (tmp_path / "ask.R").write_text(SCRIPT)
    done = subprocess.run(
        ["Rscript", "--vanilla", "ask.R"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    fit = lmer("y ~ group*cond + age + (1 | subject)", Maps(maps, data=data))
    for words, means in zip(
        lines, (vx.emm("group", at={"age": 60}), vx.emm("group").pairs()), strict=True
    ):
        asked = [fit.contrast(one) for one in means.each(fit.design).values()]
        found = [getattr(con, what)[1] for what in ("effect", "se", "df") for con in asked]
        expected = [float(word) for word in words[1:]]
        np.testing.assert_allclose(found, expected, rtol=LMER_RTOL)


def test_means_of_an_empty_cell_are_refused():
    maps = table()
    keep = ((maps.group != "mci") | (maps.cond != "b")).to_numpy()
    fit = lm_maps("y ~ group*cond", Maps(maps[keep], data=values(maps)[keep]))
    assert np.isfinite(fit.contrast('level("group", "control")').t).all()
    with pytest.raises(ContrastError, match="cannot be estimated"):
        fit.contrast('level("group", "mci")')
