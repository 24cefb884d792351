"""The page for those who come from nilearn is true."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from voxlm.simulate import study

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-nilearn.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_code_runs_and_prints_what_is_shown(tmp_path):
    made = study(tmp_path)
    folder = made.bold[0].parent
    names: dict[str, object] = {
        "bold": str(made.bold[0]),
        "events": str(next(folder.glob("*_events.tsv"))),
        "mask": str(next(tmp_path.rglob("*mask.nii.gz"))),
    }
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    printed = ""
    for language, code in blocks:
        if language == "text":
            assert printed.strip() == code.strip()
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)
        printed = out.getvalue()
    ours, theirs = (names[name].get_fdata() for name in ("z_map", "z_formula"))
    both = np.isfinite(ours) & np.isfinite(theirs)
    # Two recipes for AR(1) noise on the same design: alike, not equal.
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.99


def test_the_import_brings_neither_nilearn_nor_scikit_learn():
    asked = "[m for m in ('nilearn', 'sklearn.base') if m in sys.modules]"
    code = f"import sys, voxlm.glm; print({asked})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
