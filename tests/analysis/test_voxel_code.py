"""The code that a fit writes, run as it is: by Python, and by R where there is one."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import DataError

# The same data through a table of decimals and another solver.
RTOL = 1e-9
N = 160


def has_nlme():
    if not shutil.which("Rscript"):
        return False
    done = subprocess.run(["Rscript", "-e", "library(nlme)"], capture_output=True, check=False)
    return done.returncode == 0


def make_run(**more):
    rng = np.random.default_rng(5)
    events = pd.DataFrame(
        {
            "onset": np.arange(30) * 10.0,
            "duration": 2.0,
            "trial_type": ["face", "left-hand", "it's `b\\"] * 10,
        }
    )
    confounds = pd.DataFrame({"y": rng.normal(size=N), "csf": rng.normal(size=N)})
    noise = rng.normal(size=(N, 3))
    for t in range(1, N):
        noise[t] += 0.4 * noise[t - 1]
    data = 1000 + noise
    data[:, 2] = 7.0
    return vx.Run(data, events=events, confounds=confounds, tr=2.0, **more)


GAPS = np.r_[0:60, 63:64, 70:N]
CASES = {
    "lm": (vx.lm, {}, {}),
    "no constant": (vx.lm, {}, {"formula": "y ~ 0 + trial_type + csf"}),
    "ar1": (vx.glsar, {}, {}),
    "ar3": (vx.glsar, {}, {"order": 3, "maxiter": 6}),
    "lm with gaps": (vx.lm, {"sample_mask": GAPS}, {}),
    "ar1 with gaps": (vx.glsar, {"sample_mask": GAPS}, {}),
    "ar2 with gaps": (vx.glsar, {"sample_mask": GAPS}, {"order": 2}),
}


@pytest.fixture(params=list(CASES))
def fit(request):
    verb, run, model = CASES[request.param]
    model = {"formula": "y ~ trial_type + csf + confounds.y + poly(2)", **model}
    scaling = None if "0 +" in model["formula"] else "percent"
    return verb(data=make_run(scaling=scaling, **run), **model)


def test_statsmodels_code_gives_the_fit(fit, tmp_path, capsys):
    scope = {}
    exec(fit.to_statsmodels(tmp_path / "voxel.csv", 1), scope)
    results = scope["results"]
    assert "Results" in capsys.readouterr().out
    np.testing.assert_allclose(results.params, fit.params[:, 1], rtol=RTOL)
    np.testing.assert_allclose(results.bse, fit.bse[:, 1], rtol=RTOL)
    np.testing.assert_allclose(results.pvalues, fit.pvalues[:, 1], rtol=1e-7)
    assert results.df_resid == fit.df_resid
    assert list(results.params.index) == list(fit.design.names)


@pytest.mark.skipif(not has_nlme(), reason="R with nlme is not installed")
def test_r_code_gives_the_fit(fit, tmp_path):
    name = "same" if fit.order else "fit"
    tail = (
        f"cat('RESULT', format(coef(summary({name}))[, 1:2], digits = 15), df.residual({name}))\n"
        "cat('\\nNAMES', names(coef(fit)), sep = '|')\n"
    )
    script = tmp_path / "voxel.R"
    script.write_text(fit.to_r(tmp_path / "voxel.csv", 1) + tail)
    done = subprocess.run(
        ["Rscript", "--vanilla", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[-2:]} | {
        "NAMES": done.stdout.splitlines()[-1]
    }
    *found, df = (float(word) for word in lines["RESULT"].split()[1:])
    order = list(range(len(fit.design.names)))
    if fit.order == 0 and "constant" in fit.design.names:  # R puts its intercept first
        order = [order[-1], *order[:-1]]
    expected = np.r_[fit.params[order, 1], fit.bse[order, 1]]
    np.testing.assert_allclose(found, expected, rtol=RTOL)
    assert df == fit.df_resid
    assert "face" in lines["NAMES"]
    assert ("gls(" in fit.to_r(tmp_path / "voxel.csv", 1)) == bool(fit.order)


@pytest.mark.skipif(not has_nlme(), reason="R with nlme is not installed")
def test_gls_finds_nearly_the_same(tmp_path):
    fit = vx.glsar("y ~ face + csf", make_run())
    script = tmp_path / "voxel.R"
    tail = "cat('\\n', coef(fit)[2], coef(fit$modelStruct$corStruct, unconstrained = FALSE))\n"
    script.write_text(fit.to_r(tmp_path / "voxel.csv", 0) + tail)
    out = subprocess.run(
        ["Rscript", "--vanilla", script], capture_output=True, text=True, check=True
    )
    beta, phi = (float(word) for word in out.stdout.splitlines()[-1].split())
    # REML and Yule-Walker: a fifth of a standard error; their rho differ by the bias of the latter.
    assert abs(beta - fit.params[0, 0]) < 0.2 * fit.bse[0, 0]
    assert abs(phi - fit.rho[0, 0]) < 0.1


def test_the_table_stands_alone(tmp_path):
    fit = vx.lm("y ~ face + confounds.y", make_run())
    fit.to_r(tmp_path / "voxel.csv", 0)
    table = pd.read_csv(tmp_path / "voxel.csv")
    assert table.columns[0] not in fit.design.names
    np.testing.assert_array_equal(table.iloc[:, 1:], fit.design.matrix)


def test_bad_places(tmp_path):
    fit = vx.lm("y ~ face", make_run(scaling=None))
    csv = tmp_path / "voxel.csv"
    with pytest.raises(DataError, match="left out of the fit: constant"):
        fit.to_r(csv, 2)
    with pytest.raises(DataError, match="say which voxel"):
        fit.to_statsmodels(csv)
    with pytest.raises(DataError, match="no folder"):
        fit.to_r(tmp_path / "nowhere" / "voxel.csv", 0)
    assert not csv.exists()
