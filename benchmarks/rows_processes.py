"""Rows that need a process of their own: peak memory, import, first call."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.data import study
from benchmarks.measure import Measured, Row, Settings

ROOT = Path(__file__).resolve().parents[1]


def _child(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.child", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def memory(settings: Settings) -> Measured:
    """Measure peak memory, files to map, against nilearn's."""
    files, ours, peer = study(settings.cache), [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(settings.repeat):
            peer.append(_child("nilearn", files.folder, Path(folder, "p.nii.gz"))["mb"])
            ours.append(_child("ours", files.folder, Path(folder, "o.nii.gz"))["mb"])
    return Measured(ours, peer)


def memory_of_length(settings: Settings) -> Measured:
    """Measure peak memory of a run twice as long against the run's."""
    short, long = study(settings.cache), study(settings.cache, 480)
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(settings.repeat):
            peer.append(_child("ours", short.folder, Path(folder, "s.nii.gz"))["mb"])
            ours.append(_child("ours", long.folder, Path(folder, "l.nii.gz"))["mb"])
    return Measured(ours, peer)


def importing(settings: Settings) -> Measured:
    """Time ``import voxlm`` in new processes."""
    return Measured([_child("import")["seconds"] for _ in range(settings.repeat)])


def first_call(settings: Settings) -> Measured:
    """Time the first fit of new processes, kernels being cached on disk."""
    _child("first-call")
    return Measured([_child("first-call")["seconds"] for _ in range(settings.repeat)])


ROWS = (
    Row(
        "memory",
        "peak memory, files to z map, 240 scans",
        "nilearn FirstLevelModel",
        "within",
        1 / 3,
        1 / 4,
        memory,
        "MB",
    ),
    Row(
        "memory-length",
        "peak memory, 480 scans",
        "voxlm, 240 scans",
        "within",
        1.1,
        1.0,
        memory_of_length,
        "MB",
    ),
    Row("import", "import voxlm", "—", "under", 0.5, 0.25, importing),
    Row(
        "first-call",
        "first Run, glsar and contrast of a new process",
        "—",
        "under",
        0.5,
        0.5,
        first_call,
    ),
)
