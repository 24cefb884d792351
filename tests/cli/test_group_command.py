"""``voxlm group``: the numbers of the API, every file, and a way out from the keyboard."""

import json
import os
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import voxlm as vx

SHAPE, N = (9, 8, 7), 16
AGE = ["--contrast", "age", "--correct"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Write sixteen maps of eight subjects, twice each, with variances."""
    folder = tmp_path_factory.mktemp("group")
    rng = np.random.default_rng(3)
    data = ndimage.gaussian_filter(rng.standard_normal((N, *SHAPE)), (0, 1, 1, 1))
    data /= data.std()
    data[8:, 3:6, 3:6, 2:5] += 2.5
    rows = []
    for k, values in enumerate(data):
        for name, image in (("effect", values), ("variance", 0.5 + rng.random(SHAPE))):
            nib.save(
                nib.Nifti1Image(image.astype(np.float32), np.diag([3.0, 3, 3, 1])),
                folder / f"{name}-{k}.nii.gz",
            )
        rows.append(
            {
                "effect": f"effect-{k}.nii.gz",
                "variance": f"variance-{k}.nii.gz",
                "group": "ab"[k // 8],
                "age": float(rng.integers(20, 60)),
                "subject": f"s{k % 8}",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "maps.tsv", sep="\t", index=False)
    nib.save(
        nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.diag([3.0, 3, 3, 1])), folder / "mask.nii.gz"
    )
    return folder / "maps.tsv"


def maps_of(table, **options):
    return vx.Maps(table, mask=table.parent / "mask.nii.gz", **options)


def test_least_squares_with_tfce(voxlm, table, tmp_path):
    out = tmp_path / "out"
    result = voxlm(
        "group", "effect ~ group + age", "--maps", table, "--mask", table.parent / "mask.nii.gz",
        "--contrast", "group[T.b]", "--correct", "tfce", "--n-perm", 99, "--seed", 4,
        "--connectivity", 26, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    fit = vx.lm("effect ~ group + age", maps_of(table))
    expected = fit.contrast("group[T.b]").correct("tfce", n_perm=99, seed=4, connectivity=26)
    (folder,) = [path.parent for path in out.rglob("verdict.json")]
    assert vx.load_verdict(folder) == expected
    assert expected.n_significant > 5
    assert "largest enhancement of 99 random exchanges" in result.stdout
    assert f"written to {out}" in result.stdout
    assert list(out.glob("*.png"))
    assert (out / "design.tsv").exists()


@pytest.mark.parametrize(
    ("formula", "extra", "model", "make"),
    [
        ("effect ~ group", [], "lm", lambda m: vx.lm("effect ~ group", m)),
        (
            "effect ~ group + (1 | subject)",
            ["--df", "kenward-roger"],
            "lmer",
            lambda m: vx.lmer("effect ~ group + (1 | subject)", m, df="kenward-roger"),
        ),
        (
            "effect ~ group",
            ["--variance", "variance", "--method", "dl"],
            "meta",
            lambda m: vx.meta("effect ~ group", m, method="dl"),
        ),
    ],
    ids=["lm", "lmer", "meta"],
)
def test_the_verb_follows_formula_and_maps(voxlm, table, formula, extra, model, make):
    result = voxlm(
        "group", formula, "--maps", table, "--mask", table.parent / "mask.nii.gz", *extra,
        "--contrast", "group[T.b]", "--one-sided", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["model"] == model
    variance = "variance" if model == "meta" else None
    contrast = make(maps_of(table, variance=variance)).contrast("group[T.b]")
    verdict = contrast.correct("fdr", two_sided=False)
    (found,) = said["contrasts"]
    assert found["n_significant"] == verdict.n_significant > 0
    assert found["largest"] == pytest.approx(np.nanmax(contrast.stat))


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (["--contrast", "grup[T.b]"], 1, "did you mean"),
        (["--contrast", "age", "--correct", "tcfe"], 1, "did you mean 'tfce'?"),
        (["--contrast", "age", "--alpha", "5"], 1, "alpha is a number between 0 and 1"),
        (["--contrast", "age", "--correct", "maxt", "--n-perm", "5"], 1, "ask for n_perm >= 19"),
        ([*AGE, "maxt", "--blocks", "subjct"], 1, "did you mean 'subject'?"),
        ([*AGE, "cluster_mass", "--forming-p", "3.1"], 1, "looks like a statistic"),
        ([*AGE, "cluster_mass", "--forming", "0.001"], 1, "looks like a p-value"),
        (["--contrast", "age", "--n-perm", "50"], 2, "--n-perm: not for fdr, which permutes"),
        (["--contrast", "age", "--seed", "5"], 2, "--seed: not for fdr, which permutes nothing"),
        ([*AGE, "maxt", "--level", "voxel"], 2, "--level: not for maxt"),
        (["--df", "satterthwaite"], 2, "--df: not for lm"),
        (["--effect", "efect"], 1, "did you mean 'effect'?"),
        (["--model", "anova"], 2, "anova"),
    ],
)  # fmt: skip
def test_failures_are_told_and_leave_nothing(voxlm, table, tmp_path, extra, code, said):
    out = tmp_path / "out"
    result = voxlm("group", "effect ~ group + age", "--maps", table, *extra, "--out", out)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert not out.exists()


def test_variances_beside_random_terms_are_misuse(voxlm, table):
    result = voxlm("group", "effect ~ 1 + (1 | subject)", "--maps", table, "--variance", "variance")
    assert result.exit_code == 2
    assert "--variance is for models without random terms" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_stopped_from_the_keyboard(table, tmp_path):
    """A child process is interrupted amid its permutations."""
    out = tmp_path / "out"
    code = (
        "import sys, voxlm.analysis.permuting as p, voxlm.cli.app as a\n"
        "count = p.counting\n"
        "def told(*args):\n"
        "    print('permuting', flush=True)\n"
        "    return count(*args)\n"
        "p.counting = told\n"
        "sys.argv = ['voxlm', *sys.argv[1:]]\n"
        "a.main()\n"
    )
    child = subprocess.Popen(
        [
            sys.executable, "-c", code, "group", "effect ~ age", "--maps", str(table),
            "--contrast", "age", "--correct", "tfce", "--n-perm", "2000000",
            "--out", str(out),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    assert child.stdout.readline() == "permuting\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "voxlm: stopped after " in said
    assert "of 2,000,000 permutations; nothing was written" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
