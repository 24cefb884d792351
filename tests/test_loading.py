"""What a first call may load: who fits no noise model needs no compiler, and so on."""

import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

HEAVY = {
    *("numba", "llvmlite", "formulaic", "patsy", "statsmodels", "sklearn", "joblib", "tqdm"),
    *("matplotlib", "nilearn", "jinja2", "multiprocessing", "scipy.stats", "scipy.sparse"),
    *("scipy.linalg", "scipy.special", "scipy.ndimage", "numpy.testing", "numpy.f2py"),
}
# Modules that wait for their first use stand in the table of modules, too.
TELL = """
import sys
print(*(name for name, one in sys.modules.items() if type(one).__name__ != "_LazyModule"))
"""
GROUP = """
import numpy as np, pandas as pd
from voxlm.glm.second_level import SecondLevelModel
design = pd.DataFrame({{"intercept": 1.0, "age": np.arange(6.0)}})
model = SecondLevelModel(mask_img={mask!r}).fit({maps!r}, design_matrix=design)
model.compute_contrast("age", output_type="stat").to_filename({out!r})
"""
MAPS = """
import pandas as pd, voxlm as vx
table = pd.DataFrame({{"effect": {maps!r}, "age": range(6)}})
maps = vx.Maps(table, mask={mask!r})
con = vx.lm("effect ~ age", maps).contrast("age")
maps.space.write({out!r}, con.t, intent="t", df=4)
"""
RUN = """
import numpy as np, pandas as pd, voxlm as vx
events = pd.DataFrame({"onset": [4.0, 20.0], "duration": 2.0, "trial_type": "face"})
run = vx.Run(np.random.default_rng(0).normal(100, 1, (40, 20)), events, tr=2.0)
""".strip()


def loaded(code):
    """Return which heavy modules a new process has loaded after some work."""
    command = [sys.executable, "-W", "ignore", "-c", code + TELL]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return HEAVY & set(done.stdout.split())


@pytest.fixture
def maps(tmp_path):
    """Six maps and their mask, in files."""
    rng = np.random.default_rng(0)
    names = [str(tmp_path / f"map-{row}.nii.gz") for row in range(6)]
    for name in names:
        nib.save(nib.Nifti1Image(rng.standard_normal((4, 4, 4)), np.eye(4)), name)
    mask = str(tmp_path / "mask.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), mask)
    return names, mask


def test_what_is_looked_for_can_be_found():
    code = "import numba, scipy.special, scipy.linalg"
    assert {"numba", "llvmlite", "scipy.special", "scipy.linalg"} <= loaded(code)


def test_the_package_alone_loads_nothing():
    code = "import voxlm as vx; assert 'numpy' not in __import__('sys').modules"
    assert not loaded(code)


def test_least_squares_of_a_group_needs_no_compiler(maps, tmp_path):
    names, mask = maps
    code = GROUP.format(mask=mask, maps=names, out=str(tmp_path / "t.nii.gz"))
    assert not loaded(code)


def test_least_squares_over_maps_needs_no_compiler(maps, tmp_path):
    names, mask = maps
    code = MAPS.format(mask=mask, maps=names, out=str(tmp_path / "t.nii.gz"))
    # The formula's engine loads its own, and maps are read with a bar.
    engine = {"formulaic", "scipy.sparse", "scipy.special", "scipy.linalg", "numpy.testing"}
    bar = {"tqdm", "multiprocessing"}
    assert loaded(code) <= {*engine, *bar, "numpy.f2py"}


def test_a_run_loads_nothing_that_computes():
    assert not loaded(RUN)


def test_a_first_fit_loads_no_peer_and_no_bar():
    fit = "vx.glsar('y ~ face', run).contrast('face').z.sum()"
    found = loaded(f"{RUN}; {fit}")
    assert "numba" in found
    unwanted = {
        "statsmodels",
        "formulaic",
        "patsy",
        "sklearn",
        "joblib",
        "tqdm",
        "matplotlib",
        "nilearn",
    }
    assert not found & {*unwanted, "jinja2", "scipy.stats", "scipy.sparse", "scipy.ndimage"}


def test_a_blas_that_loads_after_the_first_blocks_is_held_to_one_thread():
    code = (
        "import numpy\n"
        "from threadpoolctl import threadpool_info\n"
        "from voxlm.kernels.threads import over_blocks, single_blas\n"
        "over_blocks(1, 1, print)\n"
        "import scipy.linalg\n"
        "with single_blas():\n"
        "    held = [p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas']\n"
        "assert held and set(held) == {1}, held\n"
    )
    assert "scipy.linalg" in loaded(code)
