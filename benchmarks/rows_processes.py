"""Rows that need a process of their own: peak memory, import, first call."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.data import study
from benchmarks.measure import Measured, Row, Settings

ROOT = Path(__file__).resolve().parents[1]


def child(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.child", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def family_mb(*arguments: object) -> float:
    """Return the peak memory of a process with its workers: proportional shares, added, polled."""
    command = [sys.executable, "-m", "benchmarks.child", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as running:
        peak = 0.0
        while running.poll() is None:
            peak = max(peak, sum(map(_share_mb, _family(running.pid))))
            time.sleep(0.02)
    if running.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return peak


def _family(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        below = [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:  # it has just ended
        return []
    return [pid, *(member for child in below for member in _family(child))]


def _share_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(
        int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith("Pss:")
    )


def memory(settings: Settings) -> Measured:
    """Measure peak memory, files to map, against nilearn's."""
    files, ours, peer = study(settings.cache), [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(settings.repeat):
            peer.append(child("nilearn", files.folder, Path(folder, "p.nii.gz"))["mb"])
            ours.append(child("ours", files.folder, Path(folder, "o.nii.gz"))["mb"])
    return Measured(ours, peer)


def memory_of_length(settings: Settings) -> Measured:
    """Measure peak memory of a run twice as long, whose drift then has twice the columns."""
    return _twice_as_long(settings, "cosine(1/128)", "cosine(1/128)")


def memory_of_scans(settings: Settings) -> Measured:
    """Measure peak memory of a run twice as long with as many columns."""
    return _twice_as_long(settings, "cosine(1/128)", "cosine(1/256)")


def _twice_as_long(settings: Settings, short_drift: str, long_drift: str) -> Measured:
    short, long = study(settings.cache), study(settings.cache, 480)
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "z.nii.gz")
        for _ in range(settings.repeat):
            peer.append(child("ours", short.folder, out, short_drift)["mb"])
            ours.append(child("ours", long.folder, out, long_drift)["mb"])
    return Measured(ours, peer)


def importing(settings: Settings) -> Measured:
    """Time ``import voxlm`` in new processes."""
    return Measured([child("import")["seconds"] for _ in range(settings.repeat)])


def first_call(settings: Settings) -> Measured:
    """Time the first fit of new processes, kernels being cached on disk."""
    child("first-call")
    answers = [child("first-call") for _ in range(settings.repeat)]
    parts = {name: median(answer[name] for answer in answers) for name in answers[0]}
    said = (
        f"numpy and pandas {parts['numpy_pandas']:.2f} s, Run {parts['run']:.2f} s, first fit and "
        f"contrast {parts['seconds']:.2f} s, second {parts['again']:.3f} s"
    )
    return Measured([answer["seconds"] for answer in answers], agreement=said)


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
        "peak memory, 480 scans: 24 columns for 16",
        "voxlm, 240 scans",
        "within",
        1.1,
        1.0,
        memory_of_length,
        "MB",
    ),
    Row(
        "memory-scans",
        "peak memory, 480 scans: as many columns",
        "voxlm, 240 scans",
        "within",
        1.1,
        1.0,
        memory_of_scans,
        "MB",
    ),
    Row("import", "import voxlm", "—", "under", 0.5, 0.25, importing),
    Row(
        "first-call",
        "first glsar and contrast of a new process",
        "—",
        "under",
        0.5,
        0.5,
        first_call,
    ),
)
