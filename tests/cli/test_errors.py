"""What goes wrong is one paragraph, an exit code, and nothing half written."""

import subprocess
import sys

import pytest

from voxlm.errors import VoxlmError

FORMULA = "y ~ face + house"


@pytest.fixture
def good(small):
    return ["--bold", small.bold[0], "--events", small.events[0], "--mask", small.mask]


@pytest.mark.parametrize(
    ("formula", "extra", "said"),
    [
        ("y ~ fce", [], "did you mean 'face'?"),
        ("y ~ face + (house", [], "never closed"),
        ("y ~ __import__('os')", [], "never runs code"),
        (FORMULA, ["--contrast", "fac"], "did you mean 'face'?"),
        (FORMULA, ["--contrast", "face", "--correct", "bonferoni"], "did you mean 'bonferroni'?"),
        (FORMULA, ["--contrast", "face", "--alpha", "5"], "between 0 and 1"),
        (FORMULA, ["--tr", "3"], "3"),
        (FORMULA, ["--order", "0"], "at least 1"),
        (FORMULA + " + motion", [], "motion needs confounds"),
    ],
)
def test_failures_exit_1_with_a_paragraph(voxlm, good, tmp_path, formula, extra, said):
    out = tmp_path / "out"
    result = voxlm("fit", formula, *good, *extra, "--out", out)
    assert result.exit_code == 1
    assert result.stderr.startswith("voxlm: ")
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not out.exists()


def test_what_one_run_cannot_give_is_said_before_it_is_read(voxlm, good, tmp_path):
    good = ["fit", FORMULA, *good]
    said = voxlm(*good, "--contrast", "face", "--correct", "tfce", "--out", tmp_path / "out")
    assert said.exit_code == 1
    assert "one run is one observation" in " ".join(said.stderr.split())
    said = voxlm(*good, "--contrast", "face", "--seed", 3)
    assert said.exit_code == 2
    assert "--seed: not for fdr, which permutes nothing" in said.stderr
    assert voxlm(*good, "--check", 2, "--seed", 3).exit_code == 0


def test_a_missing_file_is_named(voxlm, good):
    result = voxlm("fit", FORMULA, "--bold", "nowhere/sub-01_bold.nii.gz")
    assert result.exit_code == 1
    assert "nowhere/sub-01_bold.nii.gz" in result.stderr


def test_a_bad_contrast_is_found_before_the_image_is_read(voxlm, small, tmp_path):
    """The file is cut short: reading it would fail with another message."""
    cut = tmp_path / small.bold[0].name
    cut.write_bytes(small.bold[0].read_bytes()[:20_000])
    arguments = ["--bold", cut, "--tr", 2.0, "--events", small.events[0], "--mask", small.mask]
    result = voxlm("fit", FORMULA, *arguments, "--contrast", "fac")
    assert "did you mean 'face'?" in result.stderr
    result = voxlm("fit", FORMULA, *arguments, "--contrast", "face", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert cut.name in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--model", "lm", "--order", "2"], "--order: independent noise has no such option"),
        (["--events", "other.tsv"], "--events was given 2 times and --bold 1 times"),
        (["--model", "arma"], "arma"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_misuse_exits_2(voxlm, good, extra, said):
    result = voxlm("fit", FORMULA, *good, *extra)
    assert result.exit_code == 2
    assert said in result.stderr


def test_debug_lets_the_error_through(voxlm, good):
    result = voxlm("fit", "y ~ fce", *good, "--debug")
    assert isinstance(result.exception, VoxlmError)


def test_unexpected_errors_are_told_too(voxlm, good, monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("surprise")

    monkeypatch.setattr("voxlm.cli.fit._runs", broken)
    result = voxlm("fit", FORMULA, *good)
    assert result.exit_code == 1
    assert "unexpected KeyError" in result.stderr
    assert "--debug" in result.stderr


def test_without_matplotlib_maps_are_written_and_pictures_named(voxlm, good, tmp_path, monkeypatch):
    monkeypatch.setattr("voxlm.report.presence.find_spec", lambda name: None)
    out = tmp_path / "out"
    result = voxlm("fit", FORMULA, *good, "--contrast", "face", "--out", out)
    assert result.exit_code == 0, result.output
    assert "design.png was left out: pictures need matplotlib" in result.stderr
    assert (out / "contrast-face_stat-z_statmap.nii.gz").exists()
    assert not list(out.glob("*.png"))


def test_explain_takes_one_run(voxlm, small):
    events = small.events[0]
    result = voxlm("explain", FORMULA, "--events", events, "--events", events)
    assert result.exit_code == 2
    result = voxlm("explain", "y ~ face:rt + motion", "--events", events)
    assert result.exit_code == 1
    assert "motion" in result.stderr


def test_explain_prints_the_resolution_table(voxlm, small):
    result = voxlm(
        "explain", "y ~ trial_type", "--events", small.events[0], "--confounds", small.confounds[0]
    )
    assert result.exit_code == 0
    assert "events.trial_type" in result.stdout
    assert "implied drift" in result.stdout


@pytest.mark.parametrize("command", [[], ["fit"], ["explain"], ["demo"]])
def test_help_has_words_and_examples(voxlm, command):
    result = voxlm(*command, "--help")
    assert result.exit_code == 0
    if command:
        assert f"voxlm {command[0]} " in result.stdout


def test_program_starts_without_what_computes():
    """``voxlm --version`` loads neither numpy nor pandas nor matplotlib."""
    code = (
        "import sys, typer.testing, voxlm.cli.app as a\n"
        "r = typer.testing.CliRunner().invoke(a.app, ['--version'])\n"
        "assert r.exit_code == 0 and r.stdout.startswith('voxlm '), r.output\n"
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
