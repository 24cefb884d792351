"""The README is true: its Python runs and prints what it says, its commands are those of CI."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import voxlm as vx
from voxlm.simulate import study

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _as_pattern(text):
    """Turn printed text into a pattern in which … stands for anything."""
    return re.escape(text.strip()).replace("…", ".*")


@pytest.fixture
def func_folder(tmp_path, monkeypatch):
    made = study(tmp_path)
    folder = made.bold[0].parent
    monkeypatch.chdir(folder)
    return folder


PAGES = ["README.md", "docs/bids.md", "docs/corrections.md", "docs/group.md", "docs/surfaces.md"]


@pytest.mark.parametrize("page", PAGES)
def test_python_runs_and_prints_what_is_shown(func_folder, page):
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    shown = 0
    for at, (language, code) in enumerate(blocks):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{page} block {at}", "exec"), names)
        if at + 1 < len(blocks) and blocks[at + 1][0] == "text":
            expected = _as_pattern(blocks[at + 1][1])
            assert re.fullmatch(expected, printed.getvalue().strip(), re.DOTALL), printed.getvalue()
            shown += 1
    assert shown >= 5


def test_every_formula_of_the_docs_compiles(func_folder):
    page = (ROOT / "docs" / "formula.md").read_text(encoding="utf-8")
    formulas = re.findall(r"^\| `(y ~ [^`]+)` \|", page, re.MULTILINE)
    assert len(formulas) > 15
    run = vx.Run(
        next(func_folder.glob("*_bold.nii.gz")),
        events=next(func_folder.glob("*_events.tsv")),
        confounds=next(func_folder.glob("*_timeseries.tsv")),
    )
    for formula in formulas:
        assert vx.design(formula, run).matrix.shape[0] == 300


def test_the_check_runs_the_readme_test_command():
    commands = [
        line
        for language, code in BLOCK.findall(README)
        if language == "sh"
        for line in code.splitlines()
        if "pytest" in line
    ]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text()


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
