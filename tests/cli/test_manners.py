"""Every command has the same manners: help, exit codes, one paragraph, JSON, completion."""

import inspect
import json
import os
import subprocess
import sys

import pytest
import typer

import voxlm as vx
from voxlm.analysis.modelparts import OWN
from voxlm.cli.app import app

PROGRAM = typer.main.get_command(app)
COMMANDS = sorted(PROGRAM.commands)
#: Options that belong to the command line alone, and what the API calls them there.
OF_THE_PROGRAM = {
    "as_json", "debug", "help", "out", "install_completion", "show_completion", "report",
    "report_file", "hemisphere",
}  # fmt: skip
#: Options of ``Contrast.correct`` that no signature lists.
OF_CORRECTIONS = {"forming", "forming_p", "connectivity", "level", "n_perm", "tail", "seed"}
API = {
    "explain": (vx.explain,),
    "fit": (
        vx.Run,
        vx.lm,
        vx.glsar,
        vx.Fit.contrast,
        vx.Contrast.correct,
        vx.Fit.check,
    ),
    "threshold": (vx.threshold,),
    "run": (vx.Model.run,),
    "check": (vx.Model.check,),
}
CALLED = {
    "bids": "dataset", "participant_label": "subjects", "contrast": "spec", "correct": "method",
    "check": "n", "model": "self",
}  # fmt: skip


def options(command):
    return {option.name: option for option in PROGRAM.commands[command].params}


def test_the_commands_are_these():
    needed = {"fit", "group", "run", "check", "explain", "threshold", "demo"}
    assert needed <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_says_what_every_option_does(voxlm, command):
    result = voxlm(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"voxlm {command}" in result.stdout
    for name, option in options(command).items():
        assert getattr(option, "help", None), f"{command} --{name} has no help"
    for name in ("as_json", "debug"):
        assert name in options(command), f"{command} lacks {name}"


@pytest.mark.parametrize("command", sorted(API))
def test_options_are_called_as_in_the_api_with_its_defaults(command):
    known = {}
    for one in API[command]:
        known |= inspect.signature(one).parameters
    for name, option in options(command).items():
        if name in OF_THE_PROGRAM:
            continue
        said = CALLED.get(name, name)
        assert said in known or name == "model" or name in OF_CORRECTIONS, (
            f"{command} --{name} is no word of the API"
        )
        default = known[said].default if said in known else inspect.Parameter.empty
        given = option.default
        if (
            given is None
            or default is inspect.Parameter.empty
            or callable(given)
            or option.multiple
        ):
            continue
        if name not in ("check", "model"):
            assert str(given) == str(default), f"{command} --{name}: {given} is not {default}"


def test_groups_in_model_files_have_every_option_of_their_verbs():
    not_data = {"formula", "data", "maps", "weights", "hrf", "stack", "progress"}
    for name, verb in (("lm", vx.lm), ("lmer", vx.lmer), ("meta", vx.meta)):
        assert set(inspect.signature(verb).parameters) - not_data <= set(OWN[name]) | {"cov"}


@pytest.mark.parametrize("command", COMMANDS)
def test_misuse_is_exit_code_2_in_a_few_lines(voxlm, command):
    result = voxlm(command, "--no-such-option")
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.stdout == ""


NOWHERE = {
    "explain": ["y ~ face", "--events", "none.tsv"],
    "fit": ["y ~ face", "--bold", "none.nii.gz"],
    "group": ["effect ~ 1", "--maps", "none.tsv"],
    "threshold": ["none.nii.gz"],
    "run": ["none.toml", "--bids", "none", "--out", "none-out"],
    "check": ["none.toml", "--bids", "none"],
    "report": ["none-out"],
}


@pytest.mark.parametrize("command", sorted(NOWHERE))
def test_failure_is_exit_code_1_in_one_paragraph(voxlm, command):
    result = voxlm(command, *NOWHERE[command])
    assert result.exit_code == 1
    assert result.stderr.startswith("voxlm: ")
    assert "none" in result.stderr
    assert "Traceback" not in result.output
    assert "\n\n" not in result.stderr.strip()
    with_trace = voxlm(command, *NOWHERE[command], "--debug")
    assert isinstance(with_trace.exception, vx.VoxlmError)


def test_json_is_json_and_nothing_else(voxlm, small):
    result = voxlm("explain", "y ~ face", "--events", small.events[0], "--json")
    found = json.loads(result.stdout)
    assert found["words"][0]["word"] == "face"
    assert "cosine(1/128)" in found["formula_as_understood"]


def test_help_loads_nothing_that_computes():
    code = (
        "import sys; from voxlm.cli.app import app; "
        "print([m for m in ('numba', 'statsmodels', 'matplotlib', 'nilearn') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_core_alone_loads_every_command_and_the_face():
    code = """
import inspect, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OPTIONAL:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

OPTIONAL = {"bids2table", "dask", "jinja2", "joblib", "matplotlib", "nilearn", "sklearn"}
sys.meta_path.insert(0, Nothing())
from voxlm.cli import app, demo, run
import voxlm.glm
assert demo.showcase.show and run.modelrun.Outcome
from voxlm import VoxlmError, report
for name in ("Page", "plot_design", "plot_ortho", "plot_stat_map"):
    try:
        getattr(report, name)
    except VoxlmError as error:
        assert "pip install 'voxlm[report]'" in str(error)
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(shell):
    env = {**os.environ, "_VOXLM_COMPLETE": f"source_{shell}"}
    code = "import sys; sys.argv = ['voxlm']; from voxlm.cli.app import app; app(prog_name='voxlm')"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert "_VOXLM_COMPLETE" in found.stdout


def test_signs_that_a_terminal_lacks_do_not_stop_a_command(small):
    command = [sys.executable, "-m", "voxlm", "explain", "y ~ face", "--events", small.events[0]]
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    found = subprocess.run(command, capture_output=True, env=env, check=True)
    assert b"drift_1, ?" in found.stdout
