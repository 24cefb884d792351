"""Run nilearn's own tests of its GLM with ``voxlm.glm`` in the place of ``nilearn.glm``.

The tests are those of the nilearn that is installed; in a copy of them, and of the checks of
estimators that they call, every ``nilearn.glm`` becomes ``voxlm.glm``. What the tests themselves
share (``nilearn.glm.tests``) stays.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import nilearn

HOME = Path(nilearn.__file__).parent
FOLDERS = ("glm/tests", "plotting/matrix/tests")
CHECKS = "nilearn._utils.estimator_checks"

#: Tests that fail, by how many cases, and why.
KNOWN = {
    "test_glm_random_state": (2, "expects scikit-learn's KMeans to be called"),
    "test_save_glm_to_bids_glm_report_no_contrast": (1, "expects nilearn's page beside the maps"),
    "test_second_level_input_as_surface_image_3d_same_as_list_2d": (1, "NaN where all maps agree"),
    "test_second_level_surface_image_contrast_computation": (1, "NaN where all maps agree"),
    "test_with_surface_images_warnings": (2, "expects clusters of surfaces to be missing"),
    "test_cluster_level_inference_surface_realistic_data": (3, "expects runs of vertex numbers"),
}


def copy_tests(target: Path) -> list[str]:
    """Write the tests with the import changed; return their folders."""
    names = []
    for folder in FOLDERS:
        name = folder.replace("/", "_")
        shutil.copytree(HOME / folder, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        names.append(name)
    shutil.copy(HOME / "conftest.py", target)
    shutil.copy(HOME / "_utils" / "estimator_checks.py", target)
    for path in target.rglob("*.py"):
        text = re.sub(r"\bnilearn\.glm\b(?!\.tests)", "voxlm.glm", path.read_text("utf-8"))
        path.write_text(text.replace(CHECKS, "estimator_checks"), "utf-8")
    return names


def run(target: Path, more: list[str]) -> dict[str, Counter[str]]:
    """Run the copy; return how often each test failed and how many cases passed."""
    report = target / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line"]
    subprocess.run(
        [*command, f"--junit-xml={report}", *copy_tests(target), *more], cwd=target, check=False
    )
    found: dict[str, Counter[str]] = {"passed": Counter(), "failed": Counter()}
    for case in ElementTree.parse(report).iter("testcase"):
        ill = case.find("failure") is not None or case.find("error") is not None
        if case.find("skipped") is None:
            found["failed" if ill else "passed"][case.get("name", "").partition("[")[0]] += 1
    return found


def main() -> int:
    """Print the figures; 1 where other tests fail than those known."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("more", nargs="*", help="arguments of pytest")
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options.parse_args().more)
    print(f"nilearn {nilearn.__version__}: {found['passed'].total()} cases pass")
    for name, count in sorted(found["failed"].items()):
        print(f"  {count} of {name}: {KNOWN.get(name, (0, 'not known'))[1]}")
    known = {name: count for name, (count, _) in KNOWN.items()}
    return int(dict(found["failed"]) != known)


if __name__ == "__main__":
    sys.exit(main())
